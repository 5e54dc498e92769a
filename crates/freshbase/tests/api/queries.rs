//! Queries and counts: protocol 03.

use fb_testkit::{Client, Server, encode};
use serde_json::{Value, json};

use crate::{class, open};

/// A class of people: `n` objects imported, keys `0000`, `0001`, …
fn people(n: usize) -> (Server, Client, Client) {
    let (server, admin, anybody) = open();
    class(
        &admin,
        "Person",
        &[
            ("name", "String"),
            ("age", "Integer"),
            ("group", "Integer"),
            ("born", "DateTime"),
            ("friend", "Person"),
            ("tags", "collection.Set[/db/String]"),
            ("point", "GeoPoint"),
            ("data", "JsonObject"),
        ],
    );
    let objects: Vec<Value> = (0..n)
        .map(|i| {
            json!({
                "id": format!("/db/Person/{i:04}"), "name": format!("n{i:04}"), "age": i, "group": i % 3,
                "born": format!("2000-01-01T00:{:02}:{:02}.5Z", i / 60, i % 60),
            })
        })
        .collect();
    let report = admin.put("/db/Person", &json!(objects)).expect(200).json();
    assert_eq!(report["count"], n);
    (server, admin, anybody)
}

fn ask(client: &Client, parameters: &[(&str, Value)]) -> Value {
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(&value.to_string())))
        .collect();
    client
        .get(&format!("/db/Person/query?{}", pairs.join("&")))
        .expect(200)
        .json()
}

fn ages(found: &Value) -> Vec<i64> {
    let found = found.as_array().unwrap();
    found
        .iter()
        .map(|object| object["age"].as_i64().unwrap_or(-1))
        .collect()
}

#[test]
fn get_and_post_find_the_same() {
    let (_server, _, client) = people(30);
    let rows = [
        json!({}),
        json!({ "age": 7 }),
        json!({ "age": { "$gt": 5, "$lt": 9 } }),
        json!({ "$or": [{ "age": 3 }, { "name": "n0011" }] }),
        json!({ "name": { "$regex": "^n000" } }),
        json!({ "name": { "$in": ["n0001", "ä", "+ &=#"] } }),
        json!({ "age": { "$mod": [10, 3] } }),
        json!({ "friend": null }),
        json!({ "age": { "$exists": true, "$ne": null } }),
        json!({ "name": "nobody" }),
    ];
    for filter in rows {
        let text = filter.to_string();
        let sort = json!({ "age": -1 });
        let by_get = ask(
            &client,
            &[
                ("q", filter.clone()),
                ("sort", sort),
                ("start", json!(0)),
                ("count", json!(-1)),
            ],
        );
        let path = format!("/db/Person/query?start=0&count=-1&sort={}", encode("{\"age\":-1}"));
        for content_type in ["text/plain;charset=utf-8", "application/json", "null"] {
            let headers = [("content-type", content_type)];
            let by_post = client.request("POST", &path, &headers, text.as_bytes()).expect(200);
            assert_eq!(by_post.json(), by_get, "{text}");
            let count = client
                .request("POST", "/db/Person/count", &headers, text.as_bytes())
                .expect(200);
            assert_eq!(
                count.json(),
                json!({ "count": by_get.as_array().unwrap().len() }),
                "{text}"
            );
        }
        let count = client.get(&format!("/db/Person/count?q={}", encode(&text))).expect(200);
        assert_eq!(count.json()["count"], by_get.as_array().unwrap().len());
    }
    // No filter is all.
    for path in [
        "/db/Person/query",
        "/db/Person/query?q=",
        "/db/Person/query?BCB",
        "/db/Person/query?unknown=1",
    ] {
        assert_eq!(
            client.get(path).expect(200).json().as_array().unwrap().len(),
            30,
            "{path}"
        );
    }
    assert_eq!(
        client
            .request("POST", "/db/Person/query", &[], b"")
            .expect(200)
            .json()
            .as_array()
            .unwrap()
            .len(),
        30
    );
    assert_eq!(client.get("/db/Person/count").expect(200).json()["count"], 30);
    // Spaces as forms spell them.
    assert_eq!(
        client
            .get("/db/Person/query?q=%7B%22age%22:+7%7D")
            .expect(200)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_filter_may_have_thousands_of_values() {
    let (_server, _, client) = people(40);
    let mut names: Vec<String> = (0..5000).map(|i| format!("some rather long name {i}")).collect();
    names[4321] = "n0017".into();
    names[17] = "n0023".into();
    let filter = json!({ "name": { "$in": names } }).to_string();
    let headers = [("content-type", "text/plain;charset=utf-8")];
    let found = client
        .request("POST", "/db/Person/query", &headers, filter.as_bytes())
        .expect(200);
    let mut found = ages(&found.json());
    found.sort_unstable();
    assert_eq!(found, [17, 23]);
    let count = client
        .request("POST", "/db/Person/count", &headers, filter.as_bytes())
        .expect(200);
    assert_eq!(count.json()["count"], 2);
}

#[test]
fn the_members_of_a_sort_order_count_in_their_order() {
    let (_server, _, client) = people(9);
    let sorted = |sort: &str| {
        ages(
            &client
                .get(&format!("/db/Person/query?sort={}", encode(sort)))
                .expect(200)
                .json(),
        )
    };
    assert_eq!(sorted("{\"group\":1,\"age\":-1}"), [6, 3, 0, 7, 4, 1, 8, 5, 2]);
    assert_eq!(sorted("{\"age\":-1,\"group\":1}"), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(sorted("[{\"group\":1},{\"age\":-1}]"), [6, 3, 0, 7, 4, 1, 8, 5, 2]);
    assert_eq!(
        sorted("{\"group\":-1}"),
        [2, 5, 8, 1, 4, 7, 0, 3, 6],
        "ties are in the order of ids"
    );
    assert_eq!(sorted("{\"id\":-1}"), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(sorted("{}"), sorted(""));
    client.put("/db/Person/zzzz", &json!({ "name": "no age" })).expect(200);
    assert_eq!(sorted("{\"age\":1}")[..2], [-1, 0], "null comes first");
    assert_eq!(sorted("{\"age\":-1}").last(), Some(&-1));
}

#[test]
fn parts_of_the_result_are_exact() {
    let (_server, _, client) = people(600);
    let sort = json!({ "age": 1 });
    let part = |start: Value, count: Value| {
        ages(&ask(
            &client,
            &[("sort", sort.clone()), ("start", start), ("count", count)],
        ))
    };
    let range = |from: i64, to: i64| (from..to).collect::<Vec<_>>();
    assert_eq!(part(json!(0), json!(-1)), range(0, 500));
    assert_eq!(part(json!(0), json!(500)), range(0, 500));
    assert_eq!(part(json!(0), json!(501)), range(0, 500));
    assert_eq!(part(json!(0), json!(1_000_000_000_u64)), range(0, 500));
    assert_eq!(part(json!(50), json!(-1)), range(50, 550));
    assert_eq!(part(json!(500), json!(-1)), range(500, 600));
    assert_eq!(part(json!(598), json!(5)), range(598, 600));
    assert_eq!(part(json!(600), json!(5)), range(0, 0));
    assert_eq!(part(json!(u64::MAX), json!(5)), range(0, 0));
    assert_eq!(part(json!(3), json!(1)), range(3, 4));
    assert_eq!(part(json!(3), json!(0)), range(0, 0));
    // A published client sends the filter in the place of the offset.
    assert_eq!(part(json!({ "age": 5 }), json!(2)), range(0, 2));
    assert_eq!(part(json!(-5), json!(2)), range(0, 2));
    assert_eq!(
        client
            .get("/db/Person/query?start=&count=")
            .expect(200)
            .json()
            .as_array()
            .unwrap()
            .len(),
        500
    );

    let count = |filter: &Value| {
        client
            .get(&format!("/db/Person/count?q={}", encode(&filter.to_string())))
            .expect(200)
            .json()["count"]
            .clone()
    };
    assert_eq!(count(&json!({})), 600);
    assert_eq!(count(&json!({ "age": { "$gte": 20 } })), 580);
    // Paging by id sees everything once.
    let (mut last, mut seen) = (String::new(), 0);
    loop {
        let page = ask(
            &client,
            &[
                ("q", json!({ "id": { "$gt": last } })),
                ("sort", json!({ "id": 1 })),
                ("count", json!(250)),
            ],
        );
        let page = page.as_array().unwrap();
        let Some(object) = page.last() else { break };
        last = object["id"].as_str().unwrap().to_owned();
        seen += page.len();
    }
    assert_eq!(seen, 600);
}

#[test]
fn ids_dates_and_references_are_operands() {
    let (_server, _, client) = people(60);
    client
        .put(
            "/db/Person/a%2Fb",
            &json!({ "friend": "/db/Person/0001", "tags": ["x", "y"], "data": { "k": { "l": 5 } } }),
        )
        .expect(200);
    let hits = |filter: Value| client.query("Person", &filter).len();
    assert_eq!(hits(json!({ "id": "/db/Person/0007" })), 1);
    assert_eq!(hits(json!({ "id": "/db/Person/a%2Fb" })), 1);
    assert_eq!(
        hits(json!({ "id": { "$in": ["/db/Person/0007", "/db/Person/0008", "/db/Person/none"] } })),
        2
    );
    assert_eq!(hits(json!({ "id": { "$gt": "/db/Person/0057" } })), 3);
    assert_eq!(hits(json!({ "id": { "$ne": "/db/Person/0007" } })), 60);
    let date = |text: &str| json!({ "$date": text });
    assert_eq!(hits(json!({ "born": date("2000-01-01T00:00:07.500Z") })), 1);
    assert_eq!(hits(json!({ "born": { "$lt": date("2000-01-01T00:00:07.5Z") } })), 7);
    assert_eq!(
        hits(json!({ "born": { "$gt": date("2000-01-01T01:00:56.5+01:00") } })),
        3
    );
    assert_eq!(
        hits(json!({ "born": { "$in": [date("2000-01-01T00:00:00.5Z"), date("2000-01-01T00:00:01.5Z")] } })),
        2
    );
    assert_eq!(
        hits(json!({ "createdAt": { "$gt": date("2001-01-01T00:00:00Z") } })),
        61
    );
    assert_eq!(hits(json!({ "version": 1 })), 61);
    assert_eq!(hits(json!({ "friend": "/db/Person/0001" })), 1);
    assert_eq!(hits(json!({ "tags": "x" })), 1);
    assert_eq!(hits(json!({ "tags": { "$all": ["y", "x"] } })), 1);
    assert_eq!(hits(json!({ "tags": { "$size": 2 } })), 1);
    assert_eq!(hits(json!({ "data.k.l": { "$gte": 5 } })), 1);
    assert_eq!(hits(json!({ "$nor": [{ "age": { "$lt": 50 } }, { "age": null }] })), 10);
    assert_eq!(
        hits(json!({ "$and": [{ "age": { "$gte": 50 } }, { "group": { "$nin": [0, 1] } }] })),
        4
    );
}

#[test]
fn places_are_found() {
    let (_server, _, client) = people(0);
    for (key, latitude, longitude) in [("hamburg", 53.55, 9.99), ("berlin", 52.52, 13.4), ("ulm", 48.4, 9.99)] {
        let point = json!({ "latitude": latitude, "longitude": longitude });
        client
            .put(&format!("/db/Person/{key}"), &json!({ "name": key, "point": point }))
            .expect(200);
    }
    let names = |filter: Value| -> Vec<String> {
        let found = client.query("Person", &filter);
        found
            .iter()
            .map(|object| object["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let near = |metres: u32| {
        let point = json!({ "type": "Point", "coordinates": [10.0, 53.5] });
        json!({ "point": { "$nearSphere": { "$geometry": point, "$maxDistance": metres } } })
    };
    assert_eq!(names(near(400_000)), ["hamburg", "berlin"]);
    assert_eq!(names(near(100_000)), ["hamburg"]);
    assert_eq!(names(near(2_000_000)), ["hamburg", "berlin", "ulm"]);
    // The ring need not be closed.
    let ring = json!([[[9.0, 48.0], [11.0, 48.0], [11.0, 54.0], [9.0, 54.0]]]);
    let polygon = json!({ "point": { "$geoWithin": { "$geometry": { "type": "Polygon", "coordinates": ring } } } });
    let mut within = names(polygon);
    within.sort_unstable();
    assert_eq!(within, ["hamburg", "ulm"]);
}

#[test]
fn lazy_results_are_ids_and_versions() {
    let (_server, _, client) = people(3);
    client.put("/db/Person/0001", &json!({})).expect(200);
    let path = "/db/Person/query?sort=%7B%22id%22:1%7D&eager=";
    let lazy = client.get(&format!("{path}false")).expect(200).json();
    assert_eq!(
        lazy,
        json!([{ "/db/Person/0000": 1 }, { "/db/Person/0001": 2 }, { "/db/Person/0002": 1 }])
    );
    let full = client.get(&format!("{path}true")).expect(200).json();
    assert_eq!(full[0], client.get("/db/Person/0000").json());
}

#[test]
fn queries_that_cannot_be_answered_are_refused() {
    let (_server, admin, client) = people(3);
    let mut deep = json!({ "age": 1 });
    for _ in 0..30 {
        deep = json!({ "$and": [deep, { "age": 1 }] });
    }
    let branches: Vec<Value> = (0..501).map(|i| json!({ "age": i })).collect();
    let values: Vec<usize> = (0..10_001).collect();
    let very_deep = format!("{}1{}", "{\"$and\":[".repeat(200), "]}".repeat(200));
    let rows: &[(String, u16, &str)] = &[
        ("{".into(), 471, "SyntaxError"),
        ("{age:1}".into(), 471, "SyntaxError"),
        ("not json".into(), 471, "SyntaxError"),
        ("{} {}".into(), 471, "SyntaxError"),
        ("[]".into(), 471, "SyntaxError"),
        ("5".into(), 471, "SyntaxError"),
        (very_deep, 471, "SyntaxError"),
        (json!({ "$or": 5 }).to_string(), 471, "SyntaxError"),
        (json!({ "age": { "$frob": 1 } }).to_string(), 468, "QueryNotSupported"),
        (json!({ "$frob": [] }).to_string(), 468, "QueryNotSupported"),
        (json!({ "$where": "true" }).to_string(), 468, "QueryNotSupported"),
        (
            json!({ "$text": { "$search": "x" } }).to_string(),
            468,
            "QueryNotSupported",
        ),
        (
            json!({ "name": { "$regex": "x" } }).to_string(),
            468,
            "QueryNotSupported",
        ),
        (
            json!({ "name": { "$regex": "^x", "$options": "i" } }).to_string(),
            468,
            "QueryNotSupported",
        ),
        (json!({ "nothing": 1 }).to_string(), 400, "UnknownField"),
        (json!({ "name.first": 1 }).to_string(), 400, "UnknownField"),
        (json!({ "friend.name": "x" }).to_string(), 400, "UnknownField"),
        (deep.to_string(), 400, "QueryTooComplex"),
        (json!({ "$or": branches }).to_string(), 400, "QueryTooComplex"),
        (json!({ "age": { "$in": values } }).to_string(), 400, "QueryTooComplex"),
        (
            json!({ "name": { "$regex": format!("^{}", "x".repeat(600)) } }).to_string(),
            400,
            "QueryTooComplex",
        ),
        (json!({ "age": { "$in": 5 } }).to_string(), 400, "BadRequest"),
        (json!({ "tags": { "$size": "x" } }).to_string(), 400, "BadRequest"),
        (json!({ "age": { "$mod": [0, 0] } }).to_string(), 400, "BadRequest"),
        (
            json!({ "born": { "$date": "yesterday" } }).to_string(),
            400,
            "BadRequest",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, status, class_name) in rows {
        for path in ["/db/Person/query", "/db/Person/count"] {
            let mut answers = vec![client.request("POST", path, &[("content-type", "text/plain")], text.as_bytes())];
            if text.len() < 4000 {
                answers.push(client.get(&format!("{path}?q={}", encode(text))));
            }
            for answer in answers {
                let body = answer.json();
                if (answer.status, &body["className"]) != (*status, &json!(class_name)) {
                    let shown: String = text.chars().take(80).collect();
                    wrong.push(format!(
                        "{shown}: {status} {class_name} expected, found {} {body}",
                        answer.status
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (sort, status, class_name) in [
        ("{", 471, "SyntaxError"),
        ("5", 471, "SyntaxError"),
        ("{\"nothing\":1}", 400, "UnknownField"),
        ("{\"age\":2}", 400, "BadRequest"),
        ("{\"age\":\"asc\"}", 400, "BadRequest"),
    ] {
        client
            .get(&format!("/db/Person/query?sort={}", encode(sort)))
            .expect_error(status, class_name);
    }
    // Names are repeated as they are.
    let bad_age = encode("{\"age\":{\"$in\":5}}");
    let message = client
        .get(&format!("/db/Person/query?q={bad_age}"))
        .expect_error(400, "BadRequest");
    assert!(message.starts_with("age"), "{message}");
    client.get("/db/No/query").expect_error(461, "BucketNotFound");
    client.get("/db/No/count").expect_error(461, "BucketNotFound");
    client.get("/db/Object/query").expect_error(400, "BadRequest");
    client.get("/db/Person/query?q=%FF").expect_error(400, "BadRequest");
    client
        .request("POST", "/db/Person/query", &[], b"{\"name\":\"\xff\"}")
        .expect_error(471, "SyntaxError");
    let acl =
        json!({ "operation": "updateClassAcl", "bucket": "/db/Person", "acl": { "query": { "/db/Role/1": "allow" } } });
    admin.post("/schema", &acl).expect(200);
    client.get("/db/Person/query").expect_error(466, "PermissionDenied");
    client.get("/db/Person/count").expect_error(466, "PermissionDenied");
    client.get("/db/Person/0000").expect(200);
}

#[test]
fn nobody_finds_what_he_may_not_read() {
    let (_server, admin, anybody) = people(20);
    let (ann, ann_id) = anybody.clone().register("ann");
    for i in 0..10 {
        let acl = json!({ "read": { &ann_id: "allow" } });
        ann.put(&format!("/db/Person/{i:04}"), &json!({ "age": i, "acl": acl }))
            .expect(200);
    }
    let sort = encode("{\"age\":1}");
    let found = |client: &Client, part: &str| {
        ages(
            &client
                .get(&format!("/db/Person/query?sort={sort}{part}"))
                .expect(200)
                .json(),
        )
    };
    let count = |client: &Client| client.get("/db/Person/count").expect(200).json()["count"].clone();
    assert_eq!(
        (count(&anybody), count(&ann), count(&admin)),
        (json!(10), json!(20), json!(20))
    );
    assert_eq!(
        found(&anybody, "&start=2&count=3"),
        [12, 13, 14],
        "rules come before offset and limit"
    );
    assert_eq!(found(&ann, "&start=2&count=3"), [2, 3, 4]);
    anybody.get("/db/Person/0003").expect_error(404, "ObjectNotFound");
    assert!(anybody.query("Person", &json!({ "id": "/db/Person/0003" })).is_empty());
}
