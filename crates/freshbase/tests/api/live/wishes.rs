//! What a client can ask for, and what it cannot. Protocol 08, sections 2, 4 and 5.

use serde_json::json;

use super::{Socket, delete, docs, keys, put, put_all};

#[test]
fn events_can_be_chosen_by_operation() {
    let (server, admin, _) = docs();
    put_all(&admin, &[10, 20]);
    let mut socket = Socket::open(&server);
    let mut ids = Vec::new();
    for operation in ["insert", "update", "delete", "none"] {
        let more = json!({ "sort": "{\"n\":1}", "limit": 2, "operations": [operation], "initial": false });
        socket.subscribe(operation, more);
        ids.push(socket.next()["id"].clone());
    }
    put(&admin, "new", json!({ "n": 15 }));
    put(&admin, "new", json!({ "n": 16 }));
    delete(&admin, "new");
    let told = socket.told(&admin);
    let by_id = |id: &str| -> Vec<String> { told.iter().filter(|m| m["id"] == id).map(super::short).collect() };
    assert_eq!(by_id("insert"), ["add/insert 1 /new"]);
    assert_eq!(by_id("update"), ["change/update 1 /new"]);
    assert_eq!(by_id("delete"), ["remove/delete /new"]);
    // What the others bring about: the event that caused them is not told.
    assert_eq!(by_id("none"), ["remove/none /2", "add/none 1 /2"]);
    assert_eq!(ids, ["insert", "update", "delete", "none"]);
}

#[test]
fn events_can_be_chosen_by_kind() {
    let (server, admin, _) = docs();
    put_all(&admin, &[10, 20]);
    let mut socket = Socket::open(&server);
    for kinds in [
        json!(["add"]),
        json!(["change"]),
        json!(["changeIndex"]),
        json!(["remove"]),
        json!(["match"]),
        json!(["match", "remove"]),
        json!(["add", "match"]),
        json!([]),
    ] {
        socket.results(&kinds.to_string(), json!({ "sort": "{\"n\":1}", "matchTypes": kinds }));
    }
    put(&admin, "new", json!({ "n": 15 }));
    put(&admin, "new", json!({ "n": 16 }));
    put(&admin, "new", json!({ "n": 25 }));
    delete(&admin, "new");
    let told = socket.told(&admin);
    let by_id = |id: &str| -> Vec<String> { told.iter().filter(|m| m["id"] == id).map(super::short).collect() };
    let (add, change, moved, remove) = (
        "add/insert 1 /new",
        "change/update 1 /new",
        "changeIndex/update 2 /new",
        "remove/delete /new",
    );
    assert_eq!(by_id("[\"add\"]"), [add]);
    assert_eq!(by_id("[\"change\"]"), [change]);
    assert_eq!(by_id("[\"changeIndex\"]"), [moved]);
    assert_eq!(by_id("[\"remove\"]"), [remove]);
    let matches = ["match/insert 1 /new", "match/update 1 /new", "match/update 2 /new"];
    assert_eq!(by_id("[\"match\"]"), matches);
    assert_eq!(
        by_id("[\"match\",\"remove\"]"),
        [matches[0], matches[1], matches[2], remove]
    );
    assert_eq!(by_id("[\"add\",\"match\"]"), [add, matches[1], matches[2]]);
    assert_eq!(by_id("[]"), [add, change, moved, remove]);
}

#[test]
fn operators_of_queries_are_those_of_live_queries() {
    let (server, admin, _) = docs();
    let cases = [
        (json!({ "n": 1 }), json!({ "n": 1 })),
        (json!({ "n": { "$in": [1, 2] } }), json!({ "n": 2 })),
        (json!({ "n": { "$nin": [1, 2] } }), json!({ "n": 3 })),
        (json!({ "n": { "$ne": 1 } }), json!({ "n": 2 })),
        (json!({ "n": { "$mod": [5, 3] } }), json!({ "n": 8 })),
        (json!({ "n": null }), json!({ "s": "a" })),
        (json!({ "s": { "$regex": "^be.*t$" } }), json!({ "s": "best" })),
        (json!({ "tags": "a" }), json!({ "tags": ["b", "a"] })),
        (json!({ "tags": { "$all": ["a", "b"] } }), json!({ "tags": ["b", "a"] })),
        (json!({ "tags": { "$size": 2 } }), json!({ "tags": ["b", "a"] })),
        (json!({ "$or": [{ "n": 1 }, { "s": "x" }] }), json!({ "s": "x" })),
        (
            json!({ "$and": [{ "n": 1 }, { "s": "x" }] }),
            json!({ "n": 1, "s": "x" }),
        ),
        (json!({ "$nor": [{ "n": 1 }] }), json!({ "n": 2 })),
        (json!({ "n": { "$not": { "$gt": 3 } } }), json!({ "n": 2 })),
        (
            json!({ "createdAt": { "$gt": { "$date": "2001-02-03T04:05:06.789Z" } } }),
            json!({}),
        ),
        (json!({ "id": "/db/Doc/hit" }), json!({})),
    ];
    let mut socket = Socket::open(&server);
    for (i, (filter, object)) in cases.iter().enumerate() {
        let id = i.to_string();
        socket.results(&id, json!({ "query": filter.to_string() }));
        put(&admin, "hit", object.clone());
        let told = socket.told(&admin);
        assert_eq!(told.len(), 1, "{filter}");
        assert_eq!(super::short(&told[0]), "add/insert /hit", "{filter}");
        delete(&admin, "hit");
        assert_eq!(socket.events(&admin), ["remove/delete /hit"], "{filter}");
        socket.send(&json!({ "type": "unsubscribe", "id": id }));
    }
}

/// By hand one rather writes JSON than a text with JSON.
#[test]
fn filters_and_sort_orders_may_be_json_themselves_and_most_members_may_be_left_out() {
    let (server, admin, _) = docs();
    put_all(&admin, &[1, 2, 3]);
    let mut socket = Socket::open(&server);
    let result = socket.results("w", json!({ "query": { "n": { "$gt": 1 } }, "sort": { "n": -1 } }));
    assert_eq!(keys(&result), ["3", "2"]);
    socket.send(&json!({ "type": "subscribe", "id": "short", "bucket": "Doc" }));
    assert_eq!(socket.next()["data"].as_array().unwrap().len(), 3);
    let nulls = json!({ "token": null, "query": null, "sort": null, "limit": null, "offset": null,
        "initial": null, "matchTypes": null, "operations": null, "what": { "ever": 1 } });
    assert_eq!(socket.results("nulls", nulls).len(), 3);
}

#[test]
fn what_cannot_be_kept_up_to_date_is_one_error_and_nothing_else() {
    let (server, admin, _) = docs();
    put_all(&admin, &[1]);
    let mut socket = Socket::open(&server);
    let error = socket.refusal("w", json!({ "sort": "{\"n\":1}", "offset": 500, "limit": 1 }));
    assert_eq!(error["status"], 468);
    assert_eq!(error["reason"], "Query Not Supported");
    assert_eq!(
        error["message"],
        "Offset + limit may not exceed 500, but offset already was 500."
    );
    put(&admin, "2", json!({ "n": 0 }));
    assert_eq!(socket.events(&admin), [""; 0]);
    // Up to there everything is as wanted, or as much of it as there can be.
    socket.results("a", json!({ "sort": "{\"n\":1}", "offset": 499, "limit": 1 }));
    socket.results("b", json!({ "sort": "{\"n\":1}", "offset": 499, "limit": 100 }));
    socket.results("c", json!({ "sort": "{\"n\":1}", "limit": 100_000 }));
}

#[test]
fn errors_are_those_of_queries() {
    let (server, _admin, _) = docs();
    let mut socket = Socket::open(&server);
    for (more, status, reason) in [
        (json!({ "bucket": "Nothing" }), 461, "Bucket Not Found"),
        (json!({ "bucket": "" }), 461, "Bucket Not Found"),
        (json!({ "query": "{" }), 471, "Syntax Error"),
        (json!({ "sort": "{\"n\":2}" }), 400, "Bad Request"),
        (json!({ "query": "{\"n\":{\"$where\":1}}" }), 468, "Query Not Supported"),
        (json!({ "query": "{\"nothing\":1}" }), 400, "Bad Request"),
        (json!({ "query": [] }), 471, "Syntax Error"),
        (json!({ "query": true }), 400, "Bad Request"),
        (json!({ "token": "nonsense" }), 460, "Bad Credentials"),
        (json!({ "token": 1 }), 400, "Bad Request"),
        (json!({ "bucket": ["Doc"] }), 400, "Bad Request"),
        (json!({ "limit": -1 }), 400, "Bad Request"),
        (json!({ "limit": 1.5 }), 400, "Bad Request"),
        (json!({ "offset": "1" }), 400, "Bad Request"),
        (json!({ "initial": "yes" }), 400, "Bad Request"),
        (json!({ "matchTypes": "all" }), 400, "Bad Request"),
        (json!({ "matchTypes": ["everything"] }), 400, "Bad Request"),
        (json!({ "operations": [1] }), 400, "Bad Request"),
        (json!({ "type": "dance" }), 400, "Bad Request"),
        (json!({ "type": null }), 400, "Bad Request"),
    ] {
        let error = socket.refusal("w", more.clone());
        assert_eq!(
            (&error["status"], &error["reason"]),
            (&json!(status), &json!(reason)),
            "{more}: {error}"
        );
    }
    // After all that the name is free, and the socket good.
    assert_eq!(socket.results("w", json!({})).len(), 0);
}
