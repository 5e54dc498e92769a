//! The app's log: lines from the server and from code, as objects of `logs.AppLog`.
//!
//! Lines are best effort: they are written in the background, several in one commit, and left out while too many are waiting, so
//! that an app that logs without end slows down neither its requests nor its neighbours.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use fb_auth::Errand;
use fb_store::{Batch, Store};
use fb_types::schema::APP_LOG;
use fb_types::{Clock, ObjectId, ObjectKey, Timestamp};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::objects::insert_own;
use crate::{App, AppError};

pub(crate) use fb_functions::LogLevel as Level;

/// Most lines that wait to be written.
const WAITING: usize = 1000;
/// Lines of one commit.
const AT_ONCE: usize = 100;
/// Longest message in bytes; more is cut off.
const MAX_MESSAGE: usize = 16 << 10;

/// A line that is to be written.
struct Line {
    at: Timestamp,
    level: Level,
    message: String,
    data: Value,
    user: Option<String>,
}

/// Takes lines, and writes them in the background.
pub(crate) struct AppLog {
    lines: Arc<Mutex<Queue>>,
    /// Lines come from threads that run code, too, which have no runtime of their own.
    runtime: tokio::runtime::Handle,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Line>,
    left_out: u64,
    writer: Option<JoinHandle<()>>,
    is_writing: bool,
}

impl AppLog {
    /// Writes with the runtime that it is made in.
    pub(crate) fn new() -> Self {
        Self {
            lines: Arc::default(),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// Short sections without I/O or `await`.
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was taken so far is written.
    pub(crate) async fn flush(&self) {
        let writer = self.queue().writer.take();
        if let Some(writer) = writer {
            let _ = writer.await;
        }
    }
}

impl App {
    /// Writes a line of the app's log, soon. `data` is a JSON object, or null.
    pub(crate) fn log_line(&self, level: Level, message: &str, data: Value, user: Option<&ObjectId>) {
        let mut queue = self.app_log().queue();
        if queue.lines.len() >= WAITING {
            queue.left_out += 1;
            return;
        }
        let mut message = message.to_owned();
        truncate(&mut message);
        queue.lines.push_back(Line {
            at: self.clock().now(),
            level,
            message,
            data,
            user: user.map(ToString::to_string),
        });
        if !queue.is_writing {
            queue.is_writing = true;
            let (log, store, clock) = (
                self.app_log().lines.clone(),
                self.store_handle(),
                self.shared().clock.clone(),
            );
            queue.writer = Some(self.app_log().runtime.spawn(write_all(log, store, clock)));
        }
    }
}

fn truncate(text: &mut String) {
    if text.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

/// Writes lines until there are no more.
async fn write_all(log: Arc<Mutex<Queue>>, store: Arc<dyn Store>, clock: Arc<dyn Clock>) {
    loop {
        let lines = {
            let mut queue = log.lock().unwrap_or_else(PoisonError::into_inner);
            let n = queue.lines.len().min(AT_ONCE);
            let mut lines: Vec<Line> = queue.lines.drain(..n).collect();
            let left_out = std::mem::take(&mut queue.left_out);
            if left_out > 0 {
                lines.push(Line {
                    at: clock.now(),
                    level: Level::Warn,
                    message: format!("{left_out} lines were left out, too many came at once"),
                    data: Value::Null,
                    user: None,
                });
            }
            if lines.is_empty() {
                queue.is_writing = false;
                return;
            }
            lines
        };
        if let Err(error) = write(&*store, &lines).await {
            tracing::warn!(error = %error, n_lines = lines.len(), "lines of an app's log could not be written");
        }
    }
}

async fn write(store: &dyn Store, lines: &[Line]) -> Result<(), AppError> {
    let schema = store.schema();
    let class = schema
        .class(APP_LOG)
        .ok_or_else(|| AppError::NoClass(APP_LOG.to_owned()))?;
    let mut batch = Batch { writes: Vec::new() };
    for line in lines {
        let fields = Map::from_iter([
            ("date".to_owned(), json!(line.at.to_string())),
            ("message".to_owned(), json!(line.message)),
            ("level".to_owned(), json!(level_name(line.level))),
            ("data".to_owned(), line.data.clone()),
            ("user".to_owned(), json!(line.user)),
        ]);
        let fields = schema.check_fields(class, &fields, None)?;
        let id = App::id_of(class, &line_key(line.at)?);
        let line = insert_own(Errand::WriteLog, &schema, class, id, None, fields);
        batch.writes.push(line);
    }
    store.commit(batch).await?;
    Ok(())
}

/// As in `level` of `logs.AppLog`.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// Keys grow with time, so that the log is kept in its order.
fn line_key(at: Timestamp) -> Result<ObjectKey, AppError> {
    let random = fb_auth::random_bytes::<8>().map_err(|e| AppError::internal("making a key", e))?;
    let key = format!("{:012x}-{}", at.millis().max(0), fb_auth::encode_hex(&random));
    Ok(ObjectKey::from_raw(&key)?)
}
