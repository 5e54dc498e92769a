//! Code after changes, with a clock that the tests move.

use fb_app::objects::Condition;
use fb_app::{CodeApi, CodeRequest, CodeType, TriggerState};
use fb_functions::{HostError, HttpResponse};
use futures_util::future::BoxFuture;

use super::*;

/// Code here asks its app for nothing.
struct NoApi;

impl CodeApi for NoApi {
    fn answer(&self, _: Arc<App>, _: CodeRequest) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        Box::pin(async { Err(HostError::new("Error", "there is no API here")) })
    }
}

impl Fixture {
    /// With classes of one field, and code that may run.
    async fn with_classes(classes: &[&str]) -> Self {
        let it = Self::new().await;
        it.apps.serve_code(Arc::new(NoApi));
        for class in classes {
            let class = json!({ "class": format!("/db/{class}"), "fields": { "n": { "name": "n", "type": "/db/Integer" } } });
            it.app.define_class(&it.admin.principal, &class).await;
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
        self.app.insert(caller, class, fields.as_object().unwrap()).await.unwrap();
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
