//! The queries on one class.

mod asked;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fb_auth::Scope;
use fb_query::{Bound, Parsed, Slots};
use fb_types::{ObjectKey, Seq};

pub(crate) use self::asked::Asked;
use crate::Row;
use crate::index::{Index, List, Place};
use crate::matcher::{Output, Subscriber};
use crate::members::Members;
use crate::objects::Objects;
use crate::query::{Form, LiveQuery};
use crate::retained::Image;
use crate::view::{Object, Rest, Sight, State, View, Written, entries, replay};
use crate::window::Window;

/// Objects of a class whose last write is known, so that older ones that come late are told.
const REMEMBERED: usize = 4096;

/// The queries on one class, and the objects that are in their results.
#[derive(Debug, Default)]
pub(crate) struct Class {
    slots: Slots,
    index: Index,
    by_text: HashMap<Arc<str>, u32>,
    /// Filters and views by their numbers.
    stands: Vec<Stand>,
    /// Numbers of stands that are empty.
    free: Vec<u32>,
    n_views: usize,
    /// What of a filter no write looks at.
    sources: Vec<Source>,
    objects: Objects,
    /// The newest write that came.
    newest: Seq,
    latest: VecDeque<(ObjectKey, Seq)>,
    /// Memory for what is found out about a write.
    members: Vec<u32>,
    found: Vec<u32>,
    /// Views that were found to need a renewal.
    low: Vec<u32>,
}

/// A filter and its first view stand beside each other, as most filters have one: with a million of them, each line of memory
/// that is read costs as much as all the rest of asking one, and each page even more. Further views stand where there is
/// no filter.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stand {
    filter: Option<Filter>,
    view: Option<View>,
}

const _: () = assert!(size_of::<Stand>() == 128);

#[derive(Debug)]
#[repr(align(64))]
struct Filter {
    bound: Bound,
    views: List,
}

#[derive(Debug, Default)]
struct Source {
    text: Arc<str>,
    place: Place,
}

/// What a new view begins with.
pub(crate) struct Beginning {
    pub(crate) query: Arc<LiveQuery>,
    pub(crate) rows: Vec<Row>,
    pub(crate) seq: Seq,
    pub(crate) sight: Sight,
}

impl Class {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }

    pub(crate) fn n_views(&self) -> usize {
        self.n_views
    }

    pub(crate) fn n_filters(&self) -> usize {
        self.by_text.len()
    }

    pub(crate) fn room_for_paths(&self) -> usize {
        self.slots.room()
    }

    pub(crate) fn n_scanned(&self) -> usize {
        self.index.scanned().len()
    }

    pub(crate) fn n_objects(&self) -> usize {
        self.objects.len()
    }

    pub(crate) fn view(&self, number: u32) -> Option<&View> {
        self.stands.get(number as usize)?.view.as_ref()
    }

    pub(crate) fn view_mut(&mut self, number: u32) -> Option<&mut View> {
        self.stands.get_mut(number as usize)?.view.as_mut()
    }

    /// True if a later write of the same object was seen already; else this one is the latest.
    pub(crate) fn is_stale(&mut self, image: &Image) -> bool {
        if image.seq > self.newest {
            self.newest = image.seq;
        } else if self
            .latest
            .iter()
            .any(|(key, seq)| *seq >= image.seq && *key == image.key)
        {
            return true;
        }
        if self.latest.len() >= REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back((image.key.clone(), image.seq));
        false
    }

    /// Takes in one write of which everything was asked since filters were changed. `parted` is told of views that came out
    /// of others.
    pub(crate) fn write(&mut self, image: &Image, asked: &Asked, out: &mut Vec<Output>, parted: &mut Vec<u32>) {
        // Taken out for as long as what is read with them is needed.
        let slots = std::mem::take(&mut self.slots);
        let fields = asked.parsed.as_ref().map(Parsed::fields);
        let written = Written {
            image,
            object: fields.as_ref().map(|fields| Object::new(&slots, fields)),
            number: self.objects.number(&image.key),
        };
        let mut members = std::mem::take(&mut self.members);
        members.clear();
        if let Some(number) = written.number {
            members.extend_from_slice(self.objects.views(number));
        }
        members.sort_unstable();
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        for number in &asked.filters {
            if let Some(Stand {
                filter: Some(filter), ..
            }) = self.stands.get(*number as usize)
            {
                found.extend_from_slice(filter.views.as_slice());
            }
        }
        found.sort_unstable();
        for view in &found {
            let is_member = members.binary_search(view).is_ok();
            self.deal_with(*view, &written, is_member, true, out, parted);
        }
        // What is left did contain the object and does not any more.
        for view in members.iter().filter(|view| found.binary_search(view).is_err()) {
            self.deal_with(*view, &written, true, false, out, parted);
        }
        self.found = found;
        self.members = members;
        self.slots = slots;
    }

    fn deal_with(
        &mut self,
        number: u32,
        written: &Written<'_>,
        is_member: bool,
        passes: bool,
        out: &mut Vec<Output>,
        parted: &mut Vec<u32>,
    ) {
        let Some(view) = self.view_mut(number) else { return };
        if written.image.seq <= view.since || view.is_dry() || !passes && !is_member {
            return;
        }
        let acl = written.image.acl.as_deref();
        let mut passes = passes;
        if passes && acl.is_some() {
            let may: Vec<bool> = view.rest.sights.iter().map(|sight| sight.scope.may_read(acl)).collect();
            passes = may.iter().any(|may| *may);
            if passes && may.iter().any(|may| !may) {
                let mut verdicts = may.iter();
                let (seeing, others) = std::mem::take(&mut view.rest.sights)
                    .into_iter()
                    .partition(|_| verdicts.next().copied().unwrap_or_default());
                view.rest.sights = seeing;
                view.count();
                let other = self.copy_for(number, others);
                parted.push(other);
                self.apply(other, written, is_member, false, out);
            }
        }
        self.apply(number, written, is_member, passes, out);
    }

    fn apply(&mut self, number: u32, written: &Written<'_>, is_member: bool, passes: bool, out: &mut Vec<Output>) {
        if let Some(Stand { view: Some(view), .. }) = self.stands.get_mut(number as usize) {
            view.apply(number, &mut self.objects, written, is_member, passes, out);
            if view.needs_renewal() {
                self.low.push(number);
            }
        }
    }

    /// The views that were found to need a renewal since this was last asked.
    pub(crate) fn take_low(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.low)
    }

    /// A view that shows the same, for other scopes.
    pub(crate) fn copy_for(&mut self, number: u32, sights: Vec<Sight>) -> u32 {
        let copy = self.view(number).map(|view| {
            (
                view.rest.filter,
                view.rest.query.clone(),
                view.since,
                view.state.clone(),
            )
        });
        let Some((filter, query, since, state)) = copy else {
            return number;
        };
        let mut view = View {
            since,
            state,
            only: None,
            rest: Box::new(Rest {
                all: Arc::default(),
                sights,
                query,
                ticket: None,
                filter,
                generation: 0,
            }),
        };
        view.count();
        let members = view.members();
        let copy = self.place_view(view);
        for member in members {
            if let Some(key) = self.objects.key(member).cloned() {
                self.objects.join(&key, copy);
            }
        }
        copy
    }

    fn place_view(&mut self, view: View) -> u32 {
        let filter = view.rest.filter;
        let number = match self.stands.get(filter as usize) {
            Some(stand) if stand.view.is_none() => filter,
            _ => self.stand(),
        };
        if let Some(stand) = self.stands.get_mut(number as usize) {
            stand.view = Some(view);
            self.n_views += 1;
        }
        if let Some(Stand {
            filter: Some(filter), ..
        }) = self.stands.get_mut(filter as usize)
        {
            filter.views.push(number);
        }
        number
    }

    /// The number of an empty stand.
    fn stand(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.stands.push(Stand::default());
            self.sources.push(Source::default());
            u32::try_from(self.stands.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// Takes a view out, and its filter if nobody else needs it.
    pub(crate) fn remove_view(&mut self, number: u32) -> Option<View> {
        let stand = self.stands.get_mut(number as usize)?;
        let view = stand.view.take()?;
        if stand.filter.is_none() {
            self.free.push(number);
        }
        self.n_views -= 1;
        for member in view.members() {
            self.objects.leave(member, number);
        }
        let filter = view.rest.filter;
        let stand = self.stands.get_mut(filter as usize)?;
        if let Some(known) = &mut stand.filter
            && known.views.remove(number)
            && let Some(source) = self.sources.get_mut(filter as usize).map(std::mem::take)
        {
            self.index.remove(filter, &source.place);
            if let Some(gone) = stand.filter.take() {
                self.slots.release(gone.bound);
            }
            self.by_text.remove(&source.text);
            debug_assert!(stand.view.is_none(), "a view of a filter that is gone");
            self.free.push(filter);
        }
        Some(view)
    }

    fn filter(&mut self, query: &LiveQuery) -> u32 {
        if let Some(known) = self.by_text.get(&**query.filter_text()) {
            return *known;
        }
        let number = self.stand();
        let text = query.filter_text().clone();
        let filter = Filter {
            bound: self.slots.bind(query.filter().clone()),
            views: List::default(),
        };
        let source = Source {
            place: self.index.insert(&self.slots, number, query.filter()),
            text: text.clone(),
        };
        if let Some(stand) = self.stands.get_mut(number as usize) {
            stand.filter = Some(filter);
        }
        if let Some(known) = self.sources.get_mut(number as usize) {
            *known = source;
        }
        self.by_text.insert(text, number);
        number
    }

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

    /// Objects of a view by key.
    pub(crate) fn keys_of(&self, members: &Members) -> HashSet<ObjectKey> {
        members
            .to_vec()
            .into_iter()
            .filter_map(|member| self.objects.key(member).cloned())
            .collect()
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

impl View {
    /// Adds a subscriber.
    pub(crate) fn add(&mut self, scope: &Scope, subscriber: Subscriber) {
        match self.rest.sights.iter_mut().find(|sight| sight.scope == *scope) {
            Some(sight) => sight.subscribers.push(subscriber),
            None => self.rest.sights.push(Sight {
                scope: scope.clone(),
                subscribers: vec![subscriber],
            }),
        }
        self.count();
    }
}
