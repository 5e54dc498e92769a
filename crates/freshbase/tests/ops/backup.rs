//! Backups of a running app, and apps made from them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fb_testkit::{Client, Connection, Server, root};
use serde_json::{Value, json};

use crate::{freshbase, server, text};

fn backup(server: &Server, app: &str, to: &Path) {
    let data = text(server.data_dir());
    let printed = freshbase(server.data_dir(), &["backup", app, "-o", text(to), "--data-dir", data]).ok();
    assert!(printed.contains(app) && printed.contains(text(to)), "{printed}");
}

fn fields() -> Value {
    json!({ "fields": { "name": { "type": "/db/String" }, "n": { "type": "/db/Integer" } } })
}

/// An app with something of everything.
fn furnish(admin: &Client) {
    admin.post("/schema/Item", &fields()).expect(200);
    let index = json!({ "keys": [{ "name": "asc" }, { "n": "desc" }] });
    admin.post("/index/Item", &index).expect(202);
    admin
        .post("/index/Item", &json!({ "keys": [{ "n": "asc" }], "unique": true }))
        .expect(202);
    for n in 0..20 {
        let object = json!({ "id": format!("/db/Item/{n}"), "name": format!("n{n}"), "n": n,
            "acl": { "read": if n % 2 == 0 { json!({}) } else { json!({ "/db/Role/1": "allow" }) } } });
        admin.post("/db/Item", &object).expect(201);
    }
    let register = json!({ "user": { "username": "ann" }, "password": "a secret", "login": false });
    admin.post("/db/User/register", &register).expect(200);
    let settings = json!({ "registration": "closed", "sessionSeconds": 7777 });
    admin.put("/config", &settings).expect(200);
}

/// Everything that can be read of an app, as its administrator and as a stranger.
fn everything(admin: &Client, stranger: &Client) -> Vec<Value> {
    let paths = [
        "/schema",
        "/config",
        "/index/Item",
        "/db/Item",
        "/db/User",
        "/db/Role",
        "/db/Item/ids",
    ];
    let of_admin = paths.iter().map(|path| admin.get(path).expect(200).json());
    let visible = stranger.get("/db/Item/query").expect(200).json();
    assert_eq!(visible.as_array().unwrap().len(), 10);
    of_admin.chain([visible]).collect()
}

#[test]
fn a_restored_app_has_everything_but_the_tokens() {
    let running = server().baqend().start();
    let admin = root(&running);
    furnish(&admin);
    let before = everything(&admin, &running.client());
    let file = running.data_dir().join("main.fbdb");
    backup(&running, "main", &file);
    // What comes later is not in it.
    admin.delete("/db/Item/3").expect(204);

    // Under another name beside the original; the running server takes it up.
    let data = text(running.data_dir());
    let restore = [
        "restore",
        "copy",
        text(&file),
        "--host",
        "copy.example.org",
        "--data-dir",
        data,
    ];
    freshbase(running.data_dir(), &restore).ok();
    let copy = running.app("copy");
    for token in [
        admin.token().unwrap(),
        running.client().login("ann", "a secret").token().unwrap(),
    ] {
        copy.clone()
            .with_token(token)
            .get("/config")
            .expect_error(460, "BadCredentials");
    }
    let copy_admin = copy.clone().login("root", fb_testkit::ROOT_PASSWORD);
    assert_eq!(everything(&copy_admin, &copy), before);
    copy.clone()
        .login("ann", "a secret")
        .get("/config")
        .expect_error(466, "PermissionDenied");
    running
        .client()
        .with_token(copy_admin.token().unwrap())
        .get("/config")
        .expect_error(460, "BadCredentials");
    // The two are apart from each other, and the copy works on: versions, unique index, closed registration.
    let next = json!({ "$inc": { "n": 1000 } });
    assert_eq!(copy_admin.post("/db/Item/3", &next).expect(200).json()["version"], 2);
    admin.get("/db/Item/3").expect(404);
    copy_admin
        .post("/db/Item", &json!({ "n": 5 }))
        .expect_error(409, "ObjectExists");
    copy_admin.post("/db/Item", &json!({ "n": 5000 })).expect(201);
    let register = json!({ "user": { "username": "bob" }, "password": "a secret" });
    copy.post("/db/User/register", &register)
        .expect_error(466, "PermissionDenied");

    // In another data directory, as the default app of a server that had none.
    let other = tempfile::tempdir().unwrap();
    let restore = [
        "restore",
        "main",
        text(&file),
        "--default",
        "--data-dir",
        text(other.path()),
    ];
    freshbase(other.path(), &restore).ok();
    let again = server().data_dir(other.path()).start();
    assert!(
        !again.printed().contains("/setup"),
        "it has an administrator: {}",
        again.printed()
    );
    assert_eq!(everything(&root(&again), &again.client()), before);
}

/// Whatever was acknowledged before the backup began is in it, and every object in it is whole.
#[test]
fn a_backup_while_clients_write_is_consistent() {
    let running = server().baqend().start();
    let admin = root(&running);
    admin.post("/schema/Item", &fields()).expect(200);
    admin
        .post("/index/Item", &json!({ "keys": [{ "n": "asc" }] }))
        .expect(202);
    const WRITERS: u64 = 3;
    let progress: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    let done = AtomicBool::new(false);
    let (acknowledge, acknowledged) = std::sync::mpsc::channel();
    let files: Vec<_> = (0..3).map(|n| running.data_dir().join(format!("{n}.fbdb"))).collect();
    let mut at_least = Vec::new();
    std::thread::scope(|scope| {
        for (writer, progress) in progress.iter().enumerate() {
            let (acknowledge, admin, done, running) = (acknowledge.clone(), &admin, &done, &running);
            scope.spawn(move || {
                let mut connection = Connection::open(running.address()).unwrap();
                for n in 1.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    // Every writer raises its counter and then adds an object: in this order they must be found.
                    let path = format!("/db/Item/counter{writer}");
                    let counter = json!({ "id": path, "name": "counter", "n": n });
                    connection
                        .request(admin, "PUT", &path, &[], &counter)
                        .unwrap()
                        .expect(200);
                    let object = json!({ "id": format!("/db/Item/{writer}-{n}"), "name": "x".repeat(300), "n": -1 });
                    connection
                        .request(admin, "POST", "/db/Item", &[], &object)
                        .unwrap()
                        .expect(201);
                    progress.store(n, Ordering::Release);
                    let _ = acknowledge.send(());
                }
            });
        }
        for file in &files {
            for _ in 0..60 {
                acknowledged.recv().unwrap();
            }
            at_least.push(progress.iter().map(|p| p.load(Ordering::Acquire)).collect::<Vec<_>>());
            backup(&running, "main", file);
        }
        done.store(true, Ordering::Relaxed);
    });
    for (n, (file, at_least)) in files.iter().zip(at_least).enumerate() {
        let name = format!("copy{n}");
        let data = text(running.data_dir());
        freshbase(running.data_dir(), &["restore", &name, text(file), "--data-dir", data]).ok();
        let copy = running.app(&name).login("root", fb_testkit::ROOT_PASSWORD);
        let mut total = 0;
        for (writer, at_least) in at_least.iter().enumerate() {
            let counter = copy.get(&format!("/db/Item/counter{writer}")).expect(200).json();
            let (n, version) = (counter["n"].as_u64().unwrap(), counter["version"].as_u64().unwrap());
            assert!(n >= *at_least && version == n, "{n} {version} {at_least}");
            let last = copy.get(&format!("/db/Item/{writer}-{n}")).status;
            assert!(matches!(last, 200 | 404), "{last}");
            total += if last == 200 { n } else { n - 1 };
        }
        let count = |filter: Value| {
            let path = format!("/db/Item/count?q={}", fb_testkit::encode(&filter.to_string()));
            copy.get(&path).expect(200).json()["count"].as_u64().unwrap()
        };
        assert_eq!(count(json!({ "n": -1 })), total);
        assert_eq!(count(json!({})), total + WRITERS);
    }
}

#[test]
fn what_is_no_backup_is_refused_and_leaves_nothing() {
    let running = server().baqend().start();
    let admin = root(&running);
    furnish(&admin);
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.fbdb");
    backup(&running, "main", &good);
    let bytes = std::fs::read(&good).unwrap();
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let replaced = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes.clone();
        let places = bytes.windows(from.len()).enumerate();
        let places: Vec<usize> = places
            .filter(|(_, w)| *w == from.as_bytes())
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty(), "{from}");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        bytes
    };
    let cases = [
        ("empty", Vec::new()),
        ("text", b"{\"hello\": \"world\"}".repeat(100)),
        ("short", bytes[..50].to_vec()),
        ("header-only", bytes[..100].to_vec()),
        ("truncated", bytes[..bytes.len() / 2].to_vec()),
        ("node", std::fs::read(running.data_dir().join("node.db")).unwrap()),
        ("other-application", patched(68, &[0; 4])),
        ("newer-format", patched(60, &99_u32.to_be_bytes())),
        ("zeroed-page", patched(4096, &[0; 4096])),
        (
            "other-table",
            replaced("CREATE TABLE records(space", "CREATE TABLE recordz(space"),
        ),
        (
            "other-column",
            replaced("shape INTEGER NOT NULL", "shape INTEGER NOT nULL"),
        ),
        ("damaged-object", replaced("\"name\":\"n7\"", "\"name\":\"n7'")),
    ];
    let data = text(running.data_dir());
    let restore = |name: &str, file: &Path| freshbase(dir.path(), &["restore", name, text(file), "--data-dir", data]);
    for (name, bytes) in cases {
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let error = restore("copy", &file).failed();
        assert!(
            error.contains(text(&file)) && error.contains("cannot be restored: "),
            "{name}: {error}"
        );
    }
    let error = restore("copy", &dir.path().join("nosuch")).failed();
    assert!(error.contains("No such file"), "{error}");
    restore("copy", dir.path()).failed();
    restore("No", &good).failed();
    assert!(restore("main", &good).failed().contains("there is an app main already"));
    let error = freshbase(
        dir.path(),
        &["restore", "x", text(&good), "--default", "--data-dir", data],
    )
    .failed();
    assert!(error.contains("there is a default app already"), "{error}");

    // The original is untouched, and nothing of the attempts is left.
    assert_eq!(everything(&admin, &running.client()).len(), 8);
    let apps: Vec<_> = std::fs::read_dir(running.data_dir().join("apps"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(apps.len(), 1, "{apps:?}");
    let trash: Vec<_> = std::fs::read_dir(running.data_dir().join("trash"))
        .unwrap()
        .flatten()
        .collect();
    assert!(trash.is_empty(), "{trash:?}");
    running.app("copy").get("/schema").expect_error(404, "AppNotFound");
    restore("copy", &good).ok();
    running.app("copy").get("/schema").expect(200);
}

#[test]
fn a_backup_overwrites_nothing_and_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| freshbase(dir.path(), &[args, &["--data-dir", "data"]].concat());
    run(&["app", "create", "shop"]).ok();
    // Without a server, and with a name of its own.
    let printed = run(&["backup", "shop"]).ok();
    let made: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
    let made = made
        .iter()
        .filter(|f| f.file_name().to_string_lossy().ends_with(".fbdb"));
    let made: Vec<_> = made.map(|f| f.file_name().into_string().unwrap()).collect();
    assert!(
        made.len() == 1 && made[0].starts_with("shop-") && printed.contains(&made[0]),
        "{printed}"
    );

    std::fs::write(dir.path().join("taken"), "precious").unwrap();
    let error = run(&["backup", "shop", "-o", "taken"]).failed();
    assert!(error.contains("taken exists"), "{error}");
    assert_eq!(std::fs::read_to_string(dir.path().join("taken")).unwrap(), "precious");
    let error = run(&["backup", "nosuch", "-o", "x"]).failed();
    assert!(error.contains("there is no app nosuch"), "{error}");
    run(&["backup", "shop", "-o", "no/such/dir/x"]).failed();
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 3, "data, the backup, the precious file: {left:?}");
}

#[test]
fn a_backup_without_its_last_bytes_is_refused() {
    let running = server().baqend().start();
    furnish(&root(&running));
    let file = running.data_dir().join("main.fbdb");
    backup(&running, "main", &file);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 10]).unwrap();
    let data = text(running.data_dir());
    let error = freshbase(
        running.data_dir(),
        &["restore", "copy", text(&file), "--data-dir", data],
    )
    .failed();
    assert!(error.contains("cannot be restored: "), "{error}");
}

/// A slip in the path of the data directory must not make a new one.
#[test]
fn commands_that_need_data_do_not_make_an_empty_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["backup", "main", "-o", "x", "--data-dir", "typo"][..],
        &["app", "list", "--data-dir", "typo"],
        &["app", "delete", "main", "--yes", "--data-dir", "typo"],
    ] {
        let error = freshbase(dir.path(), args).failed();
        assert!(error.contains("typo"), "{error}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Contents of files under `dir`, by name.
fn contents(dir: &Path) -> std::collections::BTreeSet<String> {
    let mut found = std::collections::BTreeSet::new();
    for shard in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        for entry in std::fs::read_dir(shard.path()).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            // What else lies there are forms made of contents, and uploads that are under way.
            if name.len() == 32 {
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn s49_backups_of_two_apps_share_a_folder_and_each_gets_its_own_files_back() {
    let running = server().baqend().start();
    let data = text(running.data_dir()).to_owned();
    let run = |args: &[&str]| {
        let args: Vec<&str> = args.iter().copied().chain(["--data-dir", &data]).collect();
        freshbase(running.data_dir(), &args)
    };
    let admin = root(&running);
    let large: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).take(5_000_000).collect();
    admin
        .upload("/data/large.bin", "application/octet-stream", &large)
        .expect(200);
    admin.upload("/data/a/%C3%BC.txt", "text/plain", b"one").expect(200);
    admin.upload("/data/empty", "text/plain", b"").expect(200);
    let at = |name: &str| running.data_dir().join(name);
    let (first, second, folder) = (at("1.fbdb"), at("2.fbdb"), at("contents"));
    run(&["backup", "main", "-o", text(&first), "--files", text(&folder)]).ok();
    assert_eq!(contents(&folder).len(), 3);

    // The second backup adds what is new. The folder now holds what is no file of the first, and what is none of this server.
    admin.upload("/data/new.txt", "text/plain", b"two").expect(200);
    let printed = run(&["backup", "main", "-o", text(&second), "--files", text(&folder)]).ok();
    assert!(printed.contains("4 contents of files (1 of them new)"), "{printed}");
    let foreign = folder.join("ab").join("ab".repeat(16));
    std::fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    std::fs::write(&foreign, "of another app").unwrap();

    run(&["restore", "copy", text(&first), "--files", text(&folder)]).ok();
    let copy = running.app("copy");
    let copied = copy.clone().login("root", fb_testkit::ROOT_PASSWORD);
    assert_eq!(copied.get("/file/data/large.bin").expect(200).body, large);
    assert_eq!(copied.get("/file/data/a/%C3%BC.txt").expect(200).body, b"one");
    assert_eq!(copied.get("/file/data/empty").expect(200).body, b"");
    copied.get("/file/data/new.txt").expect(404);
    let kept = contents(&running.data_dir().join("apps").join("copy").join("files"));
    assert_eq!(kept.len(), 3, "its own, and nothing else of the folder: {kept:?}");

    // Without the folder it says so.
    let alone = run(&["restore", "alone", text(&first)]);
    assert!(
        alone.err.contains("of its 3 files some have no content"),
        "{}",
        alone.err
    );
    // A content that is cut off is as good as none.
    for name in &kept {
        std::fs::write(folder.join(&name[..2]).join(name), "cut").unwrap();
    }
    let damaged = run(&["restore", "damaged", text(&first), "--files", text(&folder)]);
    assert!(damaged.err.contains("have no content"), "{}", damaged.err);
}
