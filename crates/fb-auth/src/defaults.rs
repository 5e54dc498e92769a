//! What rules mean that say nothing: the defaults that definitions of classes and buckets are completed with.

use fb_types::schema::{ADMIN_ROLE, LOGGED_IN_ROLE};
use fb_types::{ClassAcl, ClassDef, PRINCIPAL_EVERYBODY, Permission, Rule, RuleMap};

/// In the secure profile nobody is allowed by silence: a data permission without rules, or with rules that only deny, is
/// given to logged-in users. Anonymous callers need an explicit `"*": "allow"`.
pub fn close(def: &mut ClassDef) {
    if def.embedded {
        return;
    }
    close_data(&mut def.acl);
}

/// The same for rules by themselves: those of a class, or of a bucket of files.
pub fn close_data(acl: &mut ClassAcl) {
    for permission in Permission::DATA {
        if is_open(acl, permission) {
            let mut rules = acl.rules(permission).cloned().unwrap_or_default();
            // Where logged-in users are denied nobody is left but administrators.
            let denied = rules.get(LOGGED_IN_ROLE).is_some();
            rules.insert(if denied { ADMIN_ROLE } else { LOGGED_IN_ROLE }, Rule::Allow);
            acl.set(permission, rules);
        }
    }
}

/// True if whoever is not denied may: no rule allows, and none denies everybody.
fn is_open(acl: &ClassAcl, permission: Permission) -> bool {
    acl.rules(permission).is_none_or(|rules| {
        rules.get(PRINCIPAL_EVERYBODY) != Some(Rule::Deny) && !rules.iter().any(|(_, rule)| rule == Rule::Allow)
    })
}

/// The same for a predefined class of a new app; roles are written by administrators alone.
pub fn close_predefined(def: &mut ClassDef) {
    if def.class == "/db/Role" {
        for permission in [Permission::Insert, Permission::Update, Permission::Delete] {
            def.acl.set(permission, RuleMap::allow(ADMIN_ROLE));
        }
    }
    close(def);
}

/// A class that an administrator defines without saying who may change its schema is the administrators' alone. In the
/// secure profile that goes for whoever defines it, and rules that only deny do not say it.
pub fn guard_schema(def: &mut ClassDef, is_secure: bool, by_admin: bool) {
    if !is_secure && !by_admin {
        return;
    }
    for permission in [
        Permission::SchemaAdd,
        Permission::SchemaReplace,
        Permission::SchemaSubclass,
    ] {
        let fits = !def.embedded || permission.fits_embedded();
        if fits && (def.acl.is_public(permission) || is_secure && is_open(&def.acl, permission)) {
            let mut rules = def.acl.rules(permission).cloned().unwrap_or_default();
            rules.insert(ADMIN_ROLE, Rule::Allow);
            def.acl.set(permission, rules);
        }
    }
}
