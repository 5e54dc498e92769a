//! Queries and objects divided among several matchers: everybody is told the same.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fb_auth::Scope;
use fb_live::{Event, Limits, LiveQuery, Matcher, Output, Registration};
use fb_query::generate::{World, filter, object, sort, world};
use fb_query::{Filter, Limits as QueryLimits, Query, parse_filter, parse_sort};
use fb_types::{ObjectKey, Seq};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::model::{Store, acl, scopes};

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) world: World,
    queries: Vec<(Value, Value, Option<u64>, usize)>,
    /// An object with the number of its rules; `None` deletes.
    pub(crate) writes: Vec<(u16, Option<(Value, u8)>)>,
    /// After so many writes, a query is subscribed to by a scope.
    pub(crate) subscriptions: Vec<(usize, usize, usize)>,
}

pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    world().prop_flat_map(|world| {
        let query = (
            filter(&world),
            sort(&world),
            select(vec![None, Some(1), Some(3)]),
            0..3usize,
        );
        let written = prop_oneof![
            3 => (object(&world), 0..4u8).prop_map(Some),
            1 => Just(None),
        ];
        let subscription = (0..40usize, 0..6usize, 0..4usize);
        (
            Just(world),
            vec(query, 6),
            vec((0..10u16, written), 40),
            vec(subscription, 12),
        )
            .prop_map(|(world, queries, writes, subscriptions)| Plan {
                world,
                queries,
                writes,
                subscriptions,
            })
    })
}

impl Plan {
    pub(crate) fn queries(&self, sorted: bool) -> Vec<Arc<LiveQuery>> {
        let limits = QueryLimits::default();
        let World { schema, class } = &self.world;
        let query = |(filter, sort, limit, slack): &(Value, Value, Option<u64>, usize)| {
            let filter = parse_filter(filter, schema, class, &limits).unwrap();
            let (sort, limit) = match sorted {
                true => (sort.clone(), limit.unwrap_or(u64::MAX)),
                false => (json!({}), u64::MAX),
            };
            let sort = parse_sort(&sort, schema, class, &limits).unwrap();
            let live = LiveQuery::new(Query::new(class, filter, sort.clone(), 0, limit)).unwrap();
            if !sorted && live.is_window() {
                // `$near` is an order as well.
                let all = Query::new(class, Filter::ALL, sort, 0, limit);
                return Arc::new(LiveQuery::new(all).unwrap());
            }
            Arc::new(live.with_slack(*slack))
        };
        self.queries.iter().map(query).collect()
    }

    /// What each subscription is told. `row` says which matcher a query is in, `column` which ones get a write; a query
    /// is in all columns of its row.
    fn play(&self, queries: &[Arc<LiveQuery>], rows: usize, columns: usize) -> Vec<Vec<Event>> {
        let mut store = Store::default();
        let mut cells: Vec<Vec<Matcher>> = (0..rows)
            .map(|_| (0..columns).map(|_| Matcher::new(Seq(0), Limits::default())).collect())
            .collect();
        let mut told = vec![Vec::new(); self.subscriptions.len()];
        let column_of = |key: &ObjectKey| {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            usize::try_from(hasher.finish() % columns as u64).unwrap()
        };
        for (i, (key, written)) in self.writes.iter().enumerate() {
            for (subscriber, (_, query, scope)) in self.subscriptions.iter().enumerate().filter(|(_, s)| s.0 == i) {
                let live = &queries[*query];
                let scope: Scope = scopes()[*scope].clone();
                for (column, cell) in cells[query % rows].iter_mut().enumerate() {
                    let registration = Registration {
                        tell_all: false,
                        subscriber: subscriber as u64,
                        query: live.clone(),
                        scope: scope.clone(),
                        rows: store
                            .rows(live, &scope)
                            .into_iter()
                            .filter(|row| column_of(&row.key) == column)
                            .collect(),
                        seq: Seq(store.seq),
                        ticket: cell.ticket(),
                    };
                    let mut out = Vec::new();
                    cell.register(registration, &mut out).unwrap();
                    take_in(cell, &store, out, &mut told);
                }
            }
            let key = ObjectKey::from_raw(&key.to_string()).unwrap();
            let object = written.as_ref().map(|(object, rules)| {
                let mut object = object.clone();
                object["id"] = json!(format!("/db/Random/{key}"));
                (object, acl(*rules))
            });
            let Some(image) = store.write(self.world.class.name(), object, &key) else {
                continue;
            };
            let image = Arc::new(image);
            for row in &mut cells {
                for (column, cell) in row.iter_mut().enumerate() {
                    let mut out = Vec::new();
                    if column_of(&key) == column {
                        cell.write(image.clone(), &mut out);
                    } else {
                        cell.advance(image.seq, &mut out);
                    }
                    take_in(cell, &store, out, &mut told);
                }
            }
        }
        told
    }
}

/// Tells, and answers renewals at once.
fn take_in(cell: &mut Matcher, store: &Store, out: Vec<Output>, told: &mut [Vec<Event>]) {
    for output in out {
        match output {
            Output::Tell { to, event } => {
                for subscriber in to.iter() {
                    told[usize::try_from(*subscriber).unwrap()].push(event.clone());
                }
            }
            Output::Renew {
                view, query, scopes, ..
            } => {
                let mut out = Vec::new();
                match scopes.as_slice() {
                    [only] => {
                        let _ = cell.renew(view, store.rows(&query, only), Seq(store.seq), &mut out);
                    }
                    _ => cell.part(&view, &mut out),
                }
                take_in(cell, store, out, told);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn queries_may_be_divided_among_any_number_of_cells(plan in plans()) {
        let queries = plan.queries(true);
        let whole = plan.play(&queries, 1, 1);
        for rows in [2, 3, 6] {
            prop_assert_eq!(plan.play(&queries, rows, 1), whole.clone());
        }
    }

    /// Without an order, so may objects.
    #[test]
    fn objects_may_be_divided_among_any_number_of_cells(plan in plans()) {
        let queries = plan.queries(false);
        let whole = plan.play(&queries, 1, 1);
        for (rows, columns) in [(1, 2), (1, 5), (2, 3)] {
            prop_assert_eq!(plan.play(&queries, rows, columns), whole.clone());
        }
    }
}
