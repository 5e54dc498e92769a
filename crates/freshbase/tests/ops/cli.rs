//! The command line and the configuration, as somebody at a terminal meets them.

use fb_testkit::{Client, Server};
use serde_json::{Value, json};

use crate::{command, finish, freshbase, server, text};

#[test]
fn help_names_the_essentials_of_each_command() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 24] = [
        (
            &["--help"],
            &[
                "serve",
                "app",
                "backup",
                "restore",
                "config",
                "admin",
                "doctor",
                "First steps",
                "freshbase serve",
                "freshbase admin create",
                "freshbase admin reset",
                "freshbase doctor",
                "For developers",
                "freshbase login",
                "freshbase deploy",
            ],
        ),
        (
            &["serve", "--help"],
            &[
                "--listen",
                "--data-dir",
                "--compat",
                "--idle-timeout",
                "--log-level",
                "127.0.0.1:8080",
                "FRESHBASE_LISTEN",
                "FRESHBASE_ADMIN_USER",
                "FRESHBASE_ADMIN_PASSWORD",
                "--config",
                "link",
            ],
        ),
        (&["app", "--help"], &["create", "list", "delete"]),
        (
            &["app", "create", "--help"],
            &[
                "<name>",
                "--compat",
                "--host",
                "--admin-user",
                "--admin-password-file",
                "--data-dir",
                "setup link",
            ],
        ),
        (
            &["admin", "--help"],
            &["create", "reset", "operator-reset", "First steps", "audit log"],
        ),
        (
            &["admin", "create", "--help"],
            &[
                "<USER>",
                "--app",
                "--password-file",
                "printed",
                "default app",
                "--data-dir",
            ],
        ),
        (
            &["admin", "reset", "--help"],
            &["<USER>", "--app", "--password-file", "second factor", "--data-dir"],
        ),
        (
            &["admin", "operator-reset", "--help"],
            &["[USER]", "--password-file", "sessions", "--data-dir"],
        ),
        (
            &["doctor", "--help"],
            &[
                "--json",
                "exit code 1",
                "--listen",
                "--data-dir",
                "First steps",
                "docs/doctor.md",
            ],
        ),
        (&["app", "list", "--help"], &["--json", "--data-dir"]),
        (
            &["app", "delete", "--help"],
            &["--yes", "nothing is deleted", "--data-dir"],
        ),
        (
            &["backup", "--help"],
            &["<app>", "--out", "while the server runs", "--data-dir"],
        ),
        (
            &["restore", "--help"],
            &["<app>", "<file>", "--default", "--host", "--data-dir"],
        ),
        (&["config", "--help"], &["check", "show"]),
        (&["config", "check", "--help"], &["exit code 1", "--config"]),
        (&["config", "show", "--help"], &["--listen", "--config"]),
        (
            &["login", "--help"],
            &[
                "--url",
                "--app",
                "--password-file",
                "FRESHBASE_URL",
                "FRESHBASE_TOKEN",
                "Examples",
                "never the password",
            ],
        ),
        (&["logout", "--help"], &["--url", "--app"]),
        (&["whoami", "--help"], &["--url", "exit code 5"]),
        (
            &["deploy", "--help"],
            &[
                "--only",
                "--dry-run",
                "--allow-public",
                "--allow-data-loss",
                "--prune",
                "--yes",
                "--json",
                "Examples",
                "Exit codes",
                "www/",
                "code/Todo/insert.js",
                "schema/Todo.json",
                "[project]",
            ],
        ),
        (
            &["schema", "--help"],
            &["plan", "apply", "pull", "Examples", "--allow-data-loss"],
        ),
        (
            &["schema", "apply", "--help"],
            &["--allow-public", "--allow-data-loss", "--prune", "--url"],
        ),
        (
            &["code", "--help"],
            &["list", "get", "put", "delete", "pull", "logs", "Examples"],
        ),
        (
            &["code", "logs", "--help"],
            &["--follow", "--level", "--count", "--json"],
        ),
    ];
    for (args, parts) in cases {
        let help = freshbase(dir.path(), args).ok();
        for part in parts {
            assert!(help.contains(part), "{args:?} lacks {part}:\n{help}");
        }
        // Secrets do not belong on command lines, which others can read.
        assert!(!help.contains("--admin-password "), "{help}");
    }
    let version = freshbase(dir.path(), &["--version"]).ok();
    assert_eq!(version.trim(), concat!("freshbase ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_makes_no_sense_is_refused_with_usage() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &[][..],
        &["nonsense"],
        &["app"],
        &["app", "create"],
        &["admin"],
        &["admin", "create"],
        &["admin", "reset", "--app", "x"],
        &["admin", "create", "x", "--password", "x"],
        &["doctor", "nonsense"],
        &["config"],
        &["backup"],
        &["restore", "x"],
        &["serve", "--nonsense"],
        &["serve", "--admin-password", "x"],
        &["app", "create", "x", "--admin-user", "ann"],
        &["app", "create", "x", "--compat", "nonsense"],
        &["deploy", "--nonsense"],
        &["deploy", "--password-file", "x"],
        &["login", "--user", "x", "--token", "x"],
        &["login", "--user", "x", "--password", "x"],
        &["schema"],
        &["schema", "plan", "--allow-public"],
        &["code"],
        &["code", "get"],
        &["code", "put", "x"],
        &["code", "logs", "--count", "many"],
    ] {
        let run = freshbase(dir.path(), args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.err);
        assert!(
            run.err.contains("Usage") || run.err.contains("--help"),
            "{args:?}: {}",
            run.err
        );
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn config_check_lists_every_problem_at_once() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        freshbase(dir.path(), &["config", "check"]).ok().trim(),
        "The configuration is valid."
    );
    std::fs::write(
        dir.path().join("freshbase.toml"),
        "lisen = \"0.0.0.0:80\"\nmax-body = \"4MB\"\nidle-timeout = 5\nadmin-password = \"hunter2\"\ndomain = [1]\n",
    )
    .unwrap();
    let mut check = command(
        dir.path(),
        &["config", "check", "--max-results", "0", "--log-level", "a=b=c"],
    );
    check
        .env("FRESHBASE_DURABILTY", "full")
        .env("FRESHBASE_LOG_FORMAT", "xml")
        .env("FRESHBASE_ADMIN_USER", "ann")
        .env("FRESHBASE_ADMIN_PASSWORD_FILE", "nosuch");
    let error = finish(check).failed();
    for part in [
        "freshbase.toml: there is no key `lisen`; did you mean `listen`?",
        "freshbase.toml: `max-body` must be a size",
        "freshbase.toml: `idle-timeout` must be a duration",
        "freshbase.toml: `admin-password` is a secret and belongs in FRESHBASE_ADMIN_PASSWORD",
        "freshbase.toml: `domain` must be",
        "--max-results: `max-results` must be a whole number above 0",
        "--log-level: `log-level` must be",
        "FRESHBASE_DURABILTY; did you mean `durability`?",
        "FRESHBASE_LOG_FORMAT: `log-format` must be text or json",
        "FRESHBASE_ADMIN_PASSWORD_FILE: nosuch: ",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
    // What the check refuses, no other command works with.
    for args in [
        &["serve"][..],
        &["config", "show"],
        &["app", "list"],
        &["backup", "main"],
        &["admin", "create", "x"],
        &["doctor"],
    ] {
        assert!(freshbase(dir.path(), args).failed().contains("lisen"), "{args:?}");
    }
    let error = freshbase(dir.path(), &["config", "check", "--config", "nosuch.toml"]).failed();
    assert!(error.contains("nosuch.toml"), "{error}");
    std::fs::write(dir.path().join("broken.toml"), "listen = \n").unwrap();
    let error = freshbase(dir.path(), &["config", "check", "--config", "broken.toml"]).failed();
    assert!(error.contains("broken.toml") && error.contains("line 1"), "{error}");
}

#[test]
fn an_address_that_is_none_is_found_by_the_check() {
    let dir = tempfile::tempdir().unwrap();
    for bad in ["8080", "localhost", "localhost:", "localhost:99999", ":80"] {
        let error = freshbase(dir.path(), &["config", "check", "--listen", bad]).failed();
        assert!(error.contains("`listen` must be"), "{bad}: {error}");
    }
    for good in ["0.0.0.0:80", "[::1]:80", "localhost:0", "backend.internal:8080"] {
        freshbase(dir.path(), &["config", "check", "--listen", good]).ok();
    }
}

#[test]
fn config_show_says_where_each_value_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("freshbase.toml"),
        "max-body = \"1MiB\"\ndomain = \"file.example.org\"\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("password"), "canary-password\n").unwrap();
    let mut show = command(dir.path(), &["config", "show", "--listen", "127.0.0.1:99"]);
    show.env("FRESHBASE_DOMAIN", "env.example.org")
        .env("FRESHBASE_ADMIN_USER", "canary-user")
        .env("FRESHBASE_ADMIN_PASSWORD_FILE", "password");
    let shown = finish(show).ok();
    let row = |key: &str| {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(key));
        line.unwrap_or_else(|| panic!("{key}: {shown}"))
            .split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(row("listen"), ["127.0.0.1:99", "--listen"]);
    assert_eq!(row("domain"), ["env.example.org", "FRESHBASE_DOMAIN"]);
    assert_eq!(row("max-body"), ["1MiB", "freshbase.toml"]);
    assert_eq!(row("idle-timeout"), ["5m", "default"]);
    assert_eq!(row("admin-password"), ["***", "FRESHBASE_ADMIN_PASSWORD_FILE"]);
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn the_administrator_may_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "correct horse\r\n").unwrap();
    let running = server()
        .env("FRESHBASE_ADMIN_USER", "ann")
        .env("FRESHBASE_ADMIN_PASSWORD_FILE", text(&password))
        .start();
    running
        .client()
        .login("ann", "correct horse")
        .get("/config")
        .expect(200);
    crate::Operator::login(&running, "ann", "correct horse");
    assert!(!running.printed().contains("/setup"), "{}", running.printed());
}

#[test]
fn the_ready_line_says_version_and_address() {
    let running = server().secure().start();
    let printed = running.printed();
    let expected = format!(
        "Freshbase {} is ready at {url} (API: {url}/v1, data: {})\n",
        env!("CARGO_PKG_VERSION"),
        running.data_dir().display(),
        url = running.url()
    );
    assert_eq!(printed, expected);
    assert!(running.url().starts_with("http://127.0.0.1:"));
    Client::new(running.address(), "").get("/healthz").expect(200);
}

fn claim(server: &Server, token: &str) -> fb_testkit::Response {
    let body = json!({ "token": token, "username": "ann", "password": "correct horse" });
    Client::new(server.address(), "").post("/setup", &body)
}

#[test]
fn a_setup_link_lives_until_the_next_start_or_the_claim() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().data_dir(dir.path());
    let mut first = builder.start();
    let old = first.setup_token();
    assert!(first.stop().success());

    let mut second = builder.start();
    let new = second.setup_token();
    assert_ne!(old, new);
    claim(&second, &old).expect_error(460, "BadCredentials");
    assert_eq!(claim(&second, &new).expect(200).json()["operator"], true);
    claim(&second, &new).expect_error(460, "BadCredentials");
    assert!(second.stop().success());

    let mut third = builder.start();
    third.client().login("ann", "correct horse").get("/config").expect(200);
    for token in [&old, &new] {
        claim(&third, token).expect_error(460, "BadCredentials");
    }
    // Everything it prints is there when it has ended.
    assert!(third.stop().success());
    assert!(!third.printed().contains("setup"), "{}", third.printed());
}

/// The first to come over the network gets nothing for it.
#[test]
fn s03_a_fresh_server_is_nobodys_without_its_link() {
    let running = server().start();
    let anybody = running.client();
    let strangers = || {
        for token in ["", "0", "null", &"0".repeat(32), "*", "%"] {
            let refused = claim(&running, token).status;
            assert!(matches!(refused, 400 | 460), "{token}: {refused}");
        }
        let page = Client::new(running.address(), "");
        for body in [
            json!({}),
            json!({ "username": "eve", "password": "correct horse" }),
            json!({ "token": null }),
        ] {
            page.post("/setup", &body).expect_error(400, "BadRequest");
        }
        for (username, password) in [("root", "root"), ("admin", "admin"), ("ann", "")] {
            let login = json!({ "username": username, "password": password });
            anybody
                .post("/db/User/login", &login)
                .expect_error(460, "BadCredentials");
            let admin = Client::new(running.address(), "/admin/v1").post("/login", &login);
            admin.expect_error(401, "Unauthorized");
        }
        let register = json!({ "user": { "username": "eve" }, "password": "correct horse" });
        anybody
            .post("/db/User/register", &register)
            .expect_error(466, "PermissionDenied");
    };
    strangers();
    claim(&running, &running.setup_token()).expect(200);
    strangers();
    assert_eq!(
        anybody.login("ann", "correct horse").get("/db/User/count").json()["count"],
        1
    );
}

/// Two people with the link: one of them becomes the administrator.
#[test]
fn a_new_setup_link_for_an_app_replaces_the_old_one() {
    let running = server().secure().start();
    let run = |args: &[&str]| {
        let args: Vec<&str> = args
            .iter()
            .copied()
            .chain(["--data-dir", text(running.data_dir())])
            .collect();
        freshbase(running.data_dir(), &args)
    };
    let token = |printed: String| {
        let (_, rest) = printed.split_once("/setup?app=shop#").unwrap();
        rest.chars().take_while(char::is_ascii_hexdigit).collect::<String>()
    };
    let old = token(run(&["app", "create", "shop"]).ok());
    let new = token(run(&["app", "setup-link", "shop"]).ok());
    let claim = |token: &str| {
        let body = json!({ "app": "shop", "token": token, "username": "ann", "password": "correct horse" });
        Client::new(running.address(), "").post("/setup", &body)
    };
    claim(&old).expect_error(460, "BadCredentials");
    claim(&new).expect(200);
    running.app("shop").login("ann", "correct horse");
    assert!(
        run(&["app", "setup-link", "shop"])
            .failed()
            .contains("has an administrator already")
    );
    assert!(
        run(&["app", "setup-link", "nobody"])
            .failed()
            .contains("there is no app nobody")
    );
}

#[test]
fn s02_of_two_claims_at_once_one_wins() {
    let running = server().start();
    let token = running.setup_token();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let claims: Vec<_> = (0..4)
            .map(|n| {
                let (running, token) = (&running, &token);
                scope.spawn(move || {
                    let body = json!({ "token": token, "username": format!("ann{n}"), "password": "correct horse" });
                    Client::new(running.address(), "").post("/setup", &body).status
                })
            })
            .collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 460).count(),
        3,
        "{statuses:?}"
    );
}

#[test]
fn json_logs_are_json_line_by_line() {
    let mut running = server()
        .baqend()
        .arg("--log-format")
        .arg("json")
        .arg("--log-level")
        .arg("trace")
        .start();
    let admin = fb_testkit::root(&running);
    admin.post("/schema/Item", &json!({ "fields": {} })).expect(200);
    running.client().get("/nosuch\"%0A").expect(404);
    assert!(running.stop().success());
    let log = running.log();
    assert!(log.lines().count() > 3, "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
        assert!(
            line["fields"]["message"].is_string() || line["fields"].is_object(),
            "{line}"
        );
    }
    let has = |message: &str| log.lines().any(|line| line.contains(message));
    assert!(has("\"message\":\"stopped\"") && has("answered"), "{log}");
}
