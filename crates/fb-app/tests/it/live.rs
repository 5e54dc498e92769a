//! Live queries on a real store: results with all events are what a query says, and nobody is told what it may not see.

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
async fn s06_an_object_that_becomes_unreadable_is_removed_with_its_id_alone() {
    let it = Fixture::with_docs().await;
    it.put("1", json!({ "n": 1 })).await;
    let mut client = it.client().await;
    let all = client.subscribe(None, wish("Doc", json!({}))).await;
    it.put("1", json!({ "n": 2, "acl": { "read": { "/db/Role/1": "allow" } } }))
        .await;
    it.put("1", json!({ "n": 3, "acl": { "read": { "/db/Role/1": "allow" } } }))
        .await;
    it.put("2", json!({ "n": 4, "acl": { "read": { "/db/Role/1": "allow" } } }))
        .await;
    client.catch_up(&it).await;
    let told = &client.told[all];
    assert_eq!(told.events.len(), 1);
    assert_eq!(told.last()["matchType"], "remove");
    assert_eq!(told.last()["data"], json!({ "id": "/db/Doc/1" }));
}

#[tokio::test]
async fn s07_fields_that_may_not_be_read_are_in_no_message() {
    let it = Fixture::with_docs().await;
    it.put("1", json!({ "n": 1, "secret": "psst" })).await;
    let mut client = it.client().await;
    let all = client.subscribe(None, wish("Doc", json!({}))).await;
    it.put("1", json!({ "n": 2, "secret": "hush" })).await;
    client.catch_up(&it).await;
    let told = &client.told[all];
    assert_eq!(told.last()["data"]["n"], 2);
    assert_eq!(told.last()["data"].get("secret"), None);
    let refused = client
        .connection
        .subscribe("x", None, wish("Doc", json!({ "secret": "psst" })))
        .await;
    assert!(matches!(refused, Err(AppError::Denied(_))), "{refused:?}");
}

#[tokio::test]
async fn s42_who_loses_a_role_stops_seeing() {
    let it = Fixture::with_docs().await;
    let ann = token(&it.ann(true).await).to_owned();
    let root = &it.admin.principal;
    let role = json!({ "name": "staff", "users": ["/db/User/2"] });
    let role = it.app.insert(root, "Role", role.as_object().unwrap()).await.unwrap();
    let staff = role.key().clone();
    let for_staff = json!({ "read": { format!("/db/Role/{staff}"): "allow" } });
    it.put("1", json!({ "acl": for_staff })).await;
    it.put("2", json!({})).await;
    let mut client = it.client().await;
    let all = client.subscribe(Some(&ann), wish("Doc", json!({}))).await;
    let top = LiveWish {
        sort: json!({ "createdAt": 1 }),
        limit: Some(1),
        ..wish("Doc", json!({}))
    };
    let top = client.subscribe(Some(&ann), top).await;
    client.catch_up(&it).await;
    assert_eq!(client.told[all].result.len(), 2);
    assert_eq!(client.told[top].result[0]["id"], "/db/Doc/1");
    let nobody = json!({ "$set": { "users": [] } });
    it.app
        .update_partially(root, "Role", &staff, Condition::None, &nobody)
        .await
        .unwrap();
    while client.told[all].events.is_empty() || client.told[top].events.is_empty() {
        client.catch_up(&it).await;
    }
    assert_eq!(client.told[all].events.len(), 1);
    assert_eq!(client.told[all].last()["matchType"], "remove");
    assert_eq!(client.told[all].last()["data"], json!({ "id": "/db/Doc/1" }));
    assert_eq!(client.told[top].result.len(), 1);
    assert_eq!(client.told[top].result[0]["id"], "/db/Doc/2");
    it.put("1", json!({ "n": 5, "acl": for_staff })).await;
    client.catch_up(&it).await;
    assert_eq!(client.told[all].events.len(), 1);
}

#[tokio::test]
async fn s42_a_token_that_is_revoked_ends_its_subscriptions() {
    let it = Fixture::with_docs().await;
    let ann = token(&it.ann(true).await).to_owned();
    let mut client = it.client().await;
    let mine = client.subscribe(Some(&ann), wish("Doc", json!({}))).await;
    let other = client.subscribe(None, wish("Doc", json!({}))).await;
    let key = ObjectKey::from_raw("2").unwrap();
    it.app.revoke_tokens(&it.admin.principal, None, &key).await.unwrap();
    while client.told[mine].error.is_none() {
        client.catch_up(&it).await;
    }
    assert!(matches!(client.told[mine].error, Some(AppError::BadToken)));
    it.put("1", json!({})).await;
    client.catch_up(&it).await;
    assert_eq!(client.told[mine].events.len(), 0);
    assert_eq!(client.told[other].events.len(), 1);
    let again = client
        .connection
        .subscribe("x", Some(ann.as_str()), wish("Doc", json!({})))
        .await;
    assert!(matches!(again, Err(AppError::BadToken)), "{again:?}");
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

/// A role that may read a field makes the field appear, and leaving it makes it disappear.
#[tokio::test]
async fn who_gains_or_loses_the_right_to_a_field_is_told_the_objects_again() {
    let it = Fixture::with_docs().await;
    it.put("1", json!({ "n": 1, "secret": "x" })).await;
    let ann = token(&it.ann(true).await).to_owned();
    let sorted = LiveWish {
        sort: json!({ "n": 1 }),
        ..wish("Doc", json!({}))
    };
    let mut client = it.client().await;
    for wish in [wish("Doc", json!({})), sorted] {
        client.subscribe(Some(&ann), wish).await;
    }
    client.catch_up(&it).await;
    assert_eq!(client.told[0].result[0].get("secret"), None);
    let (root, role) = (&it.admin.principal, ObjectKey::from_raw("1").unwrap());
    let members = [
        (json!(["/db/User/1", "/db/User/2"]), Some(json!("x"))),
        (json!(["/db/User/1"]), None),
    ];
    for (users, secret) in members {
        let change = json!({ "$set": { "users": users } });
        it.app
            .update_partially(root, "Role", &role, Condition::None, &change)
            .await
            .unwrap();
        while client
            .told
            .iter()
            .any(|told| told.result[0].get("secret") != secret.as_ref())
        {
            for message in client.connection.next().await.unwrap() {
                client.take_in(message);
            }
        }
    }
    assert_eq!(client.told[1].events.len(), 2);
    assert!(client.told[1].events.iter().all(|event| event["matchType"] == "change"));
}

/// A client that does not read gets no second large result before it has read the first one.
#[tokio::test]
async fn first_results_wait_for_a_client_that_reads_and_too_large_ones_are_refused_alone() {
    let it = Fixture::with_docs().await;
    let long = "x".repeat(600_000);
    for key in ["1", "2", "3"] {
        it.put(key, json!({ "n": 1, "s": long })).await;
    }
    let connection = it.app.live_connection(LiveSource::default());
    connection.subscribe("0", None, wish("Doc", json!({}))).await.unwrap();
    let mut second = Box::pin(connection.subscribe("1", None, wish("Doc", json!({}))));
    for _ in 0..50 {
        assert!(second.as_mut().now_or_never().is_none());
        it.app.live_stats().await;
    }
    assert_eq!(connection.next().await.unwrap().len(), 1);
    second.await.unwrap();
    assert_eq!(connection.next().await.unwrap().len(), 1);
    for key in 4..12 {
        it.put(&key.to_string(), json!({ "n": 2, "s": long })).await;
    }
    for wish in [
        wish("Doc", json!({})),
        LiveWish {
            sort: json!({ "n": 1 }),
            ..wish("Doc", json!({}))
        },
    ] {
        let _ = connection.next().now_or_never();
        let refused = connection.subscribe("2", None, wish).await;
        assert!(
            matches!(&refused, Err(AppError::NotLive(why)) if why.contains("MiB")),
            "{refused:?}"
        );
    }
    assert_eq!(connection.len(), 2);
}

#[tokio::test]
async fn s44_what_the_live_queries_of_an_address_cost_has_a_limit() {
    let it = Fixture::with_docs().await;
    let few = LiveSource {
        clients_per_address: 1,
        ..LiveSource::default()
    };
    let connection = it.app.live_connection(few);
    let subscribe = |i: usize, wish: LiveWish| {
        let (connection, name) = (&connection, i.to_string());
        async move { connection.subscribe(&name, None, wish).await }
    };
    // Filters: 128 KiB.
    let names: Vec<String> = (0..400).map(|i| format!("some name or other {i}")).collect();
    let mut n = 0;
    let refused = loop {
        let filter = json!({ "s": { "$in": names }, "n": n });
        let begun = subscribe(n, wish("Doc", filter)).await;
        let _ = connection.next().now_or_never();
        match begun {
            Ok(()) => n += 1,
            Err(error) => break error,
        }
    };
    assert!((5..20).contains(&n), "{n}");
    assert!(
        matches!(&refused, AppError::TooManySubscriptions(why) if why.contains("bytes of filters")),
        "{refused}"
    );
    // Nobody else is concerned, and what ends is free again.
    let other = it.app.live_connection(LiveSource {
        address: "192.0.2.1".parse().unwrap(),
        ..few
    });
    other
        .subscribe("x", None, wish("Doc", json!({ "s": { "$in": names } })))
        .await
        .unwrap();
    for i in 0..n {
        connection.unsubscribe(&i.to_string());
    }
    it.app.live_stats().await;
    // Objects in windows: 16 MiB.
    let long = "x".repeat(500_000);
    for key in 0..10 {
        it.put(&key.to_string(), json!({ "n": 1, "s": long })).await;
    }
    let mut n = 0;
    let refused = loop {
        let window = LiveWish {
            sort: json!({ "n": 1 }),
            initial: false,
            ..wish("Doc", json!({ "n": { "$gt": -1 - i64::try_from(n).unwrap() } }))
        };
        let begun = subscribe(n, window).await;
        let _ = connection.next().now_or_never();
        match begun {
            Ok(()) => n += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(n, 3);
    assert!(
        matches!(&refused, AppError::TooManySubscriptions(why) if why.contains("windows")),
        "{refused}"
    );
}

/// What is resumed goes on costing what it cost.
#[tokio::test]
async fn s44_coming_back_makes_nothing_cheaper() {
    let it = Fixture::with_docs().await;
    let few = LiveSource {
        clients_per_address: 1,
        ..LiveSource::default()
    };
    let names: Vec<String> = (0..400).map(|i| format!("some name or other {i}")).collect();
    let heavy = |n: usize, resume: Resume| LiveWish {
        resume,
        ..wish("Doc", json!({ "s": { "$in": names }, "n": n }))
    };
    let first = it.app.live_connection(few);
    let mut tokens = Vec::new();
    while first
        .subscribe(&tokens.len().to_string(), None, heavy(tokens.len(), Resume::Possible))
        .await
        .is_ok()
    {
        let message = first.next().await.unwrap().pop().unwrap();
        let LiveMessage::Text(text) = message else {
            panic!("{message:?}")
        };
        tokens.push(text.resume.unwrap());
    }
    assert!((5..20).contains(&tokens.len()), "{}", tokens.len());
    drop(first);
    let second = it.app.live_connection(few);
    for (n, token) in tokens.iter().enumerate() {
        let again = heavy(n, Resume::After(token.clone()));
        second.subscribe(&n.to_string(), None, again).await.unwrap();
    }
    assert_eq!(it.app.live_stats().await.subscriptions, tokens.len());
    let more = second.subscribe("more", None, heavy(1000, Resume::Possible)).await;
    assert!(matches!(more, Err(AppError::TooManySubscriptions(_))), "{more:?}");
    for n in 0..tokens.len() {
        second.unsubscribe(&n.to_string());
    }
    it.app.live_stats().await;
    second
        .subscribe("more", None, heavy(1000, Resume::Possible))
        .await
        .unwrap();
}

impl Fixture {
    /// A client with the five first and the five last of a hundred objects, and with all of them, the first of which have been deleted until
    /// the five first had to be read again.
    async fn after_a_renewal(&self, panics: usize, errors: usize) -> Client {
        for n in 0..100 {
            self.put(&n.to_string(), json!({ "n": n })).await;
        }
        let mut client = self.client().await;
        for sort in [json!({ "n": 1 }), json!({ "n": -1 }), Value::Null] {
            let limit = (!sort.is_null()).then_some(5);
            let wish = LiveWish {
                sort,
                limit,
                ..wish("Doc", json!({}))
            };
            client.subscribe(None, wish).await;
        }
        client.catch_up(self).await;
        self.fault.plan(panics, errors);
        let mut n = 0;
        while self.fault.n_reads() == 0 {
            self.drop(&n.to_string()).await;
            client.catch_up(self).await;
            n += 1;
        }
        self.put("100", json!({ "n": -1 })).await;
        client
    }

    async fn first_five(&self) -> Vec<Value> {
        let first = LiveWish {
            sort: json!({ "n": 1 }),
            limit: Some(5),
            ..wish("Doc", json!({}))
        };
        self.ask(&Principal::anonymous(), &first).await
    }
}

#[tokio::test]
async fn a_result_that_cannot_be_read_again_at_once_is_read_later() {
    let it = Fixture::with_docs().await;
    let mut client = it.after_a_renewal(1, 2).await;
    while it.fault.n_reads() < 4 {
        client.catch_up(&it).await;
    }
    for n in 40..90 {
        it.drop(&n.to_string()).await;
    }
    let expected = it.first_five().await;
    while client.told[0].result != expected {
        client.catch_up(&it).await;
    }
    assert!(client.told.iter().all(|told| told.error.is_none()));
}

#[tokio::test]
async fn a_result_that_cannot_be_read_again_at_all_ends_and_no_other_does() {
    let it = Fixture::with_docs().await;
    let mut client = it.after_a_renewal(1, 5).await;
    while client.told[0].error.is_none() {
        client.catch_up(&it).await;
    }
    assert!(matches!(client.told[0].error, Some(AppError::Busy { .. })));
    assert_eq!(it.fault.n_reads(), 6);
    it.put("101", json!({ "n": 101 })).await;
    client.catch_up(&it).await;
    for told in &client.told[1..] {
        assert_eq!(told.last()["data"]["n"], 101);
    }
    // Whoever asks again is served.
    let again = LiveWish {
        sort: json!({ "n": 1 }),
        limit: Some(5),
        ..wish("Doc", json!({}))
    };
    let again = client.subscribe(None, again).await;
    client.catch_up(&it).await;
    assert_eq!(client.told[again].result, it.first_five().await);
}

/// Panics when it is told to write.
struct Broken;

impl LiveSink for Broken {
    fn write(&self, _: &mut dyn Iterator<Item = &LiveText>) -> LiveWritten {
        panic!("broken for a test");
    }
}

/// All begin anew, as after a change of the schema, and those who do are told again.
#[tokio::test]
async fn live_queries_survive_a_panic_of_their_task() {
    let it = Fixture::with_docs().await;
    let (mut one, mut other) = (it.client().await, it.client().await);
    one.subscribe(None, wish("Doc", json!({}))).await;
    other.subscribe(None, wish("Doc", json!({}))).await;
    for client in [&mut one, &mut other] {
        client.catch_up(&it).await;
    }
    one.connection.write_through(Arc::new(Broken));
    // Only for who has written all it got, and asks for more, is anything written.
    while one.connection.next().now_or_never().is_some() {}
    it.put("1", json!({ "n": 1 })).await;
    for client in [&one, &other] {
        let end = loop {
            if let Err(end) = client.connection.next().await {
                break end;
            }
        };
        assert_eq!(end, LiveEnd::Reset);
    }
    drop((one, other));
    let mut again = it.client().await;
    let number = again.subscribe(None, wish("Doc", json!({}))).await;
    it.put("2", json!({ "n": 2 })).await;
    again.catch_up(&it).await;
    assert_eq!(again.told[number].events.len(), 1);
    assert_eq!(again.told[number].result.len(), 2);
}

/// Takes messages without anybody's turn.
#[derive(Default)]
struct Taking(std::sync::Mutex<Vec<String>>);

impl LiveSink for Taking {
    fn write(&self, messages: &mut dyn Iterator<Item = &LiveText>) -> LiveWritten {
        let texts = messages.map(|text| String::from_utf8(text.parts().concat()).unwrap());
        self.0.lock().unwrap().extend(texts);
        LiveWritten::All
    }
}

#[tokio::test]
async fn messages_are_written_through_a_sink_until_the_connection_ends() {
    let it = Fixture::with_docs().await;
    let connection = it.app.live_connection(LiveSource::default());
    let sink = Arc::new(Taking::default());
    connection.write_through(sink.clone());
    connection.subscribe("all", None, wish("Doc", json!({}))).await.unwrap();
    for n in 0..300 {
        it.put("1", json!({ "n": n })).await;
    }
    // Behind them all.
    it.app.live_stats().await;
    let mut other = it.client().await;
    other.catch_up(&it).await;
    let numbers: Vec<Value> = {
        let texts = sink.0.lock().unwrap();
        let messages = texts.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
        messages.map(|message| message["data"]["n"].clone()).collect()
    };
    assert_eq!(numbers.len(), 301);
    assert_eq!(numbers[1..], (0..300).map(Value::from).collect::<Vec<_>>());
    assert!(connection.next().now_or_never().is_none());
    drop(connection);
    assert_eq!(Arc::strong_count(&sink), 1);
}
