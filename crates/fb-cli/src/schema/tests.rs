use fb_types::schema::predefined;
use serde_json::{Value, json};

use super::local::LocalClass;
use super::plan::{SchemaPlan, plan};
use crate::api::Profile;
use crate::change;

fn remote(classes: &[Value]) -> Vec<Value> {
    predefined()
        .iter()
        .map(|def| json!(def))
        .chain(classes.iter().cloned())
        .collect()
}

fn compare(files: &[Value], app: &[Value], profile: Profile, prune: bool) -> Result<SchemaPlan, crate::CliError> {
    let files: Vec<LocalClass> = files.iter().map(|file| LocalClass::from_json(file).unwrap()).collect();
    plan(&files, &remote(app), profile, prune)
}

fn closed() -> Value {
    let admins = json!({ "/db/Role/1": "allow" });
    json!({ "load": admins, "insert": admins, "update": admins, "delete": admins, "query": admins, "schemaAdd": admins,
        "schemaReplace": admins, "schemaSubclass": admins })
}

fn todo(fields: &Value) -> Value {
    json!({ "class": "/db/Todo", "superClass": "/db/Object", "acl": closed(), "metadata": {}, "fields": fields })
}

fn operations(plan: &SchemaPlan) -> Vec<String> {
    let name = |edit: &Value| edit["operation"].as_str().unwrap_or("create").to_owned();
    plan.edits.iter().map(name).collect()
}

#[test]
fn what_is_the_same_needs_nothing() {
    let app = todo(&json!({ "a": { "name": "a", "type": "/db/String", "order": 0 } }));
    for file in [
        app.clone(),
        json!({ "class": "/db/Todo", "fields": { "a": { "type": "/db/String" } } }),
        json!({ "class": "/db/Todo", "acl": closed(), "fields": { "a": { "type": "/db/String", "order": 7 } } }),
    ] {
        let plan = compare(&[file], std::slice::from_ref(&app), Profile::Secure, false).unwrap();
        assert!(
            plan.edits.is_empty() && plan.changes.is_empty() && plan.gains.is_empty(),
            "{plan:?}"
        );
    }
    // What the server fills in for rules that say nothing is no difference either.
    let mut filled = todo(&json!({}));
    for permission in ["load", "insert", "update", "delete", "query"] {
        filled["acl"][permission] = json!({ "/db/Role/3": "allow" });
    }
    let file = json!({ "class": "/db/Todo", "acl": {}, "fields": {} });
    assert!(
        compare(&[file], &[filled], Profile::Secure, false)
            .unwrap()
            .edits
            .is_empty()
    );
}

#[test]
fn changes_are_the_smallest_operations_that_make_them() {
    let a = json!({ "type": "/db/String", "order": 0 });
    let b = json!({ "type": "/db/Integer", "order": 1 });
    let app = todo(&json!({ "a": a, "b": b }));
    let private = json!({ "type": "/db/String", "order": 0, "acl": { "read": { "/db/Role/1": "allow" } } });
    let mut opened = app.clone();
    opened["acl"]["load"] = json!({ "/db/Role/9": "allow" });
    for (file, expected, losses) in [
        (
            todo(&json!({ "a": a, "b": b, "c": { "type": "/db/Date" } })),
            vec!["addField"],
            0,
        ),
        (todo(&json!({ "a": a })), vec!["removeField"], 1),
        (todo(&json!({ "a": private, "b": b })), vec!["updateFieldAcl"], 0),
        (opened, vec!["updateClassAcl"], 0),
        (
            todo(&json!({ "a": { "type": "/db/Integer", "order": 0 }, "b": b })),
            vec!["replaceClass"],
            1,
        ),
        (
            todo(&json!({ "b": { "type": "/db/Integer", "order": 0 }, "a": { "type": "/db/String", "order": 1 } })),
            vec!["replaceClass"],
            0,
        ),
        // Between others, where addField would not put it.
        (
            todo(
                &json!({ "a": a, "c": { "type": "/db/Date", "order": 1 }, "b": { "type": "/db/Integer", "order": 2 } }),
            ),
            vec!["replaceClass"],
            0,
        ),
    ] {
        let plan = compare(&[file], std::slice::from_ref(&app), Profile::Secure, false).unwrap();
        assert_eq!(operations(&plan), expected, "{plan:?}");
        assert_eq!(plan.losses.len(), losses, "{plan:?}");
        assert_eq!(plan.changes.len(), 1);
    }
}

#[test]
fn s57_a_field_that_says_nothing_keeps_its_rules_and_one_that_says_none_loses_them() {
    let rules = json!({ "read": { "/db/Role/1": "allow" } });
    let mut app = todo(&json!({ "a": { "type": "/db/String", "order": 0, "acl": rules } }));
    app["acl"]["load"] = json!({ "*": "allow" });
    let file = |acl: Option<Value>| {
        let mut file = json!({ "class": "/db/Todo", "fields": { "a": { "type": "/db/String" } } });
        if let Some(acl) = acl {
            file["fields"]["a"]["acl"] = acl;
        }
        file
    };
    let kept = compare(&[file(None)], std::slice::from_ref(&app), Profile::Secure, false).unwrap();
    assert!(kept.edits.is_empty());
    for none in [Value::Null, json!({})] {
        let plan = compare(&[file(Some(none))], std::slice::from_ref(&app), Profile::Secure, false).unwrap();
        assert_eq!(operations(&plan), ["updateFieldAcl"]);
        assert_eq!(
            change::describe_gains(&plan.gains),
            "access that is gained\n  ! read the field Todo.a: everybody, without logging in\n"
        );
    }
    // A replacement for another reason says what the rules are.
    let mut retyped = file(None);
    retyped["fields"]["a"]["type"] = json!("/db/Integer");
    let plan = compare(&[retyped.clone()], std::slice::from_ref(&app), Profile::Secure, false).unwrap();
    assert_eq!((&plan.edits[0]["fields"]["a"]["acl"], plan.gains.len()), (&rules, 0));
    retyped["fields"]["a"]["acl"] = Value::Null;
    let plan = compare(&[retyped], &[app], Profile::Secure, false).unwrap();
    assert_eq!(
        (&plan.edits[0]["fields"]["a"]["acl"], plan.gains.len()),
        (&json!({}), 1)
    );
}

#[test]
fn s57_rules_that_say_nothing_mean_what_they_mean_in_the_app() {
    let file = json!({ "class": "/db/Todo", "fields": {} });
    for (profile, expected) in [
        (
            Profile::Secure,
            "access that is gained\n    load, insert, update, delete, query Todo: every user that is logged in\n",
        ),
        (
            Profile::Open,
            "access that is gained\n  ! load, insert, update, delete, query Todo: everybody, without logging in\n",
        ),
        (
            Profile::Unknown,
            "access that is gained\n  ! load, insert, update, delete, query, schemaAdd, schemaReplace, schemaSubclass Todo: \
             everybody, without logging in\n",
        ),
    ] {
        let plan = compare(std::slice::from_ref(&file), &[], profile, false).unwrap();
        assert_eq!(change::describe_gains(&plan.gains), expected, "{profile:?}");
    }
}

#[test]
fn predefined_classes_get_fields_and_keep_what_is_theirs() {
    let file = json!({ "class": "/db/User", "acl": {}, "fields": { "email": { "type": "/db/String" } } });
    let plan = compare(std::slice::from_ref(&file), &[], Profile::Secure, true).unwrap();
    assert_eq!(operations(&plan), ["addField"]);
    assert!(plan.losses.is_empty() && plan.gains.is_empty(), "{plan:?}");
}

#[test]
fn classes_without_a_file_go_with_prune_only_and_users_of_others_first() {
    let app = [
        json!({ "class": "/db/A", "superClass": "/db/Object", "acl": closed(), "fields": {} }),
        json!({ "class": "/db/B", "superClass": "/db/A", "acl": closed(), "fields": {} }),
        json!({ "class": "/db/C", "superClass": "/db/Object", "acl": closed(),
            "fields": { "b": { "type": "/db/collection.Set[/db/B]", "order": 0 } } }),
    ];
    let plan = compare(&[], &app, Profile::Secure, false).unwrap();
    assert!(plan.edits.is_empty());
    assert_eq!(plan.only_remote, ["A", "B", "C"]);
    let plan = compare(&[], &app, Profile::Secure, true).unwrap();
    let buckets: Vec<&str> = plan.edits.iter().map(|edit| edit["bucket"].as_str().unwrap()).collect();
    assert_eq!((buckets, plan.losses.len()), (vec!["/db/C", "/db/B", "/db/A"], 3));
    let mut cycle = app.to_vec();
    cycle[0]["fields"] = json!({ "c": { "type": "/db/C", "order": 0 } });
    let error = compare(&[], &cycle, Profile::Secure, true).unwrap_err().to_string();
    assert!(error.contains("use each other"), "{error}");
}

#[test]
fn a_schema_that_is_not_valid_is_found_before_anything_is_sent() {
    for (field, expected) in [
        (json!({ "x": { "type": "/db/Nothing" } }), "/db/Nothing"),
        (json!({ "x y": { "type": "/db/String" } }), "no field name"),
    ] {
        let file = json!({ "class": "/db/Todo", "fields": field });
        let error = compare(&[file], &[], Profile::Secure, false).unwrap_err();
        assert!(
            error.to_string().contains(expected) && error.exit_code() == 1,
            "{error}"
        );
    }
}
