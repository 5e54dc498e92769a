use crate::between::{Between, Does};
use crate::{Machine, finish, server};

#[test]
fn a_login_is_kept_per_app_until_it_is_forgotten() {
    let server = server();
    let machine = Machine::stranger(&format!("{}/v1", server.url()));
    machine.run(&["whoami"]).failed(5);
    let password = machine.password_file();
    let out = machine
        .run(&["login", "--user", "root", "--password-file", &password])
        .ok();
    assert!(out.contains("as root"), "{out}");
    assert!(machine.run(&["whoami"]).ok().starts_with("root at http://"));
    // The URL is completed to the same app; another app has no login.
    assert!(
        machine
            .run(&["whoami", "--url", server.address()])
            .ok()
            .starts_with("root")
    );
    machine.run(&["whoami", "--url", "http://localhost:1"]).failed(5);
    let kept = machine.dir.path().join("home/.config/freshbase/logins.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(!text.contains(fb_testkit::ROOT_PASSWORD), "{text}");
    machine.run(&["logout"]).ok();
    machine.run(&["whoami"]).failed(5);
    assert!(!std::fs::read_to_string(&kept).unwrap().contains("token"));
}

#[cfg(unix)]
#[test]
fn s47_the_file_of_tokens_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = server();
    let machine = Machine::stranger(&format!("{}/v1", server.url()));
    let password = machine.password_file();
    machine
        .run(&["login", "--user", "root", "--password-file", &password])
        .ok();
    let kept = machine.dir.path().join("home/.config/freshbase/logins.json");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = machine.run(&["whoami"]).failed(5);
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn wrong_passwords_and_tokens_end_with_code_5_and_show_no_secret() {
    let server = server();
    let machine = Machine::stranger(&format!("{}/v1", server.url()));
    std::fs::write(machine.dir.path().join("wrong"), "hunter2").unwrap();
    let wrong = machine.dir.path().join("wrong");
    let error = machine
        .run(&["login", "--user", "root", "--password-file", crate::text(&wrong)])
        .failed(5);
    assert!(error.contains("incorrect") && !error.contains("hunter2"), "{error}");
    for token in ["nonsense", "0123456789abcdef", "a\u{1b}b"] {
        let error = machine.run(&["login", "--token", token]).failed(5);
        assert!(!error.contains(token), "{error}");
        let mut command = machine.command(&["whoami"]);
        command.env("FRESHBASE_TOKEN", token);
        finish(command).failed(5);
    }
    // Nobody is there to be asked.
    machine.run(&["login"]).failed(2);
    machine.run(&["login", "--user", "root"]).failed(5);
}

#[test]
fn whoever_answers_is_no_app_is_said_so() {
    let machine = |url: &str| Machine {
        token: Some("00".into()),
        ..Machine::stranger(url)
    };
    for args in [
        &["whoami"][..],
        &["schema", "pull"],
        &["code", "list"],
        &["code", "get", "x"],
        &["code", "logs"],
    ] {
        let page = Between::new(None, |_| Does::Answers(200, "text/html", "<h1>hello</h1>".into()));
        let error = machine(&page.url).run(args).failed(1);
        assert!(
            error.contains("does not answer like the API") && error.contains("/v1"),
            "{args:?}: {error}"
        );
        let missing = Between::new(None, |_| Does::Answers(404, "text/html", "<h1>not here</h1>".into()));
        let error = machine(&missing.url).run(args).failed(1);
        assert!(error.contains("a web page, status 404"), "{args:?}: {error}");
        let odd = Between::new(None, |_| Does::Answers(200, "application/json", "\"odd\"".into()));
        if args != ["code", "get", "x"] {
            machine(&odd.url).run(args).failed(1);
        }
    }
    let elsewhere = Between::new(None, |_| Does::Answers(302, "text/plain", String::new()));
    let error = machine(&elsewhere.url).run(&["whoami"]).failed(1);
    assert!(error.contains("redirects"), "{error}");
    assert_eq!(elsewhere.asked().len(), 1);
    // Nobody listens there.
    let error = machine("http://127.0.0.1:1/v1").run(&["whoami"]).failed(1);
    assert!(
        error.contains("cannot be reached") && error.to_lowercase().contains("refused"),
        "{error}"
    );
    let error = machine("ftp://example.com").run(&["whoami"]).failed(2);
    assert!(error.contains("http://"), "{error}");
    let lost = machine("");
    let mut nowhere = lost.command(&["deploy"]);
    nowhere.env_remove("FRESHBASE_URL");
    assert!(finish(nowhere).failed(2).contains("--url"));
}

#[test]
fn the_servers_commands_know_the_files_and_variables_of_developers() {
    let server = server();
    let machine = Machine::new(&server);
    machine.write(
        "freshbase.toml",
        "domain = \"example.com\"\n[project]\nurl = \"http://localhost\"\n",
    );
    let out = machine.run(&["config", "check"]).ok();
    assert!(out.contains("valid"), "{out}");
}

#[test]
fn servers_are_trusted_by_their_certificate_only() {
    let dir = tempfile::tempdir().unwrap();
    let authority = fb_testkit::Authority::default();
    authority.write(&["localhost"], dir.path());
    let file = |name: &str| crate::text(&dir.path().join(name)).to_owned();
    let mut server = fb_testkit::ServerBuilder::new(crate::BINARY).secure();
    for (name, value) in [
        ("--tls-listen", "127.0.0.1:0".to_owned()),
        ("--tls-cert", file("cert.pem")),
        ("--tls-key", file("key.pem")),
    ] {
        server = server.arg(name).arg(value);
    }
    let server = server.start();
    let port = server.tls_address().rsplit(':').next().unwrap();
    let machine = Machine::stranger(&format!("https://localhost:{port}/v1"));
    let password = machine.password_file();
    let args = ["login", "--user", "root", "--password-file", &password];
    let error = machine.run(&args).failed(1);
    assert!(error.contains("certificate"), "{error}");
    machine.write("authority.pem", authority.root());
    machine.run(&[&args[..], &["--ca-file", "authority.pem"]].concat()).ok();
    // The right authority, but another host.
    let elsewhere = format!("https://127.0.0.1:{port}/v1");
    let error = machine
        .run(&[&args[..], &["--ca-file", "authority.pem", "--url", &elsewhere]].concat())
        .failed(1);
    assert!(error.contains("certificate"), "{error}");
    machine.write("freshbase.toml", "[project]\nca-file = \"authority.pem\"\n");
    assert!(machine.run(&["whoami"]).ok().starts_with("root at https://"));
    // Plain HTTP to the same port, as a slip would have it.
    machine
        .run(&[
            "whoami",
            "--url",
            &format!("http://localhost:{port}/v1"),
            "--token",
            "00",
        ])
        .failed(1);
}
