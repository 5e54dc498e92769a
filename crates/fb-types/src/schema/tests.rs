use serde_json::json;

use super::*;

fn with(classes: serde_json::Value) -> Result<Schema, SchemaError> {
    let mut defs = predefined();
    for class in classes.as_array().unwrap() {
        defs.push(ClassDef::from_json(class)?);
    }
    Schema::build(defs, 2, Some(&Schema::initial().unwrap()), &[])
}

#[test]
fn stored_form_is_read_back() {
    let schema = with(json!([
        { "class": "/db/Person", "fields": { "name": { "type": "/db/String", "order": 0 } } },
        { "class": "/db/Student", "superClass": "/db/Person",
          "fields": { "friends": { "type": "/db/collection.Map[/db/String, /db/Person]", "order": 0 } } },
    ]))
    .unwrap();
    let back = Schema::from_json(&schema.to_json()).unwrap();
    assert_eq!(back.to_json(), schema.to_json());
    let student = back.class("Student").unwrap();
    let names: Vec<&str> = student.fields().iter().map(|f| f.name()).collect();
    assert_eq!(names, ["name", "friends"]);
    assert_eq!(student.shape(), 2);
    assert_eq!(back.class("User").unwrap().shape(), 1);
}

#[test]
fn broken_schemas_are_refused() {
    for (classes, text) in [
        (
            json!([{ "class": "/db/A", "superClass": "/db/B" }]),
            "A uses /db/B, which is not a class",
        ),
        (
            json!([{ "class": "/db/A", "superClass": "/db/A" }]),
            "A inherits from itself",
        ),
        (
            json!([{ "class": "/db/A", "fields": { "x": { "type": "/db/B" } } }]),
            "A.x uses /db/B, which is not a class",
        ),
        (
            json!([{ "class": "/db/A", "fields": { "x": { "type": "/db/collection.Bag[/db/String]" } } }]),
            "no collection type",
        ),
        (
            json!([{ "class": "/db/A", "fields": { "id": { "type": "/db/String" } } }]),
            "taken by metadata",
        ),
        (
            json!([{ "class": "/db/A", "fields": { "a.b": { "type": "/db/String" } } }]),
            "is no field name",
        ),
        (
            json!([{ "class": "/db/A", "fields": { "__proto__": { "type": "/db/String" } } }]),
            "is no field name",
        ),
        (json!([{ "class": "/db/String" }]), "built-in type"),
        (json!([{ "class": "/db/A" }, { "class": "/db/A" }]), "defined twice"),
        (
            json!([{ "class": "/db/A", "acl": { "fly": {} } }]),
            "no permission `fly`",
        ),
        (
            json!([{ "class": "/db/A", "embedded": true, "acl": { "load": { "*": "deny" } } }]),
            "has no permission `load`",
        ),
        (
            json!([{ "class": "/db/A", "acl": { "load": { "me": "allow" } } }]),
            "neither a user id",
        ),
        (json!([{ "class": "Todo" }]), "is no class name"),
    ] {
        let error = with(classes.clone()).unwrap_err().to_string();
        assert!(error.contains(text), "{classes}: {error}");
    }
}

#[test]
fn a_new_field_in_an_embeddable_changes_the_shape_of_its_users_only() {
    let classes = |fields: serde_json::Value| {
        json!([
            { "class": "/db/Address", "embedded": true, "fields": fields },
            { "class": "/db/Person", "fields": { "home": { "type": "/db/Address" } } },
            { "class": "/db/Other", "fields": { "x": { "type": "/db/Integer" } } },
        ])
    };
    let before = with(classes(json!({ "zip": { "type": "/db/Integer" } }))).unwrap();
    let mut defs = predefined();
    for class in classes(json!({ "zip": { "type": "/db/Integer" }, "city": { "type": "/db/String" } }))
        .as_array()
        .unwrap()
    {
        defs.push(ClassDef::from_json(class).unwrap());
    }
    let after = Schema::build(defs, 3, Some(&before), &[]).unwrap();
    assert_eq!(after.class("Person").unwrap().shape(), 3);
    assert_eq!(after.class("Other").unwrap().shape(), 2);
    let mut stored = json!({ "home": { "zip": 1 } }).as_object().unwrap().clone();
    after.complete(after.class("Person").unwrap(), &mut stored);
    assert_eq!(
        serde_json::Value::Object(stored),
        json!({ "home": { "zip": 1, "city": null } })
    );
}

#[test]
fn equal_orders_are_told_apart() {
    let schema = with(json!([{ "class": "/db/A", "fields": {
        "x": { "type": "/db/String", "order": 3 }, "y": { "type": "/db/String", "order": 3 },
        "z": { "type": "/db/String", "order": 1 } } }]))
    .unwrap();
    let orders: Vec<(String, i64)> = schema
        .class("A")
        .unwrap()
        .def()
        .fields
        .values()
        .map(|f| (f.name.clone(), f.order))
        .collect();
    assert_eq!(orders, [("z".to_owned(), 1), ("x".to_owned(), 3), ("y".to_owned(), 4)]);
}

mod fuzz {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::super::{ClassDef, Schema, predefined};

    /// JSON whose names and texts are those a class definition may have, in wrong places as well.
    fn class_like() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[a-zA-Z_.$/\\[\\], ]{0,12}",
            Just("/db/A".to_owned()),
            Just("/db/B".to_owned()),
            Just("/db/Object".to_owned()),
            Just("/db/collection.Map[/db/String,/db/A]".to_owned()),
            Just("/db/collection.List[/db/collection.List[/db/A]]".to_owned()),
            Just("__proto__".to_owned()),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            let name = prop_oneof![
                Just("class".to_owned()),
                Just("superClass".to_owned()),
                Just("embedded".to_owned()),
                Just("acl".to_owned()),
                Just("metadata".to_owned()),
                Just("fields".to_owned()),
                Just("type".to_owned()),
                Just("order".to_owned()),
                Just("flags".to_owned()),
                Just("load".to_owned()),
                Just("read".to_owned()),
                Just("write".to_owned()),
                text.clone(),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((name, inner), 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_definition_panics(first in class_like(), second in class_like(), fields in class_like()) {
            let mut defs = predefined();
            let whole = json!({ "class": "/db/A", "superClass": second, "fields": fields });
            defs.extend([first, second, whole].iter().filter_map(|json| ClassDef::from_json(json).ok()));
            if let Ok(schema) = Schema::build(defs, 2, None, &[]) {
                // What is accepted is also kept and read back.
                let back = Schema::from_json(&schema.to_json()).unwrap();
                prop_assert_eq!(back.to_json(), schema.to_json());
            }
        }

        #[test]
        fn no_value_panics(value in class_like()) {
            let fields: Map<String, Value> = super::super::types::BASIC
                .iter()
                .flat_map(|(name, _)| [
                    (format!("one{name}"), json!({ "type": format!("/db/{name}") })),
                    (format!("set{name}"), json!({ "type": format!("/db/collection.Set[/db/{name}]") })),
                ])
                .collect();
            let class = json!({ "class": "/db/A", "fields": fields });
            let mut defs = predefined();
            defs.push(ClassDef::from_json(&class).unwrap());
            let schema = Schema::build(defs, 1, None, &[]).unwrap();
            let class = schema.class("A").unwrap();
            for field in class.fields() {
                // A normal form is its own normal form.
                if let Ok(normal) = schema.check_field(class, field, field.name(), &value) {
                    prop_assert_eq!(schema.check_field(class, field, field.name(), &normal).unwrap(), normal);
                }
            }
        }
    }
}

#[test]
fn rules_of_fields_are_read_inherited_and_written_where_there_are_some() {
    let rules = json!({ "read": { "/db/Role/5": "allow" }, "write": { "*": "deny" } });
    let schema = with(json!([
        { "class": "/db/Person", "fields": {
            "name": { "type": "/db/String" },
            "rating": { "type": "/db/Integer", "acl": rules },
            "rank": { "type": "/db/Integer", "acl": { "write": { "/db/Role/5": "allow" } } },
            "open": { "type": "/db/Integer", "acl": {} }, "null": { "type": "/db/Integer", "acl": null },
            "empty": { "type": "/db/Integer", "acl": { "read": {}, "write": null } } } },
        { "class": "/db/Student", "superClass": "/db/Person" },
        { "class": "/db/Ranked", "fields": { "rank": { "type": "/db/Integer", "acl": { "write": { "*": "deny" } } } } },
        { "class": "/db/Plain", "fields": { "name": { "type": "/db/String" } } },
    ]))
    .unwrap();
    for class in ["Person", "Student"] {
        let class = schema.class(class).unwrap();
        assert_eq!(json!(class.field("rating").unwrap().acl()), rules);
        assert!(class.has_field_rules() && class.has_read_rules());
        for open in ["name", "open", "null", "empty"] {
            assert!(class.field(open).unwrap().acl().is_empty(), "{open}");
        }
    }
    let ranked = schema.class("Ranked").unwrap();
    assert!(ranked.has_field_rules() && !ranked.has_read_rules());
    assert!(!schema.class("Plain").unwrap().has_field_rules());
    let fields = &json!(schema.class("Person").unwrap().def())["fields"];
    assert_eq!(fields["rating"]["acl"], rules);
    for open in ["name", "open", "null", "empty"] {
        assert_eq!(fields[open].get("acl"), None, "{open}");
    }
    // What is stored is read back; what is not said differs from what is said to be none.
    let back = Schema::from_json(&schema.to_json()).unwrap();
    assert_eq!(back.defs(), schema.defs());
    let field = |json| FieldDef::from_json(&json, Some("a"), 0, "/db/A").unwrap().acl;
    assert_eq!(field(json!({ "type": "/db/String" })), None);
    assert_eq!(
        field(json!({ "type": "/db/String", "acl": null })),
        Some(FieldAcl::default())
    );
    // Rules do not change what is stored.
    let without = json!([{ "class": "/db/Ranked", "fields": { "rank": { "type": "/db/Integer" } } }]);
    let first = with(without).unwrap();
    let defs = schema.defs();
    let second = Schema::build(defs, 3, Some(&first), &[]).unwrap();
    let shapes = |schema: &Schema| {
        (
            schema.class("Ranked").unwrap().shape(),
            schema.class("Ranked").unwrap().floor(),
        )
    };
    assert_eq!(shapes(&second), shapes(&first));
    assert_eq!(
        second
            .definer(&ClassName::new("Student").unwrap(), "rating")
            .unwrap()
            .as_str(),
        "Person"
    );
    assert_eq!(second.definer(&ClassName::new("Student").unwrap(), "other"), None);
}

#[test]
fn rules_of_fields_are_refused_where_they_mean_nothing() {
    let acl = json!({ "read": { "*": "deny" } });
    let own = json!({ "read": { "self": "allow" } });
    for (class, text) in [
        (
            json!({ "class": "/db/A", "embedded": true, "fields": { "x": { "type": "/db/String", "acl": acl } } }),
            "A.x: fields of embedded classes have no rules",
        ),
        (
            json!({ "class": "/db/A", "fields": { "x": { "type": "/db/String", "acl": own } } }),
            "`self` is known in rules of User's own fields only",
        ),
        (
            json!({ "class": "/db/A", "fields": { "x": { "type": "/db/String", "acl": { "reed": {} } } } }),
            "acl of /db/A.x: a field has rules for `read` and `write`, not for `reed`",
        ),
        (
            json!({ "class": "/db/A", "fields": { "x": { "type": "/db/String", "acl": { "read": { "me": "allow" } } } } }),
            "neither a user id",
        ),
        (
            json!({ "class": "/db/A", "fields": { "x": { "type": "/db/String", "acl": { "read": { "*": "may" } } } } }),
            "must be \"allow\" or \"deny\"",
        ),
        (
            json!({ "class": "/db/A", "fields": { "x": { "type": "/db/String", "acl": [] } } }),
            "must be an object",
        ),
    ] {
        let result = ClassDef::from_json(&class).map_err(|e| e.to_string());
        let error = result
            .and_then(|_| with(json!([class])).map_err(|e| e.to_string()))
            .unwrap_err();
        assert!(error.contains(text), "{class}: {error}");
    }
    for (class, field, rules, text) in [
        ("/db/Object", "id", &acl, Some("metadata has no rules")),
        ("/db/Object", "createdAt", &acl, Some("metadata has no rules")),
        ("/db/User", "username", &own, None),
        ("/db/Role", "users", &acl, None),
    ] {
        let mut defs = predefined();
        let def = defs.iter_mut().find(|def| def.class == class).unwrap();
        def.fields[field].acl = Some(FieldAcl::from_json(rules, "x").unwrap());
        let error = Schema::build(defs, 2, None, &[]).map(drop).map_err(|e| e.to_string());
        assert_eq!(error.is_err(), text.is_some(), "{class}.{field}");
        assert!(error.err().unwrap_or_default().contains(text.unwrap_or_default()));
    }
}
