//! Code after changes, with a clock that the tests move.

use fb_app::TriggerState;
use fb_app::functions::{CodeApi, CodeRequest, CodeType};
use fb_app::objects::Condition;
use fb_app::schema::SchemaEdit;
use fb_functions::{HostError, HttpResponse};
use fb_store::{Batch, CommitObserver, Committed, Expect, OpenOptions, RecordWrite, Write};
use fb_types::ClassDef;
use futures_util::future::BoxFuture;

use super::*;

/// Code here asks its app for nothing.
struct NoApi;

impl CodeApi for NoApi {
    fn answer(&self, _: Arc<App>, _: CodeRequest) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        Box::pin(async { Err(HostError("there is no API here".into())) })
    }
}

impl Fixture {
    /// With classes of one field, and code that may run.
    async fn with_classes(classes: &[&str]) -> Self {
        let it = Self::new().await;
        it.apps.serve_code(Arc::new(NoApi));
        for class in classes {
            let class =
                json!({ "class": format!("/db/{class}"), "fields": { "n": { "name": "n", "type": "/db/Integer" } } });
            let edit = SchemaEdit::Merge(ClassDef::from_json(&class).unwrap());
            it.app.edit_schema(&it.admin.principal, vec![edit]).await.unwrap();
        }
        it
    }

    async fn deploy(&self, bucket: &str, kind: CodeType, text: &str) {
        let caller = &self.admin.principal;
        self.app.write_code(caller, bucket, kind, text).await.unwrap();
    }

    async fn insert(&self, class: &str, key: &str, n: u64) {
        let fields = json!({ "id": format!("/db/{class}/{key}"), "n": n });
        let caller = &self.admin.principal;
        self.app
            .insert(caller, class, fields.as_object().unwrap())
            .await
            .unwrap();
    }

    async fn update(&self, class: &str, key: &str, n: u64) {
        let key = ObjectKey::from_raw(key).unwrap();
        let change = json!({ "$set": { "n": n } });
        let caller = &self.admin.principal;
        let updated = self.app.update_partially(caller, class, &key, Condition::None, &change);
        updated.await.unwrap();
    }

    async fn triggers(&self) -> TriggerState {
        self.app.trigger_state(&self.admin.principal).await.unwrap()
    }

    /// The state of triggers once it is as it should be. The clock is looked at, and stands still.
    async fn wait(&self, is_right: impl Fn(&TriggerState) -> bool) -> TriggerState {
        let mut last = None;
        for _ in 0..4000 {
            self.apps.run_due().await;
            let state = self.triggers().await;
            if is_right(&state) {
                return state;
            }
            last = Some(state);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited in vain, with {last:?}");
    }
}

const FAILS: &str = "exports.afterInsert = exports.afterUpdate = () => { throw new Error('dead'); };";
const WORKS: &str = "exports.afterInsert = exports.afterUpdate = () => {};";

#[tokio::test]
async fn a_receiver_that_fails_stops_no_other_and_gets_everything_when_it_is_back() {
    let it = Fixture::with_classes(&["Counter", "Todo"]).await;
    it.deploy("Counter", CodeType::AfterUpdate, FAILS).await;
    it.deploy("Todo", CodeType::AfterInsert, WORKS).await;
    it.insert("Counter", "1", 0).await;
    for n in 0..1_200 {
        it.update("Counter", "1", n).await;
    }
    it.insert("Todo", "1", 0).await;
    let state = it.wait(|state| state.delivered == 1).await;
    assert!((900..=1_000).contains(&state.pending), "{state:?}");
    assert!(state.lag > 0 && state.cursor < state.newest, "{state:?}");
    // Opened anew, it goes on where it was, and tells nobody twice.
    it.apps.close().await;
    let it = Fixture {
        app: it.apps.by_name("main").await.unwrap().unwrap(),
        ..it
    };
    it.deploy("Counter", CodeType::AfterUpdate, WORKS).await;
    it.pass(2);
    let state = it
        .wait(|state| state.pending == 0 && state.lag == 0 && state.running == 0)
        .await;
    assert_eq!((state.delivered, state.dead, state.lost), (1_200, 0, 0), "{state:?}");
}

#[tokio::test]
async fn events_behind_one_that_was_given_up_count_the_attempts_that_they_waited_for() {
    let it = Fixture::with_classes(&["Counter"]).await;
    it.deploy("Counter", CodeType::AfterUpdate, FAILS).await;
    it.insert("Counter", "1", 0).await;
    for n in 0..20 {
        it.update("Counter", "1", n).await;
    }
    // A quarter more than the pauses, which is what they may be.
    for (n, pause) in (1..).zip([2, 7, 38, 150, 750]) {
        let state = it
            .wait(|state| state.failed == n && state.running == 0 && state.pending == 20)
            .await;
        assert_eq!(state.dead, 0);
        it.pass(pause);
    }
    let state = it.wait(|state| state.dead == 20 && state.pending == 0).await;
    assert_eq!(state.failed, 6 + 19);
    let letters = it
        .app
        .dead_letters(&it.admin.principal, None, 100)
        .await
        .unwrap()
        .letters;
    let attempts: Vec<u32> = letters.iter().map(|letter| letter.attempts).collect();
    assert_eq!((attempts[0], &attempts[1..]), (6, &[1; 19][..]));
    // What comes now has its own time.
    it.update("Counter", "1", 20).await;
    let state = it.wait(|state| state.failed == 26 && state.running == 0).await;
    assert_eq!((state.dead, state.pending), (20, 1));
}

struct Nobody;

impl CommitObserver for Nobody {
    fn committed(&self, _: &[Committed]) {}

    fn altered(&self) {}
}

impl Fixture {
    /// Writes what is to be tried again beside the app, which is asleep then.
    async fn write_pending(&self, value: Option<&[u8]>) {
        self.apps.close().await;
        let options = OpenOptions {
            observer: Arc::new(Nobody),
            clock: self.clock.clone(),
            query_timeout: Duration::from_secs(60),
        };
        let store = self.apps.node().open(self.app.id(), options).await.unwrap();
        let write = Write::Record(RecordWrite {
            space: "pending",
            key: "1".into(),
            expect: Expect::Anything,
            value: value.map(<[u8]>::to_vec),
            expires_at: None,
        });
        store.commit(Batch { writes: vec![write] }).await.unwrap();
        store.close().await;
    }

    async fn woken(self) -> Self {
        Self {
            app: self.apps.by_name("main").await.unwrap().unwrap(),
            ..self
        }
    }
}

#[tokio::test]
async fn an_upload_right_after_waking_is_an_event() {
    let it = Fixture::with_classes(&[]).await;
    it.deploy("data", CodeType::AfterUpload, "exports.afterUpload = () => {};")
        .await;
    it.wait(|state| state.receivers == ["code.data.afterUpload"]).await;
    // As long as this cannot be read, the task has not begun.
    it.write_pending(Some(b"no event")).await;
    let it = it.woken().await;
    it.upload("a", b"hello".to_vec()).await;
    assert_eq!(it.triggers().await.delivered, 0);
    it.write_pending(None).await;
    let it = it.woken().await;
    it.wait(|state| state.delivered == 1).await;
}

#[tokio::test]
async fn a_restored_app_is_woken_by_what_it_has_to_do() {
    let it = Fixture::with_classes(&["Todo"]).await;
    it.deploy("Todo", CodeType::AfterInsert, FAILS).await;
    it.insert("Todo", "1", 0).await;
    it.wait(|state| state.pending == 1).await;
    let file = it._dir.path().join("backup");
    it.apps.node().backup(it.app.id(), &file).await.unwrap();
    let copy = |name: &str| NewApp {
        id: AppId::new(name).unwrap(),
        profile: Profile::Secure,
        hosts: Vec::new(),
        is_default: false,
        admin: None,
    };
    it.apps.restore(&copy("copy"), &file).await.unwrap();
    it.apps.run_due().await;
    let awake: Vec<String> = it.apps.awake().iter().map(|app| app.id().to_string()).collect();
    assert!(awake.contains(&"copy".to_owned()), "{awake:?}");
    // What could not be restored leaves nothing behind.
    it.apps
        .restore(&copy("other"), &file.with_extension("none"))
        .await
        .unwrap_err();
    assert_eq!(it.apps.node().record("duties/other").await.unwrap(), None);
}

/// Does `work` until `is_done`, and gives it up then, as if the client had hung up.
async fn cut_off(work: impl Future, is_done: impl Fn() -> bool) {
    let mut work = std::pin::pin!(work);
    while !is_done() {
        tokio::select! {
            biased;
            // What was done meanwhile is looked at before the work goes on.
            () = tokio::task::yield_now() => {}
            _ = &mut work => return,
        }
    }
}

#[tokio::test]
async fn a_receiver_whose_set_up_was_cut_off_gets_events_all_the_same() {
    let it = Fixture::with_classes(&["Todo"]).await;
    let root = &it.admin.principal;
    let write = it.app.write_code(root, "Todo", CodeType::AfterInsert, WORKS);
    cut_off(write, || it.app.read_code(root, "Todo", CodeType::AfterInsert).is_ok()).await;
    // Nobody looks at the clock here.
    let mut n_looks = 0;
    while it.triggers().await.receivers.is_empty() {
        n_looks += 1;
        assert!(n_looks < 1_000, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let events = json!([{ "bucket": "Todo", "operations": ["insert"] }]);
    let secret = format!("whsec_{}", data_encoding::BASE64.encode(&[7; 32]));
    let hook =
        json!({ "webhooks": { "shop": { "url": "https://shop.example/", "secret": secret, "events": events } } });
    let set = it.app.update_settings(root, hook.as_object().unwrap());
    cut_off(set, || !it.app.settings().webhooks.is_empty()).await;
    it.wait(|state| state.receivers == ["code.Todo.afterInsert", "webhook.shop"])
        .await;
}

#[tokio::test]
async fn code_of_a_class_that_is_gone_goes_although_its_removal_was_cut_off() {
    let it = Fixture::with_classes(&["Todo"]).await;
    let root = &it.admin.principal;
    it.deploy("Todo", CodeType::AfterInsert, WORKS).await;
    let edit = SchemaEdit::Delete(fb_types::ClassName::new("Todo").unwrap());
    let remove = it.app.edit_schema(root, vec![edit]);
    cut_off(remove, || it.app.schema().class("Todo").is_none()).await;
    it.wait(|state| state.receivers.is_empty()).await;
    assert!(it.app.read_code(root, "Todo", CodeType::AfterInsert).is_err());
}

#[tokio::test]
async fn new_receivers_get_later_changes_only_also_beside_one_that_is_behind() {
    let it = Fixture::with_classes(&["Todo"]).await;
    it.deploy("Todo", CodeType::AfterInsert, FAILS).await;
    it.insert("Todo", "1", 0).await;
    it.wait(|state| state.pending == 1).await;
    it.deploy("Todo", CodeType::AfterUpdate, WORKS).await;
    it.update("Todo", "1", 1).await;
    it.wait(|state| state.delivered == 1).await;
    let events = json!([{ "bucket": "Todo", "operations": ["insert", "update"] }]);
    let secret = format!("whsec_{}", data_encoding::BASE64.encode(&[7; 32]));
    let hook = json!({ "shop": { "url": "http://127.0.0.1:1/", "secret": secret, "events": events } });
    it.set(json!({ "webhooks": hook })).await;
    it.insert("Todo", "2", 0).await;
    // The code and the webhook fail once more; what came before the webhook is not for it.
    let state = it.wait(|state| state.pending == 3 && state.running == 0).await;
    assert_eq!((state.failed, state.delivered), (3, 1));
    // What is paused gets nothing, and what waits for it is dropped.
    let mut paused = hook.clone();
    paused["shop"]["active"] = json!(false);
    it.set(json!({ "webhooks": paused })).await;
    it.pass(2);
    let state = it
        .wait(|state| state.pending == 2 && state.failed == 5 && state.running == 0)
        .await;
    assert_eq!(state.receivers, ["code.Todo.afterInsert", "code.Todo.afterUpdate"]);
}

#[tokio::test]
async fn an_event_is_a_dead_letter_after_six_failures_and_not_before() {
    let it = Fixture::with_classes(&["Todo"]).await;
    it.deploy("Todo", CodeType::AfterInsert, FAILS).await;
    it.insert("Todo", "1", 0).await;
    for (n, pause) in (1..).zip([1, 5, 30, 120, 600]) {
        it.wait(|state| state.failed == n && state.running == 0).await;
        // A quarter less is the least.
        it.clock.0.fetch_add(pause * 750 - 1, Ordering::SeqCst);
        it.apps.run_due().await;
        let state = it.triggers().await;
        assert_eq!((state.failed, state.running, state.dead), (n, 0, 0));
        it.clock.0.fetch_add(pause * 500 + 1, Ordering::SeqCst);
    }
    let state = it.wait(|state| state.dead == 1).await;
    assert_eq!((state.failed, state.given_up, state.pending), (6, 1, 0));
    // Nobody gets it while there is no receiver, and it stays.
    let root = &it.admin.principal;
    it.app.delete_code(root, "Todo", CodeType::AfterInsert).await.unwrap();
    let letter = it.app.dead_letters(root, None, 1).await.unwrap().letters.remove(0);
    let refused = it.app.replay_dead_letter(root, &letter.id).await;
    assert!(matches!(refused, Err(AppError::Invalid(_))), "{refused:?}");
    assert_eq!(it.app.replay_dead_letters(root).await.unwrap(), 0);
    assert_eq!(it.triggers().await.dead, 1);
    it.deploy("Todo", CodeType::AfterInsert, WORKS).await;
    assert_eq!(it.app.replay_dead_letters(root).await.unwrap(), 1);
    it.wait(|state| state.dead == 0 && state.delivered == 1).await;
}

#[tokio::test]
async fn an_app_that_is_due_soon_stays_awake_and_one_that_is_due_later_is_woken_then() {
    let it = Fixture::with_classes(&["Todo"]).await;
    it.deploy("Todo", CodeType::AfterInsert, FAILS).await;
    it.insert("Todo", "1", 0).await;
    for (n, pause) in (1..).zip([2, 7]) {
        it.wait(|state| state.failed == n && state.running == 0).await;
        it.pass(pause);
    }
    // Due again after about 30 s, then after two minutes.
    it.wait(|state| state.failed == 3 && state.running == 0).await;
    let (apps, clock) = (it.apps.clone(), it.clock.clone());
    drop(it.app);
    let is_awake = || !apps.awake().is_empty();
    let sleeps = async || {
        for _ in 0..3 {
            apps.sleep_idle().await;
        }
        !is_awake()
    };
    clock.0.fetch_add(9_000, Ordering::SeqCst);
    assert!(!sleeps().await);
    clock.0.fetch_add(30_000, Ordering::SeqCst);
    loop {
        apps.run_due().await;
        let state = apps.awake()[0].trigger_state(&it.admin.principal).await.unwrap();
        if state.failed == 4 && state.running == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What ran may hold the app for a moment longer.
    while !sleeps().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    apps.run_due().await;
    assert!(!is_awake());
    // No request wakes it, only the clock.
    clock.0.fetch_add(150_000, Ordering::SeqCst);
    apps.run_due().await;
    assert!(is_awake());
}
