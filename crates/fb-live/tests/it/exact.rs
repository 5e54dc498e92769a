//! Random queries over random histories.

use std::collections::BTreeMap;
use std::sync::Arc;

use fb_live::{Image, Limits, LiveQuery, Matcher, Output, Registration, Row, ViewId};
use fb_query::generate::{World, filter, object, sort, world};
use fb_query::{Limits as QueryLimits, Query, parse_filter, parse_sort};
use fb_types::{ObjectKey, Seq};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::model::{Client, Store, acl, scopes};

/// What happens in a history.
#[derive(Debug, Clone)]
enum Action {
    /// An object is written, with rules of this number.
    Write(Value, u8),
    /// An object is deleted.
    Delete(Index),
    /// Somebody subscribes: the result is read now and registered after so many more actions.
    Subscribe(usize, usize, usize),
    /// A subscriber registers again with another scope.
    Look(Index, usize),
    Cancel(Index),
    /// A renewal is answered: the result is read now, and taken in after so many more actions.
    Answer(Index, usize),
    /// A write comes a second time.
    Again(Index),
}

#[derive(Debug, Clone)]
struct Plan {
    world: World,
    queries: Vec<(Value, Value, u64, Option<u64>, usize)>,
    actions: Vec<Action>,
}

fn plans() -> impl Strategy<Value = Plan> {
    world().prop_flat_map(|world| {
        let window = (
            select(vec![0, 0, 1, 2]),
            select(vec![None, Some(0), Some(1), Some(2), Some(4)]),
            0..4usize,
        );
        let query = (
            prop_oneof![2 => Just(json!({})), 5 => filter(&world)],
            sort(&world),
            window,
        )
            .prop_map(|(filter, sort, (offset, limit, slack))| (filter, sort, offset, limit, slack));
        let write = (object(&world), select(vec![0, 0, 0, 1, 2, 3]), 0..12u16).prop_map(|(mut object, acl, key)| {
            object["id"] = json!(format!("/db/Random/{key:03}"));
            Action::Write(object, acl)
        });
        let action = prop_oneof![
            10 => write,
            3 => any::<Index>().prop_map(Action::Delete),
            4 => (0..8usize, 0..4usize, 0..4usize).prop_map(|(q, s, late)| Action::Subscribe(q, s, late)),
            1 => (any::<Index>(), 0..4usize).prop_map(|(who, scope)| Action::Look(who, scope)),
            1 => any::<Index>().prop_map(Action::Cancel),
            4 => (any::<Index>(), 0..4usize).prop_map(|(which, late)| Action::Answer(which, late)),
            1 => any::<Index>().prop_map(Action::Again),
        ];
        (Just(world), vec(query, 8), vec(action, 1..80)).prop_map(|(world, queries, actions)| Plan {
            world,
            queries,
            actions,
        })
    })
}

/// A matcher, the store it follows, and its clients.
struct Play {
    matcher: Matcher,
    store: Store,
    clients: BTreeMap<u64, Client>,
    renewals: Vec<(ViewId, Arc<LiveQuery>, Vec<fb_auth::Scope>)>,
    late: Vec<(usize, Registration, Client)>,
    read: Vec<(usize, ViewId, Vec<Row>, Seq)>,
    images: Vec<Arc<Image>>,
    next: u64,
}

impl Play {
    fn new() -> Self {
        Self {
            matcher: Matcher::new(Seq(0), Limits::default()),
            store: Store::default(),
            clients: BTreeMap::new(),
            renewals: Vec::new(),
            late: Vec::new(),
            read: Vec::new(),
            images: Vec::new(),
            next: 0,
        }
    }

    fn take_in(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Tell { to, event } => {
                    for subscriber in to.iter() {
                        self.clients.get_mut(subscriber).unwrap().apply(&event);
                    }
                }
                Output::Renew {
                    view, query, scopes, ..
                } => {
                    self.renewals.retain(|(known, ..)| *known != view);
                    self.renewals.push((view, query, scopes));
                }
            }
        }
    }

    fn act(&mut self, plan: &Plan, queries: &[Arc<LiveQuery>], action: &Action) {
        let mut out = Vec::new();
        let pick = |index: &Index, clients: &BTreeMap<u64, Client>| {
            (!clients.is_empty()).then(|| *index.get(&clients.keys().copied().collect::<Vec<_>>()))
        };
        match action {
            Action::Write(value, number) => {
                let key = ObjectKey::from_raw(value["id"].as_str().unwrap().rsplit('/').next().unwrap()).unwrap();
                self.write(plan, Some((value.clone(), acl(*number))), &key);
            }
            Action::Delete(index) => {
                let keys: Vec<ObjectKey> = self.store.objects.keys().cloned().collect();
                if !keys.is_empty() {
                    self.write(plan, None, index.get(&keys));
                }
            }
            Action::Subscribe(query, scope, late) => {
                let (query, scope) = (queries[*query].clone(), scopes()[*scope].clone());
                self.next += 1;
                let registration = Registration {
                    tell_all: false,
                    subscriber: self.next,
                    query: query.clone(),
                    scope: scope.clone(),
                    ticket: self.matcher.ticket(),
                    rows: self.store.rows(&query, &scope),
                    seq: Seq(self.store.seq),
                };
                let client = Client::new(query.clone(), scope.clone(), self.store.result(&query, &scope));
                self.late.push((*late, registration, client));
            }
            Action::Look(who, scope) => {
                if let Some(who) = pick(who, &self.clients) {
                    let client = self.clients.get_mut(&who).unwrap();
                    client.scope = scopes()[*scope].clone();
                    let registration = Registration {
                        tell_all: false,
                        subscriber: who,
                        query: client.query.clone(),
                        scope: client.scope.clone(),
                        ticket: self.matcher.ticket(),
                        rows: self.store.rows(&client.query, &client.scope),
                        seq: Seq(self.store.seq),
                    };
                    self.matcher.register(registration, &mut out).unwrap();
                }
            }
            Action::Cancel(who) => {
                if let Some(who) = pick(who, &self.clients) {
                    self.matcher.cancel(who);
                    self.clients.remove(&who);
                }
            }
            Action::Answer(index, late) => {
                if !self.renewals.is_empty() {
                    let at = index.index(self.renewals.len());
                    self.answer(at, *late);
                }
            }
            Action::Again(index) => {
                if !self.images.is_empty() {
                    self.matcher.write(index.get(&self.images).clone(), &mut out);
                    assert!(out.is_empty(), "{out:?}");
                }
            }
        }
        self.take_in(out);
        let mut due = Vec::new();
        for late in self
            .late
            .iter_mut()
            .map(|(late, ..)| late)
            .chain(self.read.iter_mut().map(|(late, ..)| late))
        {
            *late = late.saturating_sub(1);
        }
        self.take_in_renewals();
        while let Some(at) = self.late.iter().position(|(late, ..)| *late == 0) {
            due.push(self.late.remove(at));
        }
        for (_, registration, client) in due {
            self.clients.insert(registration.subscriber, client);
            let mut out = Vec::new();
            self.matcher.register(registration, &mut out).unwrap();
            self.take_in(out);
        }
        for (subscriber, client) in &self.clients {
            if self.matcher.is_told(*subscriber) {
                client.check(&self.store);
            }
        }
    }

    fn write(&mut self, plan: &Plan, object: Option<(Value, Option<Arc<fb_types::Acl>>)>, key: &ObjectKey) {
        let Some(image) = self.store.write(plan.world.class.name(), object, key) else {
            return;
        };
        let image = Arc::new(image);
        self.images.push(image.clone());
        let before: BTreeMap<u64, usize> = self
            .clients
            .iter()
            .map(|(who, client)| (*who, client.told.len()))
            .collect();
        let mut out = Vec::new();
        self.matcher.write(image.clone(), &mut out);
        self.take_in(out);
        for (who, client) in &self.clients {
            client.check_events(before[who], &image);
        }
    }

    /// Reads a result again, as a server has to.
    fn answer(&mut self, at: usize, late: usize) {
        let (view, query, scopes) = self.renewals.remove(at);
        let rows = self.store.rows(&query, &fb_auth::Scope::Everything);
        let are_public = rows.iter().all(|row| self.store.objects[&row.key].acl.is_none());
        let rows = match scopes.as_slice() {
            [only] => self.store.rows(&query, only),
            _ if are_public => rows,
            _ => {
                let mut out = Vec::new();
                self.matcher.part(&view, &mut out);
                return self.take_in(out);
            }
        };
        self.read.push((late, view, rows, Seq(self.store.seq)));
        self.take_in_renewals();
    }

    /// Renews views with what was read for them some time ago.
    fn take_in_renewals(&mut self) {
        while let Some(at) = self.read.iter().position(|(late, ..)| *late == 0) {
            let (_, view, rows, seq) = self.read.remove(at);
            let mut out = Vec::new();
            // What was read for a renewal that is over may be too old for the next one: it is asked for again.
            let _ = self.matcher.renew(view, rows, seq, &mut out);
            self.take_in(out);
        }
    }

    /// Answers all renewals; then everybody knows everything.
    fn settle(&mut self) {
        for (late, ..) in &mut self.read {
            *late = 0;
        }
        self.take_in_renewals();
        while !self.renewals.is_empty() {
            self.answer(0, 0);
        }
        for (subscriber, client) in &self.clients {
            assert!(self.matcher.is_told(*subscriber), "{}", client.query.canonical());
            client.check(&self.store);
        }
    }
}

fn queries(plan: &Plan) -> Vec<Arc<LiveQuery>> {
    let limits = QueryLimits::default();
    let World { schema, class } = &plan.world;
    let query = |(filter, sort, offset, limit, slack): &(Value, Value, u64, Option<u64>, usize)| {
        let filter = parse_filter(filter, schema, class, &limits).unwrap();
        let sort = parse_sort(sort, schema, class, &limits).unwrap();
        let query = Query::new(class, filter, sort, *offset, limit.unwrap_or(u64::MAX));
        Arc::new(LiveQuery::new(query).unwrap().with_slack(*slack))
    };
    plan.queries.iter().map(query).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn results_with_events_are_what_the_store_says(plan in plans()) {
        let queries = queries(&plan);
        let mut play = Play::new();
        for action in &plan.actions {
            play.act(&plan, &queries, action);
        }
        play.settle();
        for subscriber in play.clients.keys() {
            play.matcher.cancel(*subscriber);
        }
        for (_, registration, _) in play.late.drain(..) {
            play.matcher.give_back(registration.ticket);
        }
        // Nothing is left behind.
        prop_assert_eq!(play.matcher.stats(), fb_live::MatcherStats::default());
        prop_assert!(play.matcher.is_idle());
    }
}
