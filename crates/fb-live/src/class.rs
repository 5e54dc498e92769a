//! The queries on one class.

mod asked;
mod begun;
mod latest;
mod written;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fb_auth::Scope;
use fb_query::{Bound, Slots};
use fb_types::ObjectKey;

pub(crate) use self::asked::Asked;
pub(crate) use self::begun::Beginning;
use self::latest::Latest;
use crate::index::{Index, List, Place};
use crate::matcher::Subscriber;
use crate::members::Members;
use crate::objects::Objects;
use crate::query::LiveQuery;
use crate::view::{Rest, Sight, View};

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
    latest: Latest<ObjectKey>,
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

    /// Objects of a view by key.
    pub(crate) fn keys_of(&self, members: &Members) -> HashSet<ObjectKey> {
        members
            .to_vec()
            .into_iter()
            .filter_map(|member| self.objects.key(member).cloned())
            .collect()
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
