//! All registered queries of one app, or one cell of them.

mod difference;
mod feed;
mod registration;
mod renewal;
mod stats;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fb_auth::Scope;
use fb_types::{ClassName, Seq};

pub use self::registration::{Registration, Ticket};
pub use self::stats::MatcherStats;
use crate::Row;
use crate::class::{Asked, Class};
use crate::event::Event;
use crate::query::LiveQuery;
use crate::retained::{Limits, Retained};

/// Whom to tell; chosen by the caller, and unique within a matcher.
pub type Subscriber = u64;

/// Registered queries, and what their results are. One cell: queries may be divided among any number of matchers that are
/// all fed with the same writes.
#[derive(Debug)]
pub struct Matcher {
    classes: HashMap<ClassName, Class>,
    subscribers: HashMap<Subscriber, Seat>,
    retained: Retained,
    /// The newest position that was fed.
    position: Seq,
    /// Results that are newer than what was fed.
    early: BTreeMap<Seq, Vec<Early>>,
    generation: u64,
    /// Memory for what is found out about writes.
    asked: Vec<Asked>,
}

/// Where a subscriber is.
#[derive(Debug, Clone)]
struct Seat {
    class: ClassName,
    view: u32,
}

#[derive(Debug)]
enum Early {
    Registration(Registration),
    Renewal(ViewId, Vec<Row>, Seq),
}

/// A view that is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ViewId {
    class: ClassName,
    number: u32,
    generation: u64,
}

/// What is to be done after a call.
#[derive(Debug)]
pub enum Output {
    /// Tell these subscribers, in this order.
    Tell {
        /// Whom.
        to: Arc<[Subscriber]>,
        /// What.
        event: Event,
    },
    /// Read the query's [`bootstrap`](LiveQuery::bootstrap) again, and call [`Matcher::renew`].
    Renew {
        /// The view.
        view: ViewId,
        /// Its query.
        query: Arc<LiveQuery>,
        /// All who see it. If the rows are not the same for all of them, [`Matcher::part`] it.
        scopes: Vec<Scope>,
        /// True if nothing is told until it is renewed.
        is_dry: bool,
    },
}

/// A registration or renewal did not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much was written since: read the result again.
    #[error("too much was written since the result was read: read it again")]
    TooLate,
}

impl Matcher {
    /// A matcher without queries that was fed up to `position`.
    pub fn new(position: Seq, limits: Limits) -> Self {
        Self {
            classes: HashMap::new(),
            subscribers: HashMap::new(),
            retained: Retained::new(limits),
            position,
            early: BTreeMap::new(),
            generation: 0,
            asked: Vec::new(),
        }
    }

    /// The newest position that was fed.
    pub fn position(&self) -> Seq {
        self.position
    }

    /// True if it has neither queries nor anybody about to register: it need not be fed.
    pub fn is_idle(&self) -> bool {
        self.subscribers.is_empty() && self.retained.is_idle()
    }

    /// What was committed up to here was not fed, and cannot be any more: whoever read its result before is too late.
    /// Those who are registered are to be cancelled.
    pub fn lose(&mut self, position: Seq) {
        self.retained.lose(position);
    }

    /// All who see a view; nobody if it is gone.
    pub fn subscribers(&self, view: &ViewId) -> Arc<[Subscriber]> {
        let known = self.classes.get(&view.class).and_then(|class| class.view(view.number));
        known
            .filter(|known| known.rest.generation == view.generation)
            .map(|known| known.all().clone())
            .unwrap_or_default()
    }

    /// False while a subscriber waits for its first result to take effect, or for a renewal.
    pub fn is_told(&self, subscriber: Subscriber) -> bool {
        let seat = self.subscribers.get(&subscriber);
        let view = seat.and_then(|seat| self.classes.get(&seat.class)?.view(seat.view));
        view.is_some_and(|view| !view.is_dry())
    }

    fn is_current(&self, view: &ViewId) -> bool {
        !self.subscribers(view).is_empty()
    }

    /// Subscribers of views that came out of others sit there now.
    fn seat_parted(&mut self, class: &ClassName, parted: &[u32]) {
        for number in parted {
            self.generation += 1;
            let view = self.classes.get_mut(class).and_then(|class| class.view_mut(*number));
            let Some(view) = view else { continue };
            view.rest.generation = self.generation;
            for subscriber in view.all().iter() {
                if let Some(seat) = self.subscribers.get_mut(subscriber) {
                    seat.view = *number;
                }
            }
        }
    }
}
