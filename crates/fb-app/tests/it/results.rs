//! Copies of query results: whoever has one that is out of date finds its URL in the filter.

use std::collections::HashMap;

use fb_app::caching::{Kept, ResultForm};
use fb_app::objects::Condition;
use fb_app::{QueryRequest, RawFilter};
use fb_auth::Principal;

use super::caching::{BLIND, LIFE, class, everybody, is_blind, is_listed, key};
use super::*;

/// A query as clients ask for it.
#[derive(Clone)]
pub(crate) struct Ask {
    filter: RawFilter,
    sort: Value,
    offset: u64,
    limit: Option<u64>,
    form: ResultForm,
}

impl Ask {
    pub(crate) fn of(filter: Value) -> Self {
        Self {
            filter,
            sort: Value::Null,
            offset: 0,
            limit: None,
            form: ResultForm::Objects,
        }
    }

    fn sorted(self, sort: Value, limit: u64) -> Self {
        Self {
            sort,
            limit: Some(limit),
            ..self
        }
    }

    fn ids(self) -> Self {
        Self {
            form: ResultForm::Ids,
            ..self
        }
    }

    fn count(self) -> Self {
        Self {
            form: ResultForm::Count,
            ..self
        }
    }

    fn url(&self) -> String {
        let Self {
            filter,
            sort,
            offset,
            limit,
            form,
        } = self;
        format!("/db/Open/query?q={filter}&sort={sort}&start={offset}&count={limit:?}&cached={form:?}")
    }

    fn request(&self) -> QueryRequest {
        QueryRequest {
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            offset: self.offset,
            limit: self.limit,
        }
    }

    pub(crate) async fn kept(&self, app: &Arc<App>) -> Kept {
        let anybody = Principal::anonymous();
        let url = self.url();
        app.query_to_keep(&anybody, "Open", self.request(), self.form, &url)
            .await
            .unwrap()
    }

    async fn is_listed(&self, app: &App) -> bool {
        is_listed(app, &self.url()).await
    }
}

pub(crate) async fn set(it: &Fixture, name: &str, object: Value) {
    let object = object.as_object().unwrap();
    it.app
        .update(&it.admin.principal, "Open", &key(name), Condition::None, object)
        .await
        .unwrap();
}

async fn delete(it: &Fixture, name: &str) {
    let root = &it.admin.principal;
    it.app.delete(root, "Open", &key(name), Condition::None).await.unwrap();
}

fn parsed(kept: &Kept) -> Value {
    serde_json::from_slice(&kept.body).unwrap()
}

#[tokio::test]
async fn a_result_is_listed_when_it_changes_and_not_before() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    set(&it, "b", json!({ "n": 2 })).await;
    let ones = Ask::of(json!({ "n": 1 }));
    let kept = ones.kept(&it.app).await;
    assert_eq!(parsed(&kept)[0]["id"], "/db/Open/a");
    assert!(kept.is_public && kept.lifetime.is_some());
    set(&it, "b", json!({ "n": 3 })).await;
    set(&it, "c", json!({ "n": 4 })).await;
    assert!(!ones.is_listed(&it.app).await, "that is none of its business");

    set(&it, "d", json!({ "n": 1 })).await;
    assert!(ones.is_listed(&it.app).await, "one came in");
    let kept = ones.kept(&it.app).await;
    assert_eq!(parsed(&kept).as_array().unwrap().len(), 2);
    it.pass(BLIND);
    assert!(!ones.is_listed(&it.app).await, "all of its copies have ended");

    ones.kept(&it.app).await.lifetime.unwrap();
    set(&it, "d", json!({ "n": 1 })).await;
    assert!(ones.is_listed(&it.app).await, "one was changed");
    it.pass(BLIND);
    ones.kept(&it.app).await.lifetime.unwrap();
    set(&it, "d", json!({ "n": 5 })).await;
    assert!(ones.is_listed(&it.app).await, "one went away");
    it.pass(BLIND);
    ones.kept(&it.app).await.lifetime.unwrap();
    delete(&it, "a").await;
    assert!(ones.is_listed(&it.app).await, "one was deleted");
}

#[tokio::test]
async fn a_list_of_ids_outlives_changes_of_its_objects() {
    let it = Fixture::with_open().await;
    for (name, n) in [("a", 1), ("b", 2), ("c", 3)] {
        set(&it, name, json!({ "n": n })).await;
    }
    let ids = Ask::of(json!({ "n": { "$gt": 0 } })).ids();
    let sorted = Ask::of(json!({})).sorted(json!({ "n": 1 }), 2).ids();
    assert_eq!(
        parsed(&ids.kept(&it.app).await),
        json!(["/db/Open/a", "/db/Open/b", "/db/Open/c"])
    );
    assert_eq!(parsed(&sorted.kept(&it.app).await), json!(["/db/Open/a", "/db/Open/b"]));
    set(&it, "b", json!({ "n": 2 })).await;
    assert!(!ids.is_listed(&it.app).await && !sorted.is_listed(&it.app).await);
    set(&it, "a", json!({ "n": 2 })).await;
    set(&it, "b", json!({ "n": 1 })).await;
    assert!(!ids.is_listed(&it.app).await, "it has no order");
    assert!(sorted.is_listed(&it.app).await, "they changed places");
    delete(&it, "c").await;
    assert!(ids.is_listed(&it.app).await);
}

#[tokio::test]
async fn a_count_outlives_changes_of_what_is_counted() {
    let it = Fixture::with_open().await;
    for (name, n) in [("a", 1), ("b", 2)] {
        set(&it, name, json!({ "n": n })).await;
    }
    let count = Ask::of(json!({ "n": { "$gt": 0 } })).count();
    for _ in 0..2 {
        let kept = count.kept(&it.app).await;
        assert!(kept.lifetime.is_some() && parsed(&kept) == json!({ "count": 2 }));
    }
    set(&it, "b", json!({ "n": 3 })).await;
    assert!(!count.is_listed(&it.app).await);
    set(&it, "b", json!({ "n": 0 })).await;
    assert!(count.is_listed(&it.app).await);
}

#[tokio::test]
async fn a_result_that_has_grown_too_large_is_answered_without_a_lifetime() {
    let it = Fixture::with_open().await;
    let all = Ask::of(json!({}));
    let (ids, count) = (all.clone().ids(), all.clone().count());
    for ask in [&all, &ids, &count] {
        assert!(ask.kept(&it.app).await.lifetime.is_some());
    }
    let object = |i: i64| json!({ "id": format!("/db/Open/o{i}"), "n": i });
    let objects = (0..501).map(object).collect();
    it.app.import(&it.admin.principal, "Open", objects).await.unwrap();
    for ask in [&count, &all, &ids, &count] {
        let kept = ask.kept(&it.app).await;
        let is_whole = ask.form == ResultForm::Count && parsed(&kept) == json!({ "count": 501 });
        assert!(is_whole || parsed(&kept).as_array().unwrap().len() == 500);
        assert!(ask.is_listed(&it.app).await);
    }
}

#[tokio::test]
async fn s39_results_hold_what_everybody_may_see_and_nothing_else() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let secret = json!({ "n": 1, "acl": { "read": { "/db/Role/1": "allow" } } });
    set(&it, "secret", secret.clone()).await;
    let ones = Ask::of(json!({ "n": 1 }));
    let root = &it.admin.principal;
    let kept = it
        .app
        .query_to_keep(root, "Open", ones.request(), ResultForm::Objects, &ones.url())
        .await
        .unwrap();
    assert_eq!(parsed(&kept).as_array().unwrap().len(), 1, "whoever asks");
    set(
        &it,
        "secret",
        json!({ "n": 1, "acl": { "read": { "/db/Role/2": "allow" } } }),
    )
    .await;
    assert!(!ones.is_listed(&it.app).await);
    set(&it, "a", secret).await;
    assert!(ones.is_listed(&it.app).await);

    it.edit(class("Closed", json!({ "query": { "/db/Role/1": "allow" } })))
        .await;
    let closed = it
        .app
        .query_to_keep(root, "Closed", ones.request(), ResultForm::Any, "/db/Closed/query")
        .await
        .unwrap();
    assert!(!closed.is_public && closed.lifetime.is_none());
    let anybody = Principal::anonymous();
    let denied = it
        .app
        .query_to_keep(&anybody, "Closed", ones.request(), ResultForm::Any, "/db/Closed/query");
    assert!(denied.await.is_err());
    let users = it.app.query_to_keep(
        root,
        "User",
        Ask::of(json!({})).request(),
        ResultForm::Any,
        "/db/User/query",
    );
    assert!(users.await.unwrap().lifetime.is_none());
}

#[tokio::test]
async fn rules_and_schemas_that_change_make_results_be_asked_about() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let ones = Ask::of(json!({ "n": 1 }));
    ones.kept(&it.app).await.lifetime.unwrap();
    it.edit(class("Other", everybody())).await;
    assert!(!is_blind(&it.app).await);
    let more = json!({ "class": "/db/Open", "fields": { "m": { "type": "/db/String" } } });
    it.edit(fb_app::schema::SchemaEdit::Merge(
        fb_types::ClassDef::from_json(&more).unwrap(),
    ))
    .await;
    assert!(ones.is_listed(&it.app).await);
    // It goes on with the new schema.
    it.pass(BLIND);
    assert!(!is_blind(&it.app).await);
    ones.kept(&it.app).await.lifetime.unwrap();
    set(&it, "a", json!({ "n": 2 })).await;
    assert!(ones.is_listed(&it.app).await);
}

#[tokio::test]
async fn watching_ends_with_the_last_copy() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    Ask::of(json!({ "n": 1 })).kept(&it.app).await;
    Ask::of(json!({ "n": 2 })).kept(&it.app).await;
    assert_eq!(it.app.live_stats().await.subscriptions, 2);
    it.app.tend_caching().await.unwrap();
    assert_eq!(it.app.live_stats().await.subscriptions, 2);
    it.pass(LIFE);
    it.app.tend_caching().await.unwrap();
    assert_eq!(it.app.live_stats().await.subscriptions, 0);
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_nothing_half_watched() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let ones = Ask::of(json!({ "n": 1 }));
    // After any number of steps.
    for n_polls in 0..20 {
        let mut kept = std::pin::pin!(ones.kept(&it.app));
        for _ in 0..n_polls {
            if futures_util::poll!(kept.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let kept = ones.kept(&it.app).await;
    assert!(kept.lifetime.is_some());
    set(&it, "a", json!({ "n": 2 })).await;
    assert!(ones.is_listed(&it.app).await);
}

#[tokio::test]
async fn a_window_that_runs_dry_is_watched_anew() {
    let it = Fixture::with_open().await;
    let root = &it.admin.principal;
    let first = Ask::of(json!({})).sorted(json!({ "n": 1 }), 2);
    for round in 0..10 {
        let objects = |n: i64| -> Vec<Value> {
            let object = |i: i64| json!({ "id": format!("/db/Open/o{i}"), "n": n + i });
            (0..60).map(object).collect()
        };
        it.app.import(root, "Open", objects(0)).await.unwrap();
        set(&it, "first", json!({ "n": 1_000_000 })).await;
        it.pass(BLIND);
        first.kept(&it.app).await.lifetime.unwrap();
        // More than is known behind the window, at once.
        let moved = objects(1_000).into_iter().take(50).collect();
        it.app.import(root, "Open", moved).await.unwrap();
        assert!(first.is_listed(&it.app).await);
        it.pass(BLIND);
        first.kept(&it.app).await;
        set(&it, "first", json!({ "n": -1 })).await;
        assert!(first.is_listed(&it.app).await, "round {round}");
    }
}

#[tokio::test]
async fn too_large_results_and_deep_pages_get_no_lifetime() {
    let it = Fixture::with_open().await;
    for n in 0..3 {
        set(&it, &format!("o{n}"), json!({ "n": n })).await;
    }
    let deep = Ask {
        offset: 490,
        ..Ask::of(json!({})).sorted(json!({ "n": 1 }), 20)
    };
    let kept = deep.kept(&it.app).await;
    assert!(kept.lifetime.is_none() && kept.is_public);
    assert_eq!(it.app.live_stats().await.subscriptions, 0);
}

#[tokio::test]
async fn after_a_crash_results_are_asked_about_for_as_long_as_their_copies_live() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let ones = Ask::of(json!({ "n": 1 }));
    ones.kept(&it.app).await;
    it.app.tend_caching().await.unwrap();
    assert!(ones.kept(&it.app).await.lifetime.unwrap().browser > 10);
    let (apps, app, _dir) = it.crashed().await;
    it.pass(BLIND);
    assert!(!is_blind(&app).await);
    assert!(ones.is_listed(&app).await, "nobody watched it meanwhile");
    it.pass(3 * LIFE);
    assert!(!ones.is_listed(&app).await);
    apps.close().await;
}

/// Nobody tells of what earlier processes committed: who waits for that waits for ever.
#[tokio::test]
async fn after_a_crash_queries_are_watched_before_anything_is_written() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let (apps, app, _dir) = it.crashed().await;
    it.pass(BLIND);
    let ones = Ask::of(json!({ "n": 1 }));
    let kept = tokio::time::timeout(Duration::from_secs(60), ones.kept(&app)).await;
    let kept = kept.expect("it waits for somebody to write");
    assert_eq!(parsed(&kept)[0]["n"], 1);
    assert!(kept.lifetime.is_some());
    let two = json!({ "n": 2 });
    app.update(
        &it.admin.principal,
        "Open",
        &key("a"),
        Condition::None,
        two.as_object().unwrap(),
    )
    .await
    .unwrap();
    assert!(ones.is_listed(&app).await);
    apps.close().await;
}

/// A small generator with a fixed seed: the same history each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// The law: after each acknowledged write, each copy that is not what the server would answer now is in the filter.
#[tokio::test]
async fn whatever_happens_outdated_results_are_in_the_filter() {
    let it = Fixture::with_open().await;
    let mut asks = Vec::new();
    for n in 0..4 {
        asks.push(Ask::of(json!({ "n": n })));
        asks.push(Ask::of(json!({ "n": { "$gt": n } })).ids());
        asks.push(Ask::of(json!({ "n": { "$gt": n } })).count());
        asks.push(Ask::of(json!({ "n": { "$gte": n } })).sorted(json!({ "n": 1 }), n + 1));
        let page = Ask::of(json!({})).sorted(json!({ "n": -1 }), 3).ids();
        asks.push(Ask { offset: n, ..page });
        let some = Ask::of(json!({ "n": { "$lt": n } }));
        asks.push(Ask { limit: Some(2), ..some });
    }
    let (mut n_right, mut n_outdated, mut n_in_vain) = (0, 0, 0);
    for seed in 1..=4 {
        let mut dice = Dice(seed);
        let mut copies: HashMap<usize, bytes::Bytes> = HashMap::new();
        for _ in 0..150 {
            if dice.roll(6) == 0 {
                it.pass(BLIND);
                copies.clear();
            }
            for _ in 0..dice.roll(4) {
                let i = dice.roll(asks.len() as u64) as usize;
                let kept = asks[i].kept(&it.app).await;
                if kept.lifetime.is_some() {
                    copies.insert(i, kept.body);
                }
            }
            let before = it.app.filter().await;
            let name = format!("o{}", dice.roll(8));
            let n = dice.roll(6);
            match dice.roll(8) {
                0 => {
                    let _ = it
                        .app
                        .delete(&it.admin.principal, "Open", &key(&name), Condition::None)
                        .await;
                }
                1 => {
                    set(
                        &it,
                        &name,
                        json!({ "n": n, "acl": { "read": { "/db/Role/1": "allow" } } }),
                    )
                    .await
                }
                _ => set(&it, &name, json!({ "n": n })).await,
            }
            let filter = it.app.filter().await;
            for (&i, body) in &copies {
                let url = asks[i].url();
                let element = fb_sketch::KeyHash::of(&url);
                let is_listed = filter.filter().contains(element);
                let now = it.now(&asks[i]).await;
                match now == *body {
                    true => {
                        n_right += 1;
                        n_in_vain += usize::from(is_listed && !before.filter().contains(element));
                    }
                    false => {
                        n_outdated += 1;
                        assert!(
                            is_listed,
                            "seed {seed}: {url} is {now:?}, but {body:?} is not in the filter"
                        );
                    }
                }
            }
            copies.retain(|&i, _| !filter.filter().contains(fb_sketch::KeyHash::of(&asks[i].url())));
        }
        it.pass(BLIND);
    }
    assert!(n_right > 100 && n_outdated > 100, "{n_right} {n_outdated}");
    assert!(
        n_in_vain * 10 < n_outdated,
        "{n_in_vain} listed in vain, {n_outdated} outdated"
    );
}

impl Fixture {
    /// What the server answers now, read from the store alone.
    async fn now(&self, ask: &Ask) -> bytes::Bytes {
        let anybody = Principal::anonymous();
        let mut request = ask.request();
        if ask.form == ResultForm::Count {
            let count = self.app.count(&anybody, "Open", &request.filter).await.unwrap();
            return format!("{{\"count\":{count}}}").into();
        }
        if request.sort.is_null() {
            // Those without an order are kept in that of ids.
            request.sort = json!({ "id": 1 });
        }
        let found = self.app.query(&anybody, "Open", request).await.unwrap();
        match ask.form {
            ResultForm::Ids => {
                let objects: Vec<Value> = serde_json::from_slice(&found).unwrap();
                let ids: Vec<&Value> = objects.iter().map(|object| &object["id"]).collect();
                serde_json::to_vec(&ids).unwrap().into()
            }
            _ => found,
        }
    }
}
