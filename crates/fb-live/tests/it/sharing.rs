//! Who shares a view, and who must not.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Scope;
use fb_live::{Limits, LiveQuery, Matcher, Output, Refused, Registration, Row, ViewId};
use fb_query::generate::{World, world_of};
use fb_query::{Limits as QueryLimits, Query, parse_filter, parse_sort};
use fb_types::{ObjectKey, Seq};
use serde_json::{Value, json};

use crate::model::{Client, Store, acl, scopes};

/// A matcher with the first two objects of the order of `f0`, and of those behind them as many as `slack`.
struct Board {
    world: World,
    query: Arc<LiveQuery>,
    store: Store,
    matcher: Matcher,
    clients: Vec<Client>,
    renewals: Vec<(ViewId, Vec<Scope>)>,
    /// The query of the last renewal that was asked for.
    asked: Option<Arc<LiveQuery>>,
}

impl Board {
    fn new(slack: usize) -> Self {
        let world = world_of(&["/db/Integer"]);
        let limits = QueryLimits::default();
        let filter = parse_filter(&json!({}), &world.schema, &world.class, &limits).unwrap();
        let sort = parse_sort(&json!({ "f0": 1 }), &world.schema, &world.class, &limits).unwrap();
        let query = LiveQuery::new(Query::new(&world.class, filter, sort, 0, 2)).unwrap();
        Self {
            query: Arc::new(query.with_slack(slack)),
            world,
            store: Store::default(),
            matcher: Matcher::new(Seq(0), Limits::default()),
            clients: Vec::new(),
            renewals: Vec::new(),
            asked: None,
        }
    }

    /// Writes an object whose place is its number.
    fn write(&mut self, number: u8, rules: u8) {
        let object = json!({ "id": format!("/db/Random/{number}"), "f0": number });
        self.commit(number, Some((object, acl(rules))));
    }

    fn delete(&mut self, number: u8) {
        self.commit(number, None);
    }

    fn commit(&mut self, number: u8, object: Option<(Value, Option<Arc<fb_types::Acl>>)>) {
        let key = ObjectKey::from_raw(&number.to_string()).unwrap();
        let image = self.store.write(self.world.class.name(), object, &key).unwrap();
        let mut out = Vec::new();
        self.matcher.write(Arc::new(image), &mut out);
        self.take_in(out);
    }

    fn subscribe(&mut self, scope: &Scope) {
        let ticket = self.matcher.ticket();
        let registration = Registration {
            tell_all: false,
            subscriber: self.clients.len() as u64,
            query: self.query.clone(),
            scope: scope.clone(),
            rows: self.store.rows(&self.query, scope),
            seq: Seq(self.store.seq),
            ticket,
        };
        let shown: Vec<(ObjectKey, Bytes)> = self.store.result(&self.query, scope);
        self.clients.push(Client::new(self.query.clone(), scope.clone(), shown));
        let mut out = Vec::new();
        self.matcher.register(registration, &mut out).unwrap();
        self.take_in(out);
    }

    fn take_in(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Tell { to, event } => {
                    for subscriber in to.iter() {
                        self.clients[*subscriber as usize].apply(&event);
                    }
                }
                Output::Renew {
                    view, scopes, query, ..
                } => {
                    self.renewals.push((view, scopes));
                    self.asked = Some(query);
                }
            }
        }
    }

    fn rows(&self, scope: &Scope) -> (Vec<Row>, Seq) {
        let query = self.asked.as_ref().unwrap_or(&self.query);
        (self.store.rows(query, scope), Seq(self.store.seq))
    }

    fn renew(&mut self, view: ViewId, (rows, seq): (Vec<Row>, Seq)) {
        let mut out = Vec::new();
        self.matcher.renew(view, rows, seq, &mut out).unwrap();
        self.take_in(out);
    }

    fn n_views(&self) -> usize {
        self.matcher.stats().views
    }
}

#[test]
fn who_sees_the_same_shares_a_view_until_it_does_not() {
    let mut board = Board::new(2);
    board.write(1, 0);
    board.write(2, 0);
    for scope in scopes() {
        board.subscribe(&scope);
    }
    assert_eq!(board.n_views(), 1);
    board.write(3, 0);
    assert_eq!(board.n_views(), 1);
    // Everybody who may see all, and a; the others.
    board.write(0, 1);
    assert_eq!(board.n_views(), 2);
    board.write(0, 3);
    assert_eq!(board.n_views(), 3);
    for client in &board.clients {
        client.check(&board.store);
    }
}

/// A complete view of one scope says nothing of what another one may see behind its end.
#[test]
fn a_view_is_not_shared_with_whom_it_may_know_too_little_for() {
    let mut board = Board::new(0);
    let [everything, stranger, a, _] = scopes().try_into().unwrap();
    // What a stranger sees was all there was, and still is.
    board.write(1, 0);
    board.subscribe(&stranger);
    board.write(2, 0);
    // For the others there is more behind it.
    board.write(3, 1);
    board.subscribe(&a);
    board.subscribe(&everything);
    board.delete(1);
    board.clients[0].check(&board.store);
    // Nobody knows what comes next for these.
    assert_eq!(board.renewals.len(), 1);
    assert!(!board.matcher.is_told(1) && !board.matcher.is_told(2));
}

#[test]
fn slack_takes_removals() {
    let mut board = Board::new(4);
    for number in 0..20 {
        board.write(number, 0);
    }
    board.subscribe(&scopes()[1]);
    // Two of four are left: it asks, but goes on.
    for number in 0..3 {
        assert_eq!(board.renewals.len(), 0);
        board.delete(number);
        board.clients[0].check(&board.store);
    }
    assert_eq!(board.renewals.len(), 1);
    board.delete(3);
    assert!(board.matcher.is_told(0));
    board.clients[0].check(&board.store);
    board.delete(4);
    assert!(!board.matcher.is_told(0));
}

#[test]
fn slack_grows_with_renewals_and_what_was_read_for_less_of_it_is_not_taken() {
    let mut board = Board::new(4);
    for number in 0..60 {
        board.write(number, 0);
    }
    board.subscribe(&scopes()[1]);
    let mut first = 0;
    let mut removals = Vec::new();
    let mut late = None;
    for n in 0..4 {
        let from = first;
        while board.renewals.is_empty() {
            board.delete(first);
            board.clients[0].check(&board.store);
            first += 1;
        }
        removals.push(first - from);
        let (view, _) = board.renewals.remove(0);
        let rows = board.rows(&scopes()[1]);
        // An answer to the one before: had it been taken for all there is, nothing behind it would be known to be missing.
        if let Some((view, rows)) = late.replace((view.clone(), rows.clone())) {
            board.renew(view, rows);
            board.clients[0].check(&board.store);
        }
        if n < 3 {
            board.renew(view, rows);
        }
        board.clients[0].check(&board.store);
    }
    assert!(removals.is_sorted_by(|a, b| a < b), "{removals:?}");
}

/// What was read for all of them is not what each of them sees any more.
#[test]
fn a_renewal_shows_nobody_what_only_others_may_see() {
    let mut board = Board::new(0);
    for number in 1..5 {
        board.write(number, 0);
    }
    let [_, stranger, a, _] = scopes().try_into().unwrap();
    board.subscribe(&a);
    board.subscribe(&stranger);
    assert_eq!(board.n_views(), 1);
    board.delete(1);
    let (view, scopes) = board.renewals.pop().unwrap();
    assert_eq!(scopes.len(), 2);
    let rows = board.rows(&Scope::Everything);
    board.write(0, 1);
    board.renew(view, rows);
    assert_eq!(board.renewals.len(), 2);
    while let Some((view, scopes)) = board.renewals.pop() {
        assert_eq!(scopes.len(), 1);
        let rows = board.rows(&scopes[0]);
        board.renew(view, rows);
    }
    for client in &board.clients {
        client.check(&board.store);
    }
    let of_a = &board.clients[0].shown[0].0;
    assert_eq!(of_a.as_str(), "0");
}

/// Of the objects only: what was said of each, in order.
fn told(out: &[Output]) -> Vec<String> {
    let events = out.iter().filter_map(|output| match output {
        Output::Tell { event, .. } => Some(format!("{:?} {:?} {}", event.what, event.index, event.key)),
        Output::Renew { .. } => None,
    });
    events.collect()
}

#[test]
fn who_sees_with_other_eyes_is_told_everything_again() {
    for is_window in [true, false] {
        let mut board = Board::new(2);
        if !is_window {
            let filter = board.query.filter().clone();
            let all = Query::new(&board.world.class, filter, Vec::new(), 0, u64::MAX);
            board.query = Arc::new(LiveQuery::new(all).unwrap());
        }
        for number in 1..=3 {
            board.write(number, 0);
        }
        let scope = scopes().remove(0);
        board.subscribe(&scope);
        board.subscribe(&scope);
        board.write(2, 0);
        let mut again = |tell_all| {
            let ticket = board.matcher.ticket();
            let registration = Registration {
                tell_all,
                subscriber: 0,
                query: board.query.clone(),
                scope: scope.clone(),
                rows: board.store.rows(&board.query, &scope),
                seq: Seq(board.store.seq),
                ticket,
            };
            let mut out = Vec::new();
            board.matcher.register(registration, &mut out).unwrap();
            let mut told = told(&out);
            told.sort();
            told
        };
        assert!(again(false).is_empty());
        let expected: &[&str] = match is_window {
            true => &["Change Some(0) 1", "Change Some(1) 2"],
            false => &["Change None 1", "Change None 2", "Change None 3"],
        };
        assert_eq!(again(true), expected);
    }
}

/// Writes were lost between a snapshot and its registration: nobody may begin with it.
#[test]
fn who_read_before_writes_were_lost_is_too_late() {
    let mut board = Board::new(2);
    let scope = scopes().remove(0);
    let mut registration = |lost: Option<u64>| {
        let ticket = board.matcher.ticket();
        let registration = Registration {
            tell_all: false,
            subscriber: 7,
            query: board.query.clone(),
            scope: scope.clone(),
            rows: Vec::new(),
            seq: Seq(10),
            ticket,
        };
        let mut out = Vec::new();
        board.matcher.advance(Seq(10), &mut out);
        if let Some(lost) = lost {
            board.matcher.lose(Seq(lost));
        }
        board.matcher.register(registration, &mut out)
    };
    assert_eq!(registration(Some(11)), Err(Refused::TooLate));
    assert_eq!(registration(Some(10)), Ok(()));
}

#[test]
fn a_view_that_cannot_be_renewed_has_its_subscribers_named() {
    let mut board = Board::new(0);
    let scope = scopes().remove(0);
    for number in 1..=4 {
        board.write(number, 0);
    }
    board.subscribe(&scope);
    board.subscribe(&scope);
    board.delete(1);
    let (view, _) = board.renewals.pop().unwrap();
    assert_eq!(*board.matcher.subscribers(&view), [0, 1]);
    for subscriber in [0, 1] {
        board.matcher.cancel(subscriber);
    }
    assert!(board.matcher.subscribers(&view).is_empty());
}
