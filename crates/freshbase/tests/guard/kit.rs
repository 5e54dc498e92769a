//! What tests of accounts have in common: mails, links, codes, tokens.

use fb_testkit::{Client, Response, Server, root, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha1::Sha1;

use crate::{operator, user};

pub(crate) const TOKEN: &str = "baqend-authorization-token";

/// Where the links of mails lead in these tests.
pub(crate) const PUBLIC_URL: &str = "https://shop.example/v1";

pub(crate) fn login(client: &Client, username: &str, password: &str) -> Response {
    client.post("/db/User/login", &json!({ "username": username, "password": password }))
}

pub(crate) fn register(client: &Client, username: &str, password: &str) -> Response {
    let body = json!({ "user": { "username": username }, "password": password });
    client.post("/db/User/register", &body)
}

/// The token that an answer gives.
#[track_caller]
pub(crate) fn token_of(answer: &Response) -> String {
    answer.header(TOKEN).expect("a token").to_owned()
}

pub(crate) fn set_config(admin: &Client, settings: &Value) {
    admin.put("/config", settings).expect(200);
}

/// Anybody may register, and has to follow the link of a mail.
pub(crate) fn verification(admin: &Client) {
    set_config(
        admin,
        &json!({ "registration": "open", "emailVerification": true, "publicUrl": PUBLIC_URL }),
    );
}

/// True if the token is good for anything: finding out who one is, ordinary requests, or starting a client.
pub(crate) fn is_alive(stranger: &Client, token: &str) -> bool {
    let client = stranger.clone().with_token(token);
    let me = client.get("/db/User/me").status;
    let validated = client.get("/db/User/validate").status;
    let schema = client.get("/schema").status;
    let connected = client.get("/connect").expect(200).json();
    let resource = resource_token(token, "/v1/connect");
    let by_url = stranger.get(&format!("/connect?BAT={resource}")).expect(200).json();
    let form = format!("BAT={token}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let by_form = stranger.request("POST", "/connect", &headers, form.as_bytes());
    let by_form = by_form.expect(200).json();
    let ways = [
        me == 200,
        validated == 200,
        schema == 200,
        connected.get("user").is_some(),
        by_url.get("user").is_some(),
        by_form.get("user").is_some(),
    ];
    let alive = ways[0];
    assert!(
        ways.iter().all(|way| *way == alive),
        "a token is good here and bad there: {ways:?}"
    );
    if !alive {
        assert_eq!((me, validated, schema), (404, 404, 460));
    }
    alive
}

/// A token for one path, as clients derive it from theirs.
pub(crate) fn resource_token(token: &str, path: &str) -> String {
    let (data, key) = token.split_at(token.len() - 40);
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(path.as_bytes());
    mac.update(data.as_bytes());
    let hash = mac.finalize().into_bytes();
    data.to_owned() + &hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
}

/// Seconds between a token's creation and its end.
pub(crate) fn lifetime(token: &str) -> i64 {
    let second = |part: &str| i64::from_str_radix(part, 16).unwrap();
    second(&token[8..16]) - second(&token[..8])
}

/// The operator's view of the mails of one app, and of which of them were seen already.
pub(crate) struct Mails {
    client: Client,
    bearer: String,
    app: String,
    seen: std::cell::Cell<u64>,
}

impl Mails {
    pub(crate) fn of(server: &Server, app: &str) -> Self {
        Self {
            client: Client::new(server.address(), "/admin/v1"),
            bearer: operator(server),
            app: app.to_owned(),
            seen: std::cell::Cell::new(0),
        }
    }

    /// All mails, the oldest first.
    pub(crate) fn all(&self) -> Vec<Value> {
        let path = format!("/apps/{}/mails", self.app);
        let headers = [("authorization", self.bearer.as_str())];
        let mails = self.client.request("GET", &path, &headers, b"").expect(200).json();
        let mut mails = mails.as_array().unwrap().clone();
        mails.reverse();
        mails
    }

    /// The next mail to this address that was not asked for before, once it is there.
    pub(crate) fn next(&self, to: &str) -> Value {
        let id = |mail: &Value| mail["id"].as_u64().unwrap();
        let mail = wait_for("a mail", || {
            let mut mails = self.all().into_iter();
            mails.find(|mail| id(mail) > self.seen.get() && mail["to"] == to)
        });
        self.seen.set(id(&mail));
        mail
    }

    /// The link of the next mail to this address.
    pub(crate) fn next_link(&self, to: &str) -> String {
        loop {
            let mail = self.next(to);
            let text = mail["text"].as_str().unwrap();
            let link = text.split_whitespace().find(|word| word.starts_with("http"));
            if let Some(link) = link {
                return link.to_owned();
            }
        }
    }

    /// The secret in the link of the next mail to this address.
    pub(crate) fn next_token(&self, to: &str) -> String {
        secret_of(&self.next_link(to))
    }
}

/// The secret at the end of a link.
pub(crate) fn secret_of(link: &str) -> String {
    link.rsplit_once("token=").expect("a link with a token").1.to_owned()
}

/// Somebody with a second factor.
pub(crate) struct Device {
    secret: Vec<u8>,
    /// The secret as it was shown.
    pub(crate) base32: String,
    pub(crate) recovery: Vec<String>,
}

impl Device {
    /// Sets up a second factor for whoever is logged in.
    pub(crate) fn add(client: &Client) -> Self {
        let new = client.get("/db/User/mfa/init").expect(200).json();
        let mut device = Self::scan(&new);
        let confirmed = client.post("/db/User/mfa/init", &json!({ "code": device.code(0) }));
        let codes = confirmed.expect(200).json()["recoveryCodes"].clone();
        device.recovery = serde_json::from_value(codes).unwrap();
        device
    }

    /// Reads the answer of the first step.
    pub(crate) fn scan(new: &Value) -> Self {
        let uri = new["keyUri"].as_str().unwrap();
        let (_, rest) = uri.split_once("secret=").unwrap();
        let base32 = rest.split('&').next().unwrap().to_owned();
        Self {
            secret: from_base32(&base32),
            base32,
            recovery: Vec::new(),
        }
    }

    /// The code of the present half minute, or of one so many half minutes away.
    pub(crate) fn code(&self, away: i64) -> String {
        let step = fb_types::Clock::now(&fb_types::SystemClock).seconds() / 30 + away;
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.secret).unwrap();
        mac.update(&step.to_be_bytes());
        let hash = mac.finalize().into_bytes();
        let offset = usize::from(hash[19] & 15);
        let number = u32::from_be_bytes(hash[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }

    /// A code that is none of those that are right now or soon.
    pub(crate) fn wrong_code(&self) -> String {
        let right: Vec<String> = (-2..=2).map(|away| self.code(away)).collect();
        let mut codes = (0..).map(|n| format!("{n:06}"));
        codes.find(|code| !right.contains(code)).unwrap()
    }
}

fn from_base32(text: &str) -> Vec<u8> {
    let (mut bits, mut n_bits, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            other => panic!("{other} is no base 32"),
        };
        bits = bits << 5 | u32::from(value);
        n_bits += 5;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push(u8::try_from(bits >> n_bits & 255).unwrap());
        }
    }
    bytes
}

/// First step of a login with a second factor: the token for the second one.
#[track_caller]
pub(crate) fn pending(answer: &Response) -> String {
    answer.expect_error(403, "MfaRequired");
    assert_eq!(answer.header(TOKEN), None, "no session before the second factor");
    let token = answer.json()["data"]["baqend-mfa-auth-token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(answer.header("baqend-mfa-auth-token"), Some(token.as_str()));
    token
}

/// Second step.
pub(crate) fn second_step(client: &Client, token: &str, code: &Value) -> Response {
    client.post("/db/User/mfa/token", &json!({ "authToken": token, "code": code }))
}

/// An administrator, a stranger, and a logged-in user `ann` with the password `a secret`.
pub(crate) fn ann(server: &Server) -> (Client, Client, Client, String) {
    let (admin, stranger) = (root(server), server.client());
    let (ann, id) = user(&admin, &stranger, "ann");
    (admin, stranger, ann, id)
}

/// Does the same so many times at once; the statuses, sorted.
pub(crate) fn at_once(n: usize, attempt: impl Fn(usize) -> Response + Sync) -> Vec<u16> {
    let mut statuses = std::thread::scope(|scope| {
        let attempt = &attempt;
        let threads: Vec<_> = (0..n).map(|i| scope.spawn(move || attempt(i).status)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    statuses.sort_unstable();
    statuses
}

/// The names of the members of a JSON object.
pub(crate) fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().map(Map::keys).unwrap().map(String::as_str).collect();
    names.sort_unstable();
    names
}
