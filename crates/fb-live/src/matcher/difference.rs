//! What a subscriber that registers again is told: how its old result becomes the new one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use fb_types::{ObjectKey, Seq};

use super::{Matcher, Output, Seat, Subscriber};
use crate::event::{Content, Event, Operation, What};
use crate::view::State;
use crate::window::Entry;

/// What a subscriber's new view was made of.
pub(super) struct Newer {
    /// Objects as they are now, and others.
    pub(super) bodies: HashMap<ObjectKey, Bytes>,
    pub(super) seq: Seq,
    pub(super) tell_all: bool,
}

pub(super) enum Shown {
    All(HashSet<ObjectKey>),
    Part(Vec<Entry>),
}

impl Matcher {
    /// What a subscriber was shown so far.
    pub(super) fn shown(&self, seat: &Seat) -> Shown {
        let class = self.classes.get(&seat.class);
        let view = class.and_then(|class| class.view(seat.view));
        match (class, view.map(|view| &view.state)) {
            (Some(class), Some(State::All(members))) => Shown::All(class.keys_of(members)),
            (_, Some(State::Dry(shown))) => Shown::Part(shown.to_vec()),
            (_, Some(State::Part(window))) => {
                let part = view.and_then(|view| view.part());
                Shown::Part(part.map_or_else(Vec::new, |part| window.visible(part).to_vec()))
            }
            _ => Shown::All(HashSet::new()),
        }
    }

    /// Tells one subscriber how what it was shown becomes what its new view shows.
    pub(super) fn tell_difference(
        &mut self,
        seat: &Seat,
        subscriber: Subscriber,
        shown: Shown,
        newer: &Newer,
        out: &mut Vec<Output>,
    ) {
        let Some(class) = self.classes.get_mut(&seat.class) else {
            return;
        };
        let position = self.position;
        let mut tell = |what, index, key: &ObjectKey, content| {
            out.push(Output::Tell {
                to: Arc::new([subscriber]),
                event: Event {
                    seq: position.max(newer.seq),
                    what,
                    operation: Operation::None,
                    index,
                    key: key.clone(),
                    content,
                },
            });
        };
        let Some(view) = class.view(seat.view) else { return };
        match (&view.state, shown) {
            (State::All(members), Shown::All(shown)) => {
                let now = class.keys_of(members);
                for gone in shown.difference(&now) {
                    tell(What::Remove, None, gone, Content::IdOnly);
                }
                for key in &now {
                    let what = match shown.contains(key) {
                        true if newer.tell_all => What::Change,
                        true => continue,
                        false => What::Add,
                    };
                    if let Some(body) = newer.bodies.get(key).cloned() {
                        tell(what, None, key, Content::Whole(body));
                    }
                }
            }
            (State::Part(window), Shown::Part(shown)) => {
                let Some(part) = view.part() else { return };
                let steps = window.steps_from(part, &shown);
                let is_told = |entry: &Entry| steps.iter().any(|step| step.entry.key == entry.key);
                let untold: Vec<(usize, Entry)> = match newer.tell_all {
                    true => {
                        let all = window.visible(part).iter().cloned().enumerate();
                        all.filter(|(_, entry)| !is_told(entry)).collect()
                    }
                    false => Vec::new(),
                };
                for step in steps {
                    let index = (part.is_sorted && step.what != What::Remove).then_some(step.index);
                    let content = match step.what {
                        What::Remove => Content::IdOnly,
                        What::Add | What::Change | What::ChangeIndex => Content::Whole(step.entry.body),
                    };
                    let what = match step.what {
                        What::ChangeIndex if !part.is_sorted => continue,
                        what => what,
                    };
                    tell(what, index, &step.entry.key, content);
                }
                for (index, entry) in untold {
                    let index = part.is_sorted.then_some(index);
                    tell(What::Change, index, &entry.key, Content::Whole(entry.body));
                }
            }
            (State::Dry(_), Shown::Part(shown)) => {
                if let Some(view) = class.view_mut(seat.view) {
                    view.state = State::Dry(shown.into());
                }
            }
            // The same query is of the same kind.
            _ => debug_assert!(false, "a registration with another query"),
        }
    }
}
