//! The queries that are watched.

use std::collections::HashMap;
use std::time::Duration;

use fb_live::{Subscriber, What};
use fb_sketch::{KeyHash, Moment, QueryUse, Representation, represent};

use super::super::Traffic;
use super::{Asked, EVALUATION};

/// Most URLs under which copies of one result are told apart; under further ones it gets no lifetime. Of answers of modules that are made
/// of it there are more: with each parameter of a URL there is another one.
const MAX_ELEMENTS: usize = 16;
const MAX_ANSWERS: usize = 500;

/// What is shown of a query's text, in characters.
const MAX_TEXT: usize = 500;
/// What is believed of clients: the share of loads by id that their caches answer, and the time one round takes them.
const OBJECT_HITS: f64 = 0.9;
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// A query that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) subscriber: Subscriber,
    pub(super) class: String,
    /// The beginning of its canonical text.
    pub(super) text: String,
    /// True until the matcher has it.
    pub(super) is_beginning: bool,
    /// The URLs of copies that are not out of date yet.
    pub(super) elements: Vec<KeyHash>,
    /// These are of modules.
    pub(super) is_for_answers: bool,
    /// When the last of its copies ends, and the last of those that hold objects.
    until: Moment,
    objects_until: Moment,
    pub(super) n_objects: u32,
    filled_at: Moment,
    /// The form in which it was handed out last.
    pub(super) form: Option<Representation>,
    /// How long reading it took last.
    pub(super) evaluation: Duration,
    /// Bytes of the objects that the matcher has for it.
    pub(super) bytes: usize,
    /// Changes of the list of its ids, and of objects in it, since then.
    pub(super) n_moves: u32,
    pub(super) n_changes: u32,
    /// Copies that were handed out, the seconds they were to live, and how often they were outdated before their time.
    pub(super) n_copies: u64,
    pub(super) granted_secs: u64,
    pub(super) n_outdated: u64,
    pub(super) traffic: Traffic,
    pub(super) since: Moment,
}

impl Watched {
    /// A query whose first copy, in this form, is about to be made.
    pub(super) fn new(
        subscriber: Subscriber,
        asked: &Asked<'_>,
        (form, until): (Representation, Moment),
        now: Moment,
    ) -> Self {
        let mut watched = Self {
            subscriber,
            class: asked.class.to_owned(),
            text: asked.text.chars().take(MAX_TEXT).collect(),
            is_beginning: true,
            elements: vec![asked.element],
            is_for_answers: asked.is_for_answer,
            until,
            objects_until: Moment::ZERO,
            n_objects: 0,
            filled_at: now,
            form: None,
            evaluation: EVALUATION,
            bytes: 0,
            n_moves: 0,
            n_changes: 0,
            n_copies: 0,
            granted_secs: 0,
            n_outdated: 0,
            traffic: Traffic::default(),
            since: now,
        };
        watched.filled(form, until, now);
        watched
    }

    /// False if it has too many.
    pub(super) fn add(&mut self, element: KeyHash) -> bool {
        if self.elements.contains(&element) {
            return true;
        }
        let most = if self.is_for_answers { MAX_ANSWERS } else { MAX_ELEMENTS };
        let has_room = self.elements.len() < most;
        if has_room {
            self.elements.push(element);
        }
        has_room
    }

    /// A copy in this form is about to be made that may live until then.
    pub(super) fn filled(&mut self, form: Representation, until: Moment, now: Moment) {
        self.until = self.until.max(until);
        if form == Representation::Objects {
            self.objects_until = self.objects_until.max(until);
        }
        self.filled_at = now;
        self.form = Some(form);
        self.n_copies += 1;
        self.granted_secs += until.since(now).as_secs();
    }

    /// The better form, by how it was used and changed so far.
    pub(super) fn better_form(&mut self, requests: f64, ttl: Duration, now: Moment) -> Representation {
        let seconds = now.since(self.since).as_secs_f64().max(1.0);
        let usage = QueryUse {
            reads: requests,
            membership_changes: f64::from(self.n_moves) / seconds,
            inner_changes: f64::from(self.n_changes) / seconds,
            ttl,
            n_objects: self.n_objects,
            object_hit_ratio: OBJECT_HITS,
            round_trip: ROUND_TRIP,
            evaluation: self.evaluation,
        };
        represent(&usage, self.form)
    }

    /// Whether copies are out of date when this happens to the result.
    pub(super) fn concerns(&mut self, what: What, now: Moment) -> bool {
        match what {
            What::Change => {
                self.n_changes = self.n_changes.saturating_add(1);
                self.objects_until > now
            }
            What::Add | What::ChangeIndex | What::Remove => {
                self.n_moves = self.n_moves.saturating_add(1);
                true
            }
        }
    }
}

/// All of them, by their keys and by their subscribers.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_key: HashMap<KeyHash, Watched>,
    by_subscriber: HashMap<Subscriber, KeyHash>,
    bytes: usize,
}

impl Watches {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Bytes of objects that the matcher has for all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get_mut(&mut self, key: KeyHash) -> Option<&mut Watched> {
        self.by_key.get_mut(&key)
    }

    pub(super) fn of(&mut self, subscriber: Subscriber) -> Option<(KeyHash, &mut Watched)> {
        let key = *self.by_subscriber.get(&subscriber)?;
        Some((key, self.by_key.get_mut(&key)?))
    }

    pub(super) fn insert(&mut self, key: KeyHash, watched: Watched) {
        self.by_subscriber.insert(watched.subscriber, key);
        self.by_key.insert(key, watched);
    }

    pub(super) fn remove(&mut self, key: KeyHash) -> Option<Watched> {
        let watched = self.by_key.remove(&key)?;
        self.by_subscriber.remove(&watched.subscriber);
        self.bytes -= watched.bytes;
        Some(watched)
    }

    /// The matcher has it, with objects of so many bytes.
    pub(super) fn begun(&mut self, key: KeyHash, bytes: usize) -> Option<&mut Watched> {
        let watched = self.by_key.get_mut(&key)?;
        watched.is_beginning = false;
        self.bytes = self.bytes - watched.bytes + bytes;
        watched.bytes = bytes;
        Some(watched)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (KeyHash, &Watched)> {
        self.by_key.iter().map(|(key, watched)| (*key, watched))
    }

    pub(super) fn keys(&self) -> Vec<KeyHash> {
        self.by_key.keys().copied().collect()
    }

    /// Those whose copies have ended, or are out of date, and that nobody asked for lately.
    pub(super) fn idle_since(&self, now: Moment, idle: Duration) -> Vec<KeyHash> {
        let is_idle = |watched: &Watched| {
            let has_copies = !watched.elements.is_empty() && watched.until > now;
            !watched.is_beginning && !has_copies && now.since(watched.filled_at) >= idle
        };
        let idle = self.by_key.iter().filter(|(_, watched)| is_idle(watched));
        idle.map(|(key, _)| *key).collect()
    }
}
