//! Renewal: windows that know too little get a newer result.

use std::collections::HashMap;
use std::sync::Arc;

use fb_types::{ClassName, ObjectKey, Seq};

use super::{Early, Matcher, Output, Refused, ViewId};
use crate::Row;
use crate::event::{Content, Event, Operation, What};
use crate::query::Part;
use crate::retained::Image;
use crate::view::{State, View, entries};
use crate::window::{Step, Window};

impl Matcher {
    /// Puts a newer result in the place of a view's. The rows are those of
    /// [`LiveQuery::bootstrap`](crate::LiveQuery::bootstrap) for each of its scopes. Views that are gone are no error.
    ///
    /// Errors: `TooLate`: it is asked for again.
    pub fn renew(&mut self, view: ViewId, rows: Vec<Row>, seq: Seq, out: &mut Vec<Output>) -> Result<(), Refused> {
        if seq > self.position {
            self.early.entry(seq).or_default().push(Early::Renewal(view, rows, seq));
            return Ok(());
        }
        self.renew_now(&view, rows, seq, out)
    }

    /// Parts a view into one for each scope, and asks for a renewal of each.
    pub fn part(&mut self, view: &ViewId, out: &mut Vec<Output>) {
        if !self.is_current(view) {
            return;
        }
        let Some(class) = self.classes.get_mut(&view.class) else {
            return;
        };
        let Some(whole) = class.view_mut(view.number) else {
            return;
        };
        let Some(since) = whole.rest.ticket else { return };
        let others = whole.rest.sights.split_off(1.min(whole.rest.sights.len()));
        whole.count();
        let mut numbers = vec![view.number];
        for sight in others {
            let copy = class.copy_for(view.number, vec![sight]);
            if let Some(copied) = class.view_mut(copy) {
                copied.rest.ticket = Some(since);
                self.retained.open(since);
            }
            numbers.push(copy);
        }
        self.seat_parted(&view.class, &numbers[1..]);
        for number in numbers {
            self.ask_for(&view.class, number, out);
        }
    }

    /// Asks for a renewal of a view that a write left with too little, unless it was asked for.
    pub(super) fn ask_once(&mut self, class: &ClassName, number: u32, seq: Seq, out: &mut Vec<Output>) {
        let view = self.classes.get_mut(class).and_then(|class| class.view_mut(number));
        let Some(view) = view else { return };
        if view.rest.ticket.is_none() {
            view.rest.ticket = Some(seq);
            self.retained.open(seq);
            // What was too little once will be too little again. Rows that were read for less of it say nothing about more.
            if let Some(more) = view.rest.query.as_ref().and_then(|query| query.with_more_slack()) {
                view.rest.query = Some(Arc::new(more));
                self.generation += 1;
                view.rest.generation = self.generation;
            }
        } else if !view.is_dry() {
            return;
        }
        self.ask_for(class, number, out);
    }

    fn ask_for(&self, class: &ClassName, number: u32, out: &mut Vec<Output>) {
        let view = self.classes.get(class).and_then(|class| class.view(number));
        if let Some(view) = view
            && let Some(query) = &view.rest.query
        {
            out.push(Output::Renew {
                view: ViewId {
                    class: class.clone(),
                    number,
                    generation: view.rest.generation,
                },
                query: query.clone(),
                scopes: view.rest.sights.iter().map(|sight| sight.scope.clone()).collect(),
                is_dry: view.is_dry(),
            });
        }
    }

    pub(super) fn renew_now(
        &mut self,
        id: &ViewId,
        rows: Vec<Row>,
        seq: Seq,
        out: &mut Vec<Output>,
    ) -> Result<(), Refused> {
        if !self.is_current(id) {
            return Ok(());
        }
        let Some(class) = self.classes.get_mut(&id.class) else {
            return Ok(());
        };
        let Some(view) = class.view(id.number) else {
            return Ok(());
        };
        let (Some(ticket), Some(part)) = (view.rest.ticket, view.part()) else {
            return Ok(());
        };
        let kept = self.retained.after(seq.min(ticket));
        let of_class = |image: &&Arc<Image>| image.class == id.class;
        let Some(images) = kept.map(|images| images.filter(of_class).cloned().collect::<Vec<_>>()) else {
            // What was kept from its position on is not whole any more; from now on it is.
            self.reopen(id);
            self.ask_for(&id.class, id.number, out);
            return Err(Refused::TooLate);
        };
        let behind = |image: &&Arc<Image>| image.seq > seq;
        let disagree = images.iter().filter(behind).any(|image| {
            let acl = image.acl.as_deref();
            let mut may = view.rest.sights.iter().map(|sight| sight.scope.may_read(acl));
            let first = may.next();
            may.any(|other| Some(other) != first)
        });
        if disagree {
            self.part(id, out);
            return Ok(());
        }
        let (part, shown) = (
            part.clone(),
            match &view.state {
                State::Dry(shown) => shown.to_vec(),
                State::Part(window) => window.visible(part).to_vec(),
                State::All(_) => return Ok(()),
            },
        );
        // The new window by itself, up to the present.
        let mut window = Window::new(&part, entries(&part, rows.iter().map(|row| (&row.key, &row.body))));
        for image in images.iter().filter(behind) {
            class.replay_on(&mut window, id.number, image);
        }
        if window.is_dry(&part) {
            self.reopen(id);
            self.ask_for(&id.class, id.number, out);
            return Ok(());
        }
        let steps = window.steps_from(&part, &shown);
        let position = self.position;
        class.replace(id.number, window, seq);
        if let Some(view) = class.view_mut(id.number) {
            view.rest.ticket = None;
            view.tell_renewed(steps, &part, position, &images, out);
        }
        self.retained.close(ticket);
        if self
            .classes
            .get(&id.class)
            .and_then(|c| c.view(id.number))
            .is_some_and(|v| v.needs_renewal())
        {
            self.ask_once(&id.class, id.number, position, out);
        }
        Ok(())
    }

    /// The renewal of a view begins anew at the present.
    fn reopen(&mut self, id: &ViewId) {
        let view = self
            .classes
            .get_mut(&id.class)
            .and_then(|class| class.view_mut(id.number));
        if let Some(view) = view
            && let Some(ticket) = view.rest.ticket.replace(self.position)
        {
            self.retained.open(self.position);
            self.retained.close(ticket);
        }
    }
}

impl View {
    /// Tells all subscribers what a renewal changed. `images` are the writes since it was asked for.
    fn tell_renewed(&self, steps: Vec<Step>, part: &Part, seq: Seq, images: &[Arc<Image>], out: &mut Vec<Output>) {
        let last: HashMap<&ObjectKey, &Image> = images.iter().map(|image| (&image.key, &**image)).collect();
        for step in steps {
            if step.what == What::ChangeIndex && !part.is_sorted {
                continue;
            }
            let written = last.get(&step.entry.key).copied();
            let is_gone = step.what == What::Remove;
            let may_read = |image: &Image| {
                self.rest
                    .sights
                    .iter()
                    .all(|sight| sight.scope.may_read(image.acl.as_deref()))
            };
            let content = match written {
                Some(image) if is_gone => match image.body.clone().filter(|_| may_read(image)) {
                    Some(body) => Content::Whole(body),
                    None => Content::IdOnly,
                },
                _ => Content::Whole(step.entry.body),
            };
            out.push(Output::Tell {
                to: self.all(),
                event: Event {
                    seq,
                    what: step.what,
                    operation: written.map_or(Operation::None, |image| image.kind.into()),
                    index: (part.is_sorted && !is_gone).then_some(step.index),
                    key: step.entry.key,
                    content,
                },
            });
        }
    }
}
