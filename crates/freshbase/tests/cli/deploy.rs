use std::sync::atomic::{AtomicUsize, Ordering};

use fb_testkit::root;
use serde_json::json;

use crate::between::{Between, Does};
use crate::{Machine, finish, server};

fn site(machine: &Machine) {
    machine.write("www/index.html", "<title>start</title>");
    machine.write("www/css/site.css", "h1 { color: red }");
    machine.write("www/bücher/a b&c?.txt", "names");
    machine.write("www/empty.txt", "");
    machine.write("www/.env", "SECRET=1");
    machine.write("www/app.js.map", "{}");
    machine.write("www/big.bin", vec![7; 300_000]);
    machine.write("freshbase.toml", "[project]\nignore = [\"*.map\"]\n");
    machine.write(
        "schema/Todo.json",
        r#"{ "fields": { "name": { "type": "/db/String" } } } // short"#,
    );
}

#[test]
fn a_second_deployment_changes_nothing() {
    let server = server();
    let machine = Machine::new(&server);
    site(&machine);
    let url = &machine.url;
    let plan = machine.run(&["deploy", "--dry-run"]).ok();
    assert_eq!(
        plan,
        "schema
  + Todo
      + field name /db/String
files
  + www/big.bin
  + www/bücher/a b&c?.txt
  + www/css/site.css
  + www/empty.txt
  + www/index.html
access that is gained
    load, insert, update, delete, query Todo: every user that is logged in
"
    );
    assert_eq!(server.client().get("/schema/Todo").status, 461);
    assert_eq!(machine.run(&["deploy"]).ok(), format!("{plan}Deployed to {url}.\n"));
    assert_eq!(machine.run(&["deploy"]).ok(), format!("Nothing to change at {url}.\n"));

    let client = server.client();
    for (path, body) in [
        ("/file/www/index.html", "<title>start</title>"),
        ("/file/www/b%C3%BCcher/a%20b%26c%3F.txt", "names"),
        ("/file/www/empty.txt", ""),
    ] {
        assert_eq!(client.get(path).expect(200).body, body.as_bytes(), "{path}");
    }
    assert_eq!(client.get("/file/www/big.bin").expect(200).body, vec![7; 300_000]);
    for path in ["/file/www/.env", "/file/www/app.js.map"] {
        client.get(path).expect(404);
    }
    // One byte, a file more, a class more.
    machine.write("www/css/site.css", "h1 { color: rad }");
    machine.write("www/new.txt", "new");
    machine.write(
        "schema/Note.json",
        r#"{ "acl": { "load": { "/db/Role/1": "allow" } }, "fields": {} }"#,
    );
    let changes = machine.run(&["deploy", "--only", "www,schema", "--json"]).json();
    let names: Vec<&str> = changes["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Note", "www/css/site.css", "www/new.txt"]);
    assert_eq!((&changes["applied"], &changes["failed"]), (&json!(true), &json!([])));
    assert_eq!(
        client.get("/file/www/css/site.css").expect(200).body,
        b"h1 { color: rad }"
    );
}

#[test]
fn s57_opening_something_to_everybody_takes_a_flag_and_else_nothing_is_changed() {
    let server = server();
    let machine = Machine::new(&server);
    machine.write("www/index.html", "page");
    machine.write("schema/Note.json", r#"{ "fields": {} }"#);
    machine.run(&["deploy"]).ok();
    let before = server.client().get("/schema").expect(200).json();
    let everybody = r#"{ "*": "allow" }"#;
    for (what, files) in [
        (
            "load Todo",
            vec![(
                "schema/Todo.json",
                format!(r#"{{ "acl": {{ "load": {everybody} }}, "fields": {{}} }}"#),
            )],
        ),
        (
            "insert Note",
            vec![(
                "schema/Note.json",
                format!(r#"{{ "acl": {{ "insert": {everybody} }}, "fields": {{}} }}"#),
            )],
        ),
        (
            "load files of the bucket pictures",
            vec![(
                "freshbase.toml",
                "[project.buckets.pictures]\nload = { \"*\" = \"allow\" }\n".to_owned(),
            )],
        ),
    ] {
        for (name, text) in &files {
            machine.write(name, text);
        }
        machine.write("www/index.html", "another page");
        let run = machine.run(&["deploy"]);
        assert!(
            run.out.contains(&format!("  ! {what}: everybody, without logging in")),
            "{}",
            run.out
        );
        assert!(run.failed(3).contains("--allow-public"));
        let run = machine.run(&["deploy", "--json"]);
        let result = run.json();
        assert_eq!((&result["applied"], run.code), (&json!(false), Some(3)));
        assert!(
            result["refused"].as_str().unwrap().contains("--allow-public"),
            "{result}"
        );
        assert!(
            result["access"]
                .as_array()
                .unwrap()
                .iter()
                .any(|gain| gain["public"] == true),
            "{result}"
        );
        assert!(machine.run(&["deploy", "--dry-run"]).err.contains("would be refused"));
        assert_eq!(server.client().get("/schema").expect(200).json(), before);
        assert_eq!(server.client().get("/file/www/index.html").expect(200).body, b"page");
        root(&server).get("/file/pictures").expect(461);
        for (name, _) in &files {
            std::fs::remove_file(machine.project().join(name)).unwrap();
        }
        machine.write("schema/Note.json", r#"{ "fields": {} }"#);
    }
    machine.write(
        "schema/Todo.json",
        format!(r#"{{ "acl": {{ "load": {everybody} }}, "fields": {{}} }}"#),
    );
    machine.run(&["deploy", "--allow-public"]).ok();
    let class = server.client().get("/schema/Todo").expect(200).json();
    assert_eq!(class["acl"]["load"], json!({ "*": "allow" }));
}

#[test]
fn what_is_not_in_the_folder_stays_unless_it_is_pruned() {
    let server = server();
    let machine = Machine::new(&server);
    site(&machine);
    machine.run(&["deploy"]).ok();
    std::fs::remove_file(machine.project().join("www/css/site.css")).unwrap();
    let run = machine.run(&["deploy"]);
    assert!(
        run.err.contains("1 file of the app is not in the folder"),
        "{}",
        run.err
    );
    run.ok();
    // Nobody is there to be asked.
    assert!(machine.run(&["deploy", "--prune"]).failed(3).contains("--yes"));
    assert!(
        machine
            .run(&["deploy", "--prune", "--dry-run"])
            .ok()
            .contains("  - www/css/site.css")
    );
    server.client().get("/file/www/css/site.css").expect(200);
    machine.run(&["deploy", "--prune", "--yes"]).ok();
    server.client().get("/file/www/css/site.css").expect(404);
    server.client().get("/file/www/index.html").expect(200);
    // Classes go with their data, which takes one flag more.
    std::fs::remove_file(machine.project().join("schema/Todo.json")).unwrap();
    assert!(
        machine
            .run(&["deploy", "--prune", "--yes"])
            .failed(3)
            .contains("--allow-data-loss")
    );
    server.client().get("/schema/Todo").expect(200);
    machine.run(&["deploy", "--prune", "--yes", "--allow-data-loss"]).ok();
    assert_eq!(server.client().get("/schema/Todo").status, 461);
}

#[test]
fn an_upload_that_is_interrupted_is_tried_again_and_pages_come_last() {
    let server = server();
    let mut machine = Machine::new(&server);
    site(&machine);
    let cut = AtomicUsize::new(0);
    let between = Between::new(Some(&server), move |asked| {
        let is_bad_moment =
            asked.method == "PUT" && asked.path.contains("/big.bin") && cut.fetch_add(1, Ordering::SeqCst) < 2;
        if is_bad_moment { Does::HangsUp } else { Does::HandsOn }
    });
    machine.url = between.url.clone();
    machine.run(&["deploy", "--only", "www"]).ok();
    assert_eq!(
        server.client().get("/file/www/big.bin").expect(200).body,
        vec![7; 300_000]
    );
    let puts: Vec<String> = between
        .asked()
        .into_iter()
        .filter(|asked| asked.starts_with("PUT"))
        .collect();
    assert_eq!(puts.iter().filter(|put| put.contains("big.bin")).count(), 3);
    assert_eq!(puts.last().unwrap(), "PUT /file/www/index.html");
}

#[test]
fn what_failed_is_listed_and_pages_wait_for_what_they_need() {
    let server = server();
    let mut machine = Machine::new(&server);
    site(&machine);
    let between = Between::new(Some(&server), |asked| {
        match asked.path.contains("site.css") && asked.method == "PUT" {
            true => Does::Answers(413, "application/json", r#"{"message":"too\u001b[2J large"}"#.into()),
            false => Does::HandsOn,
        }
    });
    machine.url = between.url.clone();
    let error = machine.run(&["deploy"]).failed(4);
    assert!(error.contains("css/site.css: uploading css/site.css: too"), "{error}");
    assert!(
        error.contains("index.html: not tried") && error.contains("2 of 6") && !error.contains('\u{1b}'),
        "{error}"
    );
    server.client().get("/file/www/index.html").expect(404);
    let run = machine.run(&["deploy", "--json"]);
    assert_eq!((run.code, run.json()["failed"].as_array().unwrap().len()), (Some(4), 2));
    machine.url = format!("{}/v1", server.url());
    machine.run(&["deploy"]).ok();
    server.client().get("/file/www/index.html").expect(200);
}

#[test]
fn broken_projects_are_refused_before_anything_is_changed() {
    let server = server();
    for (name, content, expected) in [
        ("schema/Todo.json", "{\n  \"fields\": {\n", "Todo.json: line 3"),
        ("schema/Todo.json", "[]", "is an object"),
        (
            "schema/Todo.json",
            r#"{ "class": "/db/Other", "fields": {} }"#,
            "it defines \"/db/Other\"",
        ),
        (
            "schema/Todo.json",
            r#"{ "fields": { "a": { "type": "/db/Nothing" } } }"#,
            "/db/Nothing",
        ),
        (
            "schema/Todo.json",
            r#"{ "acl": { "laod": {} }, "fields": {} }"#,
            "no permission `laod`",
        ),
        ("freshbase.toml", "[project]\nwww = \"../..\"", "inside of the project"),
        (
            "freshbase.toml",
            "[project]\nwww = \"nowhere\"",
            "there is no folder nowhere",
        ),
        ("freshbase.toml", "[project", "line 1"),
        ("www/a\\b.txt", "x", "backslash"),
    ] {
        let machine = Machine::new(&server);
        machine.write("www/index.html", "page");
        machine.write(name, content);
        let error = machine.run(&["deploy"]).failed(1);
        assert!(error.contains(expected), "{name}: {error}");
        server.client().get("/file/www/index.html").expect(404);
    }
    let machine = Machine::new(&server);
    assert!(machine.run(&["deploy"]).failed(1).contains("nothing to deploy"));
    assert!(
        machine
            .run(&["deploy", "--only", "www"])
            .failed(1)
            .contains("no folder www")
    );
    assert!(
        machine
            .run(&["deploy", "--only", "nonsense"])
            .failed(2)
            .contains("www, code and schema")
    );
    let mut stranger = machine.command(&["deploy"]);
    machine.write("www/index.html", "page");
    stranger.env_remove("FRESHBASE_TOKEN");
    assert!(finish(stranger).failed(5).contains("freshbase login"));
}

#[cfg(unix)]
#[test]
fn s31_links_do_not_bring_files_from_outside() {
    let server = server();
    let machine = Machine::new(&server);
    machine.write("secret.txt", "secret");
    machine.write("www/index.html", "page");
    std::os::unix::fs::symlink("../secret.txt", machine.project().join("www/a.txt")).unwrap();
    std::os::unix::fs::symlink("..", machine.project().join("www/up")).unwrap();
    let run = machine.run(&["deploy", "--json"]);
    assert!(run.err.contains("a.txt is a link that leads out"), "{}", run.err);
    assert_eq!(run.json()["changes"].as_array().unwrap().len(), 1);
    server.client().get("/file/www/a.txt").expect(404);
    // The folder itself is no way out either, nor is a link in place of a class.
    std::os::unix::fs::symlink("/etc", machine.project().join("schema")).unwrap();
    assert!(machine.run(&["deploy"]).failed(1).contains("leads out of the project"));
}

#[test]
fn callers_without_rights_change_nothing() {
    let server = server();
    root(&server)
        .put("/config", &json!({ "registration": "open" }))
        .expect(200);
    let (user, _) = server.client().register("bob");
    let machine = Machine {
        token: user.token().map(str::to_owned),
        ..Machine::stranger(&format!("{}/v1", server.url()))
    };
    machine.write("schema/Todo.json", r#"{ "fields": {} }"#);
    machine.run(&["deploy"]).failed(3);
    let error = machine.run(&["deploy", "--allow-public"]).failed(1);
    assert!(error.contains("466"), "{error}");
    assert_eq!(root(&server).get("/schema/Todo").status, 461);
}

#[test]
fn s57_in_an_app_with_open_defaults_rules_that_say_nothing_are_for_everybody() {
    let server = fb_testkit::ServerBuilder::new(crate::BINARY).baqend().start();
    let machine = Machine::new(&server);
    machine.write("schema/Todo.json", r#"{ "acl": {}, "fields": {} }"#);
    let run = machine.run(&["deploy"]);
    let everything = "  ! load, insert, update, delete, query Todo: everybody, without logging in";
    assert!(run.out.contains(everything), "{}", run.out);
    run.failed(3);
    assert_eq!(server.client().get("/schema/Todo").status, 461);
    machine.run(&["deploy", "--allow-public"]).ok();
    assert!(machine.run(&["deploy"]).ok().starts_with("Nothing to change"));
    // Rules that only deny somebody leave everybody else in.
    machine.write(
        "schema/Note.json",
        r#"{ "acl": { "load": { "/db/User/9": "deny" }, "insert": { "*": "deny" } }, "fields": {} }"#,
    );
    let run = machine.run(&["deploy"]);
    assert!(
        run.out.contains("  ! load, update, delete, query Note: everybody"),
        "{}",
        run.out
    );
    run.failed(3);
}

/// A project with a schema, code and a page.
fn with_all_parts(machine: &Machine) {
    machine.write("schema/Todo.json", r#"{ "fields": {} }"#);
    machine.write("code/hello.js", "exports.call = () => 1;");
    machine.write("www/index.html", "page");
}

fn failed_names(result: &serde_json::Value) -> Vec<&str> {
    let failed = result["failed"].as_array().unwrap();
    failed.iter().map(|failure| failure["name"].as_str().unwrap()).collect()
}

#[test]
fn a_schema_that_is_refused_is_part_of_the_result_for_programs() {
    let server = server();
    let between = Between::new(Some(&server), |asked| {
        match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/schema") => {
                Does::Answers(409, "application/json", r#"{"message":"somebody was faster"}"#.into())
            }
            _ => Does::HandsOn,
        }
    });
    let mut machine = Machine::stranger(&between.url);
    machine.token = root(&server).token().map(str::to_owned);
    with_all_parts(&machine);
    let run = machine.run(&["deploy", "--json"]);
    let result = run.json();
    assert_eq!(result["applied"], false);
    assert_eq!(
        failed_names(&result),
        ["schema", "hello (module)", "index.html"],
        "{result}"
    );
    let told = result["failed"][0]["error"].as_str().unwrap();
    assert!(told.contains("somebody was faster"), "{told}");
    assert!(result["failed"][1]["error"].as_str().unwrap().contains("not tried"));
    // Nothing was done at all.
    assert!(run.failed(1).contains("somebody was faster"));
    assert!(!between.asked().iter().any(|asked| asked.starts_with("PUT")));
}

#[test]
fn a_schema_change_that_got_no_answer_is_not_said_to_have_failed() {
    let server = server();
    for broken in ["no answer", "no answer of ours", "a failing server"] {
        let between = Between::new(Some(&server), move |asked| {
            match (asked.method.as_str(), asked.path.as_str()) {
                ("POST", "/schema") => match broken {
                    "no answer" => Does::HangsUp,
                    "no answer of ours" => Does::Answers(200, "text/html", "<h1>hi</h1>".into()),
                    _ => Does::Answers(504, "application/json", "{}".into()),
                },
                _ => Does::HandsOn,
            }
        });
        let mut machine = Machine::stranger(&between.url);
        machine.token = root(&server).token().map(str::to_owned);
        with_all_parts(&machine);
        let run = machine.run(&["deploy", "--json"]);
        let result = run.json();
        assert_eq!(
            failed_names(&result),
            ["schema", "hello (module)", "index.html"],
            "{result}"
        );
        let told = result["failed"][0]["error"].as_str().unwrap();
        assert!(told.contains("it is unknown whether the schema was changed"), "{told}");
        run.failed(4);
        assert!(!between.asked().iter().any(|asked| asked.starts_with("PUT")));
    }
}

#[test]
fn s57_a_schema_that_became_too_public_is_part_of_the_result_for_programs() {
    let server = server();
    let between = Between::new(Some(&server), |asked| {
        match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/schema") => {
                let opened = r#"[{ "class": "/db/Todo", "superClass": "/db/Object", "acl": { "load": { "*": "allow" } }, "fields": {} }]"#;
                Does::Answers(200, "application/json", opened.into())
            }
            _ => Does::HandsOn,
        }
    });
    let mut machine = Machine::stranger(&between.url);
    machine.token = root(&server).token().map(str::to_owned);
    with_all_parts(&machine);
    let run = machine.run(&["deploy", "--json"]);
    let result = run.json();
    assert_eq!(
        failed_names(&result),
        ["schema", "hello (module)", "index.html"],
        "{result}"
    );
    assert!(
        result["failed"][0]["error"]
            .as_str()
            .unwrap()
            .contains("the schema is changed")
    );
    run.failed(4);
    assert!(!between.asked().iter().any(|asked| asked.starts_with("PUT")));
}
