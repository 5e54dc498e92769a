//! Copies in caches: no reader with a fresh filter takes an outdated one for good, also after crashes.

use std::path::Path;

use fb_app::caching::Lifetime;
use fb_app::objects::Condition;
use fb_app::schema::SchemaEdit;
use fb_auth::Principal;
use fb_sketch::KeyHash;
use fb_types::{BucketName, ClassAcl, ClassDef, ClassName, FileId};

use super::*;

/// About as long as everything is asked about after a restart.
pub(crate) const BLIND: i64 = 14;
/// Lifetime in seconds, once it is written down.
pub(crate) const LIFE: i64 = 600;

pub(crate) fn key(key: &str) -> ObjectKey {
    ObjectKey::from_raw(key).unwrap()
}

pub(crate) fn class(name: &str, acl: Value) -> SchemaEdit {
    let fields = json!({ "n": { "type": "/db/Integer" } });
    let def = json!({ "class": format!("/db/{name}"), "acl": acl, "fields": fields });
    SchemaEdit::Merge(ClassDef::from_json(&def).unwrap())
}

pub(crate) fn everybody() -> Value {
    json!({ "load": { "*": "allow" }, "query": { "*": "allow" } })
}

pub(crate) async fn set(app: &App, name: &str, object: Value) {
    let object = object.as_object().unwrap();
    let root = root_of(app).await;
    app.update(&root, "Open", &key(name), Condition::None, object)
        .await
        .unwrap();
}

pub(crate) async fn root_of(app: &App) -> Principal {
    let root = app.login(&SOURCE, "root", &Secret::new(PASSWORD), true).await.unwrap();
    app.authenticate(token(&root)).await.unwrap().principal
}

async fn keep(app: &App, name: &str) -> Option<Lifetime> {
    let anybody = Principal::anonymous();
    app.load_to_keep(&anybody, "Open", &key(name)).await.unwrap().1
}

pub(crate) async fn is_listed(app: &App, id: &str) -> bool {
    app.filter().await.filter().contains(KeyHash::of(id))
}

async fn is_stale(app: &App, name: &str) -> bool {
    is_listed(app, &format!("/db/Open/{name}")).await
}

/// Contains even what does not exist.
pub(crate) async fn is_blind(app: &App) -> bool {
    is_listed(app, "/db/Open/never").await && is_listed(app, "/db/Open/ever").await
}

impl Fixture {
    /// A class `Open` that everybody may read, and lifetimes that are always the same.
    pub(crate) async fn with_open() -> Self {
        let it = Self::new().await;
        it.edit(class("Open", everybody())).await;
        it.set(json!({ "caching": { "minLifetime": LIFE, "maxLifetime": LIFE } }))
            .await;
        it
    }

    pub(crate) async fn edit(&self, edit: SchemaEdit) {
        self.app.edit_schema(&self.admin.principal, vec![edit]).await.unwrap();
    }

    /// The app as it would come up if the process were killed now: from a copy of its files.
    pub(crate) async fn crashed(&self) -> (Arc<Apps>, Arc<App>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        copy(self._dir.path(), dir.path());
        let apps = self.apps_at(dir.path()).await;
        let app = apps.by_name("main").await.unwrap().unwrap();
        (apps, app, dir)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[tokio::test]
async fn what_was_read_and_then_written_is_in_the_filter_until_its_copies_end() {
    let it = Fixture::with_open().await;
    let app = &it.app;
    for name in ["read", "unread", "deleted"] {
        set(app, name, json!({ "n": 1 })).await;
    }
    assert!(keep(app, "read").await.is_some() && keep(app, "deleted").await.is_some());
    assert!(!is_stale(app, "read").await, "it was not written since");
    for name in ["read", "unread"] {
        set(app, name, json!({ "n": 2 })).await;
    }
    let root = &it.admin.principal;
    app.delete(root, "Open", &key("deleted"), Condition::None)
        .await
        .unwrap();
    assert!(is_stale(app, "read").await && is_stale(app, "deleted").await);
    assert!(!is_stale(app, "unread").await && !is_blind(app).await);
    it.pass(BLIND);
    assert!(!is_stale(app, "read").await && !is_stale(app, "deleted").await);
}

#[tokio::test]
async fn lifetimes_are_short_until_they_are_written_down() {
    let it = Fixture::with_open().await;
    set(&it.app, "a", json!({ "n": 1 })).await;
    assert_eq!(keep(&it.app, "a").await, Some(Lifetime { browser: 9, edge: 1 }));
    it.app.tend_caching().await.unwrap();
    let life = u64::try_from(LIFE).unwrap();
    assert_eq!(keep(&it.app, "a").await, Some(Lifetime { browser: life, edge: 1 }));
    set(&it.app, "a", json!({ "n": 2 })).await;
    it.pass(LIFE);
    assert!(is_stale(&it.app, "a").await);
    it.pass(10);
    assert!(!is_stale(&it.app, "a").await);
    it.set(json!({ "caching": { "enabled": false } })).await;
    assert_eq!(keep(&it.app, "a").await, None);
}

#[tokio::test]
async fn s39_what_is_not_for_everybody_gets_no_lifetime_and_never_into_the_filter() {
    let it = Fixture::with_open().await;
    it.edit(class("Closed", json!({ "load": { "/db/Role/1": "allow" } })))
        .await;
    let secret = json!({ "type": "/db/String", "acl": { "read": { "/db/Role/1": "allow" } } });
    let partly = json!({ "class": "/db/Partly", "acl": everybody(), "fields": { "secret": secret } });
    it.edit(SchemaEdit::Merge(ClassDef::from_json(&partly).unwrap())).await;
    let (app, root) = (&it.app, &it.admin.principal);
    let own = json!({ "acl": { "read": { "/db/Role/1": "allow" } } });
    let put = async |bucket: &str, name: &str, object: &Value| {
        let object = object.as_object().unwrap();
        app.update(root, bucket, &key(name), Condition::None, object)
            .await
            .unwrap();
    };
    let rows = [
        ("Open", "own", &own),
        ("Closed", "a", &json!({})),
        ("Partly", "a", &json!({})),
    ];
    for (bucket, name, object) in rows {
        put(bucket, name, object).await;
        for caller in [root, &Principal::anonymous()] {
            match app.load_to_keep(caller, bucket, &key(name)).await {
                Ok((_, lifetime)) => assert_eq!(lifetime, None, "{bucket}/{name}"),
                Err(error) => assert!(matches!(error, AppError::NoObject(_) | AppError::Denied(_))),
            }
        }
    }
    assert!(app.load_to_keep(root, "Open", &key("missing")).await.is_err());
    let (_, user) = app.load_to_keep(root, "User", &key("1")).await.unwrap();
    assert_eq!(user, None);
    for (bucket, name, object) in rows {
        put(bucket, name, object).await;
        assert!(!is_listed(app, &format!("/db/{bucket}/{name}")).await);
    }
    let figures = app.caching_figures().unwrap();
    assert_eq!((figures.sketch.keys, figures.sketch.stale), (0, 0));
}

#[tokio::test]
async fn s40_copies_of_what_is_made_private_are_asked_about() {
    let it = Fixture::with_open().await;
    let app = &it.app;
    for name in ["a", "b"] {
        set(app, name, json!({ "n": 1 })).await;
        keep(app, name).await.unwrap();
    }
    set(
        app,
        "a",
        json!({ "n": 1, "acl": { "read": { "/db/Role/1": "allow" } } }),
    )
    .await;
    assert!(is_stale(app, "a").await && !is_stale(app, "b").await);
    // A new class concerns nobody.
    it.edit(class("Other", everybody())).await;
    assert!(!is_blind(app).await);
    let acl = ClassDef::from_json(&json!({ "class": "/db/Open", "acl": { "load": { "/db/Role/1": "allow" } } }));
    let acl = acl.unwrap().acl;
    let open = ClassName::new("Open").unwrap();
    it.edit(SchemaEdit::UpdateAcl { class: open, acl }).await;
    assert!(is_stale(app, "b").await && is_blind(app).await);
    // Neither does a class that nobody has copies of.
    it.pass(BLIND);
    assert!(!is_blind(app).await);
    it.edit(SchemaEdit::Delete(ClassName::new("Other").unwrap())).await;
    assert!(!is_blind(app).await);
}

#[tokio::test]
async fn files_and_their_buckets_are_treated_alike() {
    let it = Fixture::with_open().await;
    let (app, root) = (&it.app, &it.admin.principal);
    let bucket = BucketName::new("data").unwrap();
    let acl = |load: Value| {
        ClassDef::from_json(&json!({ "class": "/db/X", "acl": { "load": load } }))
            .unwrap()
            .acl
    };
    let set_bucket = async |acl: ClassAcl| app.set_bucket(root, &bucket, acl).await.unwrap();
    set_bucket(acl(json!({ "*": "allow" }))).await;
    let id: FileId = "/file/data/a b ü.txt".parse().unwrap();
    it.upload("a b ü.txt", b"one".to_vec()).await;
    let anybody = Principal::anonymous();
    let (_, lifetime) = app.open_file_to_keep(&anybody, &id).await.unwrap();
    assert_eq!(lifetime, Some(Lifetime { browser: 9, edge: 1 }));
    assert!(!is_listed(app, &id.to_string()).await);
    it.upload("a b ü.txt", b"two".to_vec()).await;
    assert!(is_listed(app, &id.to_string()).await && !is_blind(app).await);
    it.pass(BLIND);
    assert!(!is_listed(app, &id.to_string()).await);
    app.open_file_to_keep(&anybody, &id).await.unwrap().1.unwrap();
    set_bucket(acl(json!({ "/db/Role/1": "allow" }))).await;
    assert!(is_listed(app, &id.to_string()).await);
    assert_eq!(app.open_file_to_keep(root, &id).await.unwrap().1, None);
}

#[tokio::test]
async fn after_a_crash_copies_are_asked_about_for_seconds_and_outdated_ones_for_as_long_as_they_live() {
    let it = Fixture::with_open().await;
    for name in ["before", "after", "never written"] {
        set(&it.app, name, json!({ "n": 1 })).await;
        keep(&it.app, name).await.unwrap();
    }
    it.app.tend_caching().await.unwrap();
    for name in ["before", "after", "never written"] {
        assert_eq!(keep(&it.app, name).await.unwrap().browser, 600);
    }
    // A copy that nothing is written down of.
    set(&it.app, "short", json!({ "n": 1 })).await;
    keep(&it.app, "short").await.unwrap();
    set(&it.app, "before", json!({ "n": 2 })).await;

    let (apps, app, _dir) = it.crashed().await;
    assert!(is_blind(&app).await);
    for name in ["after", "short"] {
        set(&app, name, json!({ "n": 2 })).await;
    }
    it.pass(9);
    assert!(is_blind(&app).await, "the copy without a record may be alive");
    it.pass(BLIND - 9);
    assert!(!is_blind(&app).await);
    assert!(is_stale(&app, "before").await, "the change was in the feed");
    assert!(is_stale(&app, "after").await, "the copy was in the journal");
    assert!(!is_stale(&app, "never written").await);
    it.pass(3 * LIFE);
    assert!(!is_stale(&app, "before").await && !is_stale(&app, "after").await);
    apps.close().await;
}

#[tokio::test]
async fn after_a_crash_behind_a_change_of_rules_everything_is_asked_about() {
    let it = Fixture::with_open().await;
    set(&it.app, "a", json!({ "n": 1 })).await;
    keep(&it.app, "a").await.unwrap();
    it.app.tend_caching().await.unwrap();
    keep(&it.app, "a").await.unwrap();
    let more = json!({ "class": "/db/Open", "fields": { "m": { "type": "/db/String" } } });
    it.edit(SchemaEdit::Merge(ClassDef::from_json(&more).unwrap())).await;
    // Before anybody has looked after the books.
    let (apps, app, _dir) = it.crashed().await;
    it.pass(LIFE);
    assert!(is_blind(&app).await);
    apps.close().await;
    it.app.tend_caching().await.unwrap();
    let (apps, app, _dir) = it.crashed().await;
    it.pass(BLIND);
    assert!(!is_blind(&app).await, "by now it is known when the last copy ended");
    apps.close().await;
}

#[tokio::test]
async fn an_app_that_slept_knows_its_copies() {
    let it = Fixture::with_open().await;
    for name in ["a", "b"] {
        set(&it.app, name, json!({ "n": 1 })).await;
        keep(&it.app, name).await.unwrap();
    }
    it.app.tend_caching().await.unwrap();
    keep(&it.app, "a").await.unwrap();
    let Fixture {
        clock,
        apps,
        app,
        admin,
        _dir,
        ..
    } = it;
    drop((app, admin));
    let sleep = async || {
        for _ in 0..100 {
            // A look keeps nobody awake.
            assert!(apps.if_awake("main").is_some() && apps.if_awake("other").is_none());
            if apps.sleep_idle().await > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the app does not fall asleep");
    };
    let pass = |seconds: i64| clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    sleep().await;
    assert!(apps.if_awake("main").is_none(), "a look wakes nobody");
    pass(60);
    let app = apps.by_name("main").await.unwrap().unwrap();
    pass(3);
    assert!(!is_blind(&app).await, "what was not written down has ended long ago");
    set(&app, "a", json!({ "n": 2 })).await;
    assert!(is_stale(&app, "a").await && !is_stale(&app, "b").await);
    drop(app);
    sleep().await;
    let app = apps.by_name("main").await.unwrap().unwrap();
    assert!(is_stale(&app, "a").await);
    drop(app);
    sleep().await;
    // All copies have ended.
    pass(3 * LIFE);
    let app = apps.by_name("main").await.unwrap().unwrap();
    assert!(!is_stale(&app, "a").await && !is_blind(&app).await);
}

#[tokio::test]
async fn a_clock_that_went_back_makes_everything_doubtful() {
    let it = Fixture::with_open().await;
    set(&it.app, "a", json!({ "n": 1 })).await;
    keep(&it.app, "a").await.unwrap();
    it.app.tend_caching().await.unwrap();
    it.pass(-3600);
    let (apps, app, _dir) = it.crashed().await;
    assert!(is_blind(&app).await);
    it.pass(23 * HOUR);
    assert!(is_blind(&app).await);
    it.pass(2 * HOUR);
    assert!(!is_blind(&app).await);
    apps.close().await;
}

#[tokio::test]
async fn flushing_makes_clients_ask_about_everything_and_is_for_administrators() {
    let it = Fixture::with_open().await;
    set(&it.app, "a", json!({ "n": 1 })).await;
    keep(&it.app, "a").await.unwrap();
    assert!(it.app.distrust_copies(&Principal::anonymous()).await.is_err());
    assert!(!is_blind(&it.app).await);
    it.app.distrust_copies(&it.admin.principal).await.unwrap();
    assert!(is_blind(&it.app).await);
    let (apps, app, _dir) = it.crashed().await;
    assert!(is_blind(&app).await);
    apps.close().await;
    it.pass(BLIND);
    assert!(!is_blind(&it.app).await);
}

/// A copy that is older than an acknowledged write is named by every filter that is made behind the acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_copy_escapes_a_write_beside_its_read() {
    let it = Fixture::with_open().await;
    let app = it.app.clone();
    set(&app, "a", json!({ "n": 0 })).await;
    let acknowledged = Arc::new(AtomicI64::new(0));
    let writer = tokio::spawn({
        let (app, acknowledged) = (app.clone(), acknowledged.clone());
        let root = it.admin.principal.clone();
        async move {
            for n in 1..400 {
                let object = json!({ "n": n });
                let object = object.as_object().unwrap();
                app.update(&root, "Open", &key("a"), Condition::None, object)
                    .await
                    .unwrap();
                acknowledged.store(n, Ordering::SeqCst);
            }
        }
    });
    let (mut n_outdated, mut n_reads) = (0, 0);
    while !writer.is_finished() {
        // Copies of before have ended, so that the filter has to hear of each anew.
        it.pass(BLIND);
        let (seen, lifetime) = app
            .load_to_keep(&Principal::anonymous(), "Open", &key("a"))
            .await
            .unwrap();
        assert!(lifetime.is_some());
        let body: Value = serde_json::from_slice(&seen.body()).unwrap();
        // Every other time the next write is waited for.
        let n = body["n"].as_i64().unwrap();
        n_reads += 1;
        while n_reads % 2 == 0 && acknowledged.load(Ordering::SeqCst) <= n && !writer.is_finished() {
            tokio::task::yield_now().await;
        }
        let known = acknowledged.load(Ordering::SeqCst);
        let is_listed = is_stale(&app, "a").await;
        if n < known {
            n_outdated += 1;
            assert!(is_listed, "the copy {body} is not named after write {known}");
        }
    }
    writer.await.unwrap();
    assert!(n_outdated > 0, "nothing was tried");
}
