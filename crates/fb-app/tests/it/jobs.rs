//! When jobs run.

use fb_app::QueryRequest;
use fb_app::functions::CodeType;

use super::*;

impl Fixture {
    /// A job whose module does nothing.
    async fn job(&self, definition: Value) {
        let caller = &self.admin.principal;
        let text = "exports.run = () => {};";
        self.app
            .write_code(caller, "tick", CodeType::Module, text)
            .await
            .unwrap();
        let mut definition = definition.as_object().unwrap().clone();
        definition.insert("id".into(), json!("/db/jobs.Definition/1"));
        definition.insert("module".into(), json!("tick"));
        self.app.insert(caller, "jobs.Definition", &definition).await.unwrap();
    }

    async fn all(&self, bucket: &str) -> Vec<Value> {
        let request = QueryRequest {
            filter: json!({}),
            sort: json!({ "executedAt": 1 }),
            offset: 0,
            limit: None,
        };
        let sorted = match bucket {
            "jobs.Status" => request,
            _ => QueryRequest {
                sort: Value::Null,
                ..request
            },
        };
        let all = self.app.query(&self.admin.principal, bucket, sorted).await.unwrap();
        serde_json::from_slice(&all).unwrap()
    }

    /// Looks at the clock, as the server does again and again, until the job is to run next at this time (of the day on
    /// which the clock of these tests begins; `None`: never) and this many runs have ended.
    async fn settles(&self, next: Option<&str>, n_runs: usize) {
        let next = next.map_or(Value::Null, |next| json!(format!("2027-01-15T{next}Z")));
        let mut seen = Value::Null;
        for _ in 0..2000 {
            self.apps.run_due().await;
            let job = self.all("jobs.Definition").await.pop().unwrap();
            let runs = self.all("jobs.Status").await;
            let is_over = runs.iter().all(|run| run["status"] == "SUCCESS");
            if is_over && job["nextExecution"] == next && runs.len() == n_runs {
                return;
            }
            seen = json!([job, runs]);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited in vain for {next} and {n_runs} runs: {seen}");
    }
}

#[tokio::test]
async fn runs_that_were_missed_are_one_run() {
    let it = Fixture::new().await;
    it.job(json!({ "cronpattern": "0 0 * * * *" })).await;
    it.settles(Some("09:00:00"), 0).await;
    it.pass(HOUR - 1);
    it.settles(Some("09:00:00"), 0).await;
    it.pass(1);
    it.settles(Some("10:00:00"), 1).await;
    // Nobody looked for five hours and a half.
    it.pass(5 * HOUR + 30 * MINUTE);
    it.settles(Some("15:00:00"), 2).await;
    assert_eq!(it.all("jobs.Status").await[1]["executedAt"], "2027-01-15T14:30:00Z");
}

#[tokio::test]
async fn a_job_runs_from_its_beginning_to_its_end() {
    let it = Fixture::new().await;
    it.job(json!({
        "cronpattern": "0 */30 * * * *",
        "startsAt": "2027-01-15T12:00:00Z",
        "expiresAt": "2027-01-15T13:00:00Z",
    }))
    .await;
    it.settles(Some("12:00:00"), 0).await;
    it.pass(4 * HOUR);
    it.settles(Some("12:30:00"), 1).await;
    it.pass(30 * MINUTE);
    it.settles(None, 2).await;
    it.pass(2 * DAY);
    it.settles(None, 2).await;
}

#[tokio::test]
async fn another_pattern_begins_anew() {
    let it = Fixture::new().await;
    it.job(json!({ "cronpattern": "0 0 9 * * *" })).await;
    it.settles(Some("09:00:00"), 0).await;
    let change = json!({ "$set": { "cronpattern": "0 0 11 * * *" } });
    let key = ObjectKey::from_raw("1").unwrap();
    it.app
        .update_partially(
            &it.admin.principal,
            "jobs.Definition",
            &key,
            fb_app::objects::Condition::None,
            &change,
        )
        .await
        .unwrap();
    it.settles(Some("11:00:00"), 0).await;
    it.pass(HOUR);
    it.settles(Some("11:00:00"), 0).await;
}

#[tokio::test]
async fn a_run_that_was_missed_until_the_job_was_over_does_not_take_place() {
    let it = Fixture::new().await;
    it.job(json!({ "cronpattern": "0 0 9 * * *", "expiresAt": "2027-01-15T09:30:00Z" }))
        .await;
    it.settles(Some("09:00:00"), 0).await;
    it.pass(2 * HOUR);
    it.settles(None, 0).await;
}

#[tokio::test]
async fn a_pattern_that_never_made_sense_has_no_next_run() {
    let it = Fixture::new().await;
    it.job(json!({ "cronpattern": "whenever", "nextExecution": "2027-01-15T09:00:00Z" }))
        .await;
    it.settles(None, 0).await;
}

#[tokio::test]
async fn ended_runs_go_by_age_and_by_number_and_those_that_go_on_stay() {
    let it = Fixture::new().await;
    it.job(json!({ "cronpattern": "0 0 * * * *" })).await;
    it.settles(Some("09:00:00"), 0).await;
    for n in 1..=5 {
        it.pass(HOUR);
        it.settles(
            Some(["", "10:00:00", "11:00:00", "12:00:00", "13:00:00", "14:00:00"][n]),
            n,
        )
        .await;
    }
    // One that does not come back.
    let endless = "exports.run = () => new Promise(() => { setTimeout(() => {}, 1e9) });";
    let root = &it.admin.principal;
    it.app
        .write_code(root, "tick", CodeType::Module, endless)
        .await
        .unwrap();
    it.pass(HOUR);
    while it.all("jobs.Status").await.len() < 6 {
        it.apps.run_due().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(it.app.prune_logs().await.unwrap(), 0);
    it.set(json!({ "logs": { "maxRuns": 3 } })).await;
    assert_eq!(it.app.prune_logs().await.unwrap(), 3);
    let left = it.all("jobs.Status").await;
    assert_eq!(left[0]["executedAt"], "2027-01-15T12:00:00Z");
    it.pass(30 * DAY + 1);
    it.app.prune_logs().await.unwrap();
    let left = it.all("jobs.Status").await;
    assert!(left.iter().any(|run| run["status"] == "EXECUTING"), "{left:?}");
    assert!(
        left.iter().all(|run| run["executedAt"] != "2027-01-15T12:00:00Z"),
        "{left:?}"
    );
    let bad = json!({ "logs": { "retention": { "jobs.Status": 36_501 } } });
    let refused = it.app.update_settings(root, bad.as_object().unwrap()).await;
    assert!(matches!(refused, Err(AppError::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn what_a_job_changes_of_its_objects_is_saved_as_far_as_it_fits() {
    let it = Fixture::new().await;
    it.job(json!({ "cronpattern": "0 0 * * * *" })).await;
    it.settles(Some("09:00:00"), 0).await;
    let root = &it.admin.principal;
    let text = "exports.run = (db, status, definition) => {
        definition.startsAt = new Date('2027-01-15T08:30:00.000Z');
        status.status = 'ABORTED';
        status.cronjob = null;
    };";
    it.app.write_code(root, "tick", CodeType::Module, text).await.unwrap();
    it.pass(HOUR);
    it.settles(Some("10:00:00"), 1).await;
    let job = it.all("jobs.Definition").await.remove(0);
    assert_eq!(job["startsAt"], "2027-01-15T08:30:00Z");
    let run = it.all("jobs.Status").await.remove(0);
    assert_eq!(run["cronjob"], "/db/jobs.Definition/1", "what the server says stays");
    // Each may have a mebibyte.
    let text = "exports.run = (db, status, definition) => { definition.module = 'x'.repeat(2 << 20); };";
    it.app.write_code(root, "tick", CodeType::Module, text).await.unwrap();
    it.pass(HOUR);
    it.settles(Some("11:00:00"), 2).await;
    assert_eq!(it.all("jobs.Definition").await[0]["module"], "tick");
    let text = "exports.run = () => { throw new Error('x'.repeat(2 << 20)); };";
    it.app.write_code(root, "tick", CodeType::Module, text).await.unwrap();
    it.pass(HOUR);
    let failed = loop {
        it.apps.run_due().await;
        let runs = it.all("jobs.Status").await;
        if let Some(run) = runs.into_iter().find(|run| run["status"] == "ERROR") {
            break run;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let message = failed["error"]["message"].as_str().unwrap();
    assert!((1_000..=16 << 10).contains(&message.len()), "{}", message.len());
}
