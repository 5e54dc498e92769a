//! Who is asking.

use std::sync::Arc;

use fb_types::schema::{ADMIN_ROLE, LOGGED_IN_ROLE, NODE_ROLE};
use fb_types::{ObjectId, PRINCIPAL_EVERYBODY, PRINCIPAL_SELF, Rule, RuleMap};

/// Ids of the roles a user is a member of, resolved once per request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles(Vec<String>);

impl Roles {
    /// The roles with these ids (`/db/Role/7`).
    pub fn new(ids: Vec<String>) -> Self {
        Self(ids)
    }
}

/// The caller of one request within one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    user: Option<ObjectId>,
    /// The user's own id and all role ids; what rules are looked up by.
    ids: Vec<String>,
    /// Other ids that only rules which deny are looked up by: what a limited caller is besides what it may use.
    denied_as: Vec<String>,
    is_admin: bool,
    /// It is the app's own code, on behalf of the caller.
    is_code: bool,
}

impl Principal {
    /// A caller without a valid token.
    pub fn anonymous() -> Self {
        static ANONYMOUS: std::sync::LazyLock<Principal> = std::sync::LazyLock::new(|| {
            Principal(Arc::new(Inner {
                user: None,
                ids: Vec::new(),
                denied_as: Vec::new(),
                is_admin: false,
                is_code: false,
            }))
        });
        ANONYMOUS.clone()
    }

    /// A logged-in user with the roles it is a member of.
    pub fn user(id: ObjectId, roles: Roles) -> Self {
        let mut ids = vec![id.to_string(), LOGGED_IN_ROLE.to_owned()];
        ids.extend(roles.0);
        let is_admin = ids.iter().any(|id| id == ADMIN_ROLE);
        Self(Arc::new(Inner {
            user: Some(id),
            ids,
            denied_as: Vec::new(),
            is_admin,
            is_code: false,
        }))
    }

    /// This user with the rights of one of its roles and those of everybody who is logged in, and no others. What is
    /// denied to the user stays denied. `None` if it is not in the role; administrators may try any.
    pub fn limited_to(&self, role: &ObjectId) -> Option<Self> {
        let role = role.to_string();
        (self.0.is_admin || self.0.ids.contains(&role)).then(|| {
            Self(Arc::new(Inner {
                user: self.0.user.clone(),
                is_admin: role == ADMIN_ROLE,
                ids: vec![LOGGED_IN_ROLE.to_owned(), role],
                denied_as: self.0.ids.clone(),
                is_code: self.0.is_code,
            }))
        })
    }

    /// The app's own code on behalf of this caller: its rights, and those of the role `node`.
    pub fn as_code(&self) -> Self {
        let mut ids = self.0.ids.clone();
        if !ids.iter().any(|id| id == NODE_ROLE) {
            ids.push(NODE_ROLE.to_owned());
        }
        Self(Arc::new(Inner {
            user: self.0.user.clone(),
            ids,
            denied_as: self.0.denied_as.clone(),
            is_admin: self.0.is_admin,
            is_code: true,
        }))
    }

    /// True for the app's own code: what it writes does not call code again.
    pub fn is_code(&self) -> bool {
        self.0.is_code
    }

    /// The user's id; `None` for anonymous callers.
    pub fn user_id(&self) -> Option<&ObjectId> {
        self.0.user.as_ref()
    }

    /// True for members of the admin role, who may do everything.
    pub fn is_admin(&self) -> bool {
        self.0.is_admin
    }

    /// The ids that rules which allow are looked up by: the user's own and those of all its roles.
    pub fn ids(&self) -> &[String] {
        &self.0.ids
    }

    /// Evaluates one rule map: admins pass; a deny refuses; without any allow everybody passes; else an allow is needed.
    /// Source: protocol 04, section 9.2.
    pub fn passes(&self, rules: Option<&RuleMap>) -> bool {
        if self.0.is_admin {
            return true;
        }
        let Some(rules) = rules.filter(|rules| !rules.is_empty()) else {
            return true;
        };
        Self::evaluate(rules, |rule| self.is_named(rules, rule))
    }

    fn is_named(&self, rules: &RuleMap, rule: Rule) -> bool {
        let names = |ids: &[String]| ids.iter().any(|id| rules.get(id) == Some(rule));
        names(&self.0.ids) || rule == Rule::Deny && names(&self.0.denied_as)
    }

    /// The same for rules of a field of the caller's own user object, where `self` is the caller.
    pub(crate) fn passes_on_itself(&self, rules: &RuleMap) -> bool {
        if self.0.is_admin || rules.is_empty() {
            return true;
        }
        // A limited caller has not what is its user's own.
        let counts = |rule| rule == Rule::Deny || self.0.denied_as.is_empty();
        let is_self = |rule| rules.get(PRINCIPAL_SELF) == Some(rule) && counts(rule);
        Self::evaluate(rules, |rule| is_self(rule) || self.is_named(rules, rule))
    }

    /// `own` says whether a rule of this kind names the caller.
    fn evaluate(rules: &RuleMap, own: impl Fn(Rule) -> bool) -> bool {
        if rules.get(PRINCIPAL_EVERYBODY) == Some(Rule::Deny) || own(Rule::Deny) {
            return false;
        }
        let nobody_is_named = !rules.iter().any(|(_, rule)| rule == Rule::Allow);
        nobody_is_named || rules.get(PRINCIPAL_EVERYBODY) == Some(Rule::Allow) || own(Rule::Allow)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(roles: &[&str]) -> Principal {
        let roles = Roles::new(roles.iter().map(|r| (*r).to_owned()).collect());
        Principal::user("/db/User/7".parse().unwrap(), roles)
    }

    fn rules(entries: &[(&str, Rule)]) -> RuleMap {
        let mut map = RuleMap::default();
        for (principal, rule) in entries {
            map.insert(*principal, *rule);
        }
        map
    }

    #[test]
    fn rule_maps_decide_as_documented() {
        use Rule::{Allow, Deny};
        /// Rules; whether anonymous callers, user 7 in role 9, and admins pass.
        type Case<'a> = (&'a [(&'a str, Rule)], bool, bool, bool);
        let cases: &[Case<'_>] = &[
            (&[], true, true, true),
            (&[("/db/User/7", Allow)], false, true, true),
            (&[("/db/User/8", Allow)], false, false, true),
            (&[("/db/Role/9", Allow)], false, true, true),
            (&[("/db/Role/9", Allow), ("/db/User/7", Deny)], false, false, true),
            (&[("/db/User/8", Deny)], true, true, true),
            (&[("/db/User/7", Deny)], true, false, true),
            (&[("*", Deny)], false, false, true),
            (&[("*", Deny), ("/db/User/7", Allow)], false, false, true),
            (&[("*", Allow)], true, true, true),
            (&[("*", Allow), ("/db/Role/9", Deny)], true, false, true),
            (&[("/db/Role/3", Allow)], false, true, true),
        ];
        for (entries, anonymous, member, admin) in cases {
            let map = rules(entries);
            assert_eq!(
                Principal::anonymous().passes(Some(&map)),
                *anonymous,
                "anonymous, {entries:?}"
            );
            assert_eq!(user(&["/db/Role/9"]).passes(Some(&map)), *member, "member, {entries:?}");
            assert_eq!(user(&["/db/Role/1"]).passes(Some(&map)), *admin, "admin, {entries:?}");
        }
    }

    #[test]
    fn s28_a_limited_caller_has_the_rights_of_one_role_and_all_that_is_denied_to_the_user() {
        use Rule::{Allow, Deny};
        let full = user(&["/db/Role/8", "/db/Role/9"]);
        let limited = full.limited_to(&"/db/Role/8".parse().unwrap()).unwrap();
        let cases: &[(&[(&str, Rule)], bool)] = &[
            (&[], true),
            (&[("/db/Role/8", Allow)], true),
            (&[("/db/Role/3", Allow)], true),
            (&[("/db/Role/9", Allow)], false),
            (&[("/db/User/7", Allow)], false),
            (&[("/db/Role/8", Allow), ("/db/Role/9", Deny)], false),
            (&[("/db/Role/8", Allow), ("/db/User/7", Deny)], false),
            (&[("*", Allow), ("/db/Role/9", Deny)], false),
        ];
        for (entries, passes) in cases {
            assert_eq!(limited.passes(Some(&rules(entries))), *passes, "{entries:?}");
        }
        assert!(!limited.passes_on_itself(&rules(&[(PRINCIPAL_SELF, Allow)])));
        assert!(full.passes_on_itself(&rules(&[(PRINCIPAL_SELF, Allow)])));
        assert_eq!(full.limited_to(&"/db/Role/5".parse().unwrap()), None);
        let admin = user(&["/db/Role/1"]);
        assert!(!admin.limited_to(&"/db/Role/5".parse().unwrap()).unwrap().is_admin());
        assert!(admin.limited_to(&ADMIN_ROLE.parse().unwrap()).unwrap().is_admin());
    }

    proptest! {
        #[test]
        fn s05_deny_beats_allow(entries in prop::collection::vec((0..6_usize, any::<bool>()), 0..6), roles in prop::collection::vec(2..6_usize, 0..3)) {
            let names = ["*", "/db/User/7", "/db/Role/2", "/db/Role/4", "/db/Role/5", "/db/Role/6"];
            let mut map = RuleMap::default();
            for (i, allow) in &entries {
                map.insert(names[*i], if *allow { Rule::Allow } else { Rule::Deny });
            }
            let roles: Vec<&str> = roles.iter().map(|i| names[*i]).collect();
            let principal = user(&roles);
            let denied = map.get("*") == Some(Rule::Deny)
                || principal.ids().iter().any(|id| map.get(id) == Some(Rule::Deny));
            prop_assert!(!(denied && principal.passes(Some(&map))));
        }
    }
}
