//! What a caller may do with single fields of a class.

use std::sync::Arc;

use fb_types::{Class, ClassName, ObjectKey, RuleMap};

use crate::kernel::{Denied, FieldRight};
use crate::principal::Principal;

/// Rights on the single fields of one class, beside those on the class and on its objects.
///
/// There is no public constructor: only the kernel makes one. Where no field has rules, and for administrators, it is
/// empty and costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRights(Option<Arc<Limits>>);

#[derive(Debug, PartialEq, Eq)]
struct Limits {
    class: ClassName,
    /// The key of the caller's own user object, if the class is the users'.
    own: Option<ObjectKey>,
    /// The fields that the caller may not read and write everywhere.
    fields: Vec<Limit>,
}

#[derive(Debug, PartialEq, Eq)]
struct Limit {
    field: String,
    read: Reach,
    write: Reach,
}

/// On which objects a right holds. Both are the same unless a rule names `self`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reach {
    own: bool,
    others: bool,
}

impl Reach {
    const EVERYWHERE: Self = Self {
        own: true,
        others: true,
    };

    fn of(principal: &Principal, rules: &RuleMap) -> Self {
        Self {
            own: principal.passes_on_itself(rules),
            others: principal.passes(Some(rules)),
        }
    }

    fn holds(self, on: Objects<'_>, limits: &Limits) -> bool {
        let is_own = match on {
            Objects::All => return self.others && (self.own || limits.own.is_none()),
            Objects::One(key) => limits.own.as_ref() == Some(key),
            Objects::Own => true,
        };
        if is_own { self.own } else { self.others }
    }
}

/// The objects on which a right is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Objects<'a> {
    /// Each one of the class.
    All,
    /// The one with this key.
    One(&'a ObjectKey),
    /// The caller's own user object, also one that is being created.
    Own,
}

impl FieldRights {
    /// Rights on all fields.
    pub(crate) const ALL: Self = Self(None);

    pub(crate) fn new(principal: &Principal, class: &Class) -> Self {
        if !class.has_field_rules() || principal.is_admin() {
            return Self::ALL;
        }
        let mut fields = Vec::new();
        for field in class.fields().iter().filter(|field| !field.acl().is_empty()) {
            let acl = field.acl();
            let limit = Limit {
                field: field.name().to_owned(),
                read: Reach::of(principal, &acl.read),
                // What clients send for a field that only the server writes is ignored anyway.
                write: if field.is_read_only() {
                    Reach::EVERYWHERE
                } else {
                    Reach::of(principal, &acl.write)
                },
            };
            if limit.read != Reach::EVERYWHERE || limit.write != Reach::EVERYWHERE {
                fields.push(limit);
            }
        }
        if fields.is_empty() {
            return Self::ALL;
        }
        let own = principal.user_id().filter(|id| id.class() == class.name());
        Self(Some(Arc::new(Limits {
            class: class.name().clone(),
            own: own.map(|id| id.key().clone()),
            fields,
        })))
    }

    fn limits(&self) -> impl Iterator<Item = (&Limits, &Limit)> {
        let limits = self.0.as_deref();
        limits
            .into_iter()
            .flat_map(|l| l.fields.iter().map(move |limit| (l, limit)))
    }

    fn holds(&self, right: FieldRight, field: &str, on: Objects<'_>) -> bool {
        match self.limits().find(|(_, limit)| limit.field == field) {
            Some((limits, limit)) => limit.reach(right).holds(on, limits),
            None => true,
        }
    }

    fn check(&self, right: FieldRight, field: &str, on: Objects<'_>) -> Result<(), Denied> {
        match &self.0 {
            Some(limits) if !self.holds(right, field, on) => Err(Denied::Field {
                class: limits.class.clone(),
                field: field.to_owned(),
                right,
            }),
            _ => Ok(()),
        }
    }

    /// True if no field is limited in any way.
    pub fn are_complete(&self) -> bool {
        self.0.is_none()
    }

    /// True if all fields may be read on all objects.
    pub fn read_everything(&self) -> bool {
        self.limits().all(|(_, limit)| limit.read == Reach::EVERYWHERE)
    }

    /// True if the field may be read.
    pub fn may_read(&self, field: &str, on: Objects<'_>) -> bool {
        self.holds(FieldRight::Read, field, on)
    }

    /// True if the field may be changed.
    pub fn may_write(&self, field: &str, on: Objects<'_>) -> bool {
        self.holds(FieldRight::Write, field, on)
    }

    /// Decides about seeing a field's value, or anything that depends on it.
    pub fn authorize_read(&self, field: &str, on: Objects<'_>) -> Result<(), Denied> {
        self.check(FieldRight::Read, field, on)
    }

    /// Decides about changing a field's value.
    pub fn authorize_write(&self, field: &str, on: Objects<'_>) -> Result<(), Denied> {
        self.check(FieldRight::Write, field, on)
    }

    /// Decides about a new object; `has_value` says which fields it brings values for.
    pub fn authorize_new(&self, on: Objects<'_>, has_value: impl Fn(&str) -> bool) -> Result<(), Denied> {
        let mut given = self.limits().map(|(_, limit)| &limit.field).filter(|f| has_value(f));
        given.try_for_each(|field| self.authorize_write(field, on))
    }
}

impl Limit {
    fn reach(&self, right: FieldRight) -> Reach {
        match right {
            FieldRight::Read => self.read,
            FieldRight::Write => self.write,
        }
    }
}

#[cfg(test)]
mod tests {
    use fb_types::schema::predefined;
    use fb_types::{ClassDef, ObjectId, Schema};
    use serde_json::{Value, json};

    use super::*;
    use crate::Roles;

    fn schema(rules: &Value) -> Schema {
        let mut defs = predefined();
        let user = defs.iter_mut().find(|def| def.class == "/db/User").unwrap();
        let field = json!({ "class": "/db/User", "fields": { "email": { "type": "/db/String", "acl": rules } } });
        let field = ClassDef::from_json(&field).unwrap().fields["email"].clone();
        user.fields.insert("email".to_owned(), field);
        Schema::build(defs, 1, None, &[]).unwrap()
    }

    fn user(key: &str, roles: &[&str]) -> Principal {
        let id: ObjectId = format!("/db/User/{key}").parse().unwrap();
        Principal::user(id, Roles::new(roles.iter().map(|r| (*r).to_owned()).collect()))
    }

    #[test]
    fn rules_decide_on_all_objects_on_the_own_one_and_on_others() {
        let seven = ObjectKey::from_raw("7").unwrap();
        let eight = ObjectKey::from_raw("8").unwrap();
        // Rules; then for user 7 in role 9, for user 8, and for strangers: all users, user 7, user 8, a new own one.
        let cases: [(Value, [&str; 3]); 9] = [
            (json!({}), ["+++ +", "+++ +", "+++ +"]),
            (json!({ "self": "allow" }), ["-+- +", "--+ +", "--- +"]),
            (json!({ "self": "deny" }), ["--+ -", "-+- -", "+++ -"]),
            (json!({ "/db/Role/9": "allow" }), ["+++ +", "--- -", "--- -"]),
            (
                json!({ "/db/Role/9": "allow", "self": "allow" }),
                ["+++ +", "--+ +", "--- +"],
            ),
            (
                json!({ "/db/Role/9": "allow", "self": "deny" }),
                ["--+ -", "--- -", "--- -"],
            ),
            (json!({ "self": "allow", "*": "deny" }), ["--- -", "--- -", "--- -"]),
            (
                json!({ "self": "allow", "/db/User/7": "deny" }),
                ["--- -", "--+ +", "--- +"],
            ),
            (json!({ "*": "allow", "self": "allow" }), ["+++ +", "+++ +", "+++ +"]),
        ];
        for (rules, expected) in cases {
            for right in [FieldRight::Read, FieldRight::Write] {
                let acl = match right {
                    FieldRight::Read => json!({ "read": rules }),
                    FieldRight::Write => json!({ "write": rules }),
                };
                let schema = schema(&acl);
                let class = schema.class("User").unwrap();
                let callers = [user("7", &["/db/Role/9"]), user("8", &[]), Principal::anonymous()];
                for (caller, expected) in callers.iter().zip(expected) {
                    let rights = FieldRights::new(caller, class);
                    let sign = |on| if rights.holds(right, "email", on) { '+' } else { '-' };
                    let found = format!(
                        "{}{}{} {}",
                        sign(Objects::All),
                        sign(Objects::One(&seven)),
                        sign(Objects::One(&eight)),
                        sign(Objects::Own)
                    );
                    assert_eq!(found, expected, "{acl}, {:?}", caller.user_id());
                    assert!(rights.holds(right, "username", Objects::All));
                    let other = match right {
                        FieldRight::Read => FieldRight::Write,
                        FieldRight::Write => FieldRight::Read,
                    };
                    assert!(rights.holds(other, "email", Objects::All));
                }
                let admin = user("9", &["/db/Role/1"]);
                assert!(FieldRights::new(&admin, class).are_complete());
            }
        }
    }

    #[test]
    fn a_new_object_may_bring_no_value_for_a_field_the_caller_may_not_write() {
        let schema = schema(&json!({ "write": { "/db/Role/9": "allow", "self": "allow" } }));
        let class = schema.class("User").unwrap();
        let rights = FieldRights::new(&user("8", &[]), class);
        rights.authorize_new(Objects::All, |name| name == "username").unwrap();
        rights.authorize_new(Objects::Own, |_| true).unwrap();
        let refused = rights.authorize_new(Objects::All, |_| true).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "write permission is required on the field User.email"
        );
        assert!(rights.read_everything() && !rights.are_complete());
        let member = FieldRights::new(&user("7", &["/db/Role/9"]), class);
        assert!(member.are_complete());
    }

    #[test]
    fn fields_that_only_the_server_writes_are_not_refused() {
        let mut defs = predefined();
        let class = defs.iter_mut().find(|def| def.class == "/db/User").unwrap();
        let nobody = json!({ "read": { "*": "deny" }, "write": { "*": "deny" } });
        let acl = fb_types::schema::FieldAcl::from_json(&nobody, "User.username").unwrap();
        class.fields["username"].acl = Some(acl);
        let schema = Schema::build(defs, 1, None, &[]).unwrap();
        let rights = FieldRights::new(&user("8", &[]), schema.class("User").unwrap());
        rights.authorize_new(Objects::Own, |_| true).unwrap();
        rights.authorize_read("username", Objects::Own).unwrap_err();
    }
}
