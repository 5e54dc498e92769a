//! Who may do what after a change of rules that could not before it: asked of the one kernel, for callers that stand for
//! everybody whom the rules tell apart.

use std::collections::BTreeSet;

use fb_types::schema::{ADMIN_ROLE, LOGGED_IN_ROLE, USER};
use fb_types::{
    Bucket, BucketName, Class, ClassName, ObjectId, PRINCIPAL_EVERYBODY, PRINCIPAL_SELF, Permission, RuleMap, Schema,
};

use crate::exposure::{FILE_OPERATIONS, permissions_of, unnamed_user};
use crate::{FieldRight, NoRandomness, Principal, Roles, authorize_class, authorize_file};

/// Who gains something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gainer {
    /// Everybody, without logging in.
    Anonymous,
    /// Every user that is logged in.
    LoggedIn,
    /// The user with this id, or the members of the role with this id.
    Named(String),
    /// Each user, on its own object.
    Itself,
}

/// What is gained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gained {
    /// A permission on a class.
    Class(ClassName, Permission),
    /// A right on a field that was there before, on objects that the class lets the gainer reach.
    Field(ClassName, String, FieldRight),
    /// A permission on the files of a bucket.
    Bucket(BucketName, Permission),
}

/// One gain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gain {
    /// What is gained.
    pub what: Gained,
    /// By whom; the widest first, without those that it includes.
    pub by: Vec<Gainer>,
}

impl Gain {
    /// True if callers who are not logged in gain something.
    pub fn is_public(&self) -> bool {
        self.by.contains(&Gainer::Anonymous)
    }
}

/// What is gained when the schema `before` becomes `after`, in the order of `after`. A class that was not there gave
/// nobody anything. Administrators gain nothing, because they have everything. Rules of single objects may take back some.
///
/// Cost: linear in the rules of both.
pub fn schema_gains(before: &Schema, after: &Schema) -> Result<Vec<Gain>, NoRandomness> {
    let mut found = Vec::new();
    for class in after.classes() {
        let old = before.class(class.name().as_str());
        let mut named = BTreeSet::new();
        for known in old.into_iter().chain([class]) {
            known.acl().iter().for_each(|(_, rules)| collect(&mut named, rules));
            for field in known.fields() {
                collect(&mut named, &field.acl().read);
                collect(&mut named, &field.acl().write);
            }
        }
        let callers = Callers::new(&named)?;
        for permission in permissions_of(class) {
            let may_now = |caller: &Caller| !caller.on_itself && allows(class, permission, caller);
            let may_before = |caller: &Caller| old.is_some_and(|old| allows(old, permission, caller));
            let by = callers.gaining(may_before, may_now);
            push(&mut found, Gained::Class(class.name().clone(), permission), by);
        }
        if let Some(old) = old {
            for name in class.def().fields.keys() {
                for right in [FieldRight::Read, FieldRight::Write] {
                    let by = field_gains(&callers, old, class, name, right);
                    push(&mut found, Gained::Field(class.name().clone(), name.clone(), right), by);
                }
            }
        }
    }
    Ok(found)
}

/// What is gained when the rules of a bucket change.
pub fn bucket_gains(before: &Bucket, after: &Bucket) -> Result<Vec<Gain>, NoRandomness> {
    let mut named = BTreeSet::new();
    for bucket in [before, after] {
        bucket.rules.iter().for_each(|(_, rules)| collect(&mut named, rules));
    }
    let callers = Callers::new(&named)?;
    let mut found = Vec::new();
    for (permission, operation) in FILE_OPERATIONS {
        let may = |bucket: &Bucket, caller: &Caller| authorize_file(&caller.principal, operation, bucket).is_ok();
        let by = callers.gaining(
            |caller| may(before, caller),
            |caller| !caller.on_itself && may(after, caller),
        );
        push(&mut found, Gained::Bucket(after.name.clone(), permission), by);
    }
    Ok(found)
}

fn push(found: &mut Vec<Gain>, what: Gained, by: Vec<Gainer>) {
    if !by.is_empty() {
        found.push(Gain { what, by });
    }
}

fn allows(class: &Class, permission: Permission, caller: &Caller) -> bool {
    authorize_class(&caller.principal, permission, class).is_ok()
}

fn field_gains(callers: &Callers, old: &Class, new: &Class, name: &str, right: FieldRight) -> Vec<Gainer> {
    let (Some(before), Some(after)) = (old.field(name), new.field(name)) else {
        return Vec::new();
    };
    if after.is_read_only() && right == FieldRight::Write {
        return Vec::new();
    }
    let rules = |acl: &fb_types::schema::FieldAcl| match right {
        FieldRight::Read => acl.read.clone(),
        FieldRight::Write => acl.write.clone(),
    };
    let (before, after) = (rules(before.acl()), rules(after.acl()));
    // A field can be reached with either of them.
    let ways = match right {
        FieldRight::Read => [Permission::Load, Permission::Query],
        FieldRight::Write => [Permission::Insert, Permission::Update],
    };
    let passes = |rules: &RuleMap, caller: &Caller| match caller.on_itself {
        true => new.name().as_str() == USER && caller.principal.passes_on_itself(rules),
        false => caller.principal.passes(Some(rules)),
    };
    let reaches = |caller: &Caller| ways.iter().any(|way| allows(new, *way, caller));
    callers.gaining(
        |caller| passes(&before, caller),
        |caller| passes(&after, caller) && reaches(caller),
    )
}

/// Those whom rules tell apart, administrators excepted: they pass every rule.
fn collect(named: &mut BTreeSet<String>, rules: &RuleMap) {
    let of_groups = [PRINCIPAL_EVERYBODY, PRINCIPAL_SELF, ADMIN_ROLE, LOGGED_IN_ROLE];
    let single = rules.iter().filter(|(principal, _)| !of_groups.contains(principal));
    named.extend(single.map(|(principal, _)| principal.to_owned()));
}

struct Caller {
    gainer: Gainer,
    principal: Principal,
    on_itself: bool,
}

struct Callers(Vec<Caller>);

impl Callers {
    fn new(named: &BTreeSet<String>) -> Result<Self, NoRandomness> {
        let unnamed = unnamed_user()?;
        let caller = |gainer, principal| Caller {
            gainer,
            principal,
            on_itself: false,
        };
        let user = |id: &ObjectId, roles| Principal::user(id.clone(), Roles::new(roles));
        let mut all = vec![
            caller(Gainer::Anonymous, Principal::anonymous()),
            caller(Gainer::LoggedIn, user(&unnamed, Vec::new())),
        ];
        for name in named {
            // Rules name users and roles only; their form was checked when they were read.
            let Ok(id) = name.parse::<ObjectId>() else { continue };
            let principal = match id.class().as_str() == USER {
                true => user(&id, Vec::new()),
                false => user(&unnamed, vec![name.clone()]),
            };
            all.push(caller(Gainer::Named(name.clone()), principal));
        }
        all.push(Caller {
            on_itself: true,
            ..caller(Gainer::Itself, user(&unnamed, Vec::new()))
        });
        Ok(Self(all))
    }

    /// Those who may now and could not before, without those who are included in others.
    fn gaining(&self, before: impl Fn(&Caller) -> bool, now: impl Fn(&Caller) -> bool) -> Vec<Gainer> {
        let mut by = Vec::new();
        for caller in self.0.iter().filter(|caller| now(caller) && !before(caller)) {
            let is_included = match caller.gainer {
                Gainer::Anonymous => false,
                Gainer::LoggedIn => by.contains(&Gainer::Anonymous),
                Gainer::Named(_) | Gainer::Itself => by.contains(&Gainer::Anonymous) || by.contains(&Gainer::LoggedIn),
            };
            if !is_included {
                by.push(caller.gainer.clone());
            }
        }
        by
    }
}

#[cfg(test)]
mod tests {
    use fb_types::schema::predefined;
    use fb_types::{ClassAcl, ClassDef};
    use serde_json::{Value, json};

    use super::*;

    fn schema(classes: &[Value]) -> Schema {
        let mut defs = predefined();
        for class in classes {
            let def = ClassDef::from_json(class).unwrap();
            defs.retain(|known| known.class != def.class);
            defs.push(def);
        }
        Schema::build(defs, 1, None, &[]).unwrap()
    }

    fn todo(acl: &Value, field: &Value) -> Value {
        json!({ "class": "/db/Todo", "acl": acl, "fields": { "note": { "type": "/db/String", "acl": field } } })
    }

    /// One line per gain.
    fn lines(gains: &[Gain]) -> Vec<String> {
        let line = |gain: &Gain| {
            let what = match &gain.what {
                Gained::Class(class, permission) => format!("{class} {}", permission.as_str()),
                Gained::Field(class, field, right) => format!("{class}.{field} {right}"),
                Gained::Bucket(bucket, permission) => format!("{bucket} {}", permission.as_str()),
            };
            let by: Vec<String> = gain.by.iter().map(|by| format!("{by:?}")).collect();
            format!("{what}: {}", by.join(", "))
        };
        gains.iter().map(line).collect()
    }

    const CLOSED: &str = r#"{ "load": {"/db/Role/1":"allow"}, "insert": {"/db/Role/1":"allow"}, "update": {"/db/Role/1":"allow"},
        "delete": {"/db/Role/1":"allow"}, "query": {"/db/Role/1":"allow"}, "schemaAdd": {"/db/Role/1":"allow"},
        "schemaReplace": {"/db/Role/1":"allow"}, "schemaSubclass": {"/db/Role/1":"allow"} }"#;

    fn acl(changes: &Value) -> Value {
        let mut acl: Value = serde_json::from_str(CLOSED).unwrap();
        for (name, rules) in changes.as_object().unwrap() {
            acl[name] = rules.clone();
        }
        acl
    }

    #[test]
    fn s57_whoever_could_not_and_now_may_is_named_with_the_widest_group() {
        let cases = [
            (json!({}), json!({}), vec![]),
            (
                json!({}),
                json!({ "load": { "*": "allow" } }),
                vec!["Todo load: Anonymous"],
            ),
            (json!({}), json!({ "load": {} }), vec!["Todo load: Anonymous"]),
            (
                json!({}),
                json!({ "load": { "/db/User/7": "deny" } }),
                vec!["Todo load: Anonymous"],
            ),
            (
                json!({}),
                json!({ "load": { "/db/Role/3": "allow" } }),
                vec!["Todo load: LoggedIn"],
            ),
            (
                json!({ "load": { "/db/Role/3": "allow" } }),
                json!({ "load": { "*": "allow" } }),
                vec!["Todo load: Anonymous"],
            ),
            (
                json!({}),
                json!({ "load": { "/db/Role/9": "allow", "/db/User/7": "allow" } }),
                vec![r#"Todo load: Named("/db/Role/9"), Named("/db/User/7")"#],
            ),
            // A deny that goes is a gain as well.
            (
                json!({ "load": { "*": "allow", "/db/Role/9": "deny" } }),
                json!({ "load": { "*": "allow" } }),
                vec![r#"Todo load: Named("/db/Role/9")"#],
            ),
            (json!({ "load": { "*": "allow" } }), json!({}), vec![]),
            (json!({ "load": {} }), json!({ "load": { "*": "allow" } }), vec![]),
        ];
        for (before, after, expected) in cases {
            let build = |changes: &Value| schema(&[todo(&acl(changes), &Value::Null)]);
            let found = schema_gains(&build(&before), &build(&after)).unwrap();
            assert_eq!(lines(&found), expected, "{before} → {after}");
        }
    }

    #[test]
    fn s57_a_class_that_was_not_there_gives_what_its_rules_give() {
        let after = schema(&[todo(&acl(&json!({ "query": {} })), &Value::Null)]);
        let found = schema_gains(&schema(&[]), &after).unwrap();
        assert_eq!(lines(&found), ["Todo query: Anonymous"]);
        assert!(found[0].is_public());
        assert!(schema_gains(&after, &schema(&[])).unwrap().is_empty());
    }

    #[test]
    fn s57_rules_of_fields_that_go_are_gains_for_those_whom_the_class_lets_in() {
        let rules = json!({ "read": { "/db/Role/9": "allow" }, "write": { "/db/Role/9": "allow" } });
        for (class, expected) in [
            (json!({}), vec![]),
            (json!({ "query": {} }), vec!["Todo.note read: Anonymous"]),
            (
                json!({ "load": { "/db/Role/3": "allow" }, "update": { "*": "allow" } }),
                vec!["Todo.note read: LoggedIn", "Todo.note write: Anonymous"],
            ),
        ] {
            let before = schema(&[todo(&acl(&class), &rules)]);
            let after = schema(&[todo(&acl(&class), &Value::Null)]);
            assert_eq!(lines(&schema_gains(&before, &after).unwrap()), expected, "{class}");
            assert!(schema_gains(&after, &before).unwrap().is_empty());
        }
    }

    #[test]
    fn s57_users_may_gain_something_on_their_own_object() {
        let user = |read: &Value| {
            let mut class = json!({ "class": "/db/User", "acl": acl(&json!({ "load": { "/db/Role/3": "allow" } })) });
            class["fields"] = json!({ "email": { "type": "/db/String", "acl": { "read": read } } });
            schema(&[class])
        };
        let closed = user(&json!({ "/db/Role/1": "allow" }));
        let own = user(&json!({ "self": "allow" }));
        let all = user(&json!({ "/db/Role/3": "allow" }));
        assert_eq!(
            lines(&schema_gains(&closed, &own).unwrap()),
            ["User.email read: Itself"]
        );
        assert_eq!(lines(&schema_gains(&own, &all).unwrap()), ["User.email read: LoggedIn"]);
    }

    #[test]
    fn s57_buckets_are_looked_at_like_classes() {
        let before = Bucket::unconfigured(BucketName::new("pictures").unwrap());
        let rules = json!({ "load": { "*": "allow" }, "insert": { "/db/Role/3": "allow" }, "update": { "/db/Role/1": "allow" },
            "delete": { "*": "deny" }, "query": { "/db/User/7": "allow" } });
        let after = Bucket {
            rules: ClassAcl::from_json(&rules, "pictures").unwrap(),
            ..before.clone()
        };
        assert_eq!(
            lines(&bucket_gains(&before, &after).unwrap()),
            [
                "pictures load: Anonymous",
                "pictures insert: LoggedIn",
                r#"pictures query: Named("/db/User/7")"#
            ]
        );
        assert!(bucket_gains(&after, &before).unwrap().is_empty());
    }
}
