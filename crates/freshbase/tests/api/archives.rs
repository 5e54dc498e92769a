//! Buckets as archives: protocol 05, section 2.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use fb_archive::{Archive, Limits, NewEntry, Writer};
use fb_testkit::{Client, Response, Server, encode, wait_for};
use fb_types::Timestamp;
use serde_json::{Value, json};

use crate::{open, server};

type Files = BTreeMap<String, Vec<u8>>;

/// The path of a file in URLs.
fn url(bucket: &str, name: &str) -> String {
    let segments: Vec<String> = name.split('/').map(encode).collect();
    format!("/file/{bucket}/{}", segments.join("/"))
}

fn put(client: &Client, bucket: &str, name: &str, content: &[u8]) -> Response {
    client.request("PUT", &url(bucket, name), &[("content-type", "null")], content)
}

fn upload(client: &Client, target: &str, archive: &[u8]) -> Response {
    let headers = [("content-type", "application/zip")];
    client.request("POST", &format!("/file?archive={target}"), &headers, archive)
}

/// Opens a bucket for everybody.
fn bucket(admin: &Client, name: &str, rules: &Value) {
    admin.put(&format!("/file/{name}"), rules).expect(204);
}

fn unpack(archive: &[u8]) -> Files {
    let mut archive = Archive::open(Cursor::new(archive), &Limits::default()).unwrap();
    let mut files = Files::new();
    for number in 0..archive.entries().len() {
        let mut content = archive.content(number).unwrap().unwrap();
        let mut bytes = vec![0; usize::try_from(content.left()).unwrap()];
        let mut at = 0;
        loop {
            match content.read(&mut bytes[at..]).unwrap() {
                0 => break,
                n => at += n,
            }
        }
        files.insert(content.entry().name().to_owned(), bytes);
    }
    files
}

fn pack<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut writer = Writer::new();
    for (name, content) in files {
        begin(&mut writer, name, content.len(), true);
        writer.write(content).unwrap();
    }
    writer.finish().unwrap()
}

fn begin(writer: &mut Writer, name: &str, size: usize, compress: bool) {
    let entry = NewEntry {
        name,
        modified: Timestamp::from_millis(0),
        size: size as u64,
        compress,
    };
    writer.begin(entry).unwrap();
}

/// All names in a bucket.
fn names(admin: &Client, bucket: &str) -> Vec<String> {
    let list = admin.get(&format!("/file/{bucket}/ids?deep=true")).expect(200).json();
    let prefix = format!("/file/{bucket}/");
    let list = list.as_array().unwrap().iter();
    list.map(|id| id.as_str().unwrap().strip_prefix(&prefix).unwrap().to_owned())
        .collect()
}

/// Contents on disk, finished and under way.
fn contents(server: &Server) -> usize {
    fn count(dir: &Path) -> usize {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 })
            .sum()
    }
    let apps = std::fs::read_dir(server.data_dir().join("apps")).unwrap().flatten();
    apps.map(|app| count(&app.path().join("files"))).sum()
}

/// Contents that the store says are on their way.
fn announced(server: &Server) -> usize {
    let script = "import sqlite3, sys; db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True); \
                  print(db.execute('SELECT count(*) FROM contents WHERE state = 0').fetchone()[0])";
    let path = server.data_dir().join("apps/main/app.db");
    let output = Command::new("python3").arg("-c").arg(script).arg(path).output();
    let output = output.expect("python3 is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    let number = String::from_utf8_lossy(&output.stdout).trim().parse();
    number.unwrap_or_else(|_| panic!("{error}"))
}

/// Bytes that do not compress, the same for the same seed.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(seed >> 16).to_le_bytes()[..6]);
    }
    bytes.truncate(len);
    bytes
}

/// Two hundred files of all kinds.
fn many() -> Files {
    let mut files = Files::new();
    for n in 0..192_usize {
        let name = match n % 6 {
            0 => format!("pages/{n}.html"),
            1 => format!("ünï/ø {n}/日本.txt"),
            2 => format!("data/{n}.json"),
            3 => format!("🦀+{n}!'()&=?#%.bin"),
            4 => format!("deep/a/b/c/d/e/f/{n}"),
            _ => format!("images/{n}.png"),
        };
        let content = if n % 2 == 0 {
            format!("text {n} ").repeat(n * 10).into_bytes()
        } else {
            noise(n * 997, n as u64)
        };
        files.insert(name, content);
    }
    files.insert("empty".into(), Vec::new());
    files.insert("folder/empty.css".into(), Vec::new());
    files.insert("A".into(), b"upper".to_vec());
    files.insert("a".into(), b"lower".to_vec());
    files.insert("a/a".into(), b"a file and a folder of one name".to_vec());
    files.insert("nf\u{fc}".into(), b"composed".to_vec());
    files.insert("nfu\u{308}".into(), b"decomposed".to_vec());
    files.insert("large.bin".into(), noise(20 << 20, 99));
    assert_eq!(files.len(), 200);
    files
}

#[test]
fn a_bucket_makes_a_round_trip() {
    let (server, admin, _) = open();
    let files = many();
    bucket(&admin, "one", &json!({}));
    for (name, content) in &files {
        put(&admin, "one", name, content).expect(200);
    }
    let before = contents(&server);
    let packed = admin.get("/file?archive=one.zip").expect(200);
    assert_eq!(packed.header("content-type"), Some("application/zip"));
    assert_eq!(
        packed.header("content-disposition"),
        Some("attachment; filename=\"one.zip\"")
    );
    assert_eq!(packed.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(packed.header("cache-control"), Some("no-store"));
    assert_eq!(packed.header("content-length"), None);
    assert!(unpack(&packed.body) == files);

    bucket(&admin, "two", &json!({}));
    let ids = upload(&admin, "two.zip", &packed.body).expect(200).json();
    let mut expected: Vec<String> = files.keys().map(|name| format!("/file/two/{name}")).collect();
    expected.sort();
    assert_eq!(ids, json!(expected));
    for (name, content) in &files {
        let (old, new) = (
            admin.get(&url("one", name)).expect(200),
            admin.get(&url("two", name)).expect(200),
        );
        assert!(new.body == *content, "{name}");
        assert_eq!(new.header("content-type"), old.header("content-type"), "{name}");
        assert_eq!(new.header("etag"), old.header("etag"), "{name}");
    }
    // The archive itself is not kept.
    wait_for("the archive to go", || {
        (contents(&server) == before + files.len()).then_some(())
    });
    let again = admin.get("/file?archive=two.zip").expect(200);
    assert!(unpack(&again.body) == files);
}

#[test]
fn a_folder_is_packed_and_unpacked_by_names_relative_to_it() {
    let (_server, admin, _) = open();
    bucket(&admin, "one", &json!({}));
    for name in ["top.txt", "images/a.png", "images/sub/b.png", "imagesnot.txt"] {
        put(&admin, "one", name, name.as_bytes()).expect(200);
    }
    for path in ["images/", "images", "/images/", "images%2F"] {
        let packed = admin.get(&format!("/file?archive=one.zip&path={path}")).expect(200);
        assert_eq!(
            unpack(&packed.body).into_keys().collect::<Vec<_>>(),
            ["a.png", "sub/b.png"]
        );
        let ids = upload(&admin, "two.zip&path=new/place", &packed.body)
            .expect(200)
            .json();
        assert_eq!(
            ids,
            json!(["/file/two/new/place/a.png", "/file/two/new/place/sub/b.png"])
        );
    }
    assert_eq!(
        admin.get("/file/two/new/place/sub/b.png").expect(200).body,
        b"images/sub/b.png"
    );
    let none = admin.get("/file?archive=one.zip&path=nothing/").expect(200);
    assert!(unpack(&none.body).is_empty());
    assert_eq!(upload(&admin, "one.zip", &none.body).expect(200).json(), json!([]));
    assert_eq!(names(&admin, "one").len(), 4);
}

#[test]
fn head_answers_headers_only() {
    let (_server, admin, anybody) = open();
    put(&admin, "www", "a.txt", b"1").expect(200);
    let head = admin.request("HEAD", "/file?archive=www.zip", &[], b"").expect(200);
    assert_eq!(head.header("content-type"), Some("application/zip"));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    assert!(head.body.is_empty());
    assert_eq!(anybody.request("HEAD", "/file?archive=www.zip", &[], b"").status, 466);
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    let (_server, admin, _) = open();
    for query in [
        "",
        "?",
        "?archive",
        "?archive=",
        "?archive=www",
        "?archive=.zip",
        "?archive=www.tar",
        "?archive=..%2Fwww.zip",
        "?archive=a%2Fb.zip",
        "?archive=buckets.zip",
        "?archive=%ff.zip",
        "?archive=www.zip&path=..",
        "?archive=www.zip&path=a//b",
        "?archive=www.zip&path=a%00",
        "?archive=www.zip&path=%5C",
        "?Archive=www.zip",
    ] {
        let message = admin.get(&format!("/file{query}")).expect_error(400, "BadRequest");
        assert!(message.len() > 20, "{message}");
        let archive = pack([("a", &b"1"[..])]);
        let headers = [("content-type", "application/zip")];
        let answer = admin.request("POST", &format!("/file{query}"), &headers, &archive);
        answer.expect_error(400, "BadRequest");
    }
    let archive = pack([("a", &b"1"[..])]);
    let answer = admin.request(
        "POST",
        "/file?archive=www.zip",
        &[("content-type", "application/json")],
        &archive,
    );
    assert!(answer.expect_error(400, "BadRequest").contains("application/zip"));
    assert_eq!(names(&admin, "www"), [""; 0]);
}

#[test]
fn what_is_replaced_keeps_its_rules_and_headers_and_others_stay() {
    let (_server, admin, anybody) = open();
    bucket(&admin, "one", &json!({}));
    let acl = json!({ "read": { "/db/Role/1": "allow" }, "write": { "/db/Role/1": "allow" } }).to_string();
    let headers = [
        ("baqend-acl", acl.as_str()),
        ("baqend-custom-headers", "{\"x-note\":\"hi\"}"),
        ("content-type", "text/plain"),
    ];
    let old = admin
        .request("PUT", "/file/one/a.css", &headers, b"old")
        .expect(200)
        .json();
    put(&admin, "one", "other.txt", b"other").expect(200);
    let ids = upload(&admin, "one.zip", &pack([("a.css", &b"new"[..]), ("b.html", b"<p>")]));
    assert_eq!(ids.expect(200).json(), json!(["/file/one/a.css", "/file/one/b.html"]));
    let new = admin.get("/file/one/a.css").expect(200);
    assert_eq!(new.body, b"new");
    assert_eq!(new.header("x-note"), Some("hi"));
    assert!(new.header("content-type").unwrap().starts_with("text/css"));
    assert_eq!(new.header("etag").is_some(), old["eTag"].is_string());
    anybody.get("/file/one/a.css").expect(404);
    anybody.get("/file/one/b.html").expect(200);
    assert_eq!(admin.get("/file/one/other.txt").expect(200).body, b"other");
}

#[test]
fn s04_downloads_take_query_and_load_and_show_what_may_be_read() {
    let (_server, admin, anybody) = open();
    let (ann, id) = anybody.clone().register("ann");
    let only = |who: &str| json!({ who: "allow" });
    let admins = || only("/db/Role/1");
    for (name, query, load, status) in [
        ("both", only(&id), only(&id), 200),
        ("noquery", admins(), only(&id), 466),
        ("noload", only(&id), admins(), 466),
    ] {
        bucket(
            &admin,
            name,
            &json!({ "query": query, "load": load, "insert": admins(), "update": admins(), "delete": admins() }),
        );
        put(&admin, name, "public.txt", b"1").expect(200);
        for (file, reader) in [("hers.txt", id.as_str()), ("secret.txt", "/db/Role/1")] {
            let acl = json!({ "read": { reader: "allow" }, "write": {} }).to_string();
            let path = url(name, file);
            admin.request("PUT", &path, &[("baqend-acl", &acl)], b"2").expect(200);
        }
        let path = format!("/file?archive={name}.zip");
        let answer = ann.get(&path);
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(anybody.get(&path).status, 466, "{name}");
        assert_eq!(unpack(&admin.get(&path).expect(200).body).len(), 3);
        match name {
            "both" => assert_eq!(
                unpack(&answer.body).into_keys().collect::<Vec<_>>(),
                ["hers.txt", "public.txt"]
            ),
            "noquery" => assert!(
                answer
                    .expect_error(466, "PermissionDenied")
                    .contains("query permissions are required")
            ),
            _ => assert!(
                answer
                    .expect_error(466, "PermissionDenied")
                    .contains("load permissions are required")
            ),
        }
    }
}

#[test]
fn s04_uploads_take_insert_and_update_and_the_right_to_each_file() {
    let (server, admin, anybody) = open();
    let (ann, id) = anybody.clone().register("ann");
    let rules = |insert: &str, update: &str| {
        let mut rules = json!({});
        for permission in ["load", "query", "delete"] {
            rules[permission] = json!({ "/db/Role/1": "allow" });
        }
        rules["insert"] = json!({ insert: "allow" });
        rules["update"] = json!({ update: "allow" });
        rules
    };
    let admins = "/db/Role/1";
    let archive = pack([("1.txt", &b"new"[..]), ("2.txt", b"new"), ("3.txt", b"new")]);
    for (name, insert, update) in [("noinsert", admins, id.as_str()), ("noupdate", id.as_str(), admins)] {
        bucket(&admin, name, &rules(insert, update));
        let message = upload(&ann, &format!("{name}.zip"), &archive).expect_error(466, "PermissionDenied");
        assert!(message.contains("permissions are required"), "{message}");
        assert_eq!(names(&admin, name), [""; 0]);
    }
    bucket(&admin, "both", &rules(&id, &id));
    let acl = json!({ "read": {}, "write": { admins: "allow" } }).to_string();
    admin
        .request("PUT", "/file/both/2.txt", &[("baqend-acl", &acl)], b"old")
        .expect(200);
    let before = contents(&server);
    let message = upload(&ann, "both.zip", &archive).expect_error(466, "PermissionDenied");
    assert!(
        message.contains("/file/both/2.txt") && message.contains("Write permissions are required"),
        "{message}"
    );
    assert_eq!(names(&admin, "both"), ["2.txt"]);
    assert_eq!(admin.get("/file/both/2.txt").expect(200).body, b"old");
    wait_for("the archive to go", || (contents(&server) == before).then_some(()));
    upload(&admin, "both.zip", &archive).expect(200);
    assert_eq!(admin.get("/file/both/2.txt").expect(200).body, b"new");
    assert_eq!(upload(&anybody, "both.zip", &archive).status, 466);
}

/// An archive of one stored entry, whose name and mode say anything.
fn forged(name: &[u8], mode: u32) -> Vec<u8> {
    let honest = pack([(&*"x".repeat(name.len()), &b""[..])]);
    let mut bytes = honest;
    let directory = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[30..30 + name.len()].copy_from_slice(name);
    bytes[directory + 46..directory + 46 + name.len()].copy_from_slice(name);
    bytes[directory + 38..directory + 42].copy_from_slice(&(mode << 16).to_le_bytes());
    bytes
}

/// What is in the buckets and on the disk.
fn state(server: &Server, admin: &Client) -> (Vec<String>, Value, usize) {
    let buckets = admin.get("/file/buckets").expect(200).json();
    (names(admin, "www"), buckets, contents(server))
}

/// Uploads what is refused, and sees that nothing has changed.
#[track_caller]
fn refused(server: &Server, admin: &Client, archive: &[u8], status: u16, class: &str) -> String {
    refused_in("www.zip", server, admin, archive, status, class)
}

#[track_caller]
fn refused_in(target: &str, server: &Server, admin: &Client, archive: &[u8], status: u16, class: &str) -> String {
    let before = state(server, admin);
    let message = upload(admin, target, archive).expect_error(status, class);
    wait_for("the archive to go", || (state(server, admin) == before).then_some(()));
    message
}

#[test]
fn s31_archives_that_lead_elsewhere_change_nothing() {
    let (server, admin, _) = open();
    put(&admin, "www", "good.txt", b"good").expect(200);
    let outside: Vec<_> = std::fs::read_dir(server.data_dir())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    for name in [
        "../up",
        "a/../../../up",
        "/etc/up",
        "..\\up",
        "C:/up",
        "c:up",
        "a\0b",
        "a\r\nb",
        "a//b",
        "..",
        "../../../../../../tmp/up",
        "./../up",
        "\\\\host\\up",
        "a/./../../up",
        "\u{85}",
    ] {
        let message = refused(&server, &admin, &forged(name.as_bytes(), 0o100_644), 400, "BadArchive");
        assert!(message.contains("refused"), "{name}: {message}");
        let archive = forged(name.as_bytes(), 0o100_644);
        refused_in("www.zip&path=folder/", &server, &admin, &archive, 400, "BadArchive");
    }
    refused(&server, &admin, &forged(b"\xff\xfe", 0o100_644), 400, "BadArchive");
    refused(&server, &admin, &forged(b"link", 0o120_777), 400, "BadArchive");
    refused(&server, &admin, &forged(b"device", 0o060_777), 400, "BadArchive");
    // Names that buckets do not have.
    refused(&server, &admin, &pack([("ids", &b"1"[..])]), 400, "BadRequest");
    // The good ones of a bad archive are not taken.
    let mut mixed = pack([("good.txt", &b"changed"[..]), ("zzzz", b"2")]);
    let positions: Vec<usize> = (0..mixed.len() - 4)
        .filter(|at| &mixed[*at..at + 4] == b"zzzz")
        .collect();
    assert_eq!(positions.len(), 2);
    for at in positions {
        mixed[at..at + 4].copy_from_slice(b"../z");
    }
    refused(&server, &admin, &mixed, 400, "BadArchive");
    assert_eq!(admin.get("/file/www/good.txt").expect(200).body, b"good");
    let now: Vec<_> = std::fs::read_dir(server.data_dir())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(now, outside);
}

/// The server's memory in bytes.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// An archive of zeros.
fn zeros(mib: usize) -> Vec<u8> {
    let mut writer = Writer::new();
    begin(&mut writer, "zeros", mib << 20, true);
    for _ in 0..mib {
        writer.write(&[0; 1 << 20]).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn s44_bombs_are_refused_in_bounded_memory() {
    let (server, admin, _) = fb_testkit::with_callers(server().baqend().arg("--max-file").arg("300MiB").start());
    put(&admin, "www", "good.txt", b"good").expect(200);
    upload(&admin, "www.zip", &pack([("zeros", &vec![0; 5 << 20][..])])).expect(200);
    let before = memory(&server);
    let bomb = zeros(250);
    assert!(bomb.len() < 2 << 20);
    assert!(refused(&server, &admin, &bomb, 413, "TooLarge").contains("of this size"));
    assert!(refused(&server, &admin, &zeros(301), 413, "TooLarge").contains("one file"));
    // One that says it is small is found out while it is unpacked.
    let mut liar = bomb;
    let directory = liar.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    liar[directory + 24..directory + 28].copy_from_slice(&1000_u32.to_le_bytes());
    assert!(refused(&server, &admin, &liar, 400, "BadArchive").contains("larger than it says"));
    // Entries that share one content.
    let one = zeros(60);
    let directory = one.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    let (body, header) = (&one[..directory], &one[directory..one.len() - 22]);
    let mut many = body.to_vec();
    for n in 0..100 {
        let mut header = header.to_vec();
        header[46..51].copy_from_slice(format!("{n:05}").as_bytes());
        many.extend(header);
    }
    many.extend(b"PK\x05\x06\0\0\0\0");
    many.extend([100, 0, 100, 0]);
    many.extend(u32::try_from(header.len() * 100).unwrap().to_le_bytes());
    many.extend(u32::try_from(directory).unwrap().to_le_bytes());
    many.extend([0, 0]);
    assert!(refused(&server, &admin, &many, 400, "BadArchive").contains("overlaps"));
    // An archive that is larger than any file may be, of which most is never taken.
    let huge = [b"PK\x03\x04".to_vec(), vec![0; 301 << 20]].concat();
    upload(&admin, "www.zip", &huge).expect_error(413, "TooLarge");
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 48 << 20, "{} MiB", grown >> 20);
    assert_eq!(admin.get("/file/www/good.txt").expect(200).body, b"good");
}

#[test]
fn damaged_archives_change_nothing() {
    let (server, admin, _) = open();
    put(&admin, "www", "a.txt", b"old").expect(200);
    let text = b"some text ".repeat(1000);
    let whole = pack([("a.txt", &b"new"[..]), ("b.txt", &text), ("c.txt", &noise(5000, 1))]);
    for len in [0, 1, 21, 100, whole.len() / 2, whole.len() - 23, whole.len() - 1] {
        refused(&server, &admin, &whole[..len], 400, "BadArchive");
    }
    for at in [45, 200, whole.len() / 2] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        let message = refused(&server, &admin, &flipped, 400, "BadArchive");
        assert!(message.contains(".txt") || at < 100, "{at}: {message}");
    }
    refused(&server, &admin, b"{\"no\":\"archive\"}", 400, "BadArchive");
    assert_eq!(admin.get("/file/www/a.txt").expect(200).body, b"old");
    upload(&admin, "www.zip", &whole).expect(200);
    assert_eq!(names(&admin, "www"), ["a.txt", "b.txt", "c.txt"]);
}

#[test]
fn who_hangs_up_leaves_nothing_behind() {
    let (server, admin, _) = open();
    let large = noise(30 << 20, 5);
    put(&admin, "www", "large.bin", &large).expect(200);
    let before = contents(&server);
    let token = admin.token().unwrap();
    let connect = |head: String| {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    // During a download.
    for _ in 0..3 {
        let head = format!("GET /v1/file?archive=www.zip HTTP/1.1\r\nhost: x\r\nauthorization: BAT {token}\r\n\r\n");
        let mut stream = connect(head);
        stream.read_exact(&mut [0; 100_000]).unwrap();
    }
    // During an upload: the archive lies there, and is gone when the client is.
    let archive = pack([("large.bin", &large[..1000]), ("new.bin", &large[..])]);
    let head = format!(
        "POST /v1/file?archive=www.zip HTTP/1.1\r\nhost: x\r\nauthorization: BAT {token}\r\ncontent-type: application/zip\r\ncontent-length: {}\r\n\r\n",
        archive.len()
    );
    let mut stream = connect(head.clone());
    stream.write_all(&archive[..archive.len() / 2]).unwrap();
    wait_for("the archive to lie there", || {
        (contents(&server) > before).then_some(())
    });
    drop(stream);
    wait_for("the archive to go", || (contents(&server) == before).then_some(()));
    assert_eq!(admin.get("/file/www/large.bin").expect(200).body.len(), large.len());
    // After the upload, while it is unpacked: every file is whole, old or new.
    let mut stream = connect(head);
    stream.write_all(&archive).unwrap();
    drop(stream);
    wait_for("whatever is left over to go", || {
        let files = names(&admin, "www").len();
        // A content that was replaced stays for a while.
        let replaced = usize::from(admin.get("/file/www/large.bin").expect(200).body.len() == 1000);
        (contents(&server) == files + replaced && announced(&server) == 0).then_some(())
    });
    let now = admin.get("/file/www/large.bin").expect(200).body;
    assert!(now == large || now == large[..1000]);
    if let 200 = admin.get("/file/www/new.bin").status {
        assert!(admin.get("/file/www/new.bin").body == large);
    }
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn what_changes_during_a_download_is_in_whole_or_not_in() {
    let (server, admin, _) = open();
    let large = noise(30 << 20, 7);
    put(&admin, "www", "a.bin", &large).expect(200);
    for name in ["b.txt", "c.txt", "d.txt"] {
        put(&admin, "www", name, b"old").expect(200);
    }
    let token = admin.token().unwrap();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    // Of the first version of HTTP, which has no chunks. What the two ends buffer is far less than the first file.
    let head = format!("GET /v1/file?archive=www.zip HTTP/1.0\r\nhost: x\r\nauthorization: BAT {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = vec![0; 100_000];
    stream.read_exact(&mut answer).unwrap();
    put(&admin, "www", "a.bin", b"new").expect(200);
    admin.delete("/file/www/b.txt").expect(204);
    put(&admin, "www", "c.txt", b"newer").expect(200);
    stream.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let files = unpack(&answer[body..]);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["a.bin", "c.txt", "d.txt"]);
    assert!(files["a.bin"] == large && files["c.txt"] == b"newer" && files["d.txt"] == b"old");
}
