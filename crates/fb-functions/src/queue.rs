//! Who runs next: one lane per app, served in turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::instance::Instance;
use crate::task::Task;

/// Work of an engine's threads.
pub(crate) enum Work {
    /// A slice of a call.
    Run(Arc<Task>),
    /// Freeing an instance, which may take milliseconds.
    Drop(Instance),
    /// Making an instance ahead.
    Stock,
}

#[derive(Default)]
struct Lane {
    tasks: VecDeque<Arc<Task>>,
    /// Slices that are running.
    running: usize,
    /// Whether the lane is in `State::order`: exactly if it has tasks and may run one.
    listed: bool,
}

#[derive(Default)]
struct State {
    lanes: HashMap<u64, Lane>,
    order: VecDeque<u64>,
    trash: Vec<Instance>,
    /// Instances to be made ahead.
    wanted: usize,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

/// The queue. Its mutex is held for a few instructions and never while JavaScript runs.
pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    /// Slices of one app at once.
    share: usize,
}

impl Queue {
    pub(crate) fn new(share: usize) -> Self {
        Self {
            state: Mutex::default(),
            ready: Condvar::new(),
            share,
        }
    }

    pub(crate) fn push(&self, task: Arc<Task>) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return task.closed();
        }
        let wake = state.add(task, self.share);
        drop(state);
        if wake {
            self.ready.notify_one();
        }
    }

    pub(crate) fn discard(&self, instance: Instance) {
        let mut state = self.lock();
        state.trash.push(instance);
        drop(state);
        self.ready.notify_one();
    }

    pub(crate) fn want_stock(&self, n: usize) {
        self.lock().wanted += n;
        self.ready.notify_one();
    }

    /// Waits for work; `None` when the engine closes.
    pub(crate) fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(task) = state.next_task(self.share) {
                // Whoever pushed woke one thread for a lane that is listed again now, or for one that this thread did not take.
                let wake = !state.order.is_empty() && state.idle > 0;
                drop(state);
                if wake {
                    self.ready.notify_one();
                }
                return Some(Work::Run(task));
            }
            if let Some(instance) = state.trash.pop() {
                return Some(Work::Drop(instance));
            }
            if let Some(rest) = state.wanted.checked_sub(1) {
                state.wanted = rest;
                return Some(Work::Stock);
            }
            state.idle += 1;
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// A slice of the app has ended, on a thread that comes back for more or `leaves`.
    pub(crate) fn finished(&self, lane_id: u64, leaves: bool) {
        let mut state = self.lock();
        let State { lanes, order, .. } = &mut *state;
        let Some(lane) = lanes.get_mut(&lane_id) else { return };
        lane.running = lane.running.saturating_sub(1);
        if lane.tasks.is_empty() && lane.running == 0 {
            lanes.remove(&lane_id);
            return;
        }
        let listed = lane.list(lane_id, self.share, order);
        drop(state);
        // A thread that comes back takes it itself; waking another one would only cost.
        if listed && leaves {
            self.ready.notify_one();
        }
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let left = (std::mem::take(&mut state.lanes), std::mem::take(&mut state.trash));
        drop(state);
        self.ready.notify_all();
        for task in left.0.into_values().flat_map(|lane| lane.tasks) {
            task.closed();
        }
        drop(left.1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Says whether a thread is to be woken for it.
    fn add(&mut self, task: Arc<Task>, share: usize) -> bool {
        let id = task.pool.id;
        let lane = self.lanes.entry(id).or_default();
        lane.tasks.push_back(task);
        lane.list(id, share, &mut self.order) && self.idle > 0
    }

    fn next_task(&mut self, share: usize) -> Option<Arc<Task>> {
        let id = self.order.pop_front()?;
        let lane = self.lanes.get_mut(&id)?;
        lane.listed = false;
        let task = lane.tasks.pop_front()?;
        lane.running += 1;
        lane.list(id, share, &mut self.order);
        Some(task)
    }
}

impl Lane {
    /// Puts the lane into the order if it belongs there and is not in it; says whether it did.
    fn list(&mut self, id: u64, share: usize, order: &mut VecDeque<u64>) -> bool {
        let list = !self.listed && !self.tasks.is_empty() && self.running < share;
        if list {
            self.listed = true;
            order.push_back(id);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::instance::Input;
    use crate::{Engine, EngineOptions, Limits};

    #[test]
    fn tasks_that_come_before_the_woken_thread_looks_wake_others() {
        let engine = Engine::new(EngineOptions::default()).unwrap();
        let pool = engine.pool("app", Limits::default());
        let queue = Arc::new(Queue::new(2));
        let (taken, was_taken) = std::sync::mpsc::channel();
        for _ in 0..2 {
            let (queue, taken) = (queue.clone(), taken.clone());
            // A thread that does not come back for more.
            std::thread::spawn(move || taken.send(matches!(queue.next(), Some(Work::Run(_)))).unwrap());
        }
        while queue.lock().idle < 2 {
            std::thread::yield_now();
        }
        let end = Instant::now() + Duration::from_secs(60);
        let mut state = queue.lock();
        for _ in 0..2 {
            if state.add(Arc::new(pool.task(end, Input::Timer)), 2) {
                queue.ready.notify_one();
            }
        }
        drop(state);
        for _ in 0..2 {
            assert!(was_taken.recv().unwrap());
        }
    }
}
