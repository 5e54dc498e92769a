//! What decides who may load one object or file, apart from its class and its bucket: for places that have copies and no schema.

use fb_types::{Acl, Bucket, Class, ObjectId, Permission, RuleMap};
use serde::{Deserialize, Serialize};

use crate::principal::{Principal, Roles};

/// The rules that an object or a file is loaded by: those of its class or bucket, and its own.
///
/// Rules of single fields are not among them. Whoever keeps copies of a class that has some cannot decide with these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadRules {
    load: RuleMap,
    read: RuleMap,
}

impl LoadRules {
    /// Those of an object of `class` with rules of its own; `None` is public.
    pub fn of_object(class: &Class, acl: Option<&Acl>) -> Self {
        Self::new(class.acl().rules(Permission::Load), acl)
    }

    /// Those of a file in `bucket`.
    pub fn of_file(bucket: &Bucket, acl: Option<&Acl>) -> Self {
        Self::new(bucket.rules.rules(Permission::Load), acl)
    }

    fn new(load: Option<&RuleMap>, acl: Option<&Acl>) -> Self {
        Self {
            load: load.cloned().unwrap_or_default(),
            read: acl.map(|acl| acl.read.clone()).unwrap_or_default(),
        }
    }

    /// Decides, as [`authorize`](crate::authorize) and the scope of its grant do.
    pub fn permit(&self, principal: &Principal) -> bool {
        principal.passes(Some(&self.load)) && principal.passes(Some(&self.read))
    }
}

/// A caller as one place of the system describes it to another one that trusts it. It proves nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalNote {
    user: String,
    roles: Vec<String>,
    /// It has the rights of this role only.
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<String>,
}

impl PrincipalNote {
    /// A user with its roles; with `limited_to` it has the rights of that one only.
    pub fn new(user: &ObjectId, roles: &Principal, limited_to: Option<&ObjectId>) -> Self {
        let own = user.to_string();
        let roles = roles.ids().iter().filter(|id| **id != own).cloned().collect();
        Self {
            user: own,
            roles,
            limited_to: limited_to.map(ToString::to_string),
        }
    }

    /// The caller. `None` if the note is not of this form.
    pub fn principal(&self) -> Option<Principal> {
        let user = self.user.parse().ok()?;
        let known = fb_types::schema::LOGGED_IN_ROLE;
        let roles = self.roles.iter().filter(|id| *id != known).cloned().collect();
        let full = Principal::user(user, Roles::new(roles));
        match &self.limited_to {
            Some(role) => full.limited_to(&role.parse().ok()?),
            None => Some(full),
        }
    }
}

#[cfg(test)]
mod tests {
    use fb_types::schema::predefined;
    use fb_types::{ClassDef, Rule, Schema};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{Operation, authorize};

    const NAMES: [&str; 5] = ["*", "/db/User/7", "/db/Role/2", "/db/Role/4", "/db/Role/5"];

    fn map(entries: &[(usize, bool)]) -> RuleMap {
        let mut map = RuleMap::default();
        for (name, allow) in entries {
            map.insert(NAMES[*name], if *allow { Rule::Allow } else { Rule::Deny });
        }
        map
    }

    proptest! {
        #[test]
        fn s05_copies_are_decided_about_as_objects_are(
            load in prop::collection::vec((0..5_usize, any::<bool>()), 0..4),
            read in prop::collection::vec((0..5_usize, any::<bool>()), 0..4),
            roles in prop::collection::vec(1..6_usize, 0..3),
            limited in any::<bool>(),
        ) {
            let mut defs = predefined();
            let load = serde_json::to_value(map(&load)).unwrap();
            defs.push(ClassDef::from_json(&json!({ "class": "/db/Doc", "acl": { "load": load }, "fields": {} })).unwrap());
            let schema = Schema::build(defs, 1, None, &[]).unwrap();
            let class = schema.class("Doc").unwrap();
            let acl = Acl { read: map(&read), ..Acl::default() };
            let rules = LoadRules::of_object(class, Some(&acl));
            let user: ObjectId = "/db/User/7".parse().unwrap();
            let ids: Vec<String> = roles.iter().filter(|n| **n != 3).map(|n| format!("/db/Role/{n}")).collect();
            let full = Principal::user(user.clone(), Roles::new(ids.clone()));
            let role: Option<ObjectId> = ids.first().filter(|_| limited).map(|id| id.parse().unwrap());
            let caller = match &role {
                Some(role) => full.limited_to(role).unwrap(),
                None => full.clone(),
            };
            let note = PrincipalNote::new(&user, &full, role.as_ref());
            let note: PrincipalNote = serde_json::from_str(&serde_json::to_string(&note).unwrap()).unwrap();
            for caller in [Principal::anonymous(), caller.clone()] {
                let expected = authorize(&caller, Operation::Load, class).is_ok_and(|grant| grant.scope().may_read(Some(&acl)));
                prop_assert_eq!(rules.permit(&caller), expected);
            }
            prop_assert_eq!(note.principal().unwrap(), caller);
        }
    }
}
