//! How views begin, and begin anew: with a result, and with what was written since.

use std::sync::Arc;

use fb_query::Parsed;
use fb_types::Seq;

use super::{Class, Stand};
use crate::Row;
use crate::matcher::Output;
use crate::members::Members;
use crate::query::{Form, LiveQuery};
use crate::retained::Image;
use crate::view::{Object, Rest, Sight, State, View, Written, entries, replay};
use crate::window::Window;

/// What a new view begins with.
pub(crate) struct Beginning {
    pub(crate) query: Arc<LiveQuery>,
    pub(crate) rows: Vec<Row>,
    pub(crate) seq: Seq,
    pub(crate) sight: Sight,
}

impl Class {
    /// A new view with the result it begins with.
    pub(crate) fn begin(&mut self, beginning: Beginning) -> u32 {
        let Beginning {
            query,
            rows,
            seq,
            sight,
        } = beginning;
        let filter = self.filter(&query);
        let state = match query.form() {
            Form::All => State::All(Members::default()),
            Form::Part(part) => {
                for field in part.fields() {
                    self.slots.name(field);
                }
                let rows = rows.iter().map(|row| (&row.key, &row.body));
                State::Part(Box::new(Window::new(part, entries(part, rows))))
            }
        };
        let mut view = View {
            since: seq,
            state,
            only: None,
            rest: Box::new(Rest {
                all: Arc::default(),
                sights: vec![sight],
                query: matches!(query.form(), Form::Part(_)).then_some(query),
                ticket: None,
                filter,
                generation: 0,
            }),
        };
        view.count();
        let number = self.place_view(view);
        self.join_members(number, &rows);
        number
    }

    /// Enters what a view shows into the list of objects.
    fn join_members(&mut self, number: u32, rows: &[Row]) {
        let Some(Stand { view: Some(view), .. }) = self.stands.get_mut(number as usize) else {
            return;
        };
        match &mut view.state {
            State::All(members) => {
                for row in rows {
                    members.insert(self.objects.join(&row.key, number));
                }
            }
            State::Part(window) => {
                for entry in window.entries_mut() {
                    entry.number = self.objects.join(&entry.key, number);
                }
            }
            State::Dry(_) => {}
        }
    }

    /// Puts another window in the place of what a view shows.
    pub(crate) fn replace(&mut self, number: u32, window: Window, since: Seq) {
        let Some(Stand { view: Some(view), .. }) = self.stands.get_mut(number as usize) else {
            return;
        };
        for member in view.members() {
            self.objects.leave(member, number);
        }
        view.state = State::Part(Box::new(window));
        view.since = view.since.max(since);
        self.join_members(number, &[]);
    }

    /// Takes in, for one view, a write from before it was there.
    pub(crate) fn replay(&mut self, number: u32, image: &Image, out: &mut Vec<Output>, parted: &mut Vec<u32>) {
        // The class may be newer than the write.
        self.is_stale(image);
        let object = self.objects.number(&image.key);
        let is_member = object.is_some_and(|object| self.objects.views(object).contains(&number));
        let Some(view) = self.view(number) else { return };
        let filter = view.rest.filter;
        let slots = std::mem::take(&mut self.slots);
        let parsed = image.body.as_ref().and_then(|body| slots.parse(body));
        let fields = parsed.as_ref().map(Parsed::fields);
        let passes = fields
            .as_ref()
            .is_some_and(|fields| self.passes(filter, &slots, fields));
        let written = Written {
            image,
            object: fields.as_ref().map(|fields| Object::new(&slots, fields)),
            number: object,
        };
        self.deal_with(number, &written, is_member, passes, out, parted);
        self.slots = slots;
    }

    /// Takes in one write for a window that is not a view's yet.
    pub(crate) fn replay_on(&self, window: &mut Window, number: u32, image: &Image) {
        let Some(view) = self.view(number) else { return };
        let Some(part) = view.part() else { return };
        let slots = &self.slots;
        let parsed = image.body.as_ref().and_then(|body| slots.parse(body));
        let fields = parsed.as_ref().map(Parsed::fields);
        let scope = view.rest.sights.first().map(|sight| &sight.scope);
        let passes = fields
            .as_ref()
            .is_some_and(|fields| self.passes(view.rest.filter, slots, fields))
            && scope.is_some_and(|scope| scope.may_read(image.acl.as_deref()));
        let written = Written {
            image,
            object: fields.as_ref().map(|fields| Object::new(slots, fields)),
            number: None,
        };
        replay(window, part, &written, passes);
    }

    /// A view that shows the same by the same query; the given one is to be merged into it.
    pub(crate) fn twin(&self, number: u32) -> Option<u32> {
        let own = self.view(number)?;
        let filter = self.stands.get(own.rest.filter as usize)?.filter.as_ref()?;
        filter.views.as_slice().iter().copied().find(|other| {
            *other != number
                && self.view(*other).is_some_and(|view| {
                    view.form_text() == own.form_text()
                        && view.rest.ticket.is_none()
                        && shows_the_same(&view.state, &own.state)
                })
        })
    }
}

/// True if whoever sees `new` may be told what those are told who see `known`.
fn shows_the_same(known: &State, new: &State) -> bool {
    match (known, new) {
        (State::All(known), State::All(new)) => {
            known.len() == new.len() && new.to_vec().iter().all(|member| known.contains(*member))
        }
        (State::Part(known), State::Part(new)) => known.knows_no_more_than(new) && known.begins_like(new),
        _ => false,
    }
}
