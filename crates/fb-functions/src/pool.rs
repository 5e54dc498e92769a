//! The instances of one app, and its calls.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::Shared;
use crate::hands::Submitted;
use crate::instance::{Input, Instance};
use crate::memory::Budget;
use crate::task::Task;
use crate::{Call, CallError, Code, Host, Limits, Outcome};

const TOO_LONG: CallError = CallError::TooLong("it takes longer than it may");

/// Calls of an app that wait hold together as much memory as so many instances may have.
const WAITING: usize = 4;

/// What they may hold at least, in bytes: small instances count more than they have.
const WAITING_LEAST: usize = 64 << 20;

/// The instances of one app. Cheap to clone; all clones are the same pool.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<PoolInner>,
}

pub(crate) struct PoolInner {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) engine: Arc<Shared>,
    limits: Arc<Limits>,
    /// What calls hold while they wait: instances and operations.
    memory: Arc<Budget>,
    /// Instances that wait for calls, the one used last at the end. Locked for a few instructions.
    idle: Mutex<Vec<Instance>>,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    closed: AtomicBool,
    /// Threads that are stuck in this app's code.
    pub(crate) lost: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(id: u64, name: &str, limits: Limits, engine: Arc<Shared>) -> (Self, Weak<PoolInner>) {
        let slots = Arc::new(Semaphore::new(limits.instances.clamp(1, Semaphore::MAX_PERMITS)));
        let inner = PoolInner {
            id,
            name: name.to_owned(),
            engine,
            memory: Budget::new(limits.memory_bytes.saturating_mul(WAITING).max(WAITING_LEAST)),
            limits: Arc::new(limits),
            idle: Mutex::default(),
            slots,
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        };
        let inner = Arc::new(inner);
        let weak = Arc::downgrade(&inner);
        (Self { inner }, weak)
    }

    /// Runs one call of `code`.
    ///
    /// Takes no longer than `Limits::wall_time`. Dropping the future stops the call and gives up what it asked of `host`. Operations of
    /// the host and timers run inside of this future; it needs a tokio runtime with time.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub async fn call(&self, code: &Arc<Code>, call: Call, host: Arc<dyn Host>) -> Result<Outcome, CallError> {
        let pool = &self.inner;
        if code.get(&call.bucket, &call.code_type).is_none() {
            return Err(CallError::NoCode {
                bucket: call.bucket,
                code_type: call.code_type,
            });
        }
        if pool.lost.load(Ordering::Relaxed) >= pool.engine.share || !pool.memory.has_room(pool.limits.memory_bytes) {
            return Err(CallError::Busy);
        }
        let deadline = Instant::now() + pool.limits.wall_time;
        let permit = pool.permit(deadline).await?;
        if pool.closed.load(Ordering::Relaxed) {
            return Err(CallError::Internal("the app is closed".to_owned()));
        }
        let start = Input::Start(Box::new(call), host.clone());
        let task = Arc::new(Task::new(pool.clone(), code.clone(), deadline, start, permit));
        let guard = Guard::new(task.clone());
        let counters = &pool.engine.counters;
        counters.calls.fetch_add(1, Ordering::Relaxed);
        pool.engine.queue.push(task);
        let result = drive(&guard.0, host, pool.limits.operations).await;
        if matches!(result, Err(CallError::TooLong(_))) {
            counters.stopped.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Gives up all instances that wait for calls.
    pub fn evict(&self) {
        self.inner.give_up_until(Instant::now());
    }

    /// Like [`Pool::evict`], and further calls are refused. Calls that run come to their end.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Relaxed);
        self.evict();
    }

    /// A task that nobody waits for.
    #[cfg(test)]
    pub(crate) fn task(&self, deadline: Instant, start: Input) -> Task {
        let permit = self.inner.slots.clone().try_acquire_owned().unwrap();
        Task::new(self.inner.clone(), Arc::default(), deadline, start, permit)
    }

    /// The name it was made with.
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

impl PoolInner {
    /// An instance for `code`: a warm one, or a new one, which takes some time of this thread.
    pub(crate) fn instance(&self, code: &Arc<Code>) -> Result<Instance, CallError> {
        let warm = {
            let mut idle = self.idle();
            let found = idle
                .iter()
                .rposition(|instance| Arc::ptr_eq(instance.hands.code(), code));
            // Instances of other code serve nobody any more.
            let found = found.map(|at| idle.remove(at));
            (
                found,
                idle.extract_if(.., |instance| !Arc::ptr_eq(instance.hands.code(), code))
                    .collect::<Vec<_>>(),
            )
        };
        let (warm, stale) = warm;
        for instance in stale {
            self.give_up(instance);
        }
        match warm {
            Some(instance) => {
                self.engine.counters.idles_no_more(instance.bytes());
                Ok(instance)
            }
            None => {
                let fresh = self.engine.fresh_instance()?;
                Ok(fresh.adopt(code.clone(), self.limits.clone(), self.memory.clone()))
            }
        }
    }

    /// One that was idle.
    fn give_up(&self, instance: Instance) {
        self.engine.counters.idles_no_more(instance.bytes());
        self.engine.discard(instance);
    }

    pub(crate) fn give_back(&self, instance: Instance) {
        if self.closed.load(Ordering::Relaxed) {
            return self.engine.discard(instance);
        }
        self.engine.counters.idles(instance.bytes());
        self.idle().push(instance);
        self.engine.became_idle();
    }

    /// When the idle instance was used that was used longest ago.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.idle().first().map(|instance| instance.used)
    }

    /// Gives up idle instances that were used then or before.
    pub(crate) fn give_up_until(&self, then: Instant) {
        let gone: Vec<_> = self.idle().extract_if(.., |instance| instance.used <= then).collect();
        for instance in gone {
            self.give_up(instance);
        }
    }

    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, CallError> {
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.limits.waiting).ok_or(CallError::Busy)?;
        let permit = self.slots.clone().acquire_owned();
        match tokio::time::timeout_at(deadline.into(), permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(CallError::Internal("the app is closed".to_owned())),
            Err(_) => Err(CallError::Busy),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PoolInner {
    fn drop(&mut self) {
        self.give_up_until(Instant::now());
    }
}

/// A place among the calls that wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let taken = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most).then_some(n + 1));
        taken.is_ok().then_some(Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stops the call when its future is dropped.
struct Guard(Arc<Task>);

impl Guard {
    fn new(task: Arc<Task>) -> Self {
        task.pool.engine.counters.running.fetch_add(1, Ordering::Relaxed);
        Self(task)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.cancel();
        self.0.pool.engine.counters.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Carries out what the call asks for, until it is over.
async fn drive(task: &Arc<Task>, host: Arc<dyn Host>, most: usize) -> Result<Outcome, CallError> {
    let mut running: FuturesUnordered<BoxFuture<'static, Input>> = FuturesUnordered::new();
    let mut waiting = std::collections::VecDeque::<Submitted>::new();
    let mut timer: Option<Pin<Box<tokio::time::Sleep>>> = None;
    let mut end = std::pin::pin!(tokio::time::sleep_until(task.deadline.into()));
    poll_fn(move |cx| {
        task.waker.register(cx.waker());
        loop {
            let outbox = task.take_outbox();
            if let Some(result) = outbox.done {
                return Poll::Ready(result);
            }
            waiting.extend(outbox.submitted);
            if let Some(at) = outbox.wake {
                timer = Some(Box::pin(tokio::time::sleep_until(at.into())));
            }
            while running.len() < most.max(1) {
                let Some(Submitted { id, operation, held }) = waiting.pop_front() else {
                    break;
                };
                let answer = host.operate(operation);
                running.push(Box::pin(async move {
                    let answer = answer.await;
                    drop(held);
                    Input::Answer(id, answer)
                }));
            }
            let mut inputs = Vec::new();
            while let Poll::Ready(Some(input)) = running.poll_next_unpin(cx) {
                inputs.push(input);
            }
            if timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
                timer = None;
                inputs.push(Input::Timer);
            }
            if inputs.is_empty() {
                break;
            }
            task.deliver(inputs);
        }
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(TOO_LONG));
        }
        Poll::Pending
    })
    .await
}
