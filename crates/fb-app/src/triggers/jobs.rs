//! Jobs: objects of `jobs.Definition` say what runs when, objects of `jobs.Status` how it went. Source: protocol 06, section 5.
//!
//! The time of the next run is kept in the definition, so a run that was missed is caught up with once. A job does not run
//! while it is running. Each run is announced by a record in the commit that begins it: runs that the end of the process cut
//! off are told from those that go on, and end as errors.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fb_auth::{Errand, Principal, system};
use fb_functions::{CallError, CallKind};
use fb_store::{Batch, Effect, Expect, Moment, ObjectWrite, Refusal, Write};
use fb_types::{Document, ObjectId, ObjectKey, Stored, Timestamp, Version};
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::NEVER;
use super::cron::Cron;
use super::signal::DEFINITIONS;
use crate::accounts::record;
use crate::app_log::Level;
use crate::functions::{CodeCaller, CodeType, on_request};
use crate::{App, AppError};

const STATUS: &str = "jobs.Status";
/// Runs that have begun: the key of the status object.
const RUNS: &str = "jobRun";
/// Most jobs of an app; further ones do not run.
const MAX_JOBS: usize = 1000;
/// Most runs of one app at once; further ones wait.
const RUNNING: usize = 4;
const PAGE: usize = 200;
const REST: i64 = 1_000;

/// What the task of an app's jobs knows.
#[derive(Default)]
pub(super) struct Jobs {
    running: JoinSet<ObjectKey>,
    keys: HashSet<ObjectKey>,
    /// Patterns as they were when the next time was computed.
    patterns: HashMap<ObjectKey, Seen>,
}

/// Pattern, beginning and next run.
type Seen = (String, Option<Timestamp>, Option<Timestamp>);

/// A definition, as far as it concerns the server.
struct Job {
    key: ObjectKey,
    object: Map<String, Value>,
    pattern: String,
    starts: Option<Timestamp>,
    expires: Option<Timestamp>,
    next: Option<Timestamp>,
}

impl Job {
    fn new(key: ObjectKey, body: &[u8]) -> Option<Self> {
        let object: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let time = |name: &str| object.get(name)?.as_str()?.parse().ok();
        Some(Self {
            pattern: object
                .get("cronpattern")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            starts: time("startsAt"),
            expires: time("expiresAt"),
            next: time("nextExecution"),
            key,
            object,
        })
    }

    /// The first run after `now`.
    fn next_after(&self, now: i64) -> Option<Timestamp> {
        let cron = Cron::parse(&self.pattern, self.key.as_str()).ok()?;
        // A run may be at the very start.
        let from = self.starts.map_or(now, |starts| now.max(starts.millis() - 1));
        let next = cron.next(from)?;
        let is_over = self.expires.is_some_and(|expires| next >= expires.millis());
        (!is_over).then_some(Timestamp::from_millis(next))
    }
}

impl Jobs {
    /// Begins what is due, and says when the next is.
    pub(super) async fn step(&mut self, app: &Arc<App>) -> Result<i64, AppError> {
        while let Some(ended) = self.running.try_join_next() {
            self.ended(ended.ok());
        }
        let now = app.clock().now().millis();
        let mut due = NEVER;
        for job in app.definitions().await? {
            let is_due = job.next.is_some_and(|next| next.millis() <= now);
            let seen = (job.pattern.clone(), job.starts, job.next);
            let is_changed = self.patterns.get(&job.key).is_some_and(|known| *known != seen);
            let next = match job.next {
                // Missed runs are one run, unless the job is over or has another pattern now.
                Some(_) if is_due && !is_changed => {
                    let is_over = job
                        .expires
                        .is_some_and(|expires| job.next.is_some_and(|next| next >= expires));
                    let is_running = self.keys.contains(&job.key);
                    if !is_running && !is_over && self.keys.len() >= RUNNING {
                        due = due.min(now + REST);
                        continue;
                    }
                    let next = job.next_after(now);
                    if !is_running && !is_over {
                        let (id, object) = app.begin_run(&job, next).await?;
                        self.patterns.insert(job.key.clone(), (seen.0, seen.1, next));
                        self.keys.insert(job.key.clone());
                        self.running.spawn(run(app.clone(), job, id, object));
                        due = due.min(next.map_or(NEVER, Timestamp::millis));
                        continue;
                    }
                    next
                }
                Some(next) if !is_changed && job.is_kept(next) => Some(next),
                _ => job.next_after(now),
            };
            if next != job.next {
                app.set_next(&job.key, next).await?;
            }
            self.patterns.insert(job.key.clone(), (seen.0, seen.1, next));
            due = due.min(next.map_or(NEVER, Timestamp::millis));
        }
        Ok(due)
    }

    pub(super) fn ended(&mut self, key: Option<ObjectKey>) {
        if let Some(key) = key {
            self.keys.remove(&key);
        }
    }

    pub(super) fn running(&mut self) -> &mut JoinSet<ObjectKey> {
        &mut self.running
    }
}

impl Job {
    /// True if the time that is kept is one of the pattern's.
    fn is_kept(&self, next: Timestamp) -> bool {
        self.next_after(next.millis() - 1) == Some(next)
    }
}

/// One run. Gives the key of the definition.
async fn run(app: Arc<App>, job: Job, id: ObjectKey, status: Map<String, Value>) -> ObjectKey {
    let key = job.key.clone();
    let work = AssertUnwindSafe(run_to_end(&app, &job, &id, status)).catch_unwind();
    match work.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(app = %app.id(), error = %error, "how a job went could not be written down");
        }
        Err(_) => tracing::error!(app = %app.id(), "a run of a job panicked"),
    }
    key
}

async fn run_to_end(app: &Arc<App>, job: &Job, id: &ObjectKey, status: Map<String, Value>) -> Result<(), AppError> {
    let module = job.object.get("module").and_then(Value::as_str).unwrap_or_default();
    let caller = CodeCaller {
        principal: Principal::anonymous().as_code(),
        depth: 1,
    };
    let input = Map::from_iter([
        ("status".to_owned(), Value::Object(status.clone())),
        ("definition".to_owned(), Value::Object(job.object.clone())),
    ]);
    let sources = app.code().sources.load_full();
    let code = (module, CodeType::Module);
    let call = app.run(&sources, caller, CallKind::Job, code, input, Bytes::new());
    let mut definition = Map::new();
    let mut changes = Map::new();
    let (word, error) = match on_request(Value::Null, call).await {
        Ok(outcome) => {
            let after: Map<String, Value> =
                serde_json::from_str(&outcome.json).map_err(|e| AppError::internal("reading a job from code", e))?;
            definition = changed(&job.object, after.get("definition"));
            changes = changed(&status, after.get("status"));
            ("SUCCESS", Value::Null)
        }
        Err(AppError::Code(error)) => match *error {
            CallError::NoCode { .. } | CallError::NoExport { .. } => {
                ("ABORTED", json!({ "message": error.to_string() }))
            }
            CallError::Aborted { message, data } => {
                let data: Value = data
                    .and_then(|data| serde_json::from_str(&data).ok())
                    .unwrap_or_default();
                ("ERROR", json!({ "message": message, "data": data }))
            }
            error => ("ERROR", json!({ "message": error.to_string() })),
        },
        Err(error) => {
            tracing::warn!(app = %app.id(), error = %error, "a job could not be run");
            (
                "ERROR",
                json!({ "message": "the server failed; its own log says more" }),
            )
        }
    };
    // What the server says of the run is not the code's to change.
    for name in ["cronjob", "executedAt"] {
        changes.remove(name);
    }
    definition.remove("nextExecution");
    let end = Map::from_iter([("status".to_owned(), json!(word)), ("error".to_owned(), error)]);
    let done = record(RUNS, id.as_str(), Expect::Anything, None);
    let mut whole = changes.clone();
    whole.extend(end.clone());
    let mut writes = Vec::new();
    match app.job_write(STATUS, id, false, whole) {
        Ok(write) => writes.push(write),
        Err(error) => {
            app.log_line(
                Level::Error,
                &format!("a job changed its status to what does not fit: {error}"),
                Value::Null,
                None,
            );
            writes.push(app.job_write(STATUS, id, false, end)?);
        }
    }
    writes.push(done);
    if !definition.is_empty() {
        match app.job_write(DEFINITIONS, &job.key, false, definition) {
            Ok(write) => writes.push(write),
            Err(error) => {
                app.log_line(
                    Level::Error,
                    &format!("a job changed its definition to what does not fit: {error}"),
                    Value::Null,
                    None,
                );
            }
        }
    }
    app.store().commit(Batch { writes }).await?;
    Ok(())
}

/// The fields that code changed.
fn changed(before: &Map<String, Value>, after: Option<&Value>) -> Map<String, Value> {
    let Some(Value::Object(after)) = after else {
        return Map::new();
    };
    let is_field = |name: &str| !matches!(name, "id" | "version" | "acl" | "createdAt" | "updatedAt");
    let same = |name: &String, value: &Value| before.get(name).unwrap_or(&Value::Null) == value;
    let fields = after
        .iter()
        .filter(|(name, value)| is_field(name) && !same(name, value));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl App {
    async fn definitions(&self) -> Result<Vec<Job>, AppError> {
        let schema = self.schema();
        let Some(class) = schema.class(DEFINITIONS) else {
            return Ok(Vec::new());
        };
        let grant = system(Errand::KeepJobs).grant(class.name());
        let mut jobs: Vec<Job> = Vec::new();
        let mut after: Option<ObjectKey> = None;
        while jobs.len() < MAX_JOBS {
            let rows = self.store().scan(&grant, after.as_ref(), PAGE).await?;
            let Some(last) = rows.rows().last() else { break };
            after = Some(last.key.clone());
            jobs.extend(
                rows.rows()
                    .iter()
                    .filter_map(|row| Job::new(row.key.clone(), rows.body(row))),
            );
        }
        Ok(jobs)
    }

    /// True if there are jobs, or runs that were cut off.
    pub(super) async fn has_jobs(&self) -> Result<bool, AppError> {
        let schema = self.schema();
        let Some(class) = schema.class(DEFINITIONS) else {
            return Ok(false);
        };
        let grant = system(Errand::KeepJobs).grant(class.name());
        let has_some = !self.store().keys(&grant, 0, 1).await?.is_empty();
        Ok(has_some || !self.store().records(RUNS, None, 1).await?.is_empty())
    }

    /// Ends the runs that the end of the process cut off.
    pub(super) async fn end_lost_runs(&self) -> Result<(), AppError> {
        loop {
            let page = self.store().records(RUNS, None, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut writes = Vec::new();
            for (key, _) in page {
                writes.push(record(RUNS, &key, Expect::Anything, None));
                let end = json!({ "status": "ERROR", "error": { "message": "the server was stopped during the run" } });
                if let (Ok(key), Value::Object(end)) = (ObjectKey::from_encoded(&key), end) {
                    writes.push(self.job_write(STATUS, &key, false, end)?);
                }
            }
            self.store().commit(Batch { writes }).await?;
        }
    }

    async fn begin_run(&self, job: &Job, next: Option<Timestamp>) -> Result<(ObjectKey, Map<String, Value>), AppError> {
        let key = ObjectKey::from_raw(&uuid::Uuid::new_v4().to_string())?;
        let now = self.clock().now();
        let status = Map::from_iter([
            ("cronjob".to_owned(), json!(format!("/db/{DEFINITIONS}/{}", job.key))),
            ("executedAt".to_owned(), json!(now.to_string())),
            ("status".to_owned(), json!("EXECUTING")),
            ("error".to_owned(), Value::Null),
        ]);
        let writes = vec![
            self.job_write(STATUS, &key, true, status.clone())?,
            self.job_write(DEFINITIONS, &job.key, false, next_field(next))?,
            record(RUNS, key.as_str(), Expect::Anything, Some(b"1")),
        ];
        self.store().commit(Batch { writes }).await?;
        let mut object = Map::from_iter([
            ("id".to_owned(), json!(format!("/db/{STATUS}/{key}"))),
            ("version".to_owned(), json!(1)),
            ("acl".to_owned(), Value::Null),
        ]);
        object.extend(status);
        Ok((key, object))
    }

    async fn set_next(&self, key: &ObjectKey, next: Option<Timestamp>) -> Result<(), AppError> {
        let writes = vec![self.job_write(DEFINITIONS, key, false, next_field(next))?];
        self.store().commit(Batch { writes }).await?;
        Ok(())
    }

    /// Inserts an object, or lays fields over one; nothing if that is not there.
    fn job_write(
        &self,
        bucket: &str,
        key: &ObjectKey,
        is_new: bool,
        fields: Map<String, Value>,
    ) -> Result<Write, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let checked = schema.check_fields(class, &fields, None)?;
        let given: Map<String, Value> = checked
            .into_iter()
            .filter(|(name, _)| fields.contains_key(name))
            .collect();
        let all = if is_new {
            schema.check_fields(class, &fields, None)?
        } else {
            Map::new()
        };
        let id = ObjectId::new(class.name().clone(), key.clone());
        let (shape, all_classes, own) = (class.shape(), schema.clone(), class.clone());
        let decide = move |before: Option<&Stored>, moment: Moment| {
            let document = match before {
                None if is_new => Document {
                    id: id.clone(),
                    version: Version::FIRST,
                    created_at: moment.now,
                    updated_at: moment.now,
                    acl: None,
                    fields: all.clone(),
                },
                None => return Ok(Effect::Keep),
                Some(_) if is_new => return Err(Refusal::Exists),
                Some(stored) => {
                    let mut document = Document::open(id.clone(), stored)
                        .map_err(|e| AppError::internal("reading a job", e).refuse())?;
                    if stored.shape < shape {
                        all_classes.complete(&own, &mut document.fields);
                    }
                    document.fields.extend(given.clone());
                    document.version = stored.version.next();
                    document.updated_at = moment.now;
                    document
                }
            };
            Ok(Effect::Put(document.store(shape)))
        };
        Ok(Write::Object(ObjectWrite {
            grant: system(Errand::KeepJobs).grant(class.name()),
            key: key.clone(),
            checked_under: schema.rev(),
            decide: Box::new(decide),
        }))
    }

    /// The task of the app's jobs.
    pub(super) async fn keep_jobs(app: std::sync::Weak<Self>, stop: Arc<tokio::sync::Notify>) {
        let Some(first) = app.upgrade() else { return };
        let (signal, due) = (first.duties().signal.clone(), first.duties().due().clone());
        if let Err(error) = first.end_lost_runs().await {
            tracing::warn!(app = %first.id(), error = %error, "runs of jobs that were cut off could not be ended");
        }
        drop(first);
        let mut jobs = Jobs::default();
        loop {
            let Some(app) = app.upgrade() else { return };
            signal.jobs_changed.store(false, Ordering::Release);
            let now = app.clock().now().millis();
            let next = match jobs.step(&app).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(app = %app.id(), error = %error, "jobs have to wait");
                    now + REST
                }
            };
            drop(app);
            due.jobs.store(next, Ordering::Release);
            tokio::select! {
                () = stop.notified() => {
                    jobs.running().shutdown().await;
                    return;
                }
                Some(ended) = jobs.running().join_next(), if !jobs.running().is_empty() => jobs.ended(ended.ok()),
                () = signal.jobs.notified() => {}
            }
        }
    }
}

fn next_field(next: Option<Timestamp>) -> Map<String, Value> {
    let next = next.map(|next| next.to_string());
    Map::from_iter([("nextExecution".to_owned(), json!(next))])
}
