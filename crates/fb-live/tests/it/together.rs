//! Writes fed together: the same is told as if each came alone.

use std::sync::Arc;

use fb_live::{Image, Limits, LiveQuery, Matcher, Registration, Row};
use fb_types::{ObjectKey, Seq};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cells::{Plan, plans};
use crate::model::{Store, acl, scopes};

/// The number of a query, that of a scope, and a result with its position.
type Read = (usize, usize, Vec<Row>, Seq);

/// All writes, and results that were read between the first of them.
fn written(plan: &Plan, queries: &[Arc<LiveQuery>]) -> (Vec<Arc<Image>>, Vec<Read>) {
    let (mut store, mut images, mut read) = (Store::default(), Vec::new(), Vec::new());
    for (i, (key, object)) in plan.writes.iter().enumerate() {
        for (_, query, scope) in plan.subscriptions.iter().filter(|(after, ..)| after / 4 == i) {
            let rows = store.rows(&queries[*query], &scopes()[*scope]);
            read.push((*query, *scope, rows, Seq(store.seq)));
        }
        let object = object.clone().map(|(mut object, rules)| {
            object["id"] = format!("/db/Random/{key}").into();
            (object, acl(rules))
        });
        let key = ObjectKey::from_raw(&key.to_string()).unwrap();
        images.extend(store.write(plan.world.class.name(), object, &key).map(Arc::new));
    }
    (images, read)
}

/// What is to be done after each write, when so many come together in turn.
fn told(plan: &Plan, queries: &[Arc<LiveQuery>], together: &[usize]) -> Vec<String> {
    let (images, read) = written(plan, queries);
    let mut matcher = Matcher::new(Seq(0), Limits::default());
    let mut out = Vec::new();
    for (subscriber, (query, scope, rows, seq)) in (0..).zip(read) {
        let registration = Registration {
            tell_all: false,
            subscriber,
            query: queries[query].clone(),
            scope: scopes()[scope].clone(),
            rows,
            seq,
            ticket: matcher.ticket(),
        };
        matcher.register(registration, &mut out).unwrap();
    }
    let mut told = vec![String::new(); images.len()];
    let (mut at, mut sizes) = (0, together.iter().cycle());
    while at < images.len() {
        let n = (*sizes.next().unwrap()).min(images.len() - at);
        matcher.write_all(&images[at..at + n], &mut out, &mut |i, out| {
            told[at + i] += &format!("{:?}", std::mem::take(out));
        });
        at += n;
    }
    told
}

proptest! {
    #[test]
    fn the_same_is_told_of_writes_that_come_together(
        plan in plans(),
        sorted in any::<bool>(),
        together in vec(1..40_usize, 1..5),
    ) {
        let queries = plan.queries(sorted);
        let alone = told(&plan, &queries, &[1]);
        prop_assert_eq!(told(&plan, &queries, &together), alone);
    }
}
