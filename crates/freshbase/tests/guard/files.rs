//! S30: permissions of buckets and rules of files, on every way to a file. A new route to files fails the test until it has a
//! row here.

use std::collections::BTreeSet;

use fb_archive::{NewEntry, Writer};
use fb_testkit::{Client, Response, png};
use fb_types::Timestamp;
use serde_json::{Value, json};

use crate::kit::resource_token;
use crate::paths::{Decision, People, done_if};
use crate::rules::{Rules, passes};
use crate::{PROFILES, Profile, no_panics};

/// What a request does with a file, which says what decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Load,
    /// Lists what may be read.
    List,
    /// Puts what may be read into an archive.
    Pack,
    Insert,
    /// Puts content there, whatever there is: to insert, to update, and to write what is there.
    Save,
    /// Over a file that is known.
    Replace,
    Update,
    Delete,
    /// Deletes what may be read and written.
    DeleteFolder,
}

impl Does {
    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Load => &["load"],
            Self::List => &["query"],
            Self::Pack => &["load", "query"],
            Self::Insert => &["insert"],
            Self::Save => &["insert", "update"],
            Self::Replace | Self::Update => &["update"],
            Self::Delete | Self::DeleteFolder => &["delete"],
        }
    }

    fn writes(self) -> bool {
        !matches!(self, Self::Load | Self::List | Self::Pack)
    }
}

/// A request for the file `f` in folder `key` of bucket `b`.
type Ask = fn(&Client, &str, &str) -> Response;

fn with(client: &Client, method: &str, path: &str, header: (&str, &str), body: &str) -> Response {
    client.request(method, path, &[header], body.as_bytes())
}

fn file(b: &str, k: &str) -> String {
    format!("/file/{b}/{k}/f")
}

/// A route, what is asked of it, and what that does.
const ROWS: [(&str, &str, Does, Ask); 22] = [
    ("download_file", "content", Does::Load, |c, b, k| c.get(&file(b, k))),
    ("download_file", "metadata", Does::Load, |c, b, k| {
        c.head_of(&file(b, k))
    }),
    ("download_file", "range", Does::Load, |c, b, k| {
        with(c, "GET", &file(b, k), ("range", "bytes=0-3"), "")
    }),
    ("download_file", "no such range", Does::Load, |c, b, k| {
        with(c, "GET", &file(b, k), ("range", "bytes=999999-"), "")
    }),
    ("download_file", "confirmation", Does::Load, |c, b, k| {
        with(c, "GET", &file(b, k), ("if-none-match", "*"), "")
    }),
    ("download_file", "confirmation by date", Does::Load, |c, b, k| {
        with(
            c,
            "HEAD",
            &file(b, k),
            ("if-modified-since", "Fri, 31 Dec 2100 23:59:59 GMT"),
            "",
        )
    }),
    ("download_file", "condition", Does::Load, |c, b, k| {
        with(c, "GET", &file(b, k), ("if-match", "\"x\""), "")
    }),
    ("download_file", "image", Does::Load, |c, b, k| {
        c.get(&(file(b, k) + "?bqoptimize=1;variant=thumb"))
    }),
    ("download_file", "image, confirmed", Does::Load, |c, b, k| {
        with(
            c,
            "GET",
            &(file(b, k) + "?bqoptimize=1;variant=thumb"),
            ("if-none-match", "*"),
            "",
        )
    }),
    ("download_file", "signed", Does::Load, |c, b, k| {
        by_url(c, "GET", &file(b, k))
    }),
    ("download_file", "signed metadata", Does::Load, |c, b, k| {
        by_url(c, "HEAD", &file(b, k))
    }),
    ("list_files", "folder", Does::List, |c, b, k| {
        c.get(&format!("/file/{b}/ids?path={k}/"))
    }),
    ("list_files", "deep", Does::List, |c, b, k| {
        c.get(&format!("/file/{b}/ids?path={k}&deep=true"))
    }),
    ("upload_file", "new", Does::Insert, |c, b, k| {
        with(c, "PUT", &(file(b, k) + "-new"), ("if-none-match", "*"), "new")
    }),
    ("upload_file", "any", Does::Save, |c, b, k| {
        c.upload(&file(b, k)[5..], "text/plain", b"new")
    }),
    ("upload_file", "known", Does::Replace, |c, b, k| {
        with(c, "PUT", &file(b, k), ("if-match", "*"), "new")
    }),
    ("download_archive", "", Does::Pack, |c, b, k| {
        c.get(&format!("/file?archive={b}.zip&path={k}/"))
    }),
    ("upload_archive", "", Does::Save, |c, b, k| {
        let path = format!("/file?archive={b}.zip&path={k}/");
        c.request("POST", &path, &[("content-type", "application/zip")], &archive())
    }),
    ("create_file", "", Does::Insert, |c, b, _| {
        c.request("POST", &format!("/file/{b}"), &[], b"new")
    }),
    ("update_file", "", Does::Update, |c, b, k| {
        c.post(&file(b, k), &json!({ "acl": null, "headers": { "x-note": "new" } }))
    }),
    ("delete_files", "file", Does::Delete, |c, b, k| c.delete(&file(b, k))),
    ("delete_files", "folder", Does::DeleteFolder, |c, b, k| {
        c.delete(&format!("/file/{b}/{k}/"))
    }),
];

/// With one file, `f`.
fn archive() -> Vec<u8> {
    let mut writer = Writer::new();
    let entry = NewEntry {
        name: "f",
        modified: Timestamp::from_millis(0),
        size: 3,
        compress: false,
    };
    writer.begin(entry).unwrap();
    writer.write(b"new").unwrap();
    writer.finish().unwrap()
}

/// An archive without files: the record at its end.
const EMPTY_ARCHIVE: usize = 22;

/// By the token in the URL that clients make for a browser.
fn by_url(client: &Client, method: &str, path: &str) -> Response {
    let Some(token) = client.token() else {
        return client.request(method, path, &[], b"");
    };
    let token = resource_token(token, &format!("/v1{path}"));
    client
        .clone()
        .without_token()
        .request(method, &format!("{path}?BAT={token}"), &[], b"")
}

#[test]
fn s30_every_route_to_files_has_a_row() {
    let routes = fb_server::route_table();
    let to_files = routes
        .iter()
        .filter(|route| matches!(route.access, fb_server::Access::Bucket(_)));
    let to_files: BTreeSet<&str> = to_files.map(|route| route.name).collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.0).collect();
    assert_eq!(
        to_files, rows,
        "say in `ROWS` what a new route does with files, and how it is asked to"
    );
    // And what it needs is what it says of itself.
    for route in routes {
        if let fb_server::Access::Bucket(said) = route.access {
            let rows = ROWS.iter().filter(|row| row.0 == route.name);
            let needed: BTreeSet<&str> = rows.flat_map(|row| row.2.needs()).copied().collect();
            assert_eq!(needed, said.iter().copied().collect(), "{}", route.name);
        }
    }
}

fn decision(does: Does, answer: &Response) -> Decision {
    match (does, answer.status) {
        (_, 466) => Decision::Refused,
        (Does::Load, 404) => Decision::Hidden,
        (Does::List | Does::DeleteFolder, 200) if answer.json() == json!([]) => Decision::Hidden,
        (Does::Pack, 200) if answer.body.len() == EMPTY_ARCHIVE => Decision::Hidden,
        (Does::Load, 206 | 304 | 412 | 416) | (_, 200 | 204) => Decision::Done,
        (_, other) => panic!("{does:?}: {other} {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// What a bucket permits everybody, but for these permissions.
fn bucket_rules(rules: &Rules, permissions: &[&str]) -> Value {
    let mut all = json!({});
    for permission in ["load", "query", "insert", "update", "delete"] {
        all[permission] = match permissions.contains(&permission) {
            true => json!(rules),
            false => json!({ "*": "allow" }),
        };
    }
    all
}

pub(crate) fn thumbs(admin: &Client) {
    let images = json!({ "variants": { "thumb": { "width": 2 } } });
    admin.put("/config", &json!({ "images": images })).expect(200);
}

/// Asks every row as everybody and compares. Whoever writes has a file of its own.
fn compare(people: &People, bucket: &str, acl: &Value, expected: impl Fn(Does, &crate::rules::Caller) -> Decision) {
    let admin = people.admin();
    let (image, acl) = (png(4, 4, [9, 9, 9]), acl.to_string());
    let put = |key: &str| {
        let headers = [("baqend-acl", acl.as_str()), ("content-type", "image/png")];
        admin.request("PUT", &file(bucket, key), &headers, &image).expect(200);
    };
    put("read");
    let mut wrong = Vec::new();
    for (n, (route, what, does, ask)) in ROWS.iter().enumerate() {
        for caller in &people.callers {
            let key = match does.writes() {
                true => format!("{n}-{}", caller.name),
                false => "read".to_owned(),
            };
            let is_there = does.writes() && *does != Does::Insert;
            if is_there {
                put(&key);
            }
            let expected = expected(*does, caller);
            let answer = ask(&caller.client, bucket, &key);
            let found = decision(*does, &answer);
            if found != expected {
                wrong.push(format!(
                    "{bucket}: {route} {what} as {}: {found:?} instead of {expected:?}",
                    caller.name
                ));
            }
            if found != Decision::Done {
                let text = format!("{:?}", answer.headers);
                for header in [
                    "etag",
                    "baqend-size",
                    "baqend-acl",
                    "baqend-c",
                    "last-modified",
                    "x-note",
                    "content-range",
                ] {
                    assert!(
                        !text.contains(&format!("(\"{header}")),
                        "{bucket} {route} {what}: {text}"
                    );
                }
            }
            if is_there && expected != Decision::Done {
                let kept = admin.get(&file(bucket, &key)).expect(200);
                assert!(
                    kept.body == image && kept.header("x-note").is_none(),
                    "{bucket} {route} {what}"
                );
            }
            if *does == Does::Insert && *route == "upload_file" {
                let made = admin.get(&(file(bucket, &key) + "-new")).status == 200;
                assert_eq!(made, expected == Decision::Done, "{bucket} {what} {}", caller.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn s30_permissions_of_buckets_decide_on_every_way() {
    for profile in PROFILES {
        let server = profile.start();
        let people = People::new(&server);
        thumbs(people.admin());
        std::thread::scope(|scope| {
            for (kind, mut rules) in people.kinds() {
                let people = &people;
                scope.spawn(move || {
                    let all = bucket_rules(&rules, &["load", "query", "insert", "update", "delete"]);
                    people.admin().put(&format!("/file/{kind}"), &all).expect(204);
                    // Nobody is let in by silence: what allows nobody is for those who are logged in.
                    if profile == Profile::Secure && !rules.values().any(|rule| *rule == "allow") {
                        rules.insert("/db/Role/3".into(), "allow");
                    }
                    compare(people, kind, &Value::Null, |_, caller| {
                        done_if(passes(&rules, caller), Decision::Refused)
                    });
                });
            }
        });
        no_panics(&server);
    }
}

/// Each permission alone decides what needs it, and nothing else.
#[test]
fn s30_each_permission_decides_its_ways_only() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    thumbs(people.admin());
    let rules: Rules = [("/db/User/none".to_owned(), "allow")].into();
    std::thread::scope(|scope| {
        for permission in ["load", "query", "insert", "update", "delete"] {
            let (people, rules) = (&people, &rules);
            scope.spawn(move || {
                let bucket = format!("for_{permission}");
                let all = bucket_rules(rules, &[permission]);
                people.admin().put(&format!("/file/{bucket}"), &all).expect(204);
                compare(people, &bucket, &Value::Null, |does, caller| {
                    done_if(
                        caller.is_admin || !does.needs().contains(&permission),
                        Decision::Refused,
                    )
                });
            });
        }
    });
}

#[test]
fn s30_rules_of_files_decide_on_every_way() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    thumbs(people.admin());
    std::thread::scope(|scope| {
        for (kind, rules) in people.kinds() {
            let people = &people;
            scope.spawn(move || {
                for place in ["Read", "Write"] {
                    let (none, bucket) = (Rules::new(), format!("{place}{kind}"));
                    let read = if place == "Write" { &none } else { &rules };
                    let write = if place == "Read" { &none } else { &rules };
                    let all = bucket_rules(&none, &[]);
                    people.admin().put(&format!("/file/{bucket}"), &all).expect(204);
                    let acl = json!({ "read": read, "write": write });
                    compare(people, &bucket, &acl, |does, caller| match does {
                        Does::Load | Does::List | Does::Pack => done_if(passes(read, caller), Decision::Hidden),
                        Does::Insert => Decision::Done,
                        Does::Save | Does::Replace | Does::Update | Does::Delete => {
                            done_if(passes(write, caller), Decision::Refused)
                        }
                        Does::DeleteFolder => done_if(passes(read, caller) && passes(write, caller), Decision::Hidden),
                    });
                }
            });
        }
    });
    no_panics(&server);
}

/// A page is for everybody or for nobody: tokens of visitors mean nothing there.
#[test]
fn s30_pages_are_what_anybody_may_load() {
    let server = Profile::Secure.start();
    let people = People::new(&server);
    let admin = people.admin();
    let stranger = &people.callers[0];
    let kinds = people.kinds();
    let sites: serde_json::Map<String, Value> = kinds
        .iter()
        .flat_map(|(kind, _)| [format!("bucket-{kind}"), format!("file-{kind}")])
        .map(|bucket| {
            (
                format!("{}.example", bucket.to_ascii_lowercase()),
                json!({ "bucket": bucket }),
            )
        })
        .collect();
    let settings = json!({ "images": { "variants": { "thumb": { "width": 2 } } }, "hosting": { "sites": sites } });
    admin.put("/config", &settings).expect(200);
    let image = png(4, 4, [9, 9, 9]);
    for (kind, rules) in &kinds {
        let open = bucket_rules(&Rules::new(), &[]);
        admin
            .put(&format!("/file/bucket-{kind}"), &bucket_rules(rules, &["load"]))
            .expect(204);
        admin.put(&format!("/file/file-{kind}"), &open).expect(204);
        admin
            .upload(&format!("/bucket-{kind}/x.png"), "image/png", &image)
            .expect(200);
        let acl = json!({ "read": rules }).to_string();
        admin
            .request(
                "PUT",
                &format!("/file/file-{kind}/x.png"),
                &[("baqend-acl", &acl)],
                &image,
            )
            .expect(200);
        for place in ["bucket", "file"] {
            // What allows nobody on a bucket of the secure profile is for those who are logged in.
            let by_silence = place == "file" && passes(rules, stranger);
            let allowed = passes(rules, stranger) && rules.values().any(|rule| *rule == "allow");
            let expected = if by_silence || allowed { 200 } else { 404 };
            let host = format!("{place}-{kind}.example");
            for caller in &people.callers {
                let page = Client::new(server.address(), "");
                let page = match caller.client.token() {
                    Some(token) => page.with_token(token),
                    None => page,
                };
                for (path, header) in [
                    ("/x.png", ("accept", "*/*")),
                    ("/x.png?bqoptimize=1;variant=thumb", ("accept", "*/*")),
                    ("/x.png", ("if-none-match", "*")),
                    ("/x.png", ("range", "bytes=0-1")),
                ] {
                    let answer = page.request("GET", path, &[("host", &host), header], b"");
                    let status = match answer.status {
                        200 | 206 | 304 => 200,
                        other => other,
                    };
                    assert_eq!(status, expected, "{host} {path} {header:?} as {}", caller.name);
                }
            }
        }
    }
    no_panics(&server);
}
