//! A store that evaluates each query anew, and clients that apply events.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fb_auth::{Principal, Roles, Scope};
use fb_live::{Content, Event, Image, LiveQuery, Operation, Row, What};
use fb_query::Order;
use fb_types::{Acl, ChangeKind, ClassName, ObjectKey, RuleMap, Seq};
use serde_json::Value;

/// Objects of one class at one position.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    pub(crate) seq: u64,
    pub(crate) objects: BTreeMap<ObjectKey, Object>,
}

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) value: Value,
    pub(crate) acl: Option<Arc<Acl>>,
    pub(crate) body: Bytes,
}

/// Everybody a model knows: the server itself, a stranger, two users.
pub(crate) fn scopes() -> Vec<Scope> {
    let user = |key: &str| {
        let id = format!("/db/User/{key}").parse().unwrap();
        Scope::Of(Principal::user(id, Roles::default()))
    };
    vec![
        Scope::Everything,
        Scope::Of(Principal::anonymous()),
        user("a"),
        user("b"),
    ]
}

/// Rules that some of them pass: none, for a, for b, for both.
pub(crate) fn acl(number: u8) -> Option<Arc<Acl>> {
    let mut read = RuleMap::default();
    if number & 1 != 0 {
        read.insert("/db/User/a", fb_types::Rule::Allow);
    }
    if number & 2 != 0 {
        read.insert("/db/User/b", fb_types::Rule::Allow);
    }
    let write = RuleMap::default();
    (!read.is_empty()).then(|| Arc::new(Acl { read, write }))
}

impl Store {
    /// Writes an object, or deletes it, and gives the image. `None` if there is nothing to delete.
    pub(crate) fn write(
        &mut self,
        class: &ClassName,
        object: Option<(Value, Option<Arc<Acl>>)>,
        key: &ObjectKey,
    ) -> Option<Image> {
        let was_there = self.objects.contains_key(key);
        if object.is_none() && !was_there {
            return None;
        }
        self.seq += 1;
        let kind = match (was_there, &object) {
            (_, None) => ChangeKind::Delete,
            (false, Some(_)) => ChangeKind::Insert,
            (true, Some(_)) => ChangeKind::Update,
        };
        let acl = object.as_ref().and_then(|(_, acl)| acl.clone());
        let body = object.map(|(mut value, acl)| {
            value["version"] = self.seq.into();
            let body = Bytes::from(value.to_string());
            let object = Object {
                value,
                acl,
                body: body.clone(),
            };
            self.objects.insert(key.clone(), object);
            body
        });
        if body.is_none() {
            self.objects.remove(key);
        }
        Some(Image {
            seq: Seq(self.seq),
            class: class.clone(),
            key: key.clone(),
            kind,
            acl,
            body,
        })
    }

    /// The rows of a query's bootstrap for a scope.
    pub(crate) fn rows(&self, query: &LiveQuery, scope: &Scope) -> Vec<Row> {
        let bootstrap = query.bootstrap();
        let mut found: Vec<(&ObjectKey, &Object)> = self
            .objects
            .iter()
            .filter(|(_, object)| scope.may_read(object.acl.as_deref()) && bootstrap.filter.matches(&object.value))
            .collect();
        let order = if query.is_by_id() {
            &Order::Natural
        } else {
            &bootstrap.order
        };
        found.sort_by(|a, b| order.compare(&a.1.value, &b.1.value));
        found.truncate(usize::try_from(bootstrap.limit).unwrap_or(usize::MAX));
        let row = |(key, object): (&ObjectKey, &Object)| Row {
            key: key.clone(),
            body: object.body.clone(),
        };
        found.into_iter().map(row).collect()
    }

    /// What a scope is to see.
    pub(crate) fn result(&self, query: &LiveQuery, scope: &Scope) -> Vec<(ObjectKey, Bytes)> {
        let rows = self.rows(query, scope);
        let (from, to) = query.window(rows.len());
        rows[from..to]
            .iter()
            .map(|row| (row.key.clone(), row.body.clone()))
            .collect()
    }
}

/// One client: the result as it was told.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) query: Arc<LiveQuery>,
    pub(crate) scope: Scope,
    pub(crate) shown: Vec<(ObjectKey, Bytes)>,
    pub(crate) told: Vec<Event>,
}

impl Client {
    pub(crate) fn new(query: Arc<LiveQuery>, scope: Scope, shown: Vec<(ObjectKey, Bytes)>) -> Self {
        Self {
            query,
            scope,
            shown,
            told: Vec::new(),
        }
    }

    fn has_order(&self) -> bool {
        !self.query.is_by_id() && !matches!(self.query.bootstrap().order, Order::Natural)
    }

    /// Applies an event as a client does. Panics if it makes no sense.
    pub(crate) fn apply(&mut self, event: &Event) {
        self.told.push(event.clone());
        let at = self.shown.iter().position(|(key, _)| *key == event.key);
        let body = match &event.content {
            Content::Whole(body) => body.clone(),
            Content::IdOnly => Bytes::new(),
        };
        assert_eq!(
            event.index.is_some(),
            self.has_order() && event.what != What::Remove,
            "{event:?}"
        );
        match (event.what, at) {
            (What::Add, None) => {
                let index = event.index.unwrap_or(self.shown.len());
                self.shown.insert(index, (event.key.clone(), body));
            }
            (What::Change, Some(at)) => {
                assert!(event.index.is_none_or(|index| index == at), "{event:?} at {at}");
                self.shown[at].1 = body;
            }
            (What::ChangeIndex, Some(at)) => {
                assert_ne!(event.index, Some(at), "{event:?}");
                self.shown.remove(at);
                self.shown.insert(event.index.unwrap(), (event.key.clone(), body));
            }
            (What::Remove, Some(at)) => {
                self.shown.remove(at);
            }
            (what, at) => panic!("{what:?} of an object at {at:?}: {event:?}"),
        }
    }

    /// Compares with what the store says.
    pub(crate) fn check(&self, store: &Store) {
        let mut expected = store.result(&self.query, &self.scope);
        let mut shown = self.shown.clone();
        if !self.has_order() {
            expected.sort();
            shown.sort();
        }
        assert_eq!(
            shown,
            expected,
            "{} told {:#?}",
            self.query.canonical(),
            self.told.last()
        );
    }

    /// Checks what one write was told as: removals first, and nothing of what it did not do.
    pub(crate) fn check_events(&self, from: usize, image: &Image) {
        let events = &self.told[from..];
        let removals = events.iter().take_while(|event| event.what == What::Remove).count();
        assert!(
            events[removals..].iter().all(|event| event.what != What::Remove),
            "{events:?}"
        );
        for event in events {
            let own = event.key == image.key;
            assert_eq!(event.operation == Operation::None, !own, "{event:?}");
            assert!(!own || event.operation == Operation::from(image.kind), "{event:?}");
            if own && event.what == What::Remove {
                let may = image.body.is_some() && self.scope.may_read(image.acl.as_deref());
                assert_eq!(event.content != Content::IdOnly, may, "{event:?}");
            }
        }
        let mut keys: Vec<_> = events.iter().map(|event| &event.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), events.len(), "told twice: {events:?}");
    }
}
