//! Jobs: objects of `jobs.Definition` say what runs when, objects of `jobs.Status` how it went. Source: protocol 06, section 5.
//!
//! The time of the next run is kept in the definition, so a run that was missed is caught up with once. A job does not run
//! while it is running. Each run is announced by a record in the commit that begins it: runs that the end of the process cut
//! off are told from those that go on, and end as errors.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use fb_auth::{Errand, Principal, system};
use fb_functions::{CallError, CallKind};
use fb_store::{Batch, Effect, Expect, Moment, ObjectWrite, StoreError, Write};
use fb_types::{Document, FieldsText, ObjectId, ObjectKey, Stored, Timestamp};
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::NEVER;
use super::cron::Cron;
use super::signal::DEFINITIONS;
use crate::accounts::record;
use crate::app_log::Level;
use crate::functions::{CodeCaller, CodeType, on_request};
use crate::objects::insert_own;
use crate::{App, AppError};

/// The class of runs.
pub(crate) const STATUS: &str = "jobs.Status";
/// Runs that have begun: the key of the status object.
const RUNS: &str = "jobRun";
/// Most jobs of an app; further ones do not run.
const MAX_JOBS: usize = 1000;
/// Most runs of one app at once; further ones wait.
const RUNNING: usize = 4;
const PAGE: usize = 200;
const REST: i64 = 1_000;
/// Largest message, and largest data, of an error in bytes.
const MAX_ERROR: usize = 16 << 10;

/// What the task of an app's jobs knows.
#[derive(Default)]
pub(super) struct Jobs {
    running: JoinSet<(ObjectKey, Option<End>)>,
    /// Runs whose ends could not be written down yet.
    unwritten: Vec<End>,
    /// What runs: the definition, and the object of the run.
    keys: HashMap<ObjectKey, ObjectKey>,
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
        for end in std::mem::take(&mut self.unwritten) {
            let key = end.job.clone();
            let unwritten = app.end_or_keep(end).await;
            due = if unwritten.is_some() { now + REST } else { due };
            self.ended(Some((key, unwritten)));
        }
        let jobs = app.definitions().await?;
        let known: HashSet<&ObjectKey> = jobs.iter().map(|job| &job.key).collect();
        self.patterns.retain(|key, _| known.contains(key));
        for job in jobs {
            let is_due = job.next.is_some_and(|next| next.millis() <= now);
            let seen = (job.pattern.clone(), job.starts, job.next);
            let is_changed = self.patterns.get(&job.key).is_some_and(|known| *known != seen);
            let next = match job.next {
                // Missed runs are one run, unless the job is over or has another pattern now.
                Some(_) if is_due && !is_changed => {
                    let is_over = job.expires.is_some_and(|expires| expires.millis() <= now);
                    let is_running = self.is_running(app, &job.key).await?;
                    if !is_running && !is_over && self.keys.len() >= RUNNING {
                        due = due.min(now + REST);
                        continue;
                    }
                    let next = job.next_after(now);
                    if !is_running && !is_over {
                        let (id, object) = app.begin_run(&job, next).await?;
                        self.patterns.insert(job.key.clone(), (seen.0, seen.1, next));
                        self.keys.insert(job.key.clone(), id.clone());
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

    /// True if a run of the job goes on. One whose end is written down is over for everybody, so its task, which may not
    /// have got the store's answer yet, is waited for.
    async fn is_running(&mut self, app: &App, job: &ObjectKey) -> Result<bool, AppError> {
        let Some(run) = self.keys.get(job) else {
            return Ok(false);
        };
        if app.store().record(RUNS, run.as_str()).await?.is_some() {
            return Ok(true);
        }
        while self.keys.contains_key(job) && !self.running.is_empty() {
            let ended = self.running.join_next().await.and_then(Result::ok);
            self.ended(ended);
        }
        Ok(self.keys.contains_key(job))
    }

    fn ended(&mut self, run: Option<(ObjectKey, Option<End>)>) {
        match run {
            Some((_, Some(end))) => self.unwritten.push(end),
            Some((key, None)) => drop(self.keys.remove(&key)),
            None => {}
        }
    }
}

impl Job {
    /// True if the time that is kept is one of the pattern's.
    fn is_kept(&self, next: Timestamp) -> bool {
        self.next_after(next.millis() - 1) == Some(next)
    }
}

/// How a run ended.
struct End {
    /// The definition.
    job: ObjectKey,
    /// The run's own object.
    run: ObjectKey,
    /// What the server says of it.
    own: Map<String, Value>,
    /// What code changed of the two objects.
    status: Map<String, Value>,
    definition: Map<String, Value>,
}

/// One run. Gives the key of the definition, and how it ended if that could not be written down.
async fn run(app: Arc<App>, job: Job, id: ObjectKey, status: Map<String, Value>) -> (ObjectKey, Option<End>) {
    let key = job.key.clone();
    let end = match AssertUnwindSafe(run_to_end(&app, &job, &id, status))
        .catch_unwind()
        .await
    {
        Ok(end) => end,
        Err(_) => {
            tracing::error!(app = %app.id(), "a run of a job panicked");
            End::without_changes(&job, &id, "ERROR", failure("the server failed; its own log says more"))
        }
    };
    (key, app.end_or_keep(end).await)
}

/// What is said of an error, at most as much as there is room for in an object.
fn failure(message: &str) -> Value {
    let end = (0..=MAX_ERROR.min(message.len()))
        .rev()
        .find(|at| message.is_char_boundary(*at));
    json!({ "message": &message[..end.unwrap_or(0)] })
}

impl End {
    fn without_changes(job: &Job, run: &ObjectKey, word: &str, error: Value) -> Self {
        Self {
            job: job.key.clone(),
            run: run.clone(),
            own: Map::from_iter([("status".to_owned(), json!(word)), ("error".to_owned(), error)]),
            status: Map::new(),
            definition: Map::new(),
        }
    }
}

async fn run_to_end(app: &Arc<App>, job: &Job, id: &ObjectKey, status: Map<String, Value>) -> End {
    let module = job.object.get("module").and_then(Value::as_str).unwrap_or_default();
    let caller = CodeCaller {
        principal: Principal::anonymous().as_code(),
        depth: 1,
        reads: None,
    };
    let input = Map::from_iter([
        ("status".to_owned(), Value::Object(status.clone())),
        ("definition".to_owned(), Value::Object(job.object.clone())),
    ]);
    let sources = app.code().sources.load_full();
    let code = (module, CodeType::Module);
    let call = app.run(&sources, caller, CallKind::Job, code, input, Bytes::new());
    let (word, error) = match on_request(Value::Null, call).await {
        Ok(outcome) => {
            let after: Map<String, Value> = serde_json::from_str(&outcome.json).unwrap_or_default();
            let mut end = End::without_changes(job, id, "SUCCESS", Value::Null);
            end.definition = changed(&job.object, after.get("definition"));
            end.definition.remove("nextExecution");
            end.status = changed(&status, after.get("status"));
            // What the server says of the run is not the code's to change.
            for name in ["cronjob", "executedAt", "status", "error"] {
                end.status.remove(name);
            }
            return end;
        }
        Err(AppError::Code(error)) => match *error {
            CallError::NoCode { .. } | CallError::NoExport { .. } => ("ABORTED", failure(&error.to_string())),
            CallError::Aborted { message, data } => {
                let data = data.filter(|data| data.len() <= MAX_ERROR);
                let data: Value = data
                    .and_then(|data| serde_json::from_str(&data).ok())
                    .unwrap_or_default();
                let mut error = failure(&message);
                error["data"] = data;
                ("ERROR", error)
            }
            error => ("ERROR", failure(&error.to_string())),
        },
        Err(error) => {
            tracing::warn!(app = %app.id(), error = %error, "a job could not be run");
            ("ERROR", failure("the server failed; its own log says more"))
        }
    };
    End::without_changes(job, id, word, error)
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
    /// Writes down how a run ended; what could not be written down comes back, and is for later.
    async fn end_or_keep(&self, end: End) -> Option<End> {
        let mut written = self.end_run(&end).await;
        if let Err(AppError::Store(StoreError::SchemaChanged)) = &written {
            written = self.end_run(&end).await;
        }
        let Err(error) = written else { return None };
        tracing::warn!(app = %self.id(), error = %error, "how a job went could not be written down yet");
        Some(end)
    }

    async fn end_run(&self, end: &End) -> Result<(), AppError> {
        let mut writes = vec![record(RUNS, end.run.as_str(), Expect::Anything, None)];
        let status = Fields {
            own: end.own.clone(),
            by_code: end.status.clone(),
        };
        let definition = Fields {
            own: Map::new(),
            by_code: end.definition.clone(),
        };
        let mut left_out = Vec::new();
        for (bucket, key, mut fields) in [(STATUS, &end.run, status), (DEFINITIONS, &end.job, definition)] {
            let by_code = Arc::new(AtomicBool::new(false));
            let write = match self.job_write(bucket, key, &fields, &by_code) {
                Err(error) if !fields.by_code.is_empty() && !matches!(error, AppError::Internal { .. }) => {
                    left_out.push((bucket, None, error.to_string()));
                    fields.by_code.clear();
                    self.job_write(bucket, key, &fields, &by_code)?
                }
                write => write?,
            };
            if !fields.own.is_empty() || !fields.by_code.is_empty() {
                writes.push(write);
                left_out.push((bucket, Some(by_code), "the object would be too large".to_owned()));
            }
        }
        self.store().commit(Batch { writes }).await?;
        for (bucket, is_left_out, why) in left_out {
            if is_left_out.is_none_or(|is_left_out| is_left_out.load(Ordering::Acquire)) {
                let text = format!("what a job changed of its object of {bucket} was left out: {why}");
                self.log_line(Level::Error, &text, Value::Null, None);
            }
        }
        Ok(())
    }

    /// The keys of runs that have begun and not ended.
    pub(crate) async fn runs(&self) -> Result<HashSet<String>, AppError> {
        let mut runs = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store().records(RUNS, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|(key, _)| key.clone());
            runs.extend(page.into_iter().map(|(key, _)| key));
            if is_last {
                return Ok(runs);
            }
        }
    }

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
                    writes.push(self.job_write(STATUS, &key, &Fields::own(end), &Arc::default())?);
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
            self.job_insert(STATUS, &key, &status)?,
            self.job_write(DEFINITIONS, &job.key, &next_field(next), &Arc::default())?,
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
        let writes = vec![self.job_write(DEFINITIONS, key, &next_field(next), &Arc::default())?];
        self.store().commit(Batch { writes }).await?;
        Ok(())
    }

    /// Inserts an object.
    fn job_insert(&self, bucket: &str, key: &ObjectKey, fields: &Map<String, Value>) -> Result<Write, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let fields = schema.check_fields(class, fields, None)?;
        let id = ObjectId::new(class.name().clone(), key.clone());
        Ok(insert_own(Errand::KeepJobs, &schema, class, id, None, fields))
    }

    /// Lays fields over an object; nothing if that is not there. If the object became too large by what code wants to
    /// change of it, it says so in `is_left_out`, and only the server's own are laid over.
    fn job_write(
        &self,
        bucket: &str,
        key: &ObjectKey,
        fields: &Fields,
        is_left_out: &Arc<AtomicBool>,
    ) -> Result<Write, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let check = |fields: &Map<String, Value>| -> Result<Map<String, Value>, AppError> {
            let checked = schema.check_fields(class, fields, None)?;
            Ok(checked
                .into_iter()
                .filter(|(name, _)| fields.contains_key(name))
                .collect())
        };
        let (own, by_code) = (check(&fields.own)?, check(&fields.by_code)?);
        let id = ObjectId::new(class.name().clone(), key.clone());
        let (shape, all_classes, class_then) = (class.shape(), schema.clone(), class.clone());
        let (limit, is_left_out) = (self.limits().object_bytes, is_left_out.clone());
        let decide = move |before: Option<&Stored>, moment: Moment| {
            let Some(stored) = before else { return Ok(Effect::Keep) };
            let mut document =
                Document::open(id.clone(), stored).map_err(|e| AppError::internal("reading a job", e).refuse())?;
            if stored.shape < shape {
                all_classes.complete(&class_then, &mut document.fields);
            }
            document.version = stored.version.next();
            document.updated_at = moment.now;
            document.fields.extend(own.clone());
            if by_code.is_empty() {
                return Ok(Effect::Put(document.store(shape)));
            }
            let mut whole = document.fields.clone();
            whole.extend(by_code.clone());
            let fits = FieldsText::new(&whole).object_bytes() <= limit;
            is_left_out.store(!fits, Ordering::Release);
            match fits {
                true => document.fields = whole,
                false if own.is_empty() => return Ok(Effect::Keep),
                false => {}
            }
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
                    jobs.running.shutdown().await;
                    return;
                }
                Some(ended) = jobs.running.join_next(), if !jobs.running.is_empty() => jobs.ended(ended.ok()),
                () = signal.jobs.notified() => {}
            }
        }
    }
}

/// Fields that are laid over an object.
struct Fields {
    own: Map<String, Value>,
    by_code: Map<String, Value>,
}

impl Fields {
    fn own(own: Map<String, Value>) -> Self {
        Self {
            own,
            by_code: Map::new(),
        }
    }
}

fn next_field(next: Option<Timestamp>) -> Fields {
    let next = next.map(|next| next.to_string());
    Fields::own(Map::from_iter([("nextExecution".to_owned(), json!(next))]))
}
