//! Code after changes, with a clock that the tests move.

use fb_app::TriggerState;
use fb_app::functions::{CodeApi, CodeRequest, CodeType};
use fb_app::objects::Condition;
use fb_app::schema::SchemaEdit;
use fb_functions::{HostError, HttpResponse};
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
        let state = it.wait(|state| state.failed == n && state.running == 0).await;
        assert_eq!((state.dead, state.pending), (0, 20));
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
