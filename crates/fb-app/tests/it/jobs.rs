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
