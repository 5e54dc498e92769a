//! A call on its way: between the future that waits for it and the threads that run its slices.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::OwnedSemaphorePermit;

use crate::hands::{Hands, Submitted};
use crate::instance::{End, Input, Instance};
use crate::pool::PoolInner;
use crate::watch::Stop;
use crate::{CallError, Code, Outcome};

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for input.
    Parked,
    /// It waits for a thread.
    Queued,
    /// A thread has it.
    Running,
    /// It is over, or nobody wants it any more.
    Over,
}

/// What the future has to do next.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) submitted: Vec<Submitted>,
    pub(crate) wake: Option<Instant>,
    pub(crate) done: Option<Result<Outcome, CallError>>,
}

struct State {
    phase: Phase,
    inbox: Vec<Input>,
    outbox: Outbox,
    instance: Option<Instance>,
    /// To stop what runs.
    hands: Option<Arc<Hands>>,
    /// The place among the app's calls; given back when the instance is free again, not when the caller leaves.
    permit: Option<OwnedSemaphorePermit>,
    /// When the caller left while a slice was running.
    cancelled: Option<Instant>,
}

pub(crate) struct Task {
    pub(crate) pool: Arc<PoolInner>,
    pub(crate) code: Arc<Code>,
    pub(crate) deadline: Instant,
    pub(crate) waker: AtomicWaker,
    /// A std mutex: held for a few instructions by the future and by one thread, never while JavaScript runs.
    state: Mutex<State>,
}

impl Task {
    pub(crate) fn new(
        pool: Arc<PoolInner>,
        code: Arc<Code>,
        deadline: Instant,
        start: Input,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            pool,
            code,
            deadline,
            waker: AtomicWaker::new(),
            state: Mutex::new(State {
                phase: Phase::Queued,
                inbox: vec![start],
                outbox: Outbox::default(),
                instance: None,
                hands: None,
                permit: Some(permit),
                cancelled: None,
            }),
        }
    }

    pub(crate) fn take_outbox(&self) -> Outbox {
        std::mem::take(&mut self.lock().outbox)
    }

    /// Gives input to a call that waits for it.
    pub(crate) fn deliver(self: &Arc<Self>, inputs: impl IntoIterator<Item = Input>) {
        let mut state = self.lock();
        state.inbox.extend(inputs);
        if state.phase == Phase::Parked {
            state.phase = Phase::Queued;
            drop(state);
            self.pool.engine.queue.push(self.clone());
        }
    }

    /// Nobody waits any more.
    pub(crate) fn cancel(&self) {
        let mut state = self.lock();
        match state.phase {
            Phase::Over => {}
            Phase::Running => {
                state.cancelled.get_or_insert_with(Instant::now);
                if let Some(hands) = &state.hands {
                    hands.watch.stop(Stop::Cancelled);
                }
            }
            Phase::Parked | Phase::Queued => {
                state.phase = Phase::Over;
                let (instance, permit) = (state.instance.take(), state.permit.take());
                // The queue may keep the task for long; what it was called with need not stay as well.
                let inbox = std::mem::take(&mut state.inbox);
                drop(state);
                drop(inbox);
                if let Some(instance) = instance {
                    self.pool.engine.discard(instance);
                }
                drop(permit);
            }
        }
    }

    /// One slice, on the thread that calls.
    pub(crate) fn run(self: &Arc<Self>) {
        let Some((instance, inputs)) = self.begin() else { return };
        let mut instance = match instance.map_or_else(|| self.pool.instance(&self.code), Ok) {
            Ok(instance) => instance,
            Err(error) => return self.finish(None, Err(error)),
        };
        let hands = instance.hands.clone();
        if inputs.iter().any(|input| matches!(input, Input::Start(..))) {
            hands.watch.begin_call(self.deadline);
        }
        {
            let mut state = self.lock();
            if state.cancelled.is_some() {
                hands.watch.stop(Stop::Cancelled);
            }
            state.hands = Some(hands);
        }
        match instance.slice(inputs) {
            End::Done(result) => {
                let instance = instance.end_call().then_some(instance);
                self.finish(instance, result);
            }
            End::Panicked => {
                self.pool.engine.counters.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(app = self.pool.name, "the host of a call panicked");
                self.panicked();
            }
            End::Parked { submitted, wake } => self.park(instance, submitted, wake),
        }
    }

    /// The engine closes.
    pub(crate) fn closed(&self) {
        self.finish(None, Err(CallError::Internal("the engine is closed".to_owned())));
    }

    /// The slice that ran ended by a panic.
    pub(crate) fn panicked(&self) {
        self.finish(None, Err(CallError::Internal("the engine made a mistake".to_owned())));
    }

    /// Whether the running slice should have ended `grace` ago.
    pub(crate) fn is_overdue(&self, grace: Duration) -> bool {
        let cancelled = self.lock().cancelled;
        let end = cancelled.map_or(self.deadline, |at| at.min(self.deadline));
        end.elapsed() > grace
    }

    fn begin(&self) -> Option<(Option<Instance>, Vec<Input>)> {
        let mut state = self.lock();
        if state.phase != Phase::Queued {
            return None;
        }
        state.phase = Phase::Running;
        Some((state.instance.take(), std::mem::take(&mut state.inbox)))
    }

    fn park(self: &Arc<Self>, instance: Instance, submitted: Vec<Submitted>, wake: Option<Instant>) {
        let mut state = self.lock();
        if state.cancelled.is_some() {
            state.phase = Phase::Over;
            let permit = state.permit.take();
            drop(state);
            self.pool.engine.discard(instance);
            return drop(permit);
        }
        state.instance = Some(instance);
        state.outbox.submitted.extend(submitted);
        state.outbox.wake = wake.or(state.outbox.wake);
        let again = !state.inbox.is_empty();
        state.phase = if again { Phase::Queued } else { Phase::Parked };
        drop(state);
        if again {
            self.pool.engine.queue.push(self.clone());
        }
        self.waker.wake();
    }

    fn finish(&self, instance: Option<Instance>, result: Result<Outcome, CallError>) {
        if let Some(instance) = instance {
            self.pool.give_back(instance);
        }
        let mut state = self.lock();
        state.phase = Phase::Over;
        state.outbox.done = Some(result);
        let permit = state.permit.take();
        drop(state);
        drop(permit);
        self.waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, EngineOptions, Limits};

    #[test]
    fn a_queued_call_that_nobody_wants_any_more_keeps_nothing() {
        let engine = Engine::new(EngineOptions::default()).unwrap();
        let task = engine.pool("app", Limits::default()).task(Instant::now(), Input::Timer);
        task.cancel();
        assert!(task.lock().inbox.is_empty());
        assert!(task.begin().is_none());
    }
}
