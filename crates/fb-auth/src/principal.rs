//! Who is asking.

use std::sync::Arc;

use fb_types::schema::{ADMIN_ROLE, LOGGED_IN_ROLE};
use fb_types::{ObjectId, PRINCIPAL_EVERYBODY, Rule, RuleMap};

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
    is_admin: bool,
}

impl Principal {
    /// A caller without a valid token.
    pub fn anonymous() -> Self {
        static ANONYMOUS: std::sync::LazyLock<Principal> = std::sync::LazyLock::new(|| {
            Principal(Arc::new(Inner {
                user: None,
                ids: Vec::new(),
                is_admin: false,
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
            is_admin,
        }))
    }

    /// The user's id; `None` for anonymous callers.
    pub fn user_id(&self) -> Option<&ObjectId> {
        self.0.user.as_ref()
    }

    /// True for members of the admin role, who may do everything.
    pub fn is_admin(&self) -> bool {
        self.0.is_admin
    }

    /// The user's own id and the ids of all its roles.
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
        let own = |rule: Rule| self.0.ids.iter().any(|id| rules.get(id) == Some(rule));
        if rules.get(PRINCIPAL_EVERYBODY) == Some(Rule::Deny) || own(Rule::Deny) {
            return false;
        }
        let nobody_is_named = !rules.iter().any(|(_, rule)| rule == Rule::Allow);
        nobody_is_named || rules.get(PRINCIPAL_EVERYBODY) == Some(Rule::Allow) || own(Rule::Allow)
    }
}
