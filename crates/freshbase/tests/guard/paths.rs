//! S04: every kind of rule on every route to objects, for every kind of caller, against the documented evaluation. A new
//! route to objects fails the test until it has a row here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::time::Duration;

use fb_testkit::{Client, Response, Server, encode, root};
use serde_json::{Value, json};

use crate::rules::{Caller, Rules, passes};
use crate::{PROFILES, Profile, class, no_panics, user};

/// What a route does with an object, which says what decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Load,
    /// Finds the objects that may be read.
    Query,
    Count,
    Insert,
    /// Needs to insert and to update, and to write what is there.
    Save,
    Update,
    Delete,
    /// All objects at once: administrators, whatever the rules say.
    Bulk,
}

impl Does {
    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Load => &["load"],
            Self::Query | Self::Count => &["query"],
            Self::Insert => &["insert"],
            Self::Save => &["insert", "update"],
            Self::Update => &["update"],
            Self::Delete => &["delete"],
            Self::Bulk => &[],
        }
    }
}

/// A route, what it does, and how it is asked to do that with the object `key` of `bucket`.
type Row = (&'static str, Does, fn(&Client, &str, &str) -> Response);

const ROWS: [Row; 22] = [
    ("get_object", Does::Load, |c, b, k| c.get(&format!("/db/{b}/{k}"))),
    ("adhoc_query", Does::Query, |c, b, k| {
        c.get(&format!("/db/{b}/query?q={}", encode(&by_id(b, k).to_string())))
    }),
    ("adhoc_query_post", Does::Query, |c, b, k| {
        c.post(&format!("/db/{b}/query"), &by_id(b, k))
    }),
    ("adhoc_count", Does::Count, |c, b, k| {
        c.get(&format!("/db/{b}/count?q={}", encode(&by_id(b, k).to_string())))
    }),
    ("adhoc_count_post", Does::Count, |c, b, k| {
        c.post(&format!("/db/{b}/count"), &by_id(b, k))
    }),
    ("live_events", Does::Query, |c, b, k| {
        let answer = c.get(&format!("/events/{b}?q={}", encode(&by_id(b, k).to_string())));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        match text.split_once("\ndata: ") {
            Some((_, data)) => of_result(200, data),
            None => answer,
        }
    }),
    ("live_socket", Does::Query, |c, b, k| {
        let mut socket = Socket::open(c);
        let first = socket.subscribe("x", b, &by_id(b, k));
        match first["type"].as_str() {
            Some("result") => of_result(200, &first.to_string()),
            _ => of_result(first["error"]["status"].as_u64().unwrap(), "{}"),
        }
    }),
    ("create_object", Does::Insert, |c, b, k| {
        c.post(
            &format!("/db/{b}"),
            &json!({ "id": format!("/db/{b}/{k}-new"), "n": 2 }),
        )
    }),
    ("replace_object", Does::Save, |c, b, k| {
        c.put(&format!("/db/{b}/{k}"), &json!({ "n": 2 }))
    }),
    ("update_partially", Does::Update, |c, b, k| {
        c.post(&format!("/db/{b}/{k}"), &json!({ "$set": { "n": 2 } }))
    }),
    ("delete_object", Does::Delete, |c, b, k| {
        c.delete(&format!("/db/{b}/{k}"))
    }),
    ("get_bucket_ids", Does::Bulk, |c, b, _| c.get(&format!("/db/{b}/ids"))),
    ("export_bucket", Does::Bulk, |c, b, _| c.get(&format!("/db/{b}"))),
    ("import_bucket", Does::Bulk, |c, b, _| {
        c.put(&format!("/db/{b}"), &json!([]))
    }),
    ("truncate_bucket", Does::Bulk, |c, b, k| {
        // Another class, so that the others meet their objects.
        assert!(!k.is_empty());
        c.delete(&format!("/db/Empty{b}"))
    }),
    ("module_load", Does::Load, |c, b, k| by_module(c, "load", b, k)),
    ("module_find", Does::Query, |c, b, k| by_module(c, "find", b, k)),
    ("module_count", Does::Count, |c, b, k| by_module(c, "count", b, k)),
    ("module_insert", Does::Insert, |c, b, k| by_module(c, "insert", b, k)),
    ("module_save", Does::Save, |c, b, k| by_module(c, "save", b, k)),
    ("module_update", Does::Update, |c, b, k| by_module(c, "update", b, k)),
    ("module_delete", Does::Delete, |c, b, k| by_module(c, "delete", b, k)),
];

/// Does the same with `db`, in a module that the caller calls.
const MODULE: &str = r"
const does = {
  load: (db, b, id) => db[b].load(id),
  find: (db, b, id) => db[b].find().equal('id', id).resultList(),
  count: async (db, b, id) => ({ count: await db[b].find().equal('id', id).count() }),
  insert: (db, b, id) => db[b].fromJSON({ id: `${id}-new`, n: 2 }).insert(),
  save: (db, b, id) => db[b].fromJSON({ id, n: 2 }).save({ force: true }),
  update: (db, b, id) => db[b].partialUpdate(id).set('n', 2).execute(),
  delete: async (db, b, id) => { await db[b].ref(id).delete({ force: true }); return {}; },
};
exports.post = async (db, req, res) => {
  const { what, b, k } = req.body;
  try {
    const found = await does[what](db, b, `/db/${b}/${k}`);
    if (found === null) return res.status(404).json({});
    res.json(found);
  } catch (error) {
    if (!error.status) throw error;
    res.status(error.status).json({ message: error.message });
  }
};
";

fn by_module(client: &Client, what: &str, bucket: &str, key: &str) -> Response {
    client.post("/code/path", &json!({ "what": what, "b": bucket, "k": key }))
}

/// The objects of a live query's first message, as a query would answer.
fn of_result(status: u64, message: &str) -> Response {
    let message: Value = serde_json::from_str(message.lines().next().unwrap()).unwrap();
    Response {
        status: u16::try_from(status).unwrap(),
        headers: Vec::new(),
        body: message["data"].to_string().into_bytes(),
    }
}

/// A client's WebSocket.
struct Socket {
    wire: tungstenite::WebSocket<TcpStream>,
    token: Value,
}

impl Socket {
    fn open(client: &Client) -> Self {
        let stream = TcpStream::connect(client.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (wire, _) = tungstenite::client(client.socket_url(), stream).unwrap();
        let token = json!(client.token());
        Self { wire, token }
    }

    /// Subscribes, and gives the first message.
    fn subscribe(&mut self, id: &str, bucket: &str, query: &Value) -> Value {
        let message = json!({ "type": "subscribe", "id": id, "bucket": bucket, "query": query, "token": self.token });
        self.wire.send(tungstenite::Message::text(message.to_string())).unwrap();
        self.next()
    }

    fn next(&mut self) -> Value {
        loop {
            if let tungstenite::Message::Text(text) = self.wire.read().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
}

/// Events as well: whoever may read an object is told of it, and nobody else; when it goes out of sight, that and no more.
#[test]
fn s04_object_rules_decide_who_is_told() {
    for profile in PROFILES {
        let server = profile.start();
        let people = People::new(&server);
        let admin = people.admin();
        let everybody = Rules::from([("*".into(), "allow")]);
        class(admin, "Told", &fields(), &class_acl(&everybody, &["query"]));
        class(admin, "Mark", &json!({}), &class_acl(&everybody, &["query"]));
        let mut sockets: Vec<Socket> = people
            .callers
            .iter()
            .map(|caller| Socket::open(&caller.client))
            .collect();
        for socket in &mut sockets {
            assert_eq!(socket.subscribe("told", "Told", &json!({}))["type"], "result");
            assert_eq!(socket.subscribe("mark", "Mark", &json!({}))["type"], "result");
        }
        let mut told = || -> Vec<Vec<Value>> {
            admin.post("/db/Mark", &json!({})).expect(201);
            let until_mark = |socket: &mut Socket| -> Vec<Value> {
                std::iter::from_fn(|| Some(socket.next()).filter(|m| m["id"] != "mark")).collect()
            };
            sockets.iter_mut().map(until_mark).collect()
        };
        for (kind, rules) in people.kinds() {
            let object = |rules: &Rules, n: u32| json!({ "n": n, "secret": 4711, "acl": { "read": rules } });
            let path = format!("/db/Told/{kind}");
            let mut was_seen = vec![false; people.callers.len()];
            for (step, rules) in [&rules, &rules, &Rules::new(), &rules].into_iter().enumerate() {
                admin
                    .put(&path, &object(rules, u32::try_from(step).unwrap()))
                    .expect(200);
                for (i, messages) in told().into_iter().enumerate() {
                    let caller = &people.callers[i];
                    let sees = passes(rules, caller);
                    let what: Vec<&str> = messages.iter().map(|m| m["matchType"].as_str().unwrap()).collect();
                    let expected: &[&str] = match (was_seen[i], sees) {
                        (false, true) => &["add"],
                        (true, true) => &["change"],
                        (true, false) => &["remove"],
                        (false, false) => &[],
                    };
                    assert_eq!(what, expected, "{profile:?} {kind} {step} {}", caller.name);
                    if what == ["remove"] {
                        assert_eq!(messages[0]["data"], json!({ "id": path }), "{kind}");
                    }
                    was_seen[i] = sees;
                }
            }
        }
        no_panics(&server);
    }
}

fn by_id(bucket: &str, key: &str) -> Value {
    json!({ "id": format!("/db/{bucket}/{key}") })
}

#[test]
fn s04_every_route_to_objects_has_a_row() {
    let routes = fb_server::route_table();
    let to_objects = routes.iter().filter(|route| {
        let by_rules = matches!(route.access, fb_server::Access::Class(_)) && !route.path.starts_with("/schema");
        // Names no object; who may is shown in `devices`.
        let is_registration = route.name == "register_device";
        route.path.starts_with("/db/{bucket}") || by_rules && !is_registration
    });
    let to_objects: BTreeSet<&str> = to_objects.map(|route| route.name).collect();
    let names = ROWS.iter().map(|row| row.0);
    // What a WebSocket gives is decided message by message.
    let is_route = |name: &&str| !name.starts_with("module_") && *name != "live_socket";
    let rows: BTreeSet<&str> = names.filter(is_route).collect();
    assert_eq!(
        to_objects, rows,
        "say in `ROWS` what a new route does with objects, and how it is asked to"
    );
}

pub(crate) struct People {
    pub(crate) callers: Vec<Caller>,
    /// The id of the user that rules name, of the one that is also in the role, and of the role.
    named: String,
    both: String,
    team: String,
}

impl People {
    pub(crate) fn new(server: &Server) -> Self {
        let (admin, stranger) = (root(server), server.client());
        admin
            .request("PUT", "/code/path/module", &[], MODULE.as_bytes())
            .expect(200);
        let logged_in = "/db/Role/3".to_owned();
        let users = ["named", "member", "both", "other"].map(|name| user(&admin, &stranger, name));
        let [named, member, both, other] = users;
        let role = json!({ "name": "team", "users": [member.1, both.1], "acl": {
            "read": {}, "write": { "/db/Role/1": "allow" } } });
        let team = admin.post("/db/Role", &role).expect(201).json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let with = |token: &Response| stranger.clone().with_token(token.json()["token"].as_str().unwrap());
        let limited = with(&member.0.post(&format!("{team}/assume"), &Value::Null).expect(200));
        let script = with(&admin.post(&format!("{}/token", named.1), &Value::Null).expect(200));
        // An administrator who is content with the rights of the role.
        let modest = with(&admin.post(&format!("{team}/assume"), &Value::Null).expect(200));
        let mut limited = Caller::new("limited", &limited, &[&logged_in, &team]);
        limited.denied_as = vec![member.1.clone()];
        let twice = with(&both.0.post(&format!("{team}/assume"), &Value::Null).expect(200));
        let mut twice = Caller::new("twice", &twice, &[&logged_in, &team]);
        twice.denied_as = vec![both.1.clone()];
        let mut modest = Caller::new("modest", &modest, &[&logged_in, &team]);
        modest.denied_as = vec!["/db/User/1".into(), "/db/Role/1".into()];
        let callers = vec![
            Caller::new("stranger", &stranger, &[]),
            Caller::new("named", &named.0, &[&named.1, &logged_in]),
            Caller::new("script", &script, &[&named.1, &logged_in]),
            Caller::new("member", &member.0, &[&member.1, &logged_in, &team]),
            limited,
            modest,
            Caller::new("both", &both.0, &[&both.1, &logged_in, &team]),
            twice,
            Caller::new("other", &other.0, &[&other.1, &logged_in]),
            Caller::new("admin", &admin, &["/db/User/1", &logged_in, "/db/Role/1"]),
        ];
        Self {
            callers,
            named: named.1,
            both: both.1,
            team,
        }
    }

    pub(crate) fn admin(&self) -> &Client {
        &self.callers.last().unwrap().client
    }

    /// Every kind of rule map.
    pub(crate) fn kinds(&self) -> Vec<(&'static str, Rules)> {
        let (named, both, team) = (self.named.as_str(), self.both.as_str(), self.team.as_str());
        let rules = |entries: &[(&str, &'static str)]| entries.iter().map(|(id, rule)| ((*id).into(), *rule)).collect();
        vec![
            ("Nothing", rules(&[])),
            ("AllowUser", rules(&[(named, "allow")])),
            ("AllowRole", rules(&[(team, "allow")])),
            ("AllowAll", rules(&[("*", "allow")])),
            ("AllowLoggedIn", rules(&[("/db/Role/3", "allow")])),
            ("AllowNobody", rules(&[("/db/User/none", "allow")])),
            ("DenyUser", rules(&[(named, "deny")])),
            ("DenyRole", rules(&[(team, "deny")])),
            ("DenyAll", rules(&[("*", "deny")])),
            ("DenyAllAllowUser", rules(&[("*", "deny"), (named, "allow")])),
            ("AllowAllDenyUser", rules(&[("*", "allow"), (named, "deny")])),
            ("AllowRoleDenyUser", rules(&[(team, "allow"), (both, "deny")])),
            (
                "AllowUserDenyRole",
                rules(&[(both, "allow"), (named, "allow"), (team, "deny")]),
            ),
            (
                "AllowLoggedInDenyRole",
                rules(&[("/db/Role/3", "allow"), (team, "deny")]),
            ),
        ]
    }
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Done,
    /// The caller learns that it may not.
    Refused,
    /// As if there were no such object.
    Hidden,
}

fn decision(does: Does, answer: &Response) -> Decision {
    match (does, answer.status) {
        (_, 466) => Decision::Refused,
        (Does::Load, 404) => Decision::Hidden,
        (Does::Query, 200) if answer.json() == json!([]) => Decision::Hidden,
        (Does::Count, 200) if answer.json()["count"] == 0 => Decision::Hidden,
        (_, 200 | 201 | 204) => Decision::Done,
        (_, other) => panic!("{does:?}: {other} {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// What a class permits everybody, but for these.
fn class_acl(rules: &Rules, permissions: &[&str]) -> Value {
    let all = ["load", "query", "insert", "update", "delete"];
    let acl: BTreeMap<&str, Value> = all
        .map(|permission| match permissions.contains(&permission) {
            true => (permission, json!(rules)),
            false => (permission, json!({ "*": "allow" })),
        })
        .into();
    json!(acl)
}

fn fields() -> Value {
    json!({ "n": { "type": "/db/Integer" }, "secret": { "type": "/db/Integer" } })
}

/// Asks every route as everybody, each with an object of its own, and compares.
fn compare(people: &People, bucket: &str, acl: &Value, expected: impl Fn(Does, &Caller) -> Decision + Sync) {
    let admin = people.admin();
    let key = |row: &Row, caller: &Caller| format!("{}-{}", row.0, caller.name);
    let mut objects = Vec::new();
    for row in &ROWS {
        for caller in &people.callers {
            objects.push(json!({ "id": format!("/db/{bucket}/{}", key(row, caller)), "n": 1, "acl": acl }));
        }
    }
    let report = admin.put(&format!("/db/{bucket}"), &json!(objects)).expect(200).json();
    assert_eq!(report["count"], objects.len(), "{report}");
    let mut wrong = Vec::new();
    for row in &ROWS {
        let (name, does, ask) = row;
        for caller in &people.callers {
            let key = key(row, caller);
            let expected = expected(*does, caller);
            let answer = ask(&caller.client, bucket, &key);
            let found = decision(*does, &answer);
            if found != expected {
                wrong.push(format!(
                    "{bucket}: {name} as {}: {found:?} instead of {expected:?}",
                    caller.name
                ));
            }
            if expected != Decision::Done && matches!(does, Does::Save | Does::Update | Does::Delete) {
                let object = admin.get(&format!("/db/{bucket}/{key}")).expect(200).json();
                assert_eq!(
                    (&object["n"], &object["version"]),
                    (&json!(1), &json!(1)),
                    "{bucket} {name}"
                );
            }
            if expected != Decision::Done && *does == Does::Insert {
                admin.get(&format!("/db/{bucket}/{key}-new")).expect(404);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(crate) fn done_if(may: bool, otherwise: Decision) -> Decision {
    if may { Decision::Done } else { otherwise }
}

#[test]
fn s04_class_permissions_decide_on_every_route() {
    for profile in PROFILES {
        let server = profile.start();
        let people = People::new(&server);
        let kinds = people.kinds();
        let classes: Vec<Value> = kinds
            .iter()
            .flat_map(|(kind, rules)| {
                let acl = class_acl(rules, &["load", "query", "insert", "update", "delete"]);
                let empty = format!("/db/Empty{kind}");
                [
                    json!({ "class": format!("/db/{kind}"), "fields": fields(), "acl": acl }),
                    json!({ "class": empty, "fields": fields(), "acl": acl }),
                ]
            })
            .collect();
        people.admin().post("/schema", &json!(classes)).expect(200);
        std::thread::scope(|scope| {
            for (kind, rules) in &kinds {
                let people = &people;
                scope.spawn(move || {
                    let mut rules = rules.clone();
                    // Nobody is let in by silence: what allows nobody is for those who are logged in.
                    if profile == Profile::Secure && !rules.values().any(|rule| *rule == "allow") {
                        rules.insert("/db/Role/3".into(), "allow");
                    }
                    compare(people, kind, &Value::Null, |does, caller| match does {
                        Does::Bulk => done_if(caller.is_admin, Decision::Refused),
                        _ => done_if(passes(&rules, caller), Decision::Refused),
                    });
                });
            }
        });
        no_panics(&server);
    }
}

/// Each permission alone decides what needs it, and nothing else.
#[test]
fn s04_each_class_permission_decides_its_routes_only() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let (_, rules) = people
        .kinds()
        .into_iter()
        .find(|(kind, _)| *kind == "AllowRoleDenyUser")
        .unwrap();
    for permission in ["load", "query", "insert", "update", "delete"] {
        let bucket = format!("For_{permission}");
        for name in [&bucket, &format!("Empty{bucket}")] {
            class(people.admin(), name, &fields(), &class_acl(&rules, &[permission]));
        }
        compare(&people, &bucket, &Value::Null, |does, caller| match does {
            Does::Bulk => done_if(caller.is_admin, Decision::Refused),
            _ if !does.needs().contains(&permission) => Decision::Done,
            _ => done_if(passes(&rules, caller), Decision::Refused),
        });
    }
}

#[test]
fn s04_object_rules_decide_on_every_route() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    // All of them are at one address.
    let unlimited = json!({ "requestLimit": { "requests": 0, "seconds": 1, "banSeconds": 1 } });
    people.admin().put("/config", &unlimited).expect(200);
    let kinds = people.kinds();
    let open = class_acl(&Rules::new(), &[]);
    let places = ["Read", "Write", "ReadAndWrite"];
    let classes: Vec<Value> = kinds
        .iter()
        .flat_map(|(kind, _)| places.map(|place| format!("{place}{kind}")))
        .flat_map(|name| [name.clone(), format!("Empty{name}")])
        .map(|name| json!({ "class": format!("/db/{name}"), "fields": fields(), "acl": open }))
        .collect();
    people.admin().post("/schema", &json!(classes)).expect(200);
    std::thread::scope(|scope| {
        for (kind, rules) in &kinds {
            let people = &people;
            scope.spawn(move || {
                for place in places {
                    let none = Rules::new();
                    let read = if place == "Write" { &none } else { rules };
                    let write = if place == "Read" { &none } else { rules };
                    let acl = json!({ "read": read, "write": write });
                    compare(people, &format!("{place}{kind}"), &acl, |does, caller| match does {
                        Does::Load | Does::Query | Does::Count => done_if(passes(read, caller), Decision::Hidden),
                        Does::Insert => Decision::Done,
                        Does::Save | Does::Update | Does::Delete => done_if(passes(write, caller), Decision::Refused),
                        Does::Bulk => done_if(caller.is_admin, Decision::Refused),
                    });
                }
            });
        }
    });
    no_panics(&server);
}

/// Rules of a field: who may not read it sees everything else, on every route that gives objects; who may not write it
/// changes nothing with a request that would.
#[test]
fn s04_field_rules_decide_on_every_route() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = people.admin();
    for (kind, rules) in people.kinds() {
        let mut fields = fields();
        fields["secret"]["acl"] = json!({ "read": rules });
        class(admin, &format!("Seen{kind}"), &fields, &class_acl(&Rules::new(), &[]));
        fields["secret"]["acl"] = json!({ "write": rules });
        class(
            admin,
            &format!("Written{kind}"),
            &fields,
            &class_acl(&Rules::new(), &[]),
        );
        for name in ["Seen", "Written"] {
            let objects: Vec<Value> = people
                .callers
                .iter()
                .map(|caller| json!({ "id": format!("/db/{name}{kind}/{}", caller.name), "n": 1, "secret": 4711 }))
                .collect();
            admin.put(&format!("/db/{name}{kind}"), &json!(objects)).expect(200);
        }
        for caller in &people.callers {
            let may = passes(&rules, caller);
            let bucket = format!("Seen{kind}");
            for (name, does, ask) in &ROWS {
                if matches!(
                    does,
                    Does::Bulk | Does::Count | Does::Delete | Does::Insert | Does::Save
                ) {
                    continue;
                }
                let answer = ask(&caller.client, &bucket, caller.name);
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(
                    answer.status == 200 && text.contains("\"n\":"),
                    "{bucket} {name} {}: {text}",
                    caller.name
                );
                assert_eq!(text.contains("4711"), may, "{bucket} {name} {}: {text}", caller.name);
            }
            // Filters by it are no oracle.
            for path in ["query", "count"] {
                let answer = caller
                    .client
                    .post(&format!("/db/{bucket}/{path}"), &json!({ "secret": 4711 }));
                assert_eq!(
                    answer.status == 200,
                    may,
                    "{bucket} {path} {}: {}",
                    caller.name,
                    answer.status
                );
            }

            let (bucket, object) = (format!("Written{kind}"), format!("/db/Written{kind}/{}", caller.name));
            let client = &caller.client;
            let new = json!({ "id": format!("{object}-new"), "n": 1, "secret": 1 });
            for (what, answer) in [
                (
                    "update_partially",
                    client.post(&object, &json!({ "$set": { "secret": 1 } })),
                ),
                ("replace_object", client.put(&object, &json!({ "n": 1, "secret": 2 }))),
                ("create_object", client.post(&format!("/db/{bucket}"), &new)),
            ] {
                let done = matches!(answer.status, 200 | 201);
                assert!(done || answer.status == 466, "{bucket} {what}: {}", answer.status);
                assert_eq!(done, may, "{bucket} {what} as {}", caller.name);
            }
            let secret = admin.get(&object).expect(200).json()["secret"].clone();
            assert_eq!(secret, if may { 2 } else { 4711 }, "{bucket} {}", caller.name);
        }
    }
    no_panics(&server);
}
