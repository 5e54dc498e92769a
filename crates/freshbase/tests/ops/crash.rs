//! The server is killed at random moments, again and again, on one data directory. What it had acknowledged is there
//! afterwards; what it had not is there as a whole or not at all.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};

use fb_testkit::{Client, Connection, Response, Server, encode, root, wait_for};
use serde_json::{Value, json};

use crate::{Killed, Operator, Random, command, freshbase, server, text};

/// Rounds of one test. The tests run in parallel, each with its own seed and data.
const ROUNDS: u64 = 13;
/// Threads that write objects of their own.
const WRITERS: u64 = 3;
/// Rows that a change of the schema rewrites.
const ROWS: usize = 150;

#[test]
fn acknowledged_writes_survive_kills_1() {
    rounds(0x1001);
}

#[test]
fn acknowledged_writes_survive_kills_2() {
    rounds(0x2002);
}

#[test]
fn acknowledged_writes_survive_kills_3() {
    rounds(0x3003);
}

#[test]
fn acknowledged_writes_survive_kills_4() {
    rounds(0x4004);
}

/// What an object was last known to be: version, name, number. `None` if it does not exist.
type State = Option<(u64, String, i64)>;

/// An object as its only writer knows it: what was acknowledged, and what a request without an answer would make of it.
#[derive(Debug, Clone, Default)]
struct Known {
    acknowledged: State,
    unanswered: Option<State>,
}

/// What the clients know of the whole app.
#[derive(Default)]
struct World {
    /// By writer, then by key.
    objects: Vec<BTreeMap<String, Known>>,
    /// Increments of the shared counter that were acknowledged, and those that may have happened besides.
    counter: (u64, u64),
    /// Users whose registration was acknowledged.
    users: Vec<String>,
    /// A user whose registration had no answer.
    maybe_user: Option<String>,
    /// The name of the field of `Wide`, and the one it may have been renamed to.
    field: (usize, Option<usize>),
    n_users: u64,
}

const FIELDS: [&str; 2] = ["left", "right"];

fn rounds(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let builder = server()
        .baqend()
        .arg("--max-results")
        .arg("100000")
        .data_dir(dir.path());
    let mut random = Random(seed);
    let mut world = World {
        objects: vec![BTreeMap::new(); WRITERS as usize],
        ..World::default()
    };
    let mut running = builder.start();
    let admin = root(&running);
    prepare(&admin);
    for round in 0..ROUNDS {
        #[expect(clippy::print_stdout, reason = "shown if the test fails")]
        {
            println!("seed {seed:#x}, round {round}");
        }
        round_of_writes(&mut running, &admin, &mut world, &mut random);
        running = builder.start();
        check(&running, &client(&running, &admin), &mut world);
    }
    assert!(world.counter.0 > 0 && !world.users.is_empty());
    // A copy is only restored if the engine finds every page and index of it in order.
    let copy = dir.path().join("copy.fbdb");
    freshbase(
        dir.path(),
        &["backup", "main", "-o", text(&copy), "--data-dir", text(dir.path())],
    )
    .ok();
    let other = text(dir.path()).to_owned() + "/other";
    freshbase(dir.path(), &["restore", "main", text(&copy), "--data-dir", &other]).ok();
}

/// The administrator's token is good for every start; the address is not.
fn client(server: &Server, admin: &Client) -> Client {
    server.client().with_token(admin.token().unwrap())
}

fn prepare(admin: &Client) {
    let string = json!({ "type": "/db/String" });
    let integer = json!({ "type": "/db/Integer" });
    admin
        .post(
            "/schema",
            &json!([
                { "class": "/db/Item", "fields": { "name": string, "n": integer, "pad": string } },
                { "class": "/db/Counter", "fields": { "n": integer } },
                { "class": "/db/Wide", "fields": { FIELDS[0]: integer, "pad": string } },
            ]),
        )
        .expect(200);
    admin
        .post("/index/Item", &json!({ "keys": [{ "name": "asc" }] }))
        .expect(202);
    admin
        .post("/index/Wide", &json!({ "keys": [{ FIELDS[0]: "asc" }] }))
        .expect(202);
    admin
        .post("/db/Counter", &json!({ "id": "/db/Counter/all", "n": 0 }))
        .expect(201);
    // Many at once, so that they share commits.
    let rows: Vec<usize> = (0..ROWS).collect();
    std::thread::scope(|scope| {
        for part in rows.chunks(ROWS / 8 + 1) {
            scope.spawn(move || {
                for row in part {
                    let body = json!({ "id": format!("/db/Wide/{row}"), FIELDS[0]: row, "pad": "x".repeat(200) });
                    admin.post("/db/Wide", &body).expect(201);
                }
            });
        }
    });
}

/// Lets clients write until a random number of their writes is acknowledged, and kills the server.
fn round_of_writes(running: &mut Server, admin: &Client, world: &mut World, random: &mut Random) {
    let client = &client(running, admin);
    let address = running.address().to_owned();
    let (acknowledge, acknowledged) = channel();
    let enough = 3 + random.below(60);
    let World {
        objects,
        counter,
        users,
        maybe_user,
        field,
        n_users,
    } = world;
    std::thread::scope(|scope| {
        for (number, known) in objects.iter_mut().enumerate() {
            let (ack, address) = (acknowledge.clone(), address.clone());
            let random = Random(random.next());
            scope.spawn(move || write_objects(&address, client, number, known, random, &ack));
        }
        let counters: Vec<_> = (0..2)
            .map(|_| {
                let (ack, address) = (acknowledge.clone(), address.clone());
                scope.spawn(move || count(&address, client, &ack))
            })
            .collect();
        let ack = acknowledge.clone();
        let registrar = scope.spawn(move || register(client, users, n_users, &ack));
        let ack = acknowledge.clone();
        let renamer = scope.spawn(move || rename(client, field, &ack));
        drop(acknowledge);
        for _ in 0..enough {
            acknowledged.recv().expect("the clients write until the server ends");
        }
        running.kill();
        for counting in counters {
            let (certain, possible) = counting.join().unwrap();
            counter.0 += certain;
            counter.1 += possible;
        }
        *maybe_user = registrar.join().unwrap();
        renamer.join().unwrap();
    });
}

/// Inserts, updates, increments and deletes the objects of one writer until the connection breaks.
fn write_objects(
    address: &str,
    client: &Client,
    writer: usize,
    known: &mut BTreeMap<String, Known>,
    mut random: Random,
    acknowledge: &Sender<()>,
) {
    // A thread that comes late finds nobody.
    let Some(mut connection) = Connection::open(address) else {
        return;
    };
    loop {
        let key = format!("w{writer}-{}", random.below(40));
        let entry = known.entry(key.clone()).or_default();
        let (path, pad) = (format!("/db/Item/{key}"), "p".repeat(random.below(600) as usize));
        let name = format!("{key}.{}", random.below(1000));
        // The next state, and the request that leads to it.
        let (next, answer) = match (&entry.acknowledged, random.below(4)) {
            (None, _) => {
                let body = json!({ "id": path, "name": name, "n": 0, "pad": pad });
                let next = Some((1, name, 0));
                entry.unanswered = Some(next.clone());
                (next, connection.request(client, "POST", "/db/Item", &[], &body))
            }
            (Some((version, ..)), 0) => {
                entry.unanswered = Some(None);
                let condition = format!("\"{version}\"");
                let headers = [("if-match", condition.as_str())];
                (
                    None,
                    connection.request(client, "DELETE", &path, &headers, &Value::Null),
                )
            }
            (Some((version, name, n)), 1) => {
                let next = Some((version + 1, name.clone(), n + 1));
                entry.unanswered = Some(next.clone());
                let body = json!({ "$inc": { "n": 1 } });
                (next, connection.request(client, "POST", &path, &[], &body))
            }
            (Some((version, _, n)), _) => {
                let body = json!({ "id": path, "version": version, "name": name, "n": n, "pad": pad });
                let next = Some((version + 1, name, *n));
                entry.unanswered = Some(next.clone());
                let condition = format!("\"{version}\"");
                let headers = [("if-match", condition.as_str())];
                (next, connection.request(client, "PUT", &path, &headers, &body))
            }
        };
        let Some(answer) = answer else { return };
        assert!(
            matches!(answer.status, 200 | 201 | 204),
            "{}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        if let Some((version, ..)) = &next {
            assert_eq!(answer.json()["version"], *version, "versions go up by one");
        }
        *entry = Known {
            acknowledged: next,
            unanswered: None,
        };
        let _ = acknowledge.send(());
    }
}

/// Increments the counter that several share. How many increments were acknowledged, and how many may have happened.
fn count(address: &str, client: &Client, acknowledge: &Sender<()>) -> (u64, u64) {
    let Some(mut connection) = Connection::open(address) else {
        return (0, 0);
    };
    let mut certain = 0;
    let body = json!({ "$inc": { "n": 1 } });
    while let Some(answer) = connection.request(client, "POST", "/db/Counter/all", &[], &body) {
        answer.expect(200);
        certain += 1;
        let _ = acknowledge.send(());
    }
    (certain, 1)
}

/// Registers users; gives the one whose registration had no answer.
fn register(client: &Client, users: &mut Vec<String>, n_users: &mut u64, acknowledge: &Sender<()>) -> Option<String> {
    loop {
        *n_users += 1;
        let name = format!("user{n_users}");
        let body = json!({ "user": { "username": name }, "password": "a secret", "login": false });
        let Some(answer) = client.try_request("POST", "/db/User/register", &body) else {
            return Some(name);
        };
        answer.expect(200);
        users.push(name);
        let _ = acknowledge.send(());
    }
}

/// Renames the field of `Wide` back and forth.
fn rename(client: &Client, field: &mut (usize, Option<usize>), acknowledge: &Sender<()>) {
    loop {
        let (from, to) = (field.0, 1 - field.0);
        field.1 = Some(to);
        let body =
            json!([{ "operation": "renameField", "bucket": "/db/Wide", "from": FIELDS[from], "to": FIELDS[to] }]);
        let Some(answer) = client.try_request("POST", "/schema", &body) else {
            return;
        };
        answer.expect(200);
        *field = (to, None);
        let _ = acknowledge.send(());
    }
}

/// Compares the server with what the clients know, and takes over what became of unanswered requests.
fn check(server: &Server, client: &Client, world: &mut World) {
    Client::new(server.address(), "").get("/readyz").expect(200);
    check_objects(client, &mut world.objects);
    let counter = client.get("/db/Counter/all").expect(200).json();
    let n = counter["n"].as_u64().unwrap();
    let (certain, possible) = world.counter;
    assert!(
        (certain..=certain + possible).contains(&n),
        "{n}: {certain} + {possible}"
    );
    assert_eq!(counter["version"], n + 1, "each increment is a version");
    world.counter = (n, 0);
    check_users(client, world);
    check_rename(client, &mut world.field);
}

fn check_objects(client: &Client, writers: &mut [BTreeMap<String, Known>]) {
    let mut there: BTreeMap<String, State> = BTreeMap::new();
    for object in client.query("Item", &json!({ "pad": { "$exists": true } })) {
        let id = object["id"].as_str().unwrap();
        let state = (
            object["version"].as_u64().unwrap(),
            object["name"].as_str().unwrap().to_owned(),
            object["n"].as_i64().unwrap(),
        );
        there.insert(id.trim_start_matches("/db/Item/").to_owned(), Some(state));
    }
    for (key, known) in writers.iter_mut().flatten() {
        let found = there.get(key).cloned().flatten();
        let fits = found == known.acknowledged || known.unanswered.as_ref() == Some(&found);
        assert!(fits, "{key} is {found:?}, but was {known:?}");
        *known = Known {
            acknowledged: found,
            unanswered: None,
        };
    }
    let known = writers
        .iter()
        .flatten()
        .filter(|(_, known)| known.acknowledged.is_some());
    assert_eq!(known.count(), there.len(), "nothing is there that nobody wrote");

    // All ways to look at the class agree.
    let keys: Vec<&str> = there.keys().map(String::as_str).collect();
    let sorted = |answer: Response| {
        let list = answer.expect(200).json();
        let ids = list.as_array().unwrap().iter();
        let ids = ids.map(|o| {
            o["id"]
                .as_str()
                .or(o.as_str())
                .unwrap()
                .trim_start_matches("/db/Item/")
                .to_owned()
        });
        let mut ids: Vec<String> = ids.collect();
        ids.sort();
        ids
    };
    let by_index = json!({ "name": { "$gte": "" } });
    let by_index = encode(&by_index.to_string());
    assert_eq!(sorted(client.get("/db/Item/ids")), keys);
    assert_eq!(sorted(client.get(&format!("/db/Item/query?q={by_index}"))), keys);
    assert_eq!(sorted(client.get("/db/Item")), keys);
    for count in ["/db/Item/count".to_owned(), format!("/db/Item/count?q={by_index}")] {
        assert_eq!(client.get(&count).expect(200).json()["count"], keys.len());
    }
    for (key, state) in there.iter().take(5) {
        let (version, name, _) = state.clone().unwrap();
        let loaded = client.get(&format!("/db/Item/{key}")).expect(200);
        assert_eq!(loaded.header("etag"), Some(format!("\"{version}\"").as_str()));
        let found = client.query("Item", &json!({ "name": name }));
        assert!(found.contains(&loaded.json()), "the index leads to the object itself");
    }
}

fn check_users(client: &Client, world: &mut World) {
    let can_log_in = |name: &str| {
        let body = json!({ "username": name, "password": "a secret" });
        match client.post("/db/User/login", &body).status {
            200 => true,
            460 => false,
            other => panic!("login of {name}: {other}"),
        }
    };
    let n_objects = |name: &str| client.query("User", &json!({ "username": name })).len();
    // Hashing a password is slow on purpose: the newest ones have to do.
    for name in world.users.iter().rev().take(2) {
        assert!(can_log_in(name), "{name} was registered");
    }
    for name in &world.users {
        assert_eq!(n_objects(name), 1, "{name}");
    }
    if let Some(name) = world.maybe_user.take() {
        let exists = can_log_in(&name);
        assert_eq!(n_objects(&name), usize::from(exists), "{name}");
        let body = json!({ "user": { "username": name }, "password": "a secret", "login": false });
        let again = client.post("/db/User/register", &body);
        assert_eq!(again.status, if exists { 409 } else { 200 }, "{name}");
        world.users.push(name);
    }
}

fn check_rename(client: &Client, field: &mut (usize, Option<usize>)) {
    let class = client.get("/schema/Wide").expect(200).json();
    let has = |n: usize| class["fields"].get(FIELDS[n]).is_some();
    let current = if has(0) { 0 } else { 1 };
    assert!(has(current) && !has(1 - current), "{class}");
    assert!(current == field.0 || Some(current) == field.1, "{current} {field:?}");
    *field = (current, None);
    let name = FIELDS[current];
    let rows = client.query("Wide", &json!({}));
    assert_eq!(rows.len(), ROWS);
    for row in &rows {
        let key: usize = row["id"]
            .as_str()
            .unwrap()
            .trim_start_matches("/db/Wide/")
            .parse()
            .unwrap();
        assert_eq!(row[name], key, "{row}");
        assert!(row.get(FIELDS[1 - current]).is_none(), "{row}");
    }
    for key in [0, ROWS / 2, ROWS - 1] {
        assert_eq!(
            client.query("Wide", &json!({ name: key })).len(),
            1,
            "the index follows"
        );
    }
}

/// However far the first start came: the next one ends up where it was meant to.
#[test]
fn a_first_start_that_was_killed_is_completed_by_the_next() {
    for sign in ["node.db", "trash", "apps/main", "apps/main/app.db-wal"] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let serve = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--compat",
            "baqend",
            "--data-dir",
            text(&data),
        ];
        let child = command(dir.path(), &serve)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let child = Killed(child);
        let sign = data.join(sign);
        wait_for("a sign of life", || sign.try_exists().unwrap().then_some(()));
        drop(child);

        let running = server().baqend().data_dir(&data).start();
        Client::new(running.address(), "").get("/readyz").expect(200);
        let admin = root(&running);
        assert_eq!(admin.get("/config").expect(200).json()["profile"], "baqend");
        assert!(!running.printed().contains("/setup"), "{}", running.printed());
        admin.post("/schema/Item", &json!({ "fields": {} })).expect(200);
        running.client().post("/db/Item", &json!({})).expect(201);
        Operator::root(&running);
    }
}
