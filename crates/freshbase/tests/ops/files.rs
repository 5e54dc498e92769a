//! The server is killed in the middle of uploads, again and again, on one data directory. Afterwards each file is whole, what was
//! acknowledged is there, and what was cut off leaves nothing behind that is taken for a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};

use fb_testkit::{Client, Connection, Server, root};
use serde_json::{Value, json};

use crate::{Random, server};

const ROUNDS: u64 = 8;
/// Threads that write files of their own.
const WRITERS: u64 = 4;
/// Files of each.
const FILES: u64 = 3;

/// The number of the content that a file has; `None` if it does not exist.
type State = Option<u64>;

/// A file as its only writer knows it: what was acknowledged, and what a request without an answer would make of it.
#[derive(Debug, Clone, Default)]
struct Known {
    acknowledged: State,
    unanswered: Option<State>,
}

type Files = BTreeMap<String, Known>;

/// Content number `n` of a file: some are kept in memory, some are written in several steps.
fn content(name: &str, n: u64) -> Value {
    let piece = format!("{name} {n};");
    let mut random = Random(n.wrapping_mul(31) + name.len() as u64);
    let bytes = match random.below(4) {
        0 => 1 + random.below(100),
        1 | 2 => random.below(100_000),
        _ => 600_000 + random.below(900_000),
    };
    json!(piece.repeat(usize::try_from(bytes).unwrap() / piece.len() + 1))
}

/// Writes until the server is gone.
fn write(client: &Client, writer: u64, mut files: Files, mut random: Random, done: &Sender<()>) -> Files {
    loop {
        let name = format!("{writer}-{}", random.below(FILES));
        let path = format!("/file/data/{name}");
        let known = files.entry(name.clone()).or_default();
        let to = (random.below(5) > 0).then(|| random.next() >> 16);
        let answer = match to {
            Some(n) => client.try_request("PUT", &path, &content(&name, n)),
            None => client.try_request("DELETE", &path, &Value::Null),
        };
        match answer {
            Some(answer) => {
                assert!(
                    matches!(answer.status, 200 | 204),
                    "{}",
                    String::from_utf8_lossy(&answer.body)
                );
                known.acknowledged = to;
                let _ = done.send(());
            }
            None => {
                known.unanswered = Some(to);
                return files;
            }
        }
    }
}

/// What the file is: one of the two that it can be, as a whole.
fn check(client: &Client, name: &str, known: &mut Known) {
    let answer = client.get(&format!("/file/data/{name}"));
    let possible = [Some(known.acknowledged), known.unanswered];
    let found = possible.into_iter().flatten().find(|state| match state {
        None => answer.status == 404,
        Some(n) => answer.status == 200 && answer.body == content(name, *n).to_string().into_bytes(),
    });
    let start: String = String::from_utf8_lossy(&answer.body).chars().take(60).collect();
    let found = found.unwrap_or_else(|| panic!("{name} is {} {start}, known was {known:?}", answer.status));
    if found.is_some() {
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("baqend-size"), Some(&*length), "{name}");
        // The same content gets the same tag: it was told from these very bytes.
        let tag = answer.header("etag").unwrap().trim_matches('"').to_owned();
        let copy = client
            .upload("/data/copy", "application/json", &answer.body)
            .expect(200)
            .json();
        assert_eq!(copy["eTag"], tag, "{name}");
    }
    *known = Known {
        acknowledged: found,
        unanswered: None,
    };
}

fn n_files(dir: &Path) -> usize {
    std::fs::read_dir(dir).into_iter().flatten().flatten().count()
}

/// Uploads over `/data/stalled` that stop in the middle, in both ways of saying how long they are.
fn stall(running: &Server, client: &Client) -> Vec<Connection> {
    let head = client.head("PUT", "/file/data/stalled", &[], 0);
    let head = head.trim_end();
    [
        "content-length: 2000000\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nf4240\r\n",
    ]
    .into_iter()
    .map(|more| {
        let mut connection = Connection::open(running.address()).unwrap();
        assert!(connection.send(format!("{head}\r\n{more}{}", "x".repeat(1_000_000)).as_bytes()));
        connection
    })
    .collect()
}

#[test]
fn files_are_whole_after_kills() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().baqend().data_dir(dir.path());
    let mut random = Random(0xf11e5);
    let mut world: Vec<Files> = vec![Files::new(); usize::try_from(WRITERS).unwrap()];
    let mut running = builder.start();
    let admin = root(&running);
    admin.put("/file/data", &json!({})).expect(204);
    admin.upload("/data/stalled", "text/plain", b"as it was").expect(200);
    for round in 0..ROUNDS {
        println!("round {round}");
        // The administrator's token is good for every start; the address is not.
        let client = running.client().with_token(admin.token().unwrap());
        let stalled = stall(&running, &client);
        let (done, progress) = channel();
        world = std::thread::scope(|scope| {
            let threads: Vec<_> = world
                .into_iter()
                .zip(0..)
                .map(|(files, writer)| {
                    let (client, done, random) = (&client, done.clone(), Random(random.next()));
                    scope.spawn(move || write(client, writer, files, random, &done))
                })
                .collect();
            for _ in 0..10 + random.below(40) {
                progress.recv().unwrap();
            }
            running.kill();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        drop(stalled);
        running = builder.start();
        let client = running.client().with_token(admin.token().unwrap());
        for files in &mut world {
            for (name, known) in files {
                check(&client, name, known);
            }
        }
        assert_eq!(client.get("/file/data/stalled").expect(200).body, b"as it was");
        // The list is of what there is.
        let listed: Vec<String> = serde_json::from_value(client.get("/file/data/ids").expect(200).json()).unwrap();
        let known = world.iter().flatten().filter(|(_, known)| known.acknowledged.is_some());
        let mut expected: Vec<String> = known.map(|(name, _)| format!("/file/data/{name}")).collect();
        expected.extend(["/file/data/copy", "/file/data/stalled"].map(str::to_owned));
        expected.sort();
        assert_eq!(listed, expected);
        // What uploads that were killed had written so far went with the first one that came after them.
        client.upload("/data/copy", "text/plain", b"1").expect(200);
        let under_way = dir.path().join("apps").join("main").join("files").join("tmp");
        assert!(under_way.is_dir(), "where uploads are written");
        assert_eq!(n_files(&under_way), 0, "round {round}");
    }
    assert!(world.iter().flatten().any(|(_, known)| known.acknowledged.is_some()));
}
