//! What is told about which write. Protocol 08, sections 3 and 4.

use serde_json::json;

use super::{Socket, delete, docs, keys, put, put_all};

/// Ordered by `n`, from the second on, three of them.
fn window() -> serde_json::Value {
    json!({ "query": "{\"n\":{\"$lt\":100}}", "sort": "{\"n\":1}", "offset": 1, "limit": 3 })
}

#[test]
fn a_result_is_the_window_in_its_order() {
    let (server, admin, _) = docs();
    put_all(&admin, &[50, 40, 30, 20, 10, 200]);
    let mut socket = Socket::open(&server);
    let result = socket.results("w", window());
    assert_eq!(keys(&result), ["4", "3", "2"]);
    assert_eq!(result[0]["n"], 20);
    assert_eq!(result[0]["version"], 1);
    let whole = admin.get("/db/Doc/4").expect(200).json();
    assert_eq!(result[0], whole);
}

#[test]
fn an_insert_in_front_of_a_full_window_removes_its_last_first() {
    let (server, admin, _) = docs();
    put_all(&admin, &[10, 20, 30, 40, 50]);
    let mut socket = Socket::open(&server);
    socket.results("w", window());
    put(&admin, "new", json!({ "n": 15 }));
    assert_eq!(socket.events(&admin), ["remove/none /4", "add/insert 0 /new"]);
}

#[test]
fn an_object_that_leaves_makes_room_for_the_next_one() {
    let (server, admin, _) = docs();
    put_all(&admin, &[10, 20, 30, 40, 50]);
    let mut socket = Socket::open(&server);
    socket.results("w", window());
    put(&admin, "3", json!({ "n": 300 }));
    let told = socket.told(&admin);
    let short: Vec<String> = told.iter().map(super::short).collect();
    assert_eq!(short, ["remove/update /3", "add/none 2 /5"]);
    // It is an object that there is, only not here.
    assert_eq!(told[0]["data"]["version"], 2);
    assert_eq!(told[0]["data"]["n"], 300);
    delete(&admin, "2");
    let told = socket.told(&admin);
    assert_eq!(super::short(&told[0]), "remove/delete /2");
    // Clients tell deletions by the missing version.
    assert_eq!(told[0]["data"], json!({ "id": "/db/Doc/2" }));
    assert_eq!(told.len(), 1);
}

#[test]
fn changes_say_where_the_object_is() {
    let (server, admin, _) = docs();
    put_all(&admin, &[10, 20, 30, 40, 50]);
    let mut socket = Socket::open(&server);
    socket.results("w", window());
    put(&admin, "3", json!({ "n": 31 }));
    put(&admin, "3", json!({ "n": 45 }));
    put(&admin, "2", json!({ "n": 46 }));
    assert_eq!(
        socket.events(&admin),
        [
            "change/update 1 /3",
            "changeIndex/update 2 /3",
            "changeIndex/update 2 /2"
        ]
    );
}

#[test]
fn writes_in_front_of_the_offset_tell_what_they_shift_and_those_behind_the_window_nothing() {
    let (server, admin, _) = docs();
    put_all(&admin, &[10, 20, 30, 40, 50, 60]);
    let mut socket = Socket::open(&server);
    socket.results("w", window());
    put(&admin, "new", json!({ "n": 5 }));
    assert_eq!(socket.events(&admin), ["remove/none /4", "add/none 0 /1"]);
    delete(&admin, "new");
    assert_eq!(socket.events(&admin), ["remove/none /1", "add/none 2 /4"]);
    put(&admin, "1", json!({ "n": 11 }));
    put(&admin, "6", json!({ "n": 55 }));
    put(&admin, "behind", json!({ "n": 70 }));
    put(&admin, "elsewhere", json!({ "n": 700 }));
    assert_eq!(socket.events(&admin), [""; 0]);
}

#[test]
fn unsorted_queries_have_all_matches_and_no_index() {
    let (server, admin, _) = docs();
    put_all(&admin, &[1, 2]);
    let mut socket = Socket::open(&server);
    let result = socket.results("w", json!({ "query": "{\"n\":{\"$gt\":1}}" }));
    assert_eq!(keys(&result), ["2"]);
    put(&admin, "3", json!({ "n": 3 }));
    put(&admin, "1", json!({ "n": 4 }));
    put(&admin, "3", json!({ "n": 5 }));
    put(&admin, "3", json!({ "n": 0 }));
    assert_eq!(
        socket.events(&admin),
        ["add/insert /3", "add/update /1", "change/update /3", "remove/update /3"]
    );
}

#[test]
fn several_sort_fields_fields_that_nobody_declared_and_equal_keys() {
    let (server, admin, _) = docs();
    for (key, n, s) in [("a", 1, "x"), ("b", 1, "y"), ("c", 1, "y"), ("d", 0, "z")] {
        put(&admin, key, json!({ "n": n, "s": s }));
    }
    let mut socket = Socket::open(&server);
    let result = socket.results("w", json!({ "sort": "{\"n\":-1,\"s\":-1}" }));
    assert_eq!(keys(&result), ["b", "c", "a", "d"]);
    put(&admin, "bb", json!({ "n": 1, "s": "y" }));
    assert_eq!(socket.events(&admin), ["add/insert 1 /bb"]);
}

/// The published clients do that; what the class does not have orders nothing.
#[test]
fn sort_orders_may_name_fields_that_the_class_does_not_have() {
    let (server, admin, _) = docs();
    put_all(&admin, &[3, 1]);
    let mut socket = Socket::open(&server);
    let some = json!({ "sort": "{\"n\":1,\"nothing\":-1}", "limit": 3 });
    assert_eq!(keys(&socket.results("some", some)), ["2", "1"]);
    let list = json!({ "sort": [{ "nothing": 1 }, { "n": -1 }], "limit": 3 });
    assert_eq!(keys(&socket.results("list", list)), ["1", "2"]);
    assert_eq!(
        keys(&socket.results("none", json!({ "sort": { "nothing": 1 } }))),
        ["1", "2"]
    );
    put(&admin, "0", json!({ "n": 2 }));
    let mut events = socket.events(&admin);
    events.sort();
    assert_eq!(events, ["add/insert 0 /0", "add/insert 1 /0", "add/insert 1 /0"]);
}

#[test]
fn without_the_result_there_is_exactly_one_message_and_then_events() {
    let (server, admin, _) = docs();
    put_all(&admin, &[1]);
    let mut socket = Socket::open(&server);
    socket.subscribe("a", json!({ "initial": false }));
    socket.subscribe("b", json!({ "initial": false }));
    let acknowledged = [socket.next(), socket.next()];
    for (message, id) in acknowledged.iter().zip(["a", "b"]) {
        assert_eq!(
            (&message["id"], &message["type"]),
            (&json!(id), &json!("subscribed")),
            "{message}"
        );
    }
    put(&admin, "2", json!({}));
    assert_eq!(socket.events(&admin), ["add/insert /2", "add/insert /2"]);
}

#[test]
fn nothing_is_told_after_unsubscribing_not_even_that() {
    let (server, admin, _) = docs();
    let mut socket = Socket::open(&server);
    socket.results("a", json!({}));
    socket.results("b", json!({}));
    for round in 0..20 {
        // What waits to be sent is left out as well.
        put(&admin, "1", json!({ "n": round }));
        socket.send(&json!({ "type": "unsubscribe", "id": "a" }));
        socket.subscribe("a", json!({ "initial": false }));
        while socket.next()["type"] != "subscribed" {}
        let told = socket.told(&admin);
        assert!(told.iter().all(|m| m["id"] == "b"), "{told:?}");
        put(&admin, "1", json!({ "n": -round }));
        assert_eq!(socket.events(&admin).len(), 2);
        socket.send(&json!({ "type": "unsubscribe", "id": "a", "token": null }));
        socket.send(&json!({ "type": "unsubscribe", "id": "nothing" }));
        // The answer to another message says that these were dealt with.
        socket.refusal("x", json!({ "bucket": "Nothing" }));
        put(&admin, "1", json!({ "n": 100 + round }));
        let told = socket.told(&admin);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["id"], "b");
        socket.results("a", json!({}));
    }
}

#[test]
fn messages_carry_objects_whatever_is_in_them() {
    let (server, admin, _) = docs();
    let mut socket = Socket::open(&server);
    socket.results("\"\\\n\u{1f980}", json!({}));
    let s = "\"\\\n\r\u{0}\u{2028}🦀 ümlaut </script>";
    put(&admin, "a%2Fb%20%22", json!({ "s": s, "id": "ignored" }));
    let told = socket.told(&admin);
    assert_eq!(told[0]["id"], "\"\\\n\u{1f980}");
    assert_eq!(told[0]["data"]["s"], s);
    assert_eq!(told[0]["data"]["id"], "/db/Doc/a%2Fb%20%22");
}
