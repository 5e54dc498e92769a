use std::io::{BufRead, BufReader};
use std::process::Stdio;

use fb_testkit::{Client, Server, root};
use serde_json::json;

use crate::between::{Between, Does};
use crate::{Machine, finish, server};

/// The class that handlers are of.
fn todo(server: &Server) -> Client {
    let client = root(server);
    client.post("/schema/Todo", &json!({ "fields": {} })).expect(200);
    client
}

/// The ids of all code, in order.
fn stored(client: &Client) -> Vec<String> {
    let all = client.get("/code-content").expect(200).json();
    let ids = all.as_array().unwrap().iter();
    ids.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn code_is_deployed_by_text_and_pruned() {
    let server = server();
    let (machine, client) = (Machine::new(&server), todo(&server));
    machine.write("code/hello.js", "exports.call = () => 'hällo';\n");
    machine.write("code/Todo/insert.js", "exports.onInsert = () => {};");
    machine.write("code/big/index.js", "module.exports = require('./hello');");
    let plan = "code\n  + Todo/insert\n  + big (module)\n  + hello (module)\n";
    assert_eq!(
        machine.run(&["deploy"]).ok(),
        format!("{plan}Deployed to {}.\n", machine.url)
    );
    assert_eq!(
        client.get("/code/hello/module").expect(200).body,
        "exports.call = () => 'hällo';\n".as_bytes()
    );
    // What `big` requires is the other module.
    for module in ["/code/hello", "/code/big"] {
        assert_eq!(server.client().get(module).expect(200).body, "hällo".as_bytes());
    }
    assert!(machine.run(&["deploy"]).ok().starts_with("Nothing to change"));
    machine.write("code/hello.js", "exports.call = () => 2;\n");
    std::fs::remove_dir_all(machine.project().join("code/big")).unwrap();
    let run = machine.run(&["deploy"]);
    assert!(
        run.out.contains("  ~ hello (module)") && run.err.contains("which stay: big (module)"),
        "{}{}",
        run.out,
        run.err
    );
    assert_eq!(server.client().get("/code/hello").expect(200).json(), 2);
    machine.run(&["deploy", "--prune", "--yes"]).ok();
    assert_eq!(stored(&client), ["/code/Todo/insert", "/code/hello/module"]);
}

#[test]
fn the_layout_of_the_published_cli_is_understood() {
    let server = server();
    let machine = Machine::new(&server);
    machine.write("baqend/hello.js", "1");
    machine.write("baqend/Todo/update.js", "2");
    machine.write(
        "baqend/schema/Todo.json",
        r#"{ "class": "/db/Todo", "acl": {}, "fields": {} }"#,
    );
    machine.run(&["deploy"]).ok();
    assert_eq!(stored(&root(&server)), ["/code/Todo/update", "/code/hello/module"]);
    server.client().get("/schema/Todo").expect(200);
}

#[test]
fn single_pieces_are_read_written_and_removed() {
    let server = server();
    let (machine, client) = (Machine::new(&server), todo(&server));
    machine.write("x.js", "line\n\n");
    machine.run(&["code", "put", "Todo/insert", "x.js"]).ok();
    machine.run(&["code", "put", "hello", "x.js"]).ok();
    assert_eq!(machine.run(&["code", "get", "/code/hello/module"]).ok(), "line\n\n");
    assert_eq!(
        machine.run(&["code", "list"]).ok(),
        "Todo/insert  6 bytes\nhello (module)  6 bytes\n"
    );
    assert_eq!(
        machine.run(&["code", "list", "--json"]).json()[0]["id"],
        "/code/Todo/insert"
    );
    machine.run(&["code", "delete", "hello"]).ok();
    assert!(
        machine
            .run(&["code", "get", "hello"])
            .failed(1)
            .contains("no hello (module)")
    );
    machine.run(&["code", "delete", "hello"]).failed(1);
    machine.run(&["code", "put", "../x", "x.js"]).failed(2);
    machine.run(&["code", "put", "hello", "nosuch.js"]).failed(1);
    assert_eq!(stored(&client), ["/code/Todo/insert"]);
}

#[test]
fn pulled_code_replaces_no_changes_unless_it_is_told_to() {
    let server = server();
    let (machine, client) = (Machine::new(&server), todo(&server));
    for (path, text) in [("/code/hello/module", "remote"), ("/code/Todo/insert", "handler")] {
        client.request("PUT", path, &[], text.as_bytes()).expect(200);
    }
    machine.run(&["code", "pull"]).ok();
    assert_eq!(
        (machine.read("code/hello.js"), machine.read("code/Todo/insert.js")),
        ("remote".into(), "handler".into())
    );
    assert!(machine.run(&["code", "pull"]).ok().contains("up to date"));
    machine.write("code/hello.js", "edited");
    assert!(machine.run(&["code", "pull"]).failed(3).contains("hello.js"));
    assert_eq!(machine.read("code/hello.js"), "edited");
    machine.run(&["code", "pull", "--force"]).ok();
    assert_eq!(machine.read("code/hello.js"), "remote");
}

#[test]
fn code_that_needs_node_says_so_where_there_is_none() {
    let server = server();
    let machine = Machine::new(&server);
    machine.write("package.json", "{}");
    machine.write("code/hello.js", "require('left-pad')");
    let mut command = machine.command(&["deploy"]);
    command.env("PATH", machine.project());
    let error = finish(command).failed(1);
    assert!(
        error.contains("install Node") && error.contains("npm install --save-dev esbuild"),
        "{error}"
    );
}

#[test]
fn too_large_code_is_explained() {
    let server = server();
    let between = Between::new(Some(&server), |asked| {
        match (asked.method.as_str(), asked.path.as_str()) {
            ("PUT", _) => Does::Answers(413, "application/json", r#"{"message":"Code may have 1 MiB."}"#.into()),
            (_, "/code-content") => Does::Answers(200, "application/json", "[]".into()),
            _ => Does::HandsOn,
        }
    });
    let mut machine = Machine::new(&server);
    machine.url = between.url.clone();
    machine.write("code/hello.js", "x".repeat(5000));
    machine.write("www/index.html", "page");
    let error = machine.run(&["deploy"]).failed(4);
    assert!(
        error.contains("Code may have 1 MiB. It has 5 KiB.") && error.contains("index.html: not tried"),
        "{error}"
    );
    server.client().get("/file/www/index.html").expect(404);
}

#[test]
fn a_server_without_code_says_so() {
    let between = Between::new(None, |asked| match asked.path.as_str() {
        "/db/User/me" => Does::Answers(200, "application/json", r#"{"username":"ann"}"#.into()),
        _ => Does::Answers(404, "application/json", "{}".into()),
    });
    let mut machine = Machine::stranger(&between.url);
    machine.token = Some("00".into());
    machine.write("code/hello.js", "1");
    assert!(machine.run(&["deploy"]).failed(1).contains("runs no code"));
}

#[test]
fn the_log_is_shown_newest_first_and_followed() {
    let server = server();
    let client = root(&server);
    let log = |n: u32, level: &str, message: &str| {
        let entry = json!({ "date": format!("2026-01-01T00:00:0{n}.000Z"), "level": level, "message": message });
        client.post("/db/logs.AppLog", &entry).expect(201);
    };
    log(1, "info", "first");
    log(2, "error", "sec\u{1b}[2Jond");
    let machine = Machine::new(&server);
    let out = machine.run(&["code", "logs"]).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].contains("error") && lines[0].contains("sec\u{fffd}[2Jond") && lines[1].contains("first"),
        "{out}"
    );
    assert_eq!(
        machine.run(&["code", "logs", "--level", "error", "--json"]).json()["level"],
        "error"
    );
    assert_eq!(machine.run(&["code", "logs", "-n", "1"]).ok().lines().count(), 1);

    let mut following = machine
        .command(&["code", "logs", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    lines.next().unwrap();
    lines.next().unwrap();
    log(2, "info", "the same moment");
    log(3, "info", "third");
    let next = [lines.next().unwrap(), lines.next().unwrap()];
    following.kill().unwrap();
    following.wait().unwrap();
    assert!(
        next[0].contains("the same moment") && next[1].contains("third"),
        "{next:?}"
    );
}

#[test]
fn an_entry_that_claims_to_be_of_the_future_hides_no_others() {
    let server = server();
    let client = root(&server);
    let log = |date: &str, message: &str| {
        let entry = json!({ "date": date, "level": "info", "message": message });
        client.post("/db/logs.AppLog", &entry).expect(201);
    };
    log("9999-12-31T00:00:00.000Z", "from the future");
    log("2026-01-01T00:00:00.000Z", "of now");
    let machine = Machine::new(&server);
    // The newest is what came last, whatever it says of itself.
    let out = machine.run(&["code", "logs", "-n", "1"]).ok();
    assert!(out.contains("of now"), "{out}");

    let mut following = machine
        .command(&["code", "logs", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    lines.next().unwrap();
    lines.next().unwrap();
    log("9999-12-31T00:00:00.000Z", "again from the future");
    log("2026-01-01T00:00:01.000Z", "what matters");
    let next = [lines.next().unwrap(), lines.next().unwrap()];
    following.kill().unwrap();
    following.wait().unwrap();
    assert!(
        next[0].contains("again from the future") && next[1].contains("what matters"),
        "{next:?}"
    );
}

#[test]
fn modules_of_node_that_the_server_has_are_not_bundled() {
    let server = server();
    let machine = Machine::new(&server);
    machine.write(
        "code/clock.js",
        "const { performance } = require('perf_hooks'); exports.call = () => typeof performance.now();",
    );
    machine.run(&["deploy"]).ok();
    assert_eq!(server.client().get("/code/clock").expect(200).body, b"number");
}
