//! The classes, roles and users every app has from the start.

use indexmap::IndexMap;

use super::{ClassAcl, ClassDef, FieldDef, FieldFlag, Permission};
use crate::{ClassName, RuleMap};

/// Bucket of the abstract root class.
pub const OBJECT: &str = "Object";
/// Bucket of the users.
pub const USER: &str = "User";
/// Bucket of the roles.
pub const ROLE: &str = "Role";
/// Bucket of the devices that get push messages.
pub const DEVICE: &str = "Device";
/// Bucket of the application's log.
pub const APP_LOG: &str = "logs.AppLog";
/// Bucket of the audit log.
pub const AUDIT_LOG: &str = "logs.AuditLog";
/// Id of the role whose members may do everything.
pub const ADMIN_ROLE: &str = "/db/Role/1";
/// Id of the role that server-side code has in addition to its caller's.
pub const NODE_ROLE: &str = "/db/Role/2";
/// Id of the role that every authenticated user has.
pub const LOGGED_IN_ROLE: &str = "/db/Role/3";
/// Id of the first administrator.
pub const ROOT_USER: &str = "/db/User/1";

/// True for classes whose objects get small increasing numbers as keys from the server, whatever the client sends.
pub fn server_assigns_ids(class: &ClassName) -> bool {
    matches!(class.as_str(), USER | ROLE | APP_LOG)
}

/// True for the keys of the roles that every app has from its beginning.
pub fn is_predefined_role(key: &crate::ObjectKey) -> bool {
    matches!(key.as_str(), "1" | "2" | "3")
}

use FieldFlag::{Metadata, Readonly};
use Permission::{Delete, Insert, Load, Query, SchemaAdd, SchemaReplace, SchemaSubclass, Update};

/// Definitions of the predefined classes. Source: published schema dumps of the original protocol.
pub fn predefined() -> Vec<ClassDef> {
    let schema = || admin(&[SchemaAdd, SchemaReplace, SchemaSubclass]);
    let mut object = class(
        "Object",
        &[
            ("id", "/db/String", &[Metadata]),
            ("version", "/db/Integer", &[Metadata]),
            ("acl", "/db/JsonObject", &[Metadata]),
            ("createdAt", "/db/DateTime", &[Readonly]),
            ("updatedAt", "/db/DateTime", &[Readonly]),
        ],
        schema(),
    );
    object.super_class = None;

    let mut user = schema();
    user.set(Insert, RuleMap::allow(ADMIN_ROLE));

    let mut jobs = schema();
    for permission in [Load, Insert, Update, Delete, Query] {
        jobs.set(permission, RuleMap::allow(NODE_ROLE));
    }

    let mut app_log = admin(&[Load, Query, SchemaReplace]);
    for permission in [Update, Delete, SchemaAdd, SchemaSubclass] {
        app_log.set(permission, RuleMap::deny_everybody());
    }
    let mut access_log = app_log.clone();
    access_log.set(Insert, RuleMap::deny_everybody());
    let mut audit_log = admin(&[Load, Query, SchemaAdd, SchemaReplace, SchemaSubclass]);
    for permission in [Insert, Update, Delete] {
        audit_log.set(permission, RuleMap::deny_everybody());
    }

    vec![
        object,
        class(
            "User",
            &[
                ("username", "/db/String", &[Readonly]),
                ("inactive", "/db/Boolean", &[Readonly]),
            ],
            user,
        ),
        class(
            "Role",
            &[
                ("name", "/db/String", &[]),
                ("users", "/db/collection.Set[/db/User]", &[]),
            ],
            schema(),
        ),
        class("Device", &[("deviceOs", "/db/String", &[])], schema()),
        class(
            "logs.AppLog",
            &[
                ("date", "/db/DateTime", &[]),
                ("message", "/db/String", &[]),
                ("level", "/db/String", &[]),
                ("data", "/db/JsonObject", &[]),
                ("user", "/db/User", &[]),
            ],
            app_log,
        ),
        class(
            "logs.AccessLog",
            &[
                ("date", "/db/DateTime", &[]),
                ("ip", "/db/String", &[]),
                ("method", "/db/String", &[]),
                ("server", "/db/String", &[]),
                ("url", "/db/String", &[]),
                ("status", "/db/Integer", &[]),
                ("download", "/db/Integer", &[]),
                ("upload", "/db/Integer", &[]),
                ("latency", "/db/Integer", &[]),
                ("cacheHit", "/db/Boolean", &[]),
            ],
            access_log,
        ),
        class(
            "logs.AuditLog",
            &[
                ("date", "/db/DateTime", &[]),
                ("action", "/db/String", &[]),
                ("user", "/db/User", &[]),
                ("target", "/db/String", &[]),
                ("data", "/db/JsonObject", &[]),
            ],
            audit_log,
        ),
        class(
            "jobs.Definition",
            &[
                ("module", "/db/String", &[]),
                ("cronpattern", "/db/String", &[]),
                ("startsAt", "/db/DateTime", &[]),
                ("expiresAt", "/db/DateTime", &[]),
                ("nextExecution", "/db/DateTime", &[]),
            ],
            jobs.clone(),
        ),
        class(
            "jobs.Status",
            &[
                ("cronjob", "/db/jobs.Definition", &[]),
                ("executedAt", "/db/DateTime", &[]),
                ("status", "/db/String", &[]),
                ("error", "/db/JsonObject", &[]),
            ],
            jobs,
        ),
    ]
}

fn admin(permissions: &[Permission]) -> ClassAcl {
    let mut acl = ClassAcl::default();
    for permission in permissions {
        acl.set(*permission, RuleMap::allow(ADMIN_ROLE));
    }
    acl
}

fn class(bucket: &str, fields: &[(&str, &str, &[FieldFlag])], acl: ClassAcl) -> ClassDef {
    let define = |(order, (name, type_text, flags)): (usize, &(&str, &str, &[FieldFlag]))| {
        let def = FieldDef {
            name: (*name).to_owned(),
            type_text: (*type_text).to_owned(),
            order: i64::try_from(order).unwrap_or_default(),
            flags: flags.to_vec(),
            acl: None,
            metadata: IndexMap::new(),
        };
        ((*name).to_owned(), def)
    };
    ClassDef {
        class: format!("/db/{bucket}"),
        super_class: Some("/db/Object".to_owned()),
        embedded: false,
        acl,
        metadata: IndexMap::new(),
        fields: fields.iter().enumerate().map(define).collect(),
    }
}
