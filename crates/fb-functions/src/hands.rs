//! What an instance's native functions have in hand: the call that is running.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::memory::{Budget, Share};
use crate::watch::{Stop, Watch};
use crate::{Call, CallError, CallKind, Code, Exception, Host, Limits, Operation, Outcome};

/// What operations of one call that are not over may take, in bytes.
const OPERATIONS: usize = 32 << 20;

/// What an operation takes at least.
const OPERATION: usize = 4 << 10;

/// What an instance gets with its app.
#[derive(Default)]
struct App {
    code: Arc<Code>,
    limits: Arc<Limits>,
    memory: Arc<Budget>,
}

/// An operation that code asked for.
pub(crate) struct Submitted {
    pub(crate) id: u32,
    pub(crate) operation: Operation,
    /// Its memory, of the call's and the app's. To be kept until it is over.
    pub(crate) held: [Share; 2],
}

/// Shared by an instance, its native functions and whoever may stop it.
pub(crate) struct Hands {
    /// Set when the instance gets its app, which is before any code of an app runs.
    app: OnceLock<App>,
    pub(crate) watch: Watch,
    pub(crate) epoch: Instant,
    /// Whether a promise was rejected that nobody listens to.
    pub(crate) lost: AtomicBool,
    /// Whether the host panicked.
    pub(crate) panicked: AtomicBool,
    /// A std mutex: only the thread that runs the instance takes it, for a few instructions, never while JavaScript runs.
    current: Mutex<Option<Current>>,
}

/// The call that is running.
pub(crate) struct Current {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) kind: CallKind,
    pub(crate) bucket: String,
    pub(crate) code_type: String,
    pub(crate) body: Bytes,
    /// Lines that were logged.
    pub(crate) lines: usize,
    /// Operations that code asked for in this slice.
    pub(crate) submitted: Vec<Submitted>,
    /// What its operations may take.
    operations: Arc<Budget>,
    /// When the next timer is due.
    pub(crate) wake: Option<Instant>,
    /// What it came to. The first word counts.
    pub(crate) result: Option<Result<Outcome, CallError>>,
}

impl Hands {
    pub(crate) fn new() -> Self {
        Self {
            app: OnceLock::new(),
            watch: Watch::new(),
            epoch: Instant::now(),
            lost: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            current: Mutex::new(None),
        }
    }

    pub(crate) fn adopt(&self, code: Arc<Code>, limits: Arc<Limits>, memory: Arc<Budget>) {
        let _ = self.app.set(App { code, limits, memory });
    }

    pub(crate) fn code(&self) -> &Arc<Code> {
        &self.app().code
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.app().limits
    }

    /// What the app's calls may hold while they wait.
    pub(crate) fn memory(&self) -> &Arc<Budget> {
        &self.app().memory
    }

    fn app(&self) -> &App {
        self.app.get_or_init(App::default)
    }

    /// Memory for an operation of so many bytes; `Err` says what is in the way.
    pub(crate) fn hold(&self, bytes: usize) -> Result<[Share; 2], &'static str> {
        let operations = self.with(|current| current.operations.clone());
        let operations = operations.ok_or("the call has ended")?;
        let bytes = bytes.saturating_add(OPERATION);
        let of_call = operations
            .take(bytes)
            .ok_or("too many operations at once: they take more than 32 MiB")?;
        let of_app = self
            .memory()
            .take(bytes)
            .ok_or("too many operations at once: calls of this app take more memory than they may together")?;
        Ok([of_call, of_app])
    }

    pub(crate) fn begin(&self, call: &Call, host: Arc<dyn Host>) {
        *self.lock() = Some(Current {
            host,
            kind: call.kind,
            bucket: call.bucket.clone(),
            code_type: call.code_type.clone(),
            body: call.body.clone(),
            lines: 0,
            submitted: Vec::new(),
            operations: Budget::new(OPERATIONS),
            wake: None,
            result: None,
        });
    }

    pub(crate) fn end(&self) -> Option<Current> {
        self.lock().take()
    }

    /// `None` between calls: what a left-over promise asks for then has no effect.
    pub(crate) fn with<R>(&self, with: impl FnOnce(&mut Current) -> R) -> Option<R> {
        self.lock().as_mut().map(with)
    }

    /// Asks the host of the call. Should it panic, the panic stops here, where no JavaScript can catch it, and the call fails.
    pub(crate) fn ask<R>(&self, ask: impl FnOnce(&dyn Host) -> R) -> Option<R> {
        let host = self.with(|current| current.host.clone())?;
        let answer = catch_unwind(AssertUnwindSafe(|| ask(&*host)));
        if answer.is_err() {
            self.panicked.store(true, Ordering::Relaxed);
            self.watch.stop(Stop::Cancelled);
        }
        answer.ok()
    }

    /// The call came to this, if nothing was said before. Answers have a largest size, whatever they come from.
    pub(crate) fn settle(&self, result: Result<Outcome, CallError>) {
        let most = self.limits().answer_bytes;
        let n_bytes = match &result {
            Ok(outcome) => outcome.json.len().saturating_add(outcome.body.len()),
            Err(CallError::Aborted { message, data }) => message.len() + data.as_ref().map_or(0, String::len),
            Err(_) => 0,
        };
        let result = if n_bytes <= most {
            result
        } else {
            Err(CallError::Failed(Box::new(Exception {
                name: "RangeError".to_owned(),
                message: format!("the answer is larger than {most} bytes"),
                stack: String::new(),
            })))
        };
        self.with(|current| {
            current.result.get_or_insert(result);
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
