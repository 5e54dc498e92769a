//! What ends with time, with a clock that the tests move.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod answers;
mod bans;
mod caching;
mod faulty;
mod files;
mod guarded;
mod jobs;
mod late;
mod letters;
mod live;
mod logs;
mod results;
mod triggers;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fb_app::{
    Account, App, AppError, AppLimits, Apps, AppsOptions, NewApp, NewUser, PasswordChange, Profile, Registered,
    Session, Source,
};
use fb_auth::{HashCost, Secret};
use fb_files::FileStore;
use fb_mail::{Catcher, Outbox, OutboxOptions, Sender};
use fb_outbound::{Outbound, OutboundOptions};
use fb_store_sqlite::{SqliteNode, SqliteOptions};
use fb_types::{AppId, Clock, ObjectKey, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use self::faulty::{Fault, FaultyNode};
use self::late::Caches;

const ANN: &str = "ann@example.com";
const PASSWORD: &str = "a secret";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A clock that stands still until it is moved.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Fixture {
    clock: Arc<Hand>,
    catcher: Arc<Catcher>,
    apps: Arc<Apps>,
    app: Arc<App>,
    admin: Session,
    master_key: Secret,
    /// Of reads with a position.
    fault: Arc<Fault>,
    /// Who is told of purges.
    caches: Arc<Caches>,
    _dir: tempfile::TempDir,
}

impl Fixture {
    /// An app with administrator `root`, registration with verification, and cheap hashes.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000)));
        let catcher = Arc::new(Catcher::new(clock.clone()));
        let master_key = Secret::random().unwrap();
        let fault = Arc::<Fault>::default();
        let caches = Arc::<Caches>::default();
        let apps = apps_at(dir.path(), &clock, &catcher, &master_key, (&fault, &caches)).await;
        let password = Secret::new(PASSWORD);
        let admin = apps.first_admin(Profile::Secure, "root", &password).await.unwrap();
        let new = NewApp {
            id: AppId::new("main").unwrap(),
            profile: Profile::Secure,
            hosts: Vec::new(),
            is_default: true,
            admin: Some(admin),
        };
        apps.create(&new).await.unwrap();
        let app = apps.by_name("main").await.unwrap().unwrap();
        let root = app.login(&SOURCE, "root", &Secret::new(PASSWORD), true).await.unwrap();
        let admin = app.authenticate(token(&root)).await.unwrap();
        let settings =
            json!({ "registration": "open", "emailVerification": true, "publicUrl": "https://shop.example/v1" });
        app.update_settings(&admin.principal, settings.as_object().unwrap())
            .await
            .unwrap();
        Self {
            clock,
            catcher,
            apps,
            app,
            admin,
            master_key,
            fault,
            caches,
            _dir: dir,
        }
    }

    async fn apps_at(&self, dir: &std::path::Path) -> Arc<Apps> {
        let around = (&self.fault, &self.caches);
        apps_at(dir, &self.clock, &self.catcher, &self.master_key, around).await
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    async fn set(&self, settings: Value) {
        let settings = settings.as_object().unwrap().clone();
        self.app
            .update_settings(&self.admin.principal, &settings)
            .await
            .unwrap();
    }

    /// The secret in the newest mail, once there are so many of them.
    async fn link(&self, n_mails: usize) -> String {
        for _ in 0..2000 {
            let mails = self.catcher.list("main");
            if mails.len() >= n_mails {
                let text = &mails[0].text;
                let secret = text.split("token=").nth(1).unwrap();
                return secret.split_whitespace().next().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited in vain for mail {n_mails}");
    }

    async fn register(&self) {
        let new = NewUser {
            fields: json!({ "username": ANN }).as_object().unwrap().clone(),
            password: Secret::new(PASSWORD),
            password_hash: None,
            login: true,
            long: true,
        };
        let anybody = fb_auth::Principal::anonymous();
        let registered = self.app.register(&SOURCE, &anybody, &new).await.unwrap();
        assert!(matches!(registered, Registered::Pending));
    }

    async fn login(&self, long: bool) -> Result<Account, AppError> {
        let password = Secret::new(PASSWORD);
        self.app.login(&SOURCE, ANN, &password, long).await
    }

    /// A verified user that is logged in.
    async fn ann(&self, long: bool) -> Account {
        self.register().await;
        let link = self.link(1).await;
        self.app.verify_registration(&link).await.unwrap();
        self.login(long).await.unwrap()
    }

    async fn is_alive(&self, token: &str) -> bool {
        let session = self.app.authenticate(token).await;
        let resource = self.app.authenticate_resource(token, "/v1/db/User/2").await;
        assert!(resource.is_err(), "a whole token is no token for a path");
        match session {
            Ok(_) => true,
            Err(AppError::BadToken) => false,
            Err(other) => panic!("{other}"),
        }
    }
}

/// The apps of a data directory.
async fn apps_at(
    dir: &std::path::Path,
    clock: &Arc<Hand>,
    catcher: &Arc<Catcher>,
    master_key: &Secret,
    (fault, caches): (&Arc<Fault>, &Arc<Caches>),
) -> Arc<Apps> {
    let options = AppsOptions {
        purges: Some(caches.clone()),
        clock: clock.clone(),
        limits: AppLimits::default(),
        hash_cost: HashCost {
            memory_kib: 8,
            passes: 1,
        },
        waiting_hashes: 8,
        master_key: master_key.clone(),
        outbox: Arc::new(Outbox::start(catcher.clone(), OutboxOptions::default())),
        files: FileStore::local({
            let dir = dir.to_owned();
            move |app| dir.join("apps").join(app.as_str()).join("files")
        }),
        mail_from: Sender::new(None, "app@example.com").unwrap(),
        outbound: Outbound::new(OutboundOptions::default()).unwrap(),
        engine: fb_functions::Engine::new(fb_functions::EngineOptions::default()).unwrap(),
        function_limits: fb_functions::Limits::default(),
        function_outbound: Outbound::new(OutboundOptions::default()).unwrap(),
        leaks_url: String::new(),
        push_endpoints: Default::default(),
        domain: "localhost".into(),
    };
    let node = FaultyNode {
        inner: SqliteNode::open(dir, SqliteOptions::default()).unwrap(),
        fault: fault.clone(),
    };
    Apps::open(Arc::new(node), options).await.unwrap()
}

static SOURCE: LazyLock<Source> = LazyLock::new(|| Source::new("192.0.2.1"));

fn token(account: &Account) -> &str {
    account.token.as_ref().unwrap().expose()
}

#[tokio::test]
async fn s26_a_session_ends_in_time_however_often_it_was_looked_up() {
    let it = Fixture::new().await;
    let ann = it.ann(true).await;
    let short = it.login(false).await.unwrap();
    for _ in 0..3 {
        assert!(it.is_alive(token(&ann)).await && it.is_alive(token(&short)).await);
    }
    it.pass(DAY - 1);
    assert!(it.is_alive(token(&short)).await);
    it.pass(1);
    assert!(!it.is_alive(token(&short)).await);
    assert!(it.is_alive(token(&ann)).await);
    it.pass(29 * DAY - 1);
    assert!(it.is_alive(token(&ann)).await);
    it.pass(1);
    for _ in 0..2 {
        assert!(!it.is_alive(token(&ann)).await);
    }
}

#[tokio::test]
async fn s26_renewal_prolongs_by_the_kind_of_session_and_never_shortens() {
    let it = Fixture::new().await;
    let ann = it.ann(true).await;
    let short = it.login(false).await.unwrap();
    it.pass(20 * HOUR);
    let renew = async |token: &str| {
        let session = it.app.authenticate(token).await.unwrap();
        let renewed = it.app.me(&session).unwrap().token.unwrap();
        renewed.expose().to_owned()
    };
    let (long, short) = (renew(token(&ann)).await, renew(token(&short)).await);
    it.pass(DAY - 1);
    assert!(it.is_alive(&short).await);
    it.pass(1);
    assert!(!it.is_alive(&short).await, "a short session stays short");
    it.set(json!({ "sessionSeconds": 60 })).await;
    // The setting is for new sessions; renewing takes nothing away.
    let again = renew(&long).await;
    it.pass(29 * DAY - 1);
    assert!(it.is_alive(&again).await);
    it.pass(1);
    assert!(!it.is_alive(&again).await);
}

#[tokio::test]
async fn s26_tokens_for_scripts_outlive_sessions_and_tokens_of_roles_do_not() {
    let it = Fixture::new().await;
    let ann = it.ann(true).await;
    let key = ObjectKey::from_encoded("2").unwrap();
    let api = it.app.create_api_token(&it.admin.principal, &key).await.unwrap();
    let session = it.app.authenticate(token(&ann)).await.unwrap();
    let logged_in = ObjectKey::from_encoded("3").unwrap();
    let role = it.app.assume_role(&session, &logged_in).await;
    // Everybody who is logged in is in this role.
    let role = role.unwrap();
    it.pass(HOUR - 1);
    assert!(it.is_alive(role.expose()).await);
    it.pass(1);
    assert!(!it.is_alive(role.expose()).await);
    it.pass(10 * 365 * DAY);
    assert!(it.is_alive(api.expose()).await);
    assert!(!it.is_alive(token(&ann)).await);
}

#[tokio::test]
async fn s26_a_retired_key_is_good_for_its_overlap() {
    let it = Fixture::new().await;
    let ann = it.ann(true).await;
    it.app.rotate_token_key(&it.admin.principal, 600).await.unwrap();
    it.pass(599);
    assert!(it.is_alive(token(&ann)).await);
    let session = it.app.authenticate(token(&ann)).await.unwrap();
    let renewed = it.app.me(&session).unwrap().token.unwrap();
    it.pass(1);
    assert!(!it.is_alive(token(&ann)).await);
    assert!(it.is_alive(renewed.expose()).await, "renewed under the new key");
}

#[tokio::test]
async fn s20_the_link_of_a_registration_expires_after_two_days() {
    let it = Fixture::new().await;
    it.register().await;
    let first = it.link(1).await;
    it.pass(2 * DAY);
    let late = it.app.verify_registration(&first).await;
    assert!(matches!(late, Err(AppError::BadLink)), "{late:?}");
    assert!(it.login(true).await.is_err());
    // Whoever comes too late registers again, and gets another one.
    it.register().await;
    let second = it.link(2).await;
    it.pass(2 * DAY - 1);
    it.app.verify_registration(&second).await.unwrap();
    it.login(true).await.unwrap();
}

#[tokio::test]
async fn s20_a_reset_link_expires_after_an_hour() {
    let it = Fixture::new().await;
    it.ann(true).await;
    let reset = async |link: String| {
        let new = Secret::new("a new secret");
        let change = PasswordChange::Link(link);
        it.app.change_password(&SOURCE, None, &change, &new).await
    };
    it.app.request_reset(&SOURCE, ANN).unwrap();
    let first = it.link(2).await;
    it.pass(HOUR);
    let late = reset(first).await;
    assert!(matches!(late, Err(AppError::BadLink)), "{late:?}");
    it.login(true).await.unwrap();
    it.app.request_reset(&SOURCE, ANN).unwrap();
    let second = it.link(3).await;
    it.pass(HOUR - 1);
    reset(second).await.unwrap();
    assert!(it.login(true).await.is_err());
}

#[tokio::test]
async fn s20_the_link_for_a_new_name_expires_after_two_days() {
    let it = Fixture::new().await;
    it.ann(true).await;
    let ask = async || {
        let password = Secret::new(PASSWORD);
        let asked = it
            .app
            .request_username(&SOURCE, None, ANN, "new@example.com", &password);
        asked.await.unwrap();
    };
    ask().await;
    let first = it.link(2).await;
    it.pass(2 * DAY);
    let late = it.app.verify_username(&first).await;
    assert!(matches!(late, Err(AppError::BadLink)), "{late:?}");
    ask().await;
    let second = it.link(3).await;
    it.pass(2 * DAY - 1);
    it.app.verify_username(&second).await.unwrap();
    assert!(it.login(true).await.is_err());
}

#[tokio::test]
async fn s20_what_waits_for_a_code_expires_after_five_minutes() {
    let it = Fixture::new().await;
    let ann = it.ann(true).await;
    let session = it.app.authenticate(token(&ann)).await.unwrap();
    let new = it.app.begin_mfa(&session).await.unwrap();
    let uri = new.uri.expose();
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    let code = right_code(secret, it.clock.now());
    let recovery = it.app.confirm_mfa(&SOURCE, &session, &code).await.unwrap();
    let waiting = async || match it.login(true).await {
        Err(AppError::SecondFactorRequired { token }) => token,
        other => panic!("{other:?}"),
    };
    let (first, second) = (waiting().await, waiting().await);
    it.pass(5 * MINUTE - 1);
    let done = it
        .app
        .login_with_code(&SOURCE, first.expose(), recovery[0].expose(), None);
    done.await.unwrap();
    it.pass(1);
    let late = it
        .app
        .login_with_code(&SOURCE, second.expose(), recovery[1].expose(), None);
    assert!(matches!(late.await, Err(AppError::BadToken)));
    // A code is good for its half minute and the ones beside it.
    let third = waiting().await;
    let old = right_code(secret, it.clock.now());
    it.pass(2 * MINUTE);
    let late = it.app.login_with_code(&SOURCE, third.expose(), &old, None);
    assert!(matches!(late.await, Err(AppError::BadCode)));
}

/// The code of this moment, as an authenticator app makes it.
fn right_code(secret: &str, now: Timestamp) -> String {
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(now.seconds() / 30).to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[tokio::test]
async fn s19_a_lockout_ends_with_its_window() {
    let it = Fixture::new().await;
    it.ann(true).await;
    it.set(json!({ "lockout": { "attempts": 3, "seconds": 600 } })).await;
    let wrong = async || {
        let password = Secret::new("wrong");
        it.app.login(&SOURCE, ANN, &password, true).await.unwrap_err()
    };
    assert!(matches!(wrong().await, AppError::BadCredentials));
    it.pass(300);
    for _ in 0..2 {
        assert!(matches!(wrong().await, AppError::BadCredentials));
    }
    match it.login(true).await {
        Err(AppError::TooManyAttempts(too_many)) => assert_eq!(too_many.retry_after, 300),
        other => panic!("{other:?}"),
    }
    it.pass(299);
    assert!(matches!(it.login(true).await, Err(AppError::TooManyAttempts(_))));
    it.pass(1);
    it.login(true).await.unwrap();
}

#[tokio::test]
async fn s02_a_setup_link_expires_after_a_day() {
    let it = Fixture::new().await;
    let new = |name: &str| NewApp {
        id: AppId::new(name).unwrap(),
        profile: Profile::Secure,
        hosts: Vec::new(),
        is_default: false,
        admin: None,
    };
    for (name, seconds) in [("late", DAY), ("early", DAY - 1)] {
        let link = it.apps.create(&new(name)).await.unwrap().unwrap();
        let app = it.apps.by_name(name).await.unwrap().unwrap();
        it.pass(seconds);
        let claimed = app
            .claim_setup(link.token.expose(), "root", &Secret::new(PASSWORD))
            .await;
        match name {
            "late" => assert!(matches!(claimed, Err(AppError::BadToken))),
            _ => drop(claimed.unwrap()),
        }
    }
}
