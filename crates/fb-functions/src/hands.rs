//! What an instance's native functions have in hand: the call that is running.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::watch::{Stop, Watch};
use crate::{Call, CallError, Code, Host, Limits, Operation, Outcome};

/// Shared by an instance, its native functions and whoever may stop it.
pub(crate) struct Hands {
    /// Set when the instance gets its app, which is before any code of an app runs.
    app: OnceLock<(Arc<Code>, Arc<Limits>)>,
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
    pub(crate) bucket: String,
    pub(crate) code_type: String,
    pub(crate) body: Bytes,
    /// Lines that were logged.
    pub(crate) lines: usize,
    /// Operations that code asked for in this slice.
    pub(crate) submitted: Vec<(u32, Operation)>,
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

    pub(crate) fn adopt(&self, code: Arc<Code>, limits: Arc<Limits>) {
        let _ = self.app.set((code, limits));
    }

    pub(crate) fn code(&self) -> &Arc<Code> {
        &self.app.get_or_init(Default::default).0
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.app.get_or_init(Default::default).1
    }

    pub(crate) fn begin(&self, call: &Call, host: Arc<dyn Host>) {
        *self.lock() = Some(Current {
            host,
            bucket: call.bucket.clone(),
            code_type: call.code_type.clone(),
            body: call.body.clone(),
            lines: 0,
            submitted: Vec::new(),
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

    /// The call came to this, if nothing was said before.
    pub(crate) fn settle(&self, result: Result<Outcome, CallError>) {
        self.with(|current| {
            current.result.get_or_insert(result);
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
