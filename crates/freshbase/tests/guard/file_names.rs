//! S31: names that would like to be paths of the server. Whatever is asked for, nothing but the app's own files is read or
//! written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fb_testkit::{Client, Response, Server, raw_request, root};
use serde_json::{Value, json};

use crate::{Profile, no_panics, second_app, server};

/// What lies where no request reaches.
const CANARY: &str = "canary-outside-of-all-files";

/// Names as they stand in URLs.
const CORPUS: [&str; 74] = [
    "..",
    ".",
    "../x",
    "./x",
    "x/..",
    "x/.",
    "../../x",
    "../../../../../../../../etc/passwd",
    "%2e%2e",
    "%2e%2e/x",
    "%2e%2e%2fx",
    "..%2fx",
    "..%2f..%2f..%2fetc%2fpasswd",
    ".%2e/x",
    "%2e./x",
    "%2E%2E/x",
    "%252e%252e%252fx",
    "%252e%252e/x",
    "%25252e/x",
    "..%5cx",
    "..\\x",
    "..\\..\\x",
    "a\\b",
    "%5c..%5cx",
    "%5cetc%5cpasswd",
    "..%c0%afx",
    "%c0%ae%c0%ae/x",
    "%c0%ae%c0%ae%c0%afx",
    "%e0%80%af",
    "%f0%80%80%af",
    "%uff0e%uff0e/x",
    "%ef%bc%8e%ef%bc%8e/x",
    "%e2%80%a5/x",
    "..%e2%88%95x",
    "..;/x",
    "..%3b/x",
    "..%00/x",
    "%00",
    "x%00.png",
    "x%0a",
    "x%0d%0ay",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "%2f",
    "x//y",
    "x/",
    "/",
    "C:%5cwindows%5cwin.ini",
    "C:/windows",
    "c:x",
    "file:%2f%2f%2fetc%2fpasswd",
    "file:///etc/passwd",
    "http://127.0.0.1/x",
    "%7e/x",
    "~root/x",
    "$HOME/x",
    "%24%7bHOME%7d/x",
    "CON",
    "NUL",
    "aux.txt",
    "com1",
    "x.",
    "x...",
    "x%20",
    "%20",
    "x:ads",
    "x::$DATA",
    ".htaccess",
    "planted",
    "planted/secret",
    "master.key",
    "app.fbdb",
    "..%2fapp.fbdb",
];

fn corpus() -> Vec<String> {
    let mut all: Vec<String> = CORPUS.iter().map(|name| (*name).to_owned()).collect();
    all.push("x".repeat(1025));
    all.push("x/".repeat(512) + "x");
    all.push("../".repeat(300) + "etc/passwd");
    all.push("%2e%2e%2f".repeat(200) + "etc/passwd");
    all
}

/// Every file at or below `dir` that the server does not write for itself, with its content.
fn everything(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.insert(path.clone(), Vec::new());
            everything(&path, found);
        } else if kind.is_symlink() {
            found.insert(
                path.clone(),
                std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            );
        } else {
            let is_database = path
                .extension()
                .is_some_and(|e| e.to_string_lossy().starts_with("fbdb"));
            found.insert(
                path.clone(),
                if is_database {
                    Vec::new()
                } else {
                    std::fs::read(&path).unwrap()
                },
            );
        }
    }
}

/// What there is outside of the app's own files.
fn outside(top: &Path, files: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    everything(top, &mut found);
    // What the database keeps beside itself comes and goes.
    let is_fleeting = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with("-wal") || name.ends_with("-shm")
    };
    found.retain(|path, _| !path.starts_with(files) && !is_fleeting(path));
    found
}

#[track_caller]
fn innocent(answer: &[u8], what: &str) {
    let text = String::from_utf8_lossy(answer);
    for trace in [CANARY, "root:x:0:0", "SQLite format", "/tmp/"] {
        assert!(!text.contains(trace), "{what}: {text}");
    }
    let status: u16 = text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    assert!((200..500).contains(&status), "{what}: {text}");
}

/// A request with a path that no client would let through.
fn send(server: &Server, method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: BAT {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answer = raw_request(server.address(), request.as_bytes());
    innocent(&answer, &format!("{method} {path}"));
    answer
}

fn status(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
}

#[test]
fn s31_no_name_leads_out_of_the_files_of_the_app() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let server = server().secure().data_dir(&data).start();
    let admin = root(&server);
    let other = second_app(&server, "other", Profile::Secure);
    other.upload("/www/secret", "text/plain", CANARY.as_bytes()).expect(200);
    admin.upload("/www/own", "text/plain", b"own").expect(200);
    std::fs::write(top.path().join("secret"), CANARY).unwrap();
    std::fs::write(data.join("secret"), CANARY).unwrap();
    let files = data.join("apps").join("main").join("files");
    assert!(files.is_dir(), "where the app's files are");
    for link in [files.join("planted"), files.join("www")] {
        std::os::unix::fs::symlink(top.path(), link).unwrap();
    }
    let before = outside(top.path(), &files);
    assert!(before.len() > 5, "{before:?}");

    let token = admin.token().unwrap();
    for name in corpus() {
        let in_body = json!({ "headers": {} }).to_string();
        for path in [
            format!("/v1/file/www/{name}"),
            format!("/v1/file/www/folder/{name}"),
            format!("/v1/file/{name}/x"),
        ] {
            for (method, body) in [
                ("GET", ""),
                ("HEAD", ""),
                ("POST", &*in_body),
                ("PUT", "mine"),
                ("GET", ""),
                ("POST", &in_body),
                ("DELETE", ""),
            ] {
                let answer = send(&server, method, &path, token, body);
                if method == "PUT" && status(&answer) == 200 {
                    // Then it is a file like any other, under the very name that it was given.
                    let got = send(&server, "GET", &path, token, "");
                    assert!(status(&got) == 200 && got.ends_with(b"mine"), "{path}");
                }
            }
        }
        for path in [
            format!("/v1/file/{name}"),
            format!("/v1/file/www/ids?path={name}"),
            format!("/v1/file/www/ids?path=folder/&start={name}"),
            format!("/v1/file/{name}/ids"),
            format!("/v1/file/www/own?bqoptimize=1;variant={name}"),
            format!("/{name}"),
            format!("/folder/{name}"),
            format!("/own/{name}"),
            format!("/apps/{name}/v1/file/www/own"),
        ] {
            let answer = send(&server, "GET", &path, token, "");
            // Where a name is cut off by a slash or a question mark, what is left may be one.
            assert!(status(&answer) < 500, "{path}");
        }
        send(&server, "DELETE", &format!("/v1/file/www/{name}/"), token, "");
        send(&server, "DELETE", &format!("/v1/file/{name}"), token, "");
        send(&server, "PUT", &format!("/v1/file/{name}"), token, "{}");
        send(&server, "POST", &format!("/v1/file/{name}"), token, "mine");
    }
    assert_eq!(outside(top.path(), &files), before);
    let planted = std::fs::read_link(files.join("planted")).unwrap();
    assert_eq!(planted, top.path());
    assert_eq!(other.get("/file/www/secret").expect(200).body, CANARY.as_bytes());
    no_panics(&server);
}

/// Whoever got a link into the directory of an app's contents has a content that cannot be read.
#[test]
fn s31_links_in_the_place_of_contents_are_not_followed() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let server = server().secure().data_dir(&data).start();
    let admin = root(&server);
    let secret = top.path().join("secret");
    // Too large for the memory of small files, so that it is read each time.
    let content = vec![b'x'; 400_000];
    std::fs::write(&secret, CANARY.repeat(20_000)).unwrap();
    admin.upload("/www/x", "text/plain", &content).expect(200);
    assert_eq!(admin.get("/file/www/x").expect(200).body, content);
    let files = data.join("apps").join("main").join("files");
    let mut all = BTreeMap::new();
    everything(&files, &mut all);
    let stored = all
        .iter()
        .find(|(_, bytes)| **bytes == content)
        .expect("the content as a file")
        .0;
    std::fs::remove_file(stored).unwrap();
    std::os::unix::fs::symlink(&secret, stored).unwrap();
    let request = format!(
        "GET /v1/file/www/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: BAT {}\r\n\r\n",
        admin.token().unwrap()
    );
    let answer = raw_request(server.address(), request.as_bytes());
    let text = String::from_utf8_lossy(&answer);
    assert!(
        !text.contains(CANARY) && !text.contains("/tmp/"),
        "{}",
        &text[..text.len().min(500)]
    );
    assert!(status(&answer) >= 500, "{}", status(&answer));
    // Deleting and replacing it leaves the target alone.
    admin.upload("/www/x", "text/plain", b"new").expect(200);
    assert_eq!(admin.get("/file/www/x").expect(200).body, b"new");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), CANARY.repeat(20_000));
    no_panics(&server);
}

fn made(answer: &Response) -> Option<Value> {
    (answer.status == 200).then(|| answer.json()["id"].clone())
}

/// Reserved names of some system are names here.
#[test]
fn s31_names_that_mean_something_elsewhere_are_plain() {
    let server = server().secure().start();
    let admin = root(&server);
    let names = [
        "CON", "con.txt", "NUL", "aux.txt", "COM1", "LPT9.png", "x.", "x..", "x ", " x", "C:", "x:y", "...", "~", "-rf",
    ];
    for name in names {
        let url = format!("/www/{}", fb_testkit::encode(name));
        let id = made(&admin.upload(&url, "text/plain", name.as_bytes()));
        assert_eq!(id, Some(json!(format!("/file/www/{name}"))));
    }
    for name in names {
        let url = format!("/file/www/{}", fb_testkit::encode(name));
        assert_eq!(admin.get(&url).expect(200).body, name.as_bytes());
        let page = Client::new(server.address(), "").get(&url[9..]).expect(200);
        assert_eq!(page.body, name.as_bytes());
    }
    assert_eq!(
        admin.get("/file/www/ids").expect(200).json().as_array().unwrap().len(),
        names.len()
    );
}
