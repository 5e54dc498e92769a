//! Queries that come and go beside others that stay: nothing of them is left behind, and nobody is told anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fb_auth::Scope;
use fb_live::{Limits, LiveQuery, Matcher, Output, Registration};
use fb_query::generate::{World, world_of};
use fb_query::{Limits as QueryLimits, Query, parse_filter};
use fb_types::{ObjectKey, Seq};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::model::{Client, Store};

/// A class with a field of any JSON, and who asks for paths in it.
struct Board {
    world: World,
    store: Store,
    matcher: Matcher,
    clients: BTreeMap<u64, (Client, BTreeSet<String>)>,
    next: u64,
}

impl Board {
    fn new() -> Self {
        Self {
            world: world_of(&["/db/JsonObject"]),
            store: Store::default(),
            matcher: Matcher::new(Seq(0), Limits::default()),
            clients: BTreeMap::new(),
            next: 0,
        }
    }

    /// Subscribes to a filter that names these paths.
    fn subscribe(&mut self, filter: &Value, paths: impl IntoIterator<Item = String>) -> u64 {
        let World { schema, class } = &self.world;
        let filter = parse_filter(filter, schema, class, &QueryLimits::default()).unwrap();
        let query = Arc::new(LiveQuery::new(Query::new(class, filter, Vec::new(), 0, u64::MAX)).unwrap());
        let scope = Scope::Everything;
        self.next += 1;
        let registration = Registration {
            tell_all: false,
            subscriber: self.next,
            query: query.clone(),
            scope: scope.clone(),
            rows: self.store.rows(&query, &scope),
            seq: Seq(self.store.seq),
            ticket: self.matcher.ticket(),
        };
        let shown = self.store.result(&query, &scope);
        self.matcher.register(registration, &mut Vec::new()).unwrap();
        let client = Client::new(query, scope, shown);
        self.clients.insert(self.next, (client, paths.into_iter().collect()));
        self.next
    }

    fn cancel(&mut self, subscriber: u64) {
        self.matcher.cancel(subscriber);
        self.clients.remove(&subscriber);
    }

    /// Writes an object, or deletes it, and looks whether everybody was told what the store says.
    fn write(&mut self, number: u16, members: Option<Value>) {
        let key = ObjectKey::from_raw(&number.to_string()).unwrap();
        let object = members.map(|members| (json!({ "id": format!("/db/Random/{number}"), "f0": members }), None));
        let Some(image) = self.store.write(self.world.class.name(), object, &key) else {
            return;
        };
        let mut out = Vec::new();
        self.matcher.write(Arc::new(image), &mut out);
        for output in out {
            let Output::Tell { to, event } = output else {
                panic!("nothing is to be renewed")
            };
            for subscriber in to.iter() {
                self.clients.get_mut(subscriber).unwrap().0.apply(&event);
            }
        }
        for (client, _) in self.clients.values() {
            client.check(&self.store);
        }
    }

    fn n_paths(&self) -> usize {
        let paths: BTreeSet<&String> = self.clients.values().flat_map(|(_, paths)| paths).collect();
        paths.len()
    }
}

/// Beside one that stays, a client replaces its subscription with ever new paths.
#[test]
fn paths_of_ended_queries_take_no_room() {
    let mut board = Board::new();
    board.subscribe(&json!({ "f0.stays": 1 }), []);
    for i in 0..4_000_u16 {
        let (a, b) = (format!("f0.a{i}"), format!("f0.b{i}"));
        let filter = match i % 3 {
            0 => json!({ &a: 1, &b: { "$mod": [7, 1] } }),
            1 => json!({ "$or": [{ &a: 1 }, { &b: { "$gt": 2 } }] }),
            _ => json!({ &a: { "$ne": 1 }, &b: { "$exists": true } }),
        };
        let comes = board.subscribe(&filter, []);
        if i % 16 == 0 {
            board.write(
                i % 5,
                Some(json!({ "stays": i % 2, format!("a{i}"): 1, format!("b{i}"): 8 })),
            );
        }
        board.cancel(comes);
        assert_eq!(board.matcher.stats().paths, 3, "{i}");
    }
}

#[derive(Debug, Clone)]
enum Action {
    Subscribe(u8, [usize; 3]),
    Cancel(Index),
    Write(u16, Option<BTreeMap<usize, Value>>),
}

const N_PATHS: usize = 12;

fn action() -> impl Strategy<Value = Action> {
    let path = || 0..N_PATHS;
    let value = prop_oneof![
        4 => (0..4).prop_map(Value::from),
        1 => "[ab]{1,2}".prop_map(Value::from),
        1 => vec(0..4, 0..3).prop_map(Value::from),
    ];
    let members = btree_map(path(), value, 0..8);
    prop_oneof![
        3 => (0..7_u8, [path(), path(), path()]).prop_map(|(form, paths)| Action::Subscribe(form, paths)),
        3 => any::<Index>().prop_map(Action::Cancel),
        4 => (0..6_u16, proptest::option::weighted(0.8, members)).prop_map(|(key, members)| Action::Write(key, members)),
    ]
}

/// A filter on these paths: found by values, by ranges, by several paths, or by nothing.
fn filter(form: u8, [a, b, c]: &[String; 3]) -> Value {
    match form {
        0 => json!({ a: 1 }),
        1 => json!({ a: { "$gt": 0, "$lt": 3 } }),
        2 => json!({ a: 1, b: { "$ne": 2 }, c: { "$mod": [2, 1] } }),
        3 => json!({ "$or": [{ a: 1 }, { b: { "$regex": "^a" } }] }),
        4 => json!({ "$nor": [{ a: { "$in": [1, "a"] } }, { "$and": [{ b: 1 }, { c: { "$gte": 1 } }] }] }),
        5 => json!({ a: { "$elemMatch": { "$gt": 1 } }, b: { "$exists": false } }),
        _ => json!({ a: { "$all": [1, 2] }, b: null }),
    }
}

proptest! {
    #[test]
    fn queries_that_come_and_go_leave_the_results_of_others_exact(actions in vec(action(), 1..150)) {
        let mut board = Board::new();
        board.subscribe(&json!({ "f0.p0": 1 }), ["f0.p0".to_owned()]);
        let mut most = 1;
        for action in actions {
            match action {
                Action::Subscribe(form, paths) => {
                    let paths = paths.map(|path| format!("f0.p{path}"));
                    let filter = filter(form, &paths);
                    let text = filter.to_string();
                    let named: Vec<_> = paths.into_iter().filter(|path| text.contains(&format!("\"{path}\""))).collect();
                    board.subscribe(&filter, named);
                }
                Action::Cancel(which) if board.clients.len() > 1 => {
                    // The first one stays.
                    let others: Vec<u64> = board.clients.keys().skip(1).copied().collect();
                    board.cancel(*which.get(&others));
                }
                Action::Cancel(_) => {}
                Action::Write(key, members) => {
                    let members = members.map(|members| {
                        members.into_iter().map(|(path, value)| (format!("p{path}"), value)).collect::<Value>()
                    });
                    board.write(key, members);
                }
            }
            most = most.max(board.n_paths());
            prop_assert_eq!(board.matcher.stats().paths, most);
        }
    }
}
