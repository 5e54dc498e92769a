//! Logins through other providers, against an identity provider that is honest or not.

use fb_oauth::testkit::{Breakage, CLIENT_ID, CLIENT_SECRET, Idp, Misbehaviour};
use fb_testkit::{Client, Response, Server, encode, root};
use serde_json::{Value, json};

use crate::{class, second_app, server};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

struct World {
    idp: Idp,
    server: Server,
    admin: Client,
    anybody: Client,
    /// The API as providers know it.
    api: String,
}

/// A server whose app has one provider, `idp`, and where anybody may register.
fn world() -> World {
    let idp = Idp::start();
    let server = server()
        .secure()
        .arg("--outbound-allow")
        .arg(idp.allowed_target())
        .start();
    let admin = root(&server);
    let api = format!("http://{}/v1", server.address());
    idp.register_redirect_uri(&format!("{api}/db/User/OAuth/idp"));
    class(
        &admin,
        "User",
        &json!({ "username": { "type": "/db/String", "flags": ["READONLY"] }, "email": { "type": "/db/String" } }),
        &json!({ "insert": { "/db/Role/1": "allow" } }),
    );
    let world = World {
        anybody: server.client(),
        idp,
        server,
        admin,
        api,
    };
    world.set(json!({ "publicUrl": world.api, "registration": "open" }));
    world.set_oauth(json!({}));
    world
}

impl World {
    fn set(&self, settings: Value) {
        self.admin.put("/config", &settings).expect(200);
    }

    fn set_oauth(&self, more: Value) {
        let settings = serde_json::to_value(self.idp.openid_settings()).unwrap();
        let mut oauth = json!({ "providers": { "idp": settings }, "authorizedDomains": ["https://shop.example"] });
        for (name, value) in more.as_object().unwrap() {
            oauth[name] = value.clone();
        }
        self.set(json!({ "oauth": oauth }));
    }

    /// Begins a login like a browser: where it is sent, and its cookie.
    fn begin(&self, state: &Value) -> (String, String) {
        let path = format!("/db/User/OAuth/idp?client_id=x&state={}", encode(&state.to_string()));
        let answer = self.anybody.request("GET", &path, &[BROWSER], b"").expect(302);
        let cookie = answer.header("set-cookie").unwrap();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/v1/db/User", "Max-Age=600"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        (answer.header("location").unwrap().to_owned(), cookie)
    }

    /// Comes back from the provider.
    fn back(&self, url: &str, cookie: &str) -> Response {
        let path = url.strip_prefix(&self.api).unwrap();
        let headers = [BROWSER, ("cookie", cookie)];
        let headers = if cookie.is_empty() { &headers[..1] } else { &headers[..] };
        self.anybody.request("GET", path, headers, b"")
    }

    /// A whole login; what the page hands over.
    fn login(&self) -> Value {
        let (url, cookie) = self.begin(&json!({}));
        handed_over(&self.back(&self.idp.authorize(&url).unwrap(), &cookie))
    }

    fn client(&self, login: &Value) -> Client {
        let token = login["headers"]["baqend-authorization-token"].as_str().unwrap();
        self.anybody.clone().with_token(token)
    }

    /// Sets who logs in at the provider.
    fn person(&self, subject: &str, email: &str, verified: bool) {
        self.idp.set_claim("sub", json!(subject));
        self.idp.set_claim("email", json!(email));
        self.idp.set_claim("email_verified", json!(verified));
    }
}

/// What the page puts into the browser's storage.
fn handed_over(page: &Response) -> Value {
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert_eq!(page.status, 200, "{text}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let (_, rest) = text.split_once("type=\"application/json\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

fn entity(login: &Value) -> Value {
    serde_json::from_str(login["entity"].as_str().unwrap()).unwrap()
}

#[track_caller]
fn assert_refused(login: &Value, status: u16, class_name: &str) {
    assert_eq!(login["status"], status, "{login}");
    assert_eq!(entity(login)["className"], class_name, "{login}");
    assert_eq!(login["headers"].get("baqend-authorization-token"), None, "{login}");
}

#[test]
fn s22_a_login_from_the_first_click_to_the_session() {
    let world = world();
    world.person("subject-1", "ann@example.com", true);
    let first = world.login();
    assert_eq!(first["status"], 200, "{first}");
    let ann = entity(&first);
    assert_eq!(
        (&ann["username"], &ann["email"]),
        (&json!("ann@example.com"), &json!("ann@example.com"))
    );
    assert_eq!(world.client(&first).get("/db/User/me").expect(200).json(), ann);
    // The identity counts from now on, not the address.
    world.person("subject-1", "ann@elsewhere.example", true);
    assert_eq!(entity(&world.login())["id"], ann["id"]);
    world.person("subject-2", "bob@example.com", true);
    assert_ne!(entity(&world.login())["id"], ann["id"]);

    // Back to a page of the app.
    world.person("subject-1", "ann@example.com", true);
    let (url, cookie) = world.begin(&json!({ "redirect": "https://shop.example/done?a=1#top", "loginOption": false }));
    let answer = world.back(&world.idp.authorize(&url).unwrap(), &cookie).expect(302);
    let location = answer.header("location").unwrap();
    let rest = location.strip_prefix("https://shop.example/done?a=1&token=").unwrap();
    let (token, rest) = rest.split_once('&').unwrap();
    assert_eq!(rest, "loginOption=false#top");
    let me = world.anybody.clone().with_token(token).get("/db/User/me").expect(200);
    assert_eq!(me.json()["id"], ann["id"]);
    let short = me.header("baqend-authorization-token").unwrap();
    let seconds = |text: &str| i64::from_str_radix(text, 16).unwrap();
    assert_eq!(seconds(&short[8..16]) - seconds(&short[..8]), 86_400);
    // An account without password can be neither logged in to with one, nor left without any way in.
    let login = json!({ "username": "ann@example.com", "password": "" });
    world.anybody.post("/db/User/login", &login).expect(460);
    world.client(&first).delete("/db/User/password").expect(204);
}

#[test]
fn s20_s22_a_login_is_ended_once_and_by_the_browser_that_began_it() {
    let world = world();
    world.person("subject-1", "ann@example.com", true);
    // The attacker's callback in the victim's browser, which has no cookie or that of another login.
    let (url, cookie) = world.begin(&json!({}));
    let back = world.idp.authorize(&url).unwrap();
    let (_, other) = world.begin(&json!({}));
    for cookie in [
        "",
        other.as_str(),
        "freshbase-oauth=0",
        "freshbase-oauth=00000000000000000000000000000000",
    ] {
        assert_refused(&handed_over(&world.back(&back, cookie)), 400, "LoginNotGenuine");
    }
    // It is still good for whom it belongs to, once.
    let ends: Vec<Value> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| handed_over(&world.back(&back, &cookie))))
            .collect();
        all.into_iter().map(|end| end.join().unwrap()).collect()
    });
    assert_eq!(ends.iter().filter(|end| end["status"] == 200).count(), 1, "{ends:?}");
    assert!(ends.iter().all(|end| end["status"] == 200 || end["status"] == 400));
    // A state that is none, and that of another provider or app.
    for state in ["", "x", "{}"] {
        let url = format!("{}/db/User/OAuth/idp?code=c&state={}", world.api, encode(state));
        assert_refused(&handed_over(&world.back(&url, &cookie)), 400, "LoginNotGenuine");
    }
    let other = second_app(&world.server, "other", crate::Profile::Secure);
    other.put("/config", &json!({ "publicUrl": world.api })).expect(200);
    let oauth = json!({ "providers": { "idp": serde_json::to_value(world.idp.openid_settings()).unwrap() } });
    other.put("/config", &json!({ "oauth": oauth })).expect(200);
    let (url, cookie) = world.begin(&json!({}));
    let back = world.idp.authorize(&url).unwrap();
    let path = back.strip_prefix(&world.api).unwrap();
    let answer = world
        .server
        .app("other")
        .request("GET", path, &[BROWSER, ("cookie", &cookie)], b"");
    assert_refused(&handed_over(&answer), 400, "LoginNotGenuine");
}

#[test]
fn s22_a_dishonest_provider_logs_nobody_in() {
    let world = world();
    let users = || world.admin.get("/db/User/count").expect(200).json()["count"].clone();
    let before = users();
    for wrong in [
        Misbehaviour::WrongIssuer,
        Misbehaviour::WrongAudience,
        Misbehaviour::Expired,
        Misbehaviour::WrongNonce,
        Misbehaviour::AlgorithmNone,
        Misbehaviour::HmacWithPublicKey,
        Misbehaviour::ForeignKey,
        Misbehaviour::MixUp,
        Misbehaviour::WrongState,
    ] {
        world.idp.set_misbehaviour(Some(wrong));
        assert_refused(&world.login(), 400, "LoginNotGenuine");
    }
    world.idp.set_misbehaviour(Some(Misbehaviour::AuthorizeError));
    assert_refused(&world.login(), 460, "LoginRefused");
    world.idp.set_misbehaviour(Some(Misbehaviour::EmptySubject));
    assert_ne!(world.login()["status"], 200);
    world.idp.set_misbehaviour(None);
    world.idp.break_path("/token", Breakage::Garbage);
    assert_refused(&world.login(), 502, "LoginProviderFailed");
    assert_eq!(users(), before);
}

/// Nobody gets into an account by claiming its address first, here or at the provider.
#[test]
fn s23_addresses_link_accounts_only_if_both_sides_verified_them() {
    let world = world();
    let register = |name: &str| {
        let body = json!({ "user": { "username": name }, "password": "of the attacker" });
        world.anybody.post("/db/User/register", &body).expect(200).json()["id"].clone()
    };
    // Claimed here first, never verified.
    let squatted = register("victim@example.com");
    world.person("victim", "victim@example.com", true);
    assert_refused(&world.login(), 409, "ObjectExists");
    // The owner of the address proves it by a reset; then both are one, and the squatter is out.
    world
        .anybody
        .post("/db/User/reset", &json!({ "username": "victim@example.com" }))
        .expect(200);
    let token = reset_token(&world);
    let reset = json!({ "token": token, "newPassword": "of the owner" });
    world.anybody.post("/db/User/password", &reset).expect(200);
    let login = world.login();
    assert_eq!((&login["status"], &entity(&login)["id"]), (&json!(200), &squatted));

    // Claimed at a provider that did not verify it: another account, which does not get the name.
    world.person("attacker", "owner@example.com", false);
    let attacker = entity(&world.login());
    assert_ne!(attacker["username"], "owner@example.com");
    assert_eq!(attacker["email"], Value::Null);
    let owner = register("owner@example.com");
    assert_ne!(owner, attacker["id"]);
    assert_eq!(entity(&world.login())["id"], attacker["id"]);
}

fn reset_token(world: &World) -> String {
    let bearer = crate::operator(&world.server);
    let api = Client::new(world.server.address(), "/admin/v1");
    let text = fb_testkit::wait_for("the mail", || {
        let mails = api
            .request("GET", "/apps/main/mails", &[("authorization", &bearer)], b"")
            .expect(200)
            .json();
        let text = mails[0]["text"].as_str().unwrap_or_default().to_owned();
        text.contains("bq-token=").then_some(text)
    });
    let (_, rest) = text.split_once("bq-token=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_login_follows_the_rules_of_the_app() {
    let world = world();
    // Tokens go to pages of the app alone.
    for redirect in [
        "https://evil.example/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "javascript:alert(1)",
        "//shop.example/",
    ] {
        let state = encode(&json!({ "redirect": redirect }).to_string());
        let answer = world
            .anybody
            .request("GET", &format!("/db/User/OAuth/idp?state={state}"), &[BROWSER], b"");
        answer.expect_error(400, "BadRequest");
    }
    for path in ["/db/User/OAuth/none", "/db/User/OAuth/IDP", "/db/User/OAuth1/none"] {
        world
            .anybody
            .request("GET", path, &[BROWSER], b"")
            .expect_error(404, "ObjectNotFound");
    }
    let program = [("accept", "application/json")];
    world
        .anybody
        .request("GET", "/db/User/OAuth/idp?state=device", &program, b"")
        .expect_error(501, "NotImplemented");

    // Who is not let in with a password is not let in this way either.
    world.person("subject-1", "ann@example.com", true);
    world.set(json!({ "registration": "closed" }));
    assert_refused(&world.login(), 466, "PermissionDenied");
    world.set(json!({ "registration": "open" }));
    let login = world.login();
    let id = entity(&login)["id"].as_str().unwrap().to_owned();
    world.admin.put(&format!("{id}/inactive"), &json!(true)).expect(200);
    assert_refused(&world.login(), 460, "BadCredentials");
    world.client(&login).get("/db/User/me").expect(404);
    world.admin.put(&format!("{id}/inactive"), &json!(false)).expect(200);
    assert_eq!(world.login()["status"], 200);

    // The callback needs what no request can claim.
    let hostile = [
        BROWSER,
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
    ];
    let answer = world
        .anybody
        .request("GET", "/db/User/OAuth/idp", &hostile, b"")
        .expect(302);
    assert!(!answer.header("location").unwrap().contains("evil"));
    world.set(json!({ "emailVerification": false, "publicUrl": null }));
    world
        .anybody
        .request("GET", "/db/User/OAuth/idp", &[BROWSER], b"")
        .expect_error(400, "BadRequest");
}

/// Whoever invents providers makes the server do nothing: no request, no record.
#[test]
fn s17_an_unknown_provider_is_no_work() {
    let world = world();
    for name in ["none", "google", "idp2", "%2e%2e", "..", "idp%00"] {
        for query in ["", "?code=x&state=y", "?error=x"] {
            let path = format!("/db/User/OAuth/{name}{query}");
            let answer = world.anybody.request("GET", &path, &[BROWSER], b"");
            if answer.status == 200 {
                assert_refused(&handed_over(&answer), 404, "ObjectNotFound");
            } else {
                answer.expect_error(404, "ObjectNotFound");
                assert_eq!(answer.header("set-cookie"), None);
            }
        }
    }
    for path in ["/.well-known/openid-configuration", "/token"] {
        assert_eq!(world.idp.n_requests(path), 0);
    }
}

/// The published SDKs build the provider's address themselves.
#[test]
fn a_client_begins_a_login_itself_where_the_app_permits_it() {
    let world = world();
    world.person("subject-1", "ann@example.com", true);
    let state = json!({ "redirect": "https://shop.example/", "loginOption": true }).to_string();
    let uri = format!("{}/db/User/OAuth/idp", world.api);
    let url = format!(
        "{}?response_type=code&client_id={CLIENT_ID}&scope=openid%20email&state={}&redirect_uri={}",
        world.idp.url("/authorize"),
        encode(&state),
        encode(&uri)
    );
    let back = || world.back(&world.idp.authorize(&url).unwrap(), "");
    assert_refused(&handed_over(&back()), 400, "LoginNotGenuine");
    world.set_oauth(json!({ "clientStarted": true }));
    let answer = back().expect(302);
    let location = answer.header("location").unwrap();
    assert!(location.starts_with("https://shop.example/?token="), "{location}");
    assert!(location.ends_with("&loginOption=true"), "{location}");
}

#[test]
fn s47_secrets_of_providers_are_not_shown_and_survive_being_sent_back() {
    let world = world();
    let shown = world.admin.get("/config").expect(200).json();
    assert_eq!(shown["oauth"]["providers"]["idp"]["clientSecret"], "***");
    world.admin.put("/config", &shown).expect(200);
    world.person("subject-1", "ann@example.com", true);
    assert_eq!(world.login()["status"], 200);
    assert!(!world.server.log().contains(CLIENT_SECRET));
    scan(&world.server.data_dir().join("apps/main"));
    for bad in [
        json!({ "providers": { "idp": { "clientId": "x" } } }),
        json!({ "providers": { "Upper": { "preset": "google", "clientId": "x", "clientSecret": "y" } } }),
        json!({ "providers": { "google": { "clientId": "" } } }),
        json!({ "providers": { "idp": { "issuer": "ftp://x", "clientId": "x" } } }),
        json!({ "authorizedDomains": ["https://shop.example/path"] }),
        json!({ "authorizedDomains": ["*"] }),
        json!({ "unknown": true }),
    ] {
        world
            .admin
            .put("/config", &json!({ "oauth": bad }))
            .expect_error(400, "BadRequest");
    }
}

fn scan(dir: &std::path::Path) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap();
        let found = bytes
            .windows(CLIENT_SECRET.len())
            .any(|w| w == CLIENT_SECRET.as_bytes());
        assert!(!found, "{}", entry.path().display());
    }
}

#[test]
fn code_is_told_of_logins_and_may_refuse_them() {
    let world = world();
    let write = |text: &str| {
        world
            .admin
            .request("PUT", "/code/oauth.idp/module", &[], text.as_bytes())
            .expect(200);
    };
    world.person("1", "ann@example.com", true);
    write(
        "exports.call = async (db, data) => { const me = await db.User.me.load(); me.email = data.id + ' ' + data.email + ' ' + typeof data.access_token; await me.save(); };",
    );
    let login = world.login();
    assert_eq!(login["status"], 200, "{login}");
    assert_eq!(entity(&login)["email"], "1 ann@example.com string");
    write("exports.call = () => { throw new Error('a mistake'); };");
    assert_eq!(world.login()["status"], 200);
    write("exports.call = () => { throw new Abort('not you'); };");
    let login = world.login();
    assert_eq!(entity(&login)["message"], "not you", "{login}");
    assert_eq!(login["headers"].get("baqend-authorization-token"), None, "{login}");
}
