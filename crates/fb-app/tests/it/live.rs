//! Live queries on a real store: results with all events are what a query says, and nobody is told what it may not see.

mod limits;
mod renewals;
mod rights;
mod sinks;

use std::time::Instant;

use fb_app::objects::Condition;
use fb_app::schema::SchemaEdit;
use fb_app::{
    Events, LiveConnection, LiveEnd, LiveMessage, LiveSink, LiveSource, LiveText, LiveWish, LiveWritten, QueryRequest,
    Resume, TicketSlot,
};
use fb_auth::Principal;
use fb_types::ClassDef;
use futures_util::FutureExt;

use super::*;

const RULES: [&str; 4] = ["load", "query", "insert", "update"];

/// What one subscription was told.
#[derive(Default)]
struct Told {
    result: Vec<Value>,
    events: Vec<Value>,
    error: Option<AppError>,
    n_resumed: usize,
}

/// A client with subscriptions `0`, `1`, …
struct Client {
    connection: LiveConnection,
    told: Vec<Told>,
    n_marks: usize,
}

impl Fixture {
    /// Classes `Doc` and `Mark` that everybody may read and write.
    async fn with_docs() -> Self {
        let it = Self::new().await;
        let mut acl: serde_json::Map<String, Value> = RULES
            .iter()
            .map(|rule| ((*rule).to_owned(), json!({ "*": "allow" })))
            .collect();
        acl.insert("delete".into(), json!({ "*": "allow" }));
        for def in [
            json!({ "class": "/db/Doc", "acl": acl, "fields": {
                "n": { "type": "/db/Integer" }, "s": { "type": "/db/String" },
                "tags": { "type": "/db/collection.List[/db/String]" },
                "secret": { "type": "/db/String", "acl": { "read": { "/db/Role/1": "allow" } } } } }),
            json!({ "class": "/db/Mark", "acl": acl }),
        ] {
            let def = ClassDef::from_json(&def).unwrap();
            it.app
                .edit_schema(&it.admin.principal, vec![SchemaEdit::Merge(def)])
                .await
                .unwrap();
        }
        it
    }

    async fn put(&self, key: &str, object: Value) {
        let mut object = object.as_object().unwrap().clone();
        object.insert("id".into(), json!(format!("/db/Doc/{key}")));
        let key = ObjectKey::from_raw(key).unwrap();
        let root = &self.admin.principal;
        self.app
            .update(root, "Doc", &key, Condition::None, &object)
            .await
            .unwrap();
    }

    async fn drop(&self, key: &str) {
        let key = ObjectKey::from_raw(key).unwrap();
        self.app
            .delete(&self.admin.principal, "Doc", &key, Condition::None)
            .await
            .unwrap();
    }

    async fn client(&self) -> Client {
        let mut client = Client {
            connection: self.app.live_connection(LiveSource::default()),
            told: Vec::new(),
            n_marks: 0,
        };
        client
            .connection
            .subscribe("mark", None, wish("Mark", json!({})))
            .await
            .unwrap();
        client.catch_up(self).await;
        client
    }

    async fn ask(&self, caller: &Principal, wish: &LiveWish) -> Vec<Value> {
        let request = QueryRequest {
            filter: wish.filter.clone(),
            sort: wish.sort.clone(),
            offset: wish.offset,
            limit: wish.limit,
        };
        let found = self.app.query(caller, &wish.bucket, request).await.unwrap();
        serde_json::from_slice(&found).unwrap()
    }
}

pub(crate) fn wish(bucket: &str, filter: Value) -> LiveWish {
    LiveWish {
        bucket: bucket.into(),
        filter,
        sort: Value::Null,
        offset: 0,
        limit: None,
        initial: true,
        events: Events::ALL,
        resume: Resume::Never,
    }
}

impl Client {
    async fn subscribe(&mut self, token: Option<&str>, wish: LiveWish) -> usize {
        let number = self.told.len();
        self.told.push(Told::default());
        self.connection
            .subscribe(&number.to_string(), token, wish)
            .await
            .unwrap();
        number
    }

    /// Takes in everything that was told about what was written up to now.
    async fn catch_up(&mut self, it: &Fixture) {
        it.app
            .insert(&Principal::anonymous(), "Mark", &serde_json::Map::new())
            .await
            .unwrap();
        self.n_marks += 1;
        let mut seen = 0;
        while seen < 1 {
            for message in self.connection.next().await.unwrap() {
                seen += self.take_in(message);
            }
        }
    }

    /// 1 for a mark.
    fn take_in(&mut self, message: LiveMessage) -> usize {
        match message {
            LiveMessage::Error(id, error) => {
                self.told[id.parse::<usize>().unwrap()].error = Some(error);
                0
            }
            LiveMessage::Text(text) => {
                let message: Value = serde_json::from_slice(&text.parts().concat()).unwrap();
                if message["id"] == "mark" {
                    return usize::from(message["type"] == "match");
                }
                let told = &mut self.told[message["id"].as_str().unwrap().parse::<usize>().unwrap()];
                told.take_in(message);
                0
            }
        }
    }
}

impl Told {
    fn take_in(&mut self, message: Value) {
        if message["type"] == "result" {
            assert!(self.events.is_empty(), "the result comes first");
            self.result = message["data"].as_array().unwrap().clone();
            return;
        }
        assert_eq!(message["type"], "match");
        let data = message["data"].clone();
        let at = self.result.iter().position(|known| known["id"] == data["id"]);
        if let Some(at) = at {
            self.result.remove(at);
        }
        if message["matchType"] != "remove" {
            let index = message["index"]
                .as_u64()
                .map_or(self.result.len(), |i| usize::try_from(i).unwrap());
            self.result.insert(index, data);
        }
        self.events.push(message);
    }

    fn last(&self) -> &Value {
        self.events.last().unwrap()
    }
}

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test]
async fn results_with_all_events_are_what_a_query_says() {
    let it = Fixture::with_docs().await;
    let ann = it.ann(true).await;
    let ann_token = token(&ann).to_owned();
    let ann = it.app.authenticate(&ann_token).await.unwrap().principal;
    let mut client = it.client().await;
    let callers = [(None, Principal::anonymous()), (Some(ann_token.as_str()), ann)];
    let mut asked = Vec::new();
    let mut dice = Dice(7);
    for round in 0..220 {
        if round % 6 == 0 {
            let filter = match dice.roll(6) {
                0 => json!({}),
                1 => json!({ "n": { "$gte": dice.roll(6) } }),
                2 => json!({ "n": { "$gt": 1, "$lte": dice.roll(9) } }),
                3 => json!({ "tags": "a" }),
                4 => json!({ "s": { "$regex": "^x" } }),
                _ => json!({ "$or": [{ "n": 3 }, { "tags": { "$all": ["a", "b"] } }] }),
            };
            let mut wish = wish("Doc", filter);
            if dice.roll(3) > 0 {
                wish.sort = match dice.roll(3) {
                    0 => json!({ "n": 1 }),
                    1 => json!({ "s": -1, "n": 1 }),
                    _ => json!({ "updatedAt": -1 }),
                };
                wish.limit = Some(1 + dice.roll(5));
                wish.offset = dice.roll(3);
            }
            let (token, caller) = &callers[usize::try_from(dice.roll(2)).unwrap()];
            client.subscribe(*token, wish.clone()).await;
            asked.push((caller, wish));
        }
        let key = dice.roll(30).to_string();
        if dice.roll(4) == 0 {
            it.drop(&key).await;
        } else {
            let tags: Vec<&str> = ["a", "b", "c"].into_iter().filter(|_| dice.roll(2) == 0).collect();
            let acl = match dice.roll(4) {
                0 => json!({ "read": { "/db/User/2": "allow" } }),
                _ => Value::Null,
            };
            let s = ["x", "xy", "y"][usize::try_from(dice.roll(3)).unwrap()];
            it.put(
                &key,
                json!({ "n": dice.roll(8), "s": s, "tags": tags, "secret": "psst", "acl": acl }),
            )
            .await;
        }
        client.catch_up(&it).await;
        for (told, (caller, wish)) in client.told.iter().zip(&asked) {
            let mut expected = it.ask(caller, wish).await;
            let mut shown = told.result.clone();
            if wish.sort.is_null() {
                let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
                expected.sort_by_key(id);
                shown.sort_by_key(id);
            }
            assert_eq!(shown, expected, "round {round}: {wish:?}");
        }
    }
    assert!(it.app.live_stats().await.matched > 200);
}

#[tokio::test]
async fn another_schema_resets_connections() {
    let it = Fixture::with_docs().await;
    let client = it.client().await;
    let def = ClassDef::from_json(&json!({ "class": "/db/Doc", "fields": { "more": { "type": "/db/String" } } }));
    it.app
        .edit_schema(&it.admin.principal, vec![SchemaEdit::Merge(def.unwrap())])
        .await
        .unwrap();
    let end = loop {
        if let Err(end) = client.connection.next().await {
            break end;
        }
    };
    assert_eq!(end, LiveEnd::Reset);
    // Whoever comes again is served.
    it.client().await;
}

#[tokio::test]
async fn s44_who_does_not_read_is_cut_off_and_nobody_else() {
    let it = Fixture::with_docs().await;
    let slow = it.client().await;
    slow.connection
        .subscribe("0", None, wish("Doc", json!({})))
        .await
        .unwrap();
    let mut quick = it.client().await;
    let all = quick.subscribe(None, wish("Doc", json!({}))).await;
    let long = "x".repeat(300_000);
    for n in 0..40 {
        it.put("1", json!({ "n": n, "s": long })).await;
        quick.catch_up(&it).await;
    }
    assert_eq!(quick.told[all].events.len(), 40);
    assert_eq!(slow.connection.next().await.err(), Some(LiveEnd::TooSlow));
}

#[tokio::test]
async fn what_cannot_be_kept_up_to_date_is_refused() {
    let it = Fixture::with_docs().await;
    let client = it.client().await;
    let deep = LiveWish {
        sort: json!({ "n": 1 }),
        offset: 500,
        limit: Some(1),
        ..wish("Doc", json!({}))
    };
    for (wish, what) in [
        (deep, "Offset"),
        (wish("Nothing", json!({})), "class"),
        (wish("Doc", json!({ "nothing": 1 })), "nothing"),
        (wish("Doc", json!({ "n": { "$where": 1 } })), "where"),
    ] {
        let refused = client
            .connection
            .subscribe("x", None, wish)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.to_lowercase().contains(&what.to_lowercase()), "{refused}");
    }
    for number in 0..198 {
        client
            .connection
            .subscribe(&number.to_string(), None, wish("Doc", json!({})))
            .await
            .unwrap();
    }
    client
        .connection
        .subscribe("198", None, wish("Doc", json!({})))
        .await
        .unwrap();
    let one_more = client.connection.subscribe("199", None, wish("Doc", json!({}))).await;
    assert!(
        matches!(one_more, Err(AppError::TooManySubscriptions(_))),
        "{one_more:?}"
    );
    // The same name is the same subscription.
    client
        .connection
        .subscribe("7", None, wish("Doc", json!({ "n": 1 })))
        .await
        .unwrap();
    client.connection.unsubscribe("8");
    client
        .connection
        .subscribe("199", None, wish("Doc", json!({})))
        .await
        .unwrap();
    let stats = it.app.live_stats().await;
    assert_eq!((stats.subscriptions, stats.filters), (200, 3));
}

#[tokio::test]
async fn without_connections_nothing_is_kept() {
    let it = Fixture::with_docs().await;
    it.put("1", json!({})).await;
    let mut client = it.client().await;
    client.subscribe(None, wish("Doc", json!({}))).await;
    client.catch_up(&it).await;
    let matched = it.app.live_stats().await.matched;
    assert!(matched > 0);
    drop(client);
    let stats = it.app.live_stats().await;
    assert_eq!((stats.subscriptions, stats.views, stats.objects), (0, 0, 0));
    it.put("2", json!({})).await;
    assert_eq!(it.app.live_stats().await.matched, stats.matched);
}

/// The worker has matched what was written before it says how much that was.
#[tokio::test]
async fn events_come_behind_the_answers_of_their_writes() {
    let it = Fixture::with_docs().await;
    let mut client = it.client().await;
    let all = client.subscribe(None, wish("Doc", json!({}))).await;
    client.catch_up(&it).await;
    // An answer holds events back for a tenth of a second: a round that took longer says nothing.
    for round in 1.. {
        let (slot, other) = (TicketSlot::default(), TicketSlot::default());
        assert!(slot.take().is_none());
        let begun = Instant::now();
        slot.hold(it.put("1", json!({ "n": round }))).await;
        other.hold(it.put("other", json!({ "n": round }))).await;
        let tickets = slot.take().unwrap();
        drop(other.take().unwrap());
        it.app.live_stats().await;
        let early = client.connection.next().now_or_never();
        let is_conclusive = begun.elapsed() < Duration::from_millis(100);
        assert!(early.is_none() || !is_conclusive);
        drop(tickets);
        let mut messages = early.unwrap_or(Ok(Vec::new())).unwrap();
        while client.told[all].events.len() < 2 * round {
            if messages.is_empty() {
                messages = client.connection.next().await.unwrap();
            }
            for message in messages.drain(..) {
                client.take_in(message);
            }
        }
        assert_eq!(client.told[all].events.len(), 2 * round);
        if is_conclusive {
            return;
        }
    }
}

/// The connection breaks again and again, at any moment; what the client has is always what a query says in the end.
#[tokio::test]
async fn whoever_resumes_misses_nothing_and_gets_nothing_twice() {
    let it = Fixture::with_docs().await;
    let mut dice = Dice(7);
    let top = LiveWish {
        sort: json!({ "n": -1 }),
        limit: Some(5),
        offset: 1,
        resume: Resume::Possible,
        ..wish("Doc", json!({ "n": { "$lt": 50 } }))
    };
    let mut connection = it.app.live_connection(LiveSource::default());
    connection.subscribe("w", None, top.clone()).await.unwrap();
    let mut told = Told::default();
    let mut token = None;
    let mut n_resumed = 0;
    let anybody = Principal::anonymous();
    for _ in 0..400 {
        let key = dice.roll(12).to_string();
        if dice.roll(4) == 0 {
            let key = ObjectKey::from_raw(&key).unwrap();
            let _ = it.app.delete(&anybody, "Doc", &key, Condition::None).await;
        } else {
            it.put(&key, json!({ "n": dice.roll(60) })).await;
        }
        if dice.roll(3) == 0 {
            // Some of what has come is lost with the connection.
            if dice.roll(2) == 0
                && let Some(messages) = connection.next().now_or_never()
            {
                let messages = messages.unwrap();
                let n_seen = usize::try_from(dice.roll(messages.len() as u64 + 1)).unwrap();
                for message in messages.into_iter().take(n_seen) {
                    told.resume(message, &mut token);
                }
            }
            let old = std::mem::replace(&mut connection, it.app.live_connection(LiveSource::default()));
            if dice.roll(2) == 0 {
                drop(old);
            }
            let wish = LiveWish {
                resume: token.clone().map_or(Resume::Possible, Resume::After),
                ..top.clone()
            };
            n_resumed += u64::from(token.is_some());
            connection.subscribe("w", None, wish).await.unwrap();
        }
    }
    // Behind everything else.
    for key in ["a", "b", "c", "d", "e", "f"] {
        it.put(key, json!({ "n": 49 })).await;
    }
    let expected = it.ask(&anybody, &top).await;
    while told.result != expected {
        for message in connection.next().await.unwrap() {
            told.resume(message, &mut token);
        }
    }
    assert!(n_resumed > 50 && told.n_resumed > 40, "{n_resumed} {}", told.n_resumed);
}

impl Told {
    fn resume(&mut self, message: LiveMessage, token: &mut Option<String>) {
        let LiveMessage::Text(text) = message else {
            panic!("{message:?}")
        };
        *token = text.resume.clone();
        let message: Value = serde_json::from_slice(&text.parts().concat()).unwrap();
        assert_eq!(message["resume"].as_str(), token.as_deref());
        match message["type"].as_str() {
            Some("subscribed") => {
                assert_eq!(message["resumed"], true);
                self.n_resumed += 1;
            }
            Some("result") => {
                assert_ne!(message["resumed"], true);
                self.events.clear();
                self.take_in(message);
            }
            _ => self.take_in(message),
        }
    }
}

#[tokio::test]
async fn connections_end_with_their_app() {
    let it = Fixture::with_docs().await;
    let mut client = it.client().await;
    client.subscribe(None, wish("Doc", json!({}))).await;
    let idle = it.app.live_connection(LiveSource::default());
    it.apps.delete(it.app.id()).await.unwrap();
    for connection in [&client.connection, &idle] {
        while let Ok(messages) = connection.next().await {
            drop(messages);
        }
    }
    let again = client.connection.subscribe("x", None, wish("Doc", json!({}))).await;
    assert!(again.is_err());
}
