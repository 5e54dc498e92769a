//! A bounded queue of work for many apps, each of which gets its turn.

use std::collections::{HashMap, VecDeque};

use fb_types::AppId;

/// How much is held, and how much is done at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most jobs of one app: waiting, resting or running.
    pub(super) held_per_app: usize,
    /// Most jobs of all apps.
    pub(super) held: usize,
    /// Most jobs of one app that run at once, so that slow services of one leave room for the others.
    pub(super) running_per_app: usize,
    /// Most jobs that run at once.
    pub(super) running: usize,
}

/// The app's jobs do not fit any more; none was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Jobs that wait, and how many run or rest. A job is held from [`Self::add`] until [`Self::finish`].
#[derive(Debug)]
pub(super) struct Queue<J> {
    bounds: Bounds,
    lanes: HashMap<AppId, Lane<J>>,
    /// Apps that have jobs waiting, the one whose turn it is first.
    turns: VecDeque<AppId>,
    held: usize,
    running: usize,
}

#[derive(Debug)]
struct Lane<J> {
    waiting: VecDeque<J>,
    held: usize,
    running: usize,
}

impl<J> Queue<J> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            held: 0,
            running: 0,
        }
    }

    /// Takes all of these jobs, or none.
    pub(super) fn add(&mut self, app: &AppId, jobs: Vec<J>) -> Result<(), Full> {
        let held = self.held_of(app);
        let too_many = held + jobs.len() > self.bounds.held_per_app || self.held + jobs.len() > self.bounds.held;
        if too_many {
            return Err(Full);
        }
        if jobs.is_empty() {
            return Ok(());
        }
        self.held += jobs.len();
        let lane = self.lanes.entry(app.clone()).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            held: 0,
            running: 0,
        });
        lane.held += jobs.len();
        if lane.waiting.is_empty() {
            self.turns.push_back(app.clone());
        }
        lane.waiting.extend(jobs);
        Ok(())
    }

    /// The next job to run, if any may. It runs from here on.
    pub(super) fn next(&mut self) -> Option<(AppId, J)> {
        if self.running >= self.bounds.running {
            return None;
        }
        for _ in 0..self.turns.len() {
            let app = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&app) else { continue };
            if lane.running >= self.bounds.running_per_app {
                self.turns.push_back(app);
                continue;
            }
            let Some(job) = lane.waiting.pop_front() else { continue };
            lane.running += 1;
            self.running += 1;
            if !lane.waiting.is_empty() {
                self.turns.push_back(app.clone());
            }
            return Some((app, job));
        }
        None
    }

    /// A job that ran does so no more; it is held nevertheless.
    pub(super) fn rest(&mut self, app: &AppId) {
        self.running = self.running.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(app) {
            lane.running = lane.running.saturating_sub(1);
        }
    }

    /// A job that rested waits again.
    pub(super) fn again(&mut self, app: &AppId, job: J) {
        if let Some(lane) = self.lanes.get_mut(app) {
            if lane.waiting.is_empty() {
                self.turns.push_back(app.clone());
            }
            lane.waiting.push_back(job);
        }
    }

    /// A job is done that does not run any more.
    pub(super) fn finish(&mut self, app: &AppId) {
        self.held = self.held.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(app) {
            lane.held = lane.held.saturating_sub(1);
            if lane.held == 0 {
                self.lanes.remove(app);
            }
        }
    }

    /// The jobs of an app that wait are no more.
    pub(super) fn clear(&mut self, app: &AppId) {
        self.turns.retain(|other| other != app);
        if let Some(lane) = self.lanes.get_mut(app) {
            let dropped = lane.waiting.len();
            lane.waiting.clear();
            lane.held = lane.held.saturating_sub(dropped);
            self.held = self.held.saturating_sub(dropped);
            if lane.held == 0 {
                self.lanes.remove(app);
            }
        }
    }

    /// Jobs of an app that are not done.
    pub(super) fn held_of(&self, app: &AppId) -> usize {
        self.lanes.get(app).map_or(0, |lane| lane.held)
    }

    /// Jobs that are not done.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// True if jobs run or could.
    pub(super) fn is_busy(&self) -> bool {
        self.running > 0 || !self.turns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        held_per_app: 5,
        held: 8,
        running_per_app: 2,
        running: 3,
    };

    fn app(name: &str) -> AppId {
        AppId::new(name).unwrap()
    }

    fn drain(queue: &mut Queue<u32>) -> Vec<(String, u32)> {
        std::iter::from_fn(|| queue.next())
            .map(|(app, job)| (app.to_string(), job))
            .collect()
    }

    #[test]
    fn apps_take_turns_and_none_takes_all_places() {
        let mut queue = Queue::new(BOUNDS);
        let (a, b) = (app("a"), app("b"));
        queue.add(&a, vec![1, 2, 3, 4]).unwrap();
        queue.add(&b, vec![9]).unwrap();
        assert_eq!(drain(&mut queue), [("a".into(), 1), ("b".into(), 9), ("a".into(), 2)]);
        // A place is free, but not for this app.
        queue.rest(&b);
        queue.finish(&b);
        assert_eq!(drain(&mut queue), []);
        queue.rest(&a);
        assert_eq!(drain(&mut queue), [("a".into(), 3)]);
    }

    #[test]
    fn what_does_not_fit_is_refused_as_a_whole_until_jobs_are_done() {
        let mut queue = Queue::new(BOUNDS);
        let (a, b) = (app("a"), app("b"));
        queue.add(&a, vec![1, 2, 3]).unwrap();
        assert_eq!(queue.add(&a, vec![4, 5, 6]), Err(Full));
        queue.add(&a, vec![4, 5]).unwrap();
        assert_eq!(queue.add(&b, vec![1, 2, 3, 4]), Err(Full));
        queue.add(&b, vec![1, 2, 3]).unwrap();
        queue.next().unwrap();
        queue.rest(&a);
        assert_eq!(queue.add(&a, vec![6]), Err(Full), "a job that rests is held");
        queue.finish(&a);
        queue.add(&a, vec![6]).unwrap();
        assert_eq!((queue.held_of(&a), queue.held()), (5, 8));
    }

    #[test]
    fn an_app_that_goes_takes_what_waits_along() {
        let mut queue = Queue::new(BOUNDS);
        let (a, b) = (app("a"), app("b"));
        queue.add(&a, vec![1, 2, 3]).unwrap();
        queue.add(&b, vec![9]).unwrap();
        queue.next().unwrap();
        queue.clear(&a);
        assert_eq!((queue.held_of(&a), queue.held()), (1, 2));
        assert_eq!(drain(&mut queue), [("b".into(), 9)]);
        queue.rest(&a);
        queue.finish(&a);
        assert_eq!((queue.held_of(&a), queue.held()), (0, 1));
        queue.add(&a, vec![4]).unwrap();
        assert_eq!(drain(&mut queue), [("a".into(), 4)]);
    }

    #[test]
    fn a_job_that_rested_waits_behind_the_others() {
        let mut queue = Queue::new(BOUNDS);
        let a = app("a");
        queue.add(&a, vec![1, 2]).unwrap();
        assert_eq!(queue.next(), Some((a.clone(), 1)));
        queue.rest(&a);
        assert!(queue.is_busy());
        queue.again(&a, 1);
        assert_eq!(drain(&mut queue), [("a".into(), 2), ("a".into(), 1)]);
        for _ in 0..2 {
            queue.rest(&a);
            queue.finish(&a);
        }
        assert!(!queue.is_busy());
        assert_eq!((queue.held(), queue.lanes.len(), queue.turns.len()), (0, 0, 0));
    }
}
