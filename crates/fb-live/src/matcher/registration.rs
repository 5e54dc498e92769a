//! How subscriptions begin and end.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Scope;
use fb_types::{ObjectKey, Seq};

use super::difference::Newer;
use super::{Early, Matcher, Output, Refused, Seat, Subscriber};
use crate::Row;
use crate::class::Beginning;
use crate::query::LiveQuery;
use crate::retained::Image;
use crate::view::{Sight, View};

/// Leave to register a query whose first result is read from now on.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(pub(super) Seq);

/// One subscription.
#[derive(Debug)]
pub struct Registration {
    /// Whom to tell. If it is registered already, it is told how its old result becomes the new one, and goes on with that.
    pub subscriber: Subscriber,
    /// What it wants to know.
    pub query: Arc<LiveQuery>,
    /// What it may see.
    pub scope: Scope,
    /// The result of [`LiveQuery::bootstrap`] for this scope, in its order.
    pub rows: Vec<Row>,
    /// The position of the snapshot that the rows are from; read after the ticket was given out.
    pub seq: Seq,
    /// For who is registered already: true if all objects are to be told, since it sees them with other eyes. Else it is told
    /// what comes and goes.
    pub tell_all: bool,
    /// The leave.
    pub ticket: Ticket,
}

impl Matcher {
    /// Leave to read a first result. Writes are kept until it is used or given back.
    pub fn ticket(&mut self) -> Ticket {
        self.retained.open(self.position);
        Ticket(self.position)
    }

    /// Gives a leave back that is not needed any more.
    pub fn give_back(&mut self, ticket: Ticket) {
        self.retained.close(ticket.0);
    }

    /// Registers a subscription. What it is told begins behind its rows. If these are newer than what was fed, it begins when
    /// that has come.
    ///
    /// Errors: `TooLate`; the ticket is used up then as well. Cost: linear in the rows, and in what was written since.
    pub fn register(&mut self, registration: Registration, out: &mut Vec<Output>) -> Result<(), Refused> {
        if registration.seq > self.position {
            let early = self.early.entry(registration.seq).or_default();
            early.push(Early::Registration(registration));
            return Ok(());
        }
        let ticket = registration.ticket.0;
        let done = self.install(registration, out);
        self.retained.close(ticket);
        done
    }

    /// Ends a subscription. Unknown ones are no error.
    pub fn cancel(&mut self, subscriber: Subscriber) {
        for early in self.early.values_mut() {
            early.retain(|early| match early {
                Early::Registration(registration) if registration.subscriber == subscriber => {
                    self.retained.close(registration.ticket.0);
                    false
                }
                Early::Registration(_) | Early::Renewal(..) => true,
            });
        }
        self.early.retain(|_, early| !early.is_empty());
        if let Some(seat) = self.subscribers.remove(&subscriber) {
            self.leave(&seat, subscriber);
        }
    }

    pub(super) fn install(&mut self, registration: Registration, out: &mut Vec<Output>) -> Result<(), Refused> {
        let Registration {
            subscriber,
            query,
            scope,
            rows,
            seq,
            tell_all,
            ticket: _,
        } = registration;
        let replayed: Vec<Arc<Image>> = match self.retained.after(seq) {
            Some(images) => images.filter(|image| image.class == *query.class()).cloned().collect(),
            None => return Err(Refused::TooLate),
        };
        let old = self.subscribers.remove(&subscriber);
        let shown = old.as_ref().map(|seat| self.shown(seat));
        let name = query.class().clone();
        let class = self.classes.entry(name.clone()).or_default();
        let mut bodies: HashMap<ObjectKey, Bytes> = HashMap::new();
        if shown.is_some() {
            bodies.extend(rows.iter().map(|row| (row.key.clone(), row.body.clone())));
            let written = replayed
                .iter()
                .filter_map(|image| Some((&image.key, image.body.as_ref()?)));
            bodies.extend(written.map(|(key, body)| (key.clone(), body.clone())));
        }
        let sight = Sight {
            scope: scope.clone(),
            subscribers: vec![subscriber],
        };
        let number = class.begin(Beginning {
            query,
            rows,
            seq,
            sight,
        });
        self.generation += 1;
        if let Some(view) = class.view_mut(number) {
            view.rest.generation = self.generation;
        }
        let mut told = Vec::new();
        for image in &replayed {
            // A view of one scope is not parted.
            class.replay(number, image, &mut told, &mut Vec::new());
        }
        let seat = Seat {
            class: name.clone(),
            view: number,
        };
        self.subscribers.insert(subscriber, seat.clone());
        match (old, shown) {
            (Some(old), Some(shown)) => {
                self.leave(&old, subscriber);
                let newer = Newer { bodies, seq, tell_all };
                self.tell_difference(&seat, subscriber, shown, &newer, out);
            }
            _ => out.append(&mut told),
        }
        let Some(class) = self.classes.get_mut(&name) else {
            return Ok(());
        };
        class.take_low();
        if class.view(number).is_some_and(View::needs_renewal) {
            self.ask_once(&name, number, self.position, out);
            return Ok(());
        }
        if let Some(twin) = class.twin(number) {
            class.remove_view(number);
            if let Some(view) = class.view_mut(twin) {
                view.add(&scope, subscriber);
            }
            if let Some(seat) = self.subscribers.get_mut(&subscriber) {
                seat.view = twin;
            }
        }
        Ok(())
    }

    fn leave(&mut self, seat: &Seat, subscriber: Subscriber) {
        let Some(class) = self.classes.get_mut(&seat.class) else {
            return;
        };
        let Some(view) = class.view_mut(seat.view) else { return };
        for sight in &mut view.rest.sights {
            sight.subscribers.retain(|known| *known != subscriber);
        }
        view.rest.sights.retain(|sight| !sight.subscribers.is_empty());
        view.count();
        if view.rest.sights.is_empty() {
            let gone = class.remove_view(seat.view);
            if let Some(ticket) = gone.and_then(|view| view.rest.ticket) {
                self.retained.close(ticket);
            }
            if class.is_empty() {
                self.classes.remove(&seat.class);
            }
        }
    }
}
