use fb_testkit::root;
use serde_json::json;

use crate::{Machine, server};

#[test]
fn what_was_pulled_is_up_to_date_and_keeps_its_comments() {
    let server = server();
    let machine = Machine::new(&server);
    let class = json!({ "acl": { "load": { "*": "allow" } }, "fields": { "name": { "type": "/db/String" } } });
    root(&server).post("/schema/Todo", &class).expect(200);
    machine.run(&["schema", "pull"]).ok();
    assert!(machine.run(&["schema", "plan"]).ok().starts_with("Nothing to change"));
    assert!(machine.run(&["schema", "pull"]).ok().contains("up to date"));
    let file = machine.read("schema/Todo.json");
    let commented = file.replacen("  \"fields\"", "  // What a todo has.\n  \"fields\"", 1);
    assert_ne!(file, commented);
    machine.write("schema/Todo.json", &commented);
    let field =
        json!({ "operation": "addField", "bucket": "/db/Todo", "field": { "name": "done", "type": "/db/Boolean" } });
    root(&server).post("/schema", &field).expect(200);
    machine.run(&["schema", "pull"]).ok();
    let file = machine.read("schema/Todo.json");
    assert!(
        file.contains("  // What a todo has.\n  \"fields\"") && file.contains("\"done\""),
        "{file}"
    );
    let left: Vec<_> = std::fs::read_dir(machine.project().join("schema")).unwrap().collect();
    assert!(!left.is_empty());
    assert!(!machine.project().join("schema/Object.json").try_exists().unwrap());
}

#[test]
fn data_goes_with_a_flag_only() {
    let server = server();
    let machine = Machine::new(&server);
    machine.write(
        "schema/Todo.json",
        r#"{ "fields": { "a": { "type": "/db/String" }, "b": { "type": "/db/String" } } }"#,
    );
    machine.run(&["schema", "apply"]).ok();
    let client = root(&server);
    client
        .post("/db/Todo", &json!({ "id": "/db/Todo/1", "a": "kept", "b": "12" }))
        .expect(201);
    machine.write("schema/Todo.json", r#"{ "fields": { "a": { "type": "/db/String" } } }"#);
    let plan = machine.run(&["schema", "plan"]);
    assert!(
        plan.out
            .contains("data that is lost\n  ! Todo.b: the field with its data"),
        "{}",
        plan.out
    );
    assert!(plan.err.contains("--allow-data-loss"), "{}", plan.err);
    assert!(
        machine
            .run(&["schema", "apply"])
            .failed(3)
            .contains("--allow-data-loss")
    );
    assert_eq!(client.get("/db/Todo/1").expect(200).json()["b"], "12");
    machine.run(&["schema", "apply", "--allow-data-loss"]).ok();
    let object = client.get("/db/Todo/1").expect(200).json();
    assert_eq!((&object["a"], object.get("b")), (&json!("kept"), None));
    let result = machine.run(&["schema", "plan", "--json"]).json();
    assert_eq!((&result["changes"], &result["dryRun"]), (&json!([]), &json!(true)));
}

#[test]
fn every_kind_of_change_arrives_as_it_was_planned() {
    let server = server();
    let machine = Machine::new(&server);
    let steps = [
        r#"{ "fields": { "a": { "type": "/db/Integer" }, "b": { "type": "/db/String" } } }"#,
        // Between the others.
        r#"{ "fields": { "a": { "type": "/db/Integer" }, "c": { "type": "/db/Part" }, "b": { "type": "/db/String" } } }"#,
        r#"{ "fields": { "b": { "type": "/db/String" }, "c": { "type": "/db/Part" }, "a": { "type": "/db/Double" } } }"#,
        r#"{ "metadata": { "x": "y" }, "fields": { "b": { "type": "/db/String", "acl": { "read": { "/db/Role/1": "allow" } } },
            "c": { "type": "/db/Part" }, "a": { "type": "/db/Double" } } }"#,
        r#"{ "acl": { "load": { "/db/Role/1": "allow" }, "query": { "*": "deny" } }, "fields": { "b": { "type": "/db/String" } } }"#,
    ];
    machine.write(
        "schema/Part.json",
        r#"{ "embedded": true, "fields": { "x": { "type": "/db/Todo" } } }"#,
    );
    machine.write(
        "schema/User.json",
        r#"{ "acl": {}, "fields": { "email": { "type": "/db/String", "order": 0 } } }"#,
    );
    for step in steps {
        machine.write("schema/Todo.json", step);
        machine.run(&["schema", "apply", "--allow-data-loss"]).ok();
        let plan = machine.run(&["schema", "plan"]).ok();
        assert!(plan.starts_with("Nothing to change"), "{step}: {plan}");
    }
    let class = server.client().get("/schema/Todo").expect(200).json();
    assert_eq!(
        class["fields"]["b"]["acl"],
        json!({ "read": { "/db/Role/1": "allow" } })
    );
}

#[cfg(unix)]
#[test]
fn s31_pulling_follows_no_link_out_of_the_project() {
    let server = server();
    root(&server).post("/schema/Todo", &json!({ "fields": {} })).expect(200);
    root(&server)
        .request("PUT", "/code/hello/module", &[("content-type", "text/plain")], b"1")
        .expect(200);
    let machine = Machine::new(&server);
    let outside = machine.project().join("../outside");
    std::fs::create_dir(&outside).unwrap();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, machine.project().join(name)).unwrap();
    link("../outside", "out");
    link("../nowhere", "dangling");
    for folder in ["out", "out/new", "out/new/deep", "dangling", "dangling/new"] {
        for (key, args) in [("schema", ["schema", "pull"]), ("code", ["code", "pull"])] {
            machine.write("freshbase.toml", format!("[project]\n{key} = \"{folder}\"\n"));
            machine.run(&args).failed(1);
            assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{key} = {folder}");
        }
    }
    assert!(!machine.project().join("../nowhere").is_dir());
    // A link within the project is the project's business; so is a folder that is yet to be made.
    std::fs::create_dir(machine.project().join("real")).unwrap();
    link("real", "alias");
    for folder in ["alias", "new/folder"] {
        machine.write("freshbase.toml", format!("[project]\nschema = \"{folder}\"\n"));
        machine.run(&["schema", "pull"]).ok();
        assert!(machine.read(&format!("{folder}/Todo.json")).contains("Todo"));
    }
}
