//! Entries of logs: which of them go, and when.

use fb_app::QueryRequest;

use super::*;

impl Fixture {
    async fn log(&self, message: &str, date: &str) {
        let line = json!({ "message": message, "level": "info", "date": date });
        let caller = &self.admin.principal;
        self.app
            .insert(caller, "logs.AppLog", line.as_object().unwrap())
            .await
            .unwrap();
    }

    async fn n_of(&self, bucket: &str) -> u64 {
        self.app.count(&self.admin.principal, bucket, &json!({})).await.unwrap()
    }

    /// Messages in the app's log.
    async fn messages(&self) -> Vec<String> {
        let request = QueryRequest {
            filter: json!({}),
            sort: Value::Null,
            offset: 0,
            limit: None,
        };
        let all = self
            .app
            .query(&self.admin.principal, "logs.AppLog", request)
            .await
            .unwrap();
        let all: Vec<Value> = serde_json::from_slice(&all).unwrap();
        let mut all: Vec<_> = all
            .iter()
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect();
        all.sort_unstable();
        all
    }
}

#[tokio::test]
async fn entries_go_thirty_days_after_they_came_whatever_date_they_claim() {
    let it = Fixture::new().await;
    it.log("from the future", "2099-01-01T00:00:00.000Z").await;
    it.log("from the past", "1999-01-01T00:00:00.000Z").await;
    it.pass(DAY);
    it.log("a day later", "1999-01-01T00:00:00.000Z").await;
    let audited = it.n_of("logs.AuditLog").await;
    assert!(audited > 0);
    it.pass(29 * DAY);
    assert_eq!(it.app.prune_logs().await.unwrap(), 0);
    it.pass(1);
    assert_eq!(it.app.prune_logs().await.unwrap(), 2);
    assert_eq!(it.messages().await, ["a day later"]);
    it.pass(10_000 * DAY);
    assert_eq!(it.app.prune_logs().await.unwrap(), 1);
    assert_eq!(it.n_of("logs.AuditLog").await, audited);
}

#[tokio::test]
async fn each_log_is_kept_as_long_as_the_settings_say() {
    let it = Fixture::new().await;
    it.log("kept", "2027-01-15T00:00:00.000Z").await;
    it.set(json!({ "logs": { "retention": { "AppLog": 0, "AuditLog": 7 } } }))
        .await;
    let audited = it.n_of("logs.AuditLog").await;
    it.pass(7 * DAY + 1);
    assert_eq!(it.app.prune_logs().await.unwrap() as u64, audited);
    assert_eq!((it.messages().await.len(), it.n_of("logs.AuditLog").await), (1, 0));
    for bad in [
        json!({ "retention": { "AppLog": -1 } }),
        json!({ "retention": { "AppLog": 36_501 } }),
        json!({ "retention": { "AccessLog": 1 } }),
        json!({ "maxLines": "1" }),
    ] {
        let settings = json!({ "logs": bad });
        let refused = it
            .app
            .update_settings(&it.admin.principal, settings.as_object().unwrap())
            .await;
        assert!(matches!(refused, Err(AppError::Invalid(_))), "{settings}");
    }
}

#[tokio::test]
async fn s18_of_a_flood_the_newest_entries_stay() {
    let it = Fixture::new().await;
    it.set(json!({ "logs": { "maxLines": 30 } })).await;
    // More than one commit takes.
    for n in 0..450 {
        it.log(&format!("{n:03}"), "2027-01-15T00:00:00.000Z").await;
    }
    assert_eq!(it.app.prune_logs().await.unwrap(), 420);
    let left = it.messages().await;
    assert_eq!((left.len(), left[0].as_str()), (30, "420"));
    assert_eq!(it.app.prune_logs().await.unwrap(), 0);
    let line = json!({ "message": "x".repeat(64 << 10) });
    let caller = &it.admin.principal;
    let refused = it.app.insert(caller, "logs.AppLog", line.as_object().unwrap()).await;
    assert!(matches!(refused, Err(AppError::TooLarge(_))), "{refused:?}");
}

#[tokio::test]
async fn logs_are_pruned_when_an_app_wakes_and_once_a_minute_from_then_on() {
    let it = Fixture::new().await;
    it.set(json!({ "logs": { "maxLines": 1 } })).await;
    for n in 0..3 {
        it.log(&n.to_string(), "2027-01-15T00:00:00.000Z").await;
    }
    assert_eq!(it.app.prune_logs_when_due().await.unwrap(), 2);
    it.log("3", "2027-01-15T00:00:00.000Z").await;
    it.pass(MINUTE - 1);
    assert_eq!(it.app.prune_logs_when_due().await.unwrap(), 0);
    it.pass(1);
    assert_eq!(it.app.prune_logs_when_due().await.unwrap(), 1);
    it.log("4", "2027-01-15T00:00:00.000Z").await;
    it.apps.close().await;
    let woken = it.apps.by_name("main").await.unwrap().unwrap();
    assert_eq!(woken.prune_logs_when_due().await.unwrap(), 1);
}

#[tokio::test]
async fn nobody_deletes_entries_but_the_server() {
    let it = Fixture::new().await;
    it.log("evidence", "2027-01-15T00:00:00.000Z").await;
    let caller = it.admin.principal.as_code();
    let refused = it.app.truncate(&caller, "logs.AppLog").await;
    assert!(matches!(refused, Err(AppError::Denied(_))), "{refused:?}");
    assert_eq!(it.messages().await, ["evidence"]);
}
