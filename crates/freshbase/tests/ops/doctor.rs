//! `freshbase doctor`: what it finds, what it does not, and what it never says.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fb_store::Node;
use fb_store_sqlite::{SqliteNode, SqliteOptions};
use fb_testkit::{Client, root};
use serde_json::{Value, json};

use crate::{Run, command, finish, freshbase, server, text};

fn doctor(data: &Path, args: &[&str]) -> Run {
    let mut all = vec!["doctor", "--data-dir", text(data)];
    all.extend(args);
    freshbase(data, &all)
}

/// The findings as `check app: message`, in the order of the report.
fn findings(data: &Path, args: &[&str]) -> Vec<String> {
    let mut all = vec!["--json"];
    all.extend(args);
    let run = doctor(data, &all);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let of = |severity: &str| findings.iter().filter(|f| f["severity"] == severity).count();
    assert_eq!(
        (&report["problems"], &report["warnings"]),
        (&json!(of("problem")), &json!(of("warning")))
    );
    assert_eq!(run.code, Some(i32::from(of("problem") > 0)), "{}", run.err);
    assert!(
        report["ok"]
            .as_array()
            .unwrap()
            .iter()
            .all(|ok| ok["message"].is_string())
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings
        .iter()
        .inspect(|f| assert!(f["fix"].is_string(), "{f}"))
        .map(|f| format!("{} {}: {}", text(&f["check"]), text(&f["app"]), text(&f["message"])))
        .collect()
}

/// What every server has that was started a moment ago and configured by nobody.
const EXPECTED: &str = "\
no-backup main: there is no backup
master-key-beside-data : the key is in master.key of the data directory
default-smtp : FRESHBASE_SMTP_URL is not set";

const FRESH: &str = "\
WARNINGS

  no-backup: `freshbase backup` has not copied the app within 7 days. Copies that were made in other ways are not known.
    Fix: freshbase backup APP, every day; keep the copies on another machine
    - app main: there is no backup
  master-key-beside-data: The master key is kept in the data directory alone: whoever takes a copy of the whole directory can read the secrets in it, and without this file they are lost.
    Fix: keep a copy of `master.key` apart from the backups, or hand it to the server in FRESHBASE_MASTER_KEY_FILE and remove it there
    - the key is in master.key of the data directory
  default-smtp: No mail server is configured: mails about passwords and addresses are caught, and nobody gets them.
    Fix: set FRESHBASE_SMTP_URL
    - FRESHBASE_SMTP_URL is not set

OK

  default-credentials: nobody is root with the password root
  no-tls: only this machine, or proxies that are listed, reach the server without TLS, or are sent to HTTPS
  missing-certificate: all hosts that should have a certificate have one
  expiring-certificate: no certificate runs out soon
  public-writable-class: nobody changes objects without logging in
  public-writable-bucket: nobody changes files without logging in
  writable-site: only administrators publish pages
  open-schema: only administrators change classes
  public-users: nobody sees users without logging in
  no-admin: every app has an administrator, or a setup link
  readable-master-key: the master key's file is its owner's alone, or there is none
  no-audit-log: every app has its audit log
  unreachable-cache: every cache that is configured can be told of changes, or there is none
  unreadable-app: all apps could be looked at
  public-class: nobody reads objects without logging in
  public-bucket: nobody reads files without logging in, except those of www
  shared-users: users see themselves, as far as no rule says more
  compat-profile: every app is closed by default
  open-registration: only administrators create accounts
  unverified-registration: accounts are verified, or made by administrators
  weak-passwords: passwords have 8 characters or more and are no common ones
  no-lockout: guessing passwords ends in a lockout
  no-rate-limit: costly requests are limited
  long-sessions: sessions end after 90 days or less without use
  setup-link: no setup link waits to be used
  no-operator: there is an operator
  public-admin: the operator's API answers this machine alone, unless a proxy passes it on
  plaintext-smtp: no mail leaves unencrypted
  default-mail-from: mails have a sender of their own, or none are sent
  open-cors: pages of every origin may call the API, as the protocol wants it: requests carry tokens that a page has to set itself, not cookies that a browser adds, so a foreign page gains nothing

1 app looked at: 0 problems, 3 warnings.
";

#[test]
fn s56_a_fresh_secure_app_has_expected_warnings_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = server().secure().data_dir(dir.path()).start();
    assert_eq!(doctor(dir.path(), &[]).ok(), FRESH);
    assert!(running.stop().success());
    assert_eq!(doctor(dir.path(), &[]).ok(), FRESH);
    assert_eq!(findings(dir.path(), &[]).join("\n"), EXPECTED);
}

#[test]
fn s56_an_open_app_has_problems_until_it_is_fixed_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = server().arg("--compat").arg("baqend").data_dir(dir.path()).start();
    let admin = running.client().login("root", "root");
    let class = json!({ "class": "/db/Item", "acl": { "delete": { "*": "deny" } }, "fields": {} });
    admin.put("/schema/Item", &class).expect(200);
    let open = "\
default-credentials : app main: its administrator is root with the password root
public-writable-class main: class Device: insert, update, delete
public-writable-class main: class Item: insert, update
public-writable-class main: class Role: insert, update, delete
public-writable-class main: class User: update, delete
public-writable-class main: class logs.AppLog: insert
public-class main: class Device: load, query
public-class main: class Item: load, query
public-class main: class Role: load, query
public-class main: class User: load, query
compat-profile main: its profile is baqend
open-registration main: anybody may register
unverified-registration main: addresses of new accounts are not verified
weak-passwords main: 1 characters are enough, common passwords are accepted
no-operator : nobody can log in to the operator's API";
    let found = findings(dir.path(), &[]);
    assert_eq!(found.join("\n"), format!("{open}\n{EXPECTED}"));
    let run = doctor(dir.path(), &[]);
    assert!(run.out.starts_with("PROBLEMS\n"), "{}", run.out);
    assert!(run.failed().contains("there are 6 problems"));
    // Registration of a user does not change that: it is its own alone.
    running.client().register("ann");
    assert_eq!(findings(dir.path(), &[]), found);

    // Fixed up.
    let users = json!({ "/db/Role/3": "allow" });
    let closed = json!({ "load": users, "query": users, "insert": users, "update": users, "delete": users,
        "schemaAdd": { "/db/Role/1": "allow" }, "schemaReplace": { "/db/Role/1": "allow" },
        "schemaSubclass": { "/db/Role/1": "allow" } });
    for bucket in ["Device", "Item", "Role", "User"] {
        let acl = json!({ "operation": "updateClassAcl", "bucket": format!("/db/{bucket}"), "acl": closed });
        admin.post("/schema", &acl).expect(200);
    }
    let mut logs = admin.get("/schema/logs.AppLog").expect(200).json();
    logs["acl"]["insert"] = users.clone();
    let acl = json!({ "operation": "updateClassAcl", "bucket": "/db/logs.AppLog", "acl": logs["acl"] });
    admin.post("/schema", &acl).expect(200);
    let settings = json!({ "registration": "closed", "passwordPolicy": { "minLength": 12, "rejectCommon": true } });
    admin.put("/config", &settings).expect(200);
    freshbase(dir.path(), &["admin", "reset", "root", "--data-dir", text(dir.path())]).ok();
    freshbase(
        dir.path(),
        &["admin", "operator-reset", "ann", "--data-dir", text(dir.path())],
    )
    .ok();
    freshbase(
        dir.path(),
        &["backup", "main", "-o", "copy", "--data-dir", text(dir.path())],
    )
    .ok();
    let left = "\
compat-profile main: its profile is baqend
master-key-beside-data : the key is in master.key of the data directory
default-smtp : FRESHBASE_SMTP_URL is not set";
    assert_eq!(findings(dir.path(), &[]).join("\n"), left);
    assert!(running.stop().success());
    assert_eq!(findings(dir.path(), &[]).join("\n"), left);
}

#[test]
fn s02_root_with_the_password_root_is_found_wherever_it_is() {
    let running = server().arg("--compat").arg("baqend").admin("root", "root").start();
    let data = running.data_dir();
    let found = || {
        let all = findings(data, &[]).into_iter();
        all.filter(|line| line.starts_with("default-credentials"))
            .collect::<Vec<_>>()
    };
    let operator = "default-credentials : the operator is root with the password root";
    let admin = "default-credentials : app main: its administrator is root with the password root";
    assert_eq!(found(), [operator, admin]);
    freshbase(data, &["admin", "operator-reset", "--data-dir", text(data)]).ok();
    assert_eq!(found(), [admin]);
    freshbase(data, &["admin", "reset", "root", "--data-dir", text(data)]).ok();
    assert_eq!(found(), [""; 0]);
}

/// The findings that `args` and variables bring to a server that is fine otherwise.
fn brought(data: &Path, args: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    let mut all = vec!["doctor", "--json", "--data-dir", text(data)];
    all.extend(args);
    let mut command = command(data, &all);
    command.envs(env.iter().copied());
    let report: Value = serde_json::from_str(&finish(command).out).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let mut all: Vec<String> = findings.map(|f| f["check"].as_str().unwrap().to_owned()).collect();
    all.retain(|id| !["no-backup", "master-key-beside-data"].contains(&&**id));
    all
}

#[test]
fn s56_the_configuration_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    assert!(server().secure().data_dir(data).start().stop().success());
    let all = |args: &[&str], env: &[(&str, &str)]| brought(data, args, env);
    assert_eq!(
        all(&["--listen", "0.0.0.0:80"], &[]),
        ["no-tls", "public-admin", "default-smtp"]
    );
    let proxied = ["--listen", "[::]:80", "--trusted-proxies", "10.0.0.0/8"];
    assert_eq!(all(&proxied, &[]), ["public-admin", "default-smtp"]);
    fb_testkit::Authority::default().write(&["shop.test"], data);
    let (cert, tls_key) = (data.join("cert.pem"), data.join("key.pem"));
    let files = [
        "--tls-listen",
        "[::]:443",
        "--tls-cert",
        text(&cert),
        "--tls-key",
        text(&tls_key),
    ];
    let tls = |args: &[&'static str]| all(&[&files, args].concat(), &[]);
    assert_eq!(tls(&[]), ["public-admin", "default-smtp"]);
    assert_eq!(
        tls(&["--listen", "0.0.0.0:80"]),
        ["public-admin", "public-admin", "default-smtp"]
    );
    assert_eq!(
        tls(&["--listen", "0.0.0.0:80", "--https-redirect", "off"]),
        ["no-tls", "public-admin", "public-admin", "default-smtp"]
    );
    let (old, old_key) = fb_testkit::Authority::default().issue_until(&["shop.test"], 2021);
    std::fs::write(&cert, old).unwrap();
    assert_eq!(tls(&[]), ["missing-certificate", "public-admin", "default-smtp"]);
    std::fs::write(&tls_key, old_key).unwrap();
    assert_eq!(tls(&[]), ["expiring-certificate", "public-admin", "default-smtp"]);
    let smtp = |url| [("FRESHBASE_SMTP_URL", url)];
    assert_eq!(all(&[], &smtp("smtps://u:canary@mail.example")), ["default-mail-from"]);
    let from = ["--mail-from", "Shop <shop@shop.example>"];
    assert_eq!(all(&from, &smtp("smtp://mail.example")), [""; 0]);
    assert_eq!(all(&from, &smtp("smtp://mail.example?tls=none")), ["plaintext-smtp"]);

    let key = data.join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(all(&[], &[]), ["readable-master-key", "default-smtp"]);
    let text = std::fs::read_to_string(&key).unwrap();
    let given = findings(data, &[]);
    assert!(given.contains(&"master-key-beside-data : the key is in master.key of the data directory".to_owned()));
    // A key that is configured is looked for nowhere else.
    assert_eq!(all(&[], &[("FRESHBASE_MASTER_KEY", text.trim())]), ["default-smtp"]);

    let error = doctor(data, &["--listen", "nonsense"]).failed();
    assert!(error.contains("`listen` must be"), "{error}");
}

#[test]
fn s56_each_setting_is_looked_at() {
    let running = server().secure().start();
    let data = running.data_dir();
    let admin = root(&running);
    let has = |expected: &str| {
        let found = findings(data, &[]);
        assert!(found.iter().any(|line| line == expected), "{expected}: {found:#?}");
    };
    let fine = json!({ "registration": "closed", "emailVerification": false, "sessionSeconds": 2_592_000,
        "lockout": { "attempts": 10, "seconds": 900 }, "rateLimit": { "requests": 300, "seconds": 300 },
        "passwordPolicy": { "minLength": 8, "rejectCommon": true } });
    for (settings, expected) in [
        (
            json!({ "registration": "open" }),
            &[
                "open-registration main: anybody may register",
                "unverified-registration main: addresses of new accounts are not verified",
            ][..],
        ),
        (
            json!({ "lockout": { "attempts": 0, "seconds": 1 } }),
            &["no-lockout main: lockout.attempts is 0"],
        ),
        (
            json!({ "rateLimit": { "requests": 0, "seconds": 1 } }),
            &["no-rate-limit main: rateLimit.requests is 0"],
        ),
        (
            json!({ "sessionSeconds": 31_536_000 }),
            &["long-sessions main: sessions last 365 days"],
        ),
        (
            json!({ "passwordPolicy": { "minLength": 7, "rejectCommon": true } }),
            &["weak-passwords main: 7 characters are enough"],
        ),
    ] {
        admin.put("/config", &settings).expect(200);
        expected.iter().for_each(|line| has(line));
        admin.put("/config", &fine).expect(200);
        assert_eq!(findings(data, &[]).join("\n"), EXPECTED, "{settings}");
    }
    let verified = json!({ "registration": "open", "emailVerification": true, "publicUrl": "https://shop.example/v1" });
    admin.put("/config", &verified).expect(200);
    let found = findings(data, &[]);
    assert!(!found.iter().any(|line| line.starts_with("unverified")), "{found:#?}");
}

#[test]
fn s56_buckets_and_sites_are_looked_at() {
    let running = server().baqend().start();
    let data = running.data_dir();
    let admin = root(&running);
    let find = || -> Vec<String> {
        let ids = ["public-writable-bucket", "writable-site", "public-bucket"];
        let mut found = findings(data, &[]);
        found.retain(|line| ids.iter().any(|id| line.starts_with(&format!("{id} "))));
        found
    };
    assert_eq!(find(), [""; 0], "www is loaded by everybody, and that is all");
    let (nobody, users, everybody) = (
        json!({ "/db/Role/1": "allow" }),
        json!({ "/db/Role/3": "allow" }),
        json!({ "*": "allow" }),
    );
    let bucket = |name: &str, load: &Value, insert: &Value, rest: &Value| {
        let rules = json!({ "load": load, "insert": insert, "update": rest, "delete": rest, "query": rest });
        admin.put(&format!("/file/{name}"), &rules).expect(204);
    };
    bucket("pictures", &everybody, &users, &nobody);
    assert_eq!(find(), ["public-bucket main: bucket pictures: load"]);
    bucket("pictures", &users, &everybody, &users);
    assert_eq!(find(), ["public-writable-bucket main: bucket pictures: insert"]);
    bucket("pictures", &nobody, &nobody, &json!({}));
    assert_eq!(
        find(),
        [
            "public-writable-bucket main: bucket pictures: update, delete",
            "public-bucket main: bucket pictures: query"
        ]
    );
    // Uploads of users are no problem, unless they are pages.
    bucket("pictures", &users, &users, &users);
    assert_eq!(find(), [""; 0]);
    bucket("www", &everybody, &users, &nobody);
    assert_eq!(find(), ["writable-site main: bucket www: insert"]);
    let site = |name: &str, enabled: bool| {
        let sites = json!({ name: { "bucket": "pictures", "enabled": enabled } });
        admin
            .put("/config", &json!({ "hosting": { "sites": sites } }))
            .expect(200);
    };
    site("pictures.example", true);
    assert_eq!(
        find(),
        [
            "writable-site main: bucket pictures: insert, update",
            "writable-site main: bucket www: insert"
        ]
    );
    site("pictures.example", false);
    assert_eq!(find(), ["writable-site main: bucket www: insert"]);
    // Under this name www is no site any more.
    site("*", true);
    assert_eq!(find(), ["writable-site main: bucket pictures: insert, update"]);
    bucket("pictures", &users, &nobody, &nobody);
    assert_eq!(find(), [""; 0]);
}

#[test]
fn s56_classes_and_users_are_looked_at() {
    let running = server().secure().start();
    let data = running.data_dir();
    let admin = root(&running);
    let find = |prefix: &str| -> Vec<String> {
        let found = findings(data, &[]);
        found.into_iter().filter(|line| line.starts_with(prefix)).collect()
    };
    let acl = json!({ "load": { "*": "allow" }, "insert": { "*": "allow" }, "schemaAdd": { "*": "allow" },
        "schemaReplace": { "/db/Role/3": "allow" } });
    admin
        .put(
            "/schema/Item",
            &json!({ "class": "/db/Item", "acl": acl, "fields": {} }),
        )
        .expect(200);
    assert_eq!(find("public-class"), ["public-class main: class Item: load"]);
    assert_eq!(
        find("public-writable"),
        ["public-writable-class main: class Item: insert"]
    );
    assert_eq!(
        find("open-schema"),
        [
            "open-schema main: class Item: schemaAdd (anybody)",
            "open-schema main: class Item: schemaReplace (every logged-in user)"
        ]
    );

    // Users: one that shows itself to all who are logged in, then to everybody.
    let field =
        json!({ "operation": "addField", "bucket": "/db/User", "field": { "name": "email", "type": "/db/String" } });
    admin.post("/schema", &field).expect(200);
    assert_eq!(find("shared-users"), [""; 0]);
    let user = json!({ "user": { "username": "ann", "email": "canary@example.org" }, "password": "correct horse" });
    let id = admin.post("/db/User/register", &user).expect(200).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(find("shared-users"), [""; 0]);
    let mut ann = admin.get(&id).expect(200).json();
    ann["acl"]["read"]["/db/Role/3"] = json!("allow");
    let put = |ann: &Value| {
        admin
            .request("PUT", &id, &[("if-match", "*")], ann.to_string().as_bytes())
            .expect(200)
    };
    put(&ann);
    let shared = "shared-users main: 1 user is seen by every logged-in user: username, inactive, email";
    assert_eq!(find("shared-users"), [shared]);
    ann["acl"]["read"] = json!({ "*": "allow" });
    put(&ann);
    assert_eq!(find("public-users"), [""; 0], "the class is closed");
    let mut acl = admin.get("/schema/User").expect(200).json()["acl"].clone();
    acl["load"] = json!({ "*": "allow" });
    let open = json!({ "operation": "updateClassAcl", "bucket": "/db/User", "acl": acl });
    admin.post("/schema", &open).expect(200);
    let public = "public-users main: 1 user is seen by anybody: username, inactive, email";
    assert_eq!(find("public-users"), [public]);
    assert_eq!(find("shared-users"), [""; 0]);
    let rules = json!({ "operation": "updateFieldAcl", "bucket": "/db/User", "field": "email",
        "acl": { "read": { "self": "allow" } } });
    admin.post("/schema", &rules).expect(200);
    assert_eq!(
        find("public-users"),
        ["public-users main: 1 user is seen by anybody: username, inactive"]
    );
    let run = doctor(data, &[]);
    assert!(!format!("{}{}", run.out, run.err).contains("canary"));
}

#[test]
fn s56_administrators_links_backups_and_unfinished_apps_are_looked_at() {
    let running = server().start();
    let data = running.data_dir();
    let token = running.setup_token();
    let find = |prefix: &str| -> Vec<String> {
        let found = findings(data, &[]);
        found.into_iter().filter(|line| line.starts_with(prefix)).collect()
    };
    let run = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--data-dir", text(data)]);
        freshbase(data, &all).ok()
    };
    assert_eq!(find("setup-link"), ["setup-link main: its setup link was not used yet"]);
    assert_eq!(
        find("no-operator"),
        ["no-operator : nobody can log in to the operator's API"]
    );
    assert_eq!(find("no-admin"), [""; 0]);
    let shown = doctor(data, &[]).ok() + &doctor(data, &["--json"]).ok();
    assert!(!shown.contains(&token), "{shown}");
    let body = json!({ "token": token, "username": "ann", "password": "correct horse" });
    Client::new(running.address(), "").post("/setup", &body).expect(200);
    assert_eq!(find("setup-link"), [""; 0]);
    assert_eq!(find("no-operator"), [""; 0]);

    // The only administrator goes.
    let ann = running.client().login("ann", "correct horse");
    let id = ann.get("/db/User/me").expect(200).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    ann.delete(&id).expect(204);
    assert_eq!(find("no-admin"), ["no-admin main: nobody can administrate it"]);
    run(&["admin", "create", "bob"]);
    assert_eq!(find("no-admin"), [""; 0]);

    // Backups: none, one, an old one, one of an earlier app of the same name.
    assert_eq!(find("no-backup"), ["no-backup main: there is no backup"]);
    run(&["backup", "main", "-o", "copy.fbdb"]);
    assert_eq!(find("no-backup"), [""; 0]);
    run(&["restore", "shop", "copy.fbdb"]);
    assert_eq!(find("no-backup"), ["no-backup shop: there is no backup"]);
    run(&["backup", "shop", "-o", "shop.fbdb"]);
    change(data, "backup/shop", |note| {
        let at = note["at"].as_i64().unwrap();
        note["at"] = json!(at - 8 * 24 * 3600 * 1000);
    });
    assert_eq!(find("no-backup"), ["no-backup shop: the last backup is 8 days old"]);
    run(&["backup", "shop", "-o", "shop2.fbdb"]);
    assert_eq!(find("no-backup"), [""; 0]);
    run(&["app", "delete", "shop", "--yes"]);
    run(&["restore", "shop", "copy.fbdb"]);
    assert_eq!(find("no-backup"), ["no-backup shop: there is no backup"]);
    assert_eq!(find("unreadable-app"), [""; 0]);

    // An app whose file is damaged; the others are still looked at.
    std::fs::write(data.join("apps/shop/app.db"), "nonsense").unwrap();
    let found = find("unreadable-app");
    assert!(
        found.len() == 1 && found[0].starts_with("unreadable-app : app shop: "),
        "{found:?}"
    );
}

fn change(data: &Path, key: &str, edit: impl FnOnce(&mut Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let node = SqliteNode::attach(data, SqliteOptions::default()).unwrap();
    let old = runtime.block_on(node.record(key)).unwrap().unwrap();
    let mut value: Value = serde_json::from_slice(&old).unwrap();
    edit(&mut value);
    let new = value.to_string().into_bytes();
    assert!(runtime.block_on(node.swap_record(key, Some(&old), Some(&new))).unwrap());
}

/// Nothing is made where there is nothing, and nothing is changed where there is something.
#[test]
fn it_only_reads() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let args = ["doctor", "--data-dir", text(&nowhere)];
    let error = freshbase(dir.path(), &args).failed();
    assert!(
        error.contains("there is no data directory") && !nowhere.try_exists().unwrap(),
        "{error}"
    );
    let error = doctor(dir.path(), &[]).failed();
    assert!(error.contains("is no data directory of Freshbase"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let data = dir.path().join("data");
    assert!(server().secure().data_dir(&data).start().stop().success());
    std::fs::remove_file(data.join("master.key")).unwrap();
    let bytes = |name: &str| std::fs::read(data.join(name)).unwrap();
    let before = (bytes("node.db"), bytes("apps/main/app.db"));
    doctor(&data, &[]).ok();
    assert!(
        before == (bytes("node.db"), bytes("apps/main/app.db")),
        "its files are as they were"
    );
    assert!(!data.join("master.key").try_exists().unwrap());
}
