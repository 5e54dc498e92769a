//! The one place that decides. Every path (REST, import, export, schema, indexes, …) asks here.

use fb_types::schema::{APP_LOG, AUDIT_LOG, NODE_ROLE};
use fb_types::{BucketName, Class, ClassName, Permission};

use crate::fields::FieldRights;
use crate::grant::{Grant, Scope};
use crate::principal::Principal;

/// What a caller wants to do with the objects of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Load an object by id.
    Load,
    /// Query, count.
    Query,
    /// Insert an object that must not exist.
    Insert,
    /// Change an object that must exist.
    Update,
    /// Insert or change, whatever is there.
    Save,
    /// Delete an object.
    Delete,
}

impl Operation {
    fn needs(self) -> &'static [Permission] {
        match self {
            Self::Load => &[Permission::Load],
            Self::Query => &[Permission::Query],
            Self::Insert => &[Permission::Insert],
            Self::Update => &[Permission::Update],
            Self::Save => &[Permission::Insert, Permission::Update],
            Self::Delete => &[Permission::Delete],
        }
    }
}

/// The caller may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A class-level permission is missing.
    #[error("{} permission is required on class {class}", .permission.as_str())]
    Class {
        /// The class.
        class: ClassName,
        /// The permission that is missing.
        permission: Permission,
    },
    /// Rules of a field refuse the caller.
    #[error("{right} permission is required on the field {class}.{field}")]
    Field {
        /// The class.
        class: ClassName,
        /// The field.
        field: String,
        /// What is missing.
        right: FieldRight,
    },
    /// A permission on a bucket of files is missing. The wording is the protocol's.
    #[error("in bucket {bucket} {} permissions are required", .permission.as_str())]
    Bucket {
        /// The bucket.
        bucket: BucketName,
        /// The permission that is missing.
        permission: Permission,
    },
    /// Rules of a file refuse the write. The wording is the protocol's.
    #[error("Write permissions are required on {0}.")]
    File(String),
    /// Object-level rules refuse the write.
    #[error("write permission is required on {0}")]
    Object(String),
    /// Only administrators may.
    #[error("only an administrator may {0}")]
    Admin(&'static str),
    /// Only administrators and the app's own code may.
    #[error("only an administrator or the app's own code may {0}")]
    Code(&'static str),
    /// A token of one role is not the user.
    #[error("a token of a role may not {0}")]
    RoleToken(&'static str),
}

/// What a rule of a field can permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRight {
    /// See the value, filter and sort by it.
    Read,
    /// Change the value.
    Write,
}

impl std::fmt::Display for FieldRight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// Decides whether `principal` may do `operation` on objects of `class`, as far as the class is concerned. The grant's
/// scope carries the object-level rules on to where the objects are, its field rights those of single fields.
pub fn authorize(principal: &Principal, operation: Operation, class: &Class) -> Result<Grant, Denied> {
    for permission in operation.needs() {
        authorize_class(principal, *permission, class)?;
    }
    let scope = if principal.is_admin() {
        Scope::Everything
    } else {
        Scope::Of(principal.clone())
    };
    Ok(Grant::new(class.name().clone(), scope, field_rights(principal, class)))
}

/// Decides about the single fields of `class`, for objects that reach the caller without an operation of its own: the
/// user of a session.
pub fn field_rights(principal: &Principal, class: &Class) -> FieldRights {
    FieldRights::new(principal, class)
}

/// Decides about one class-level permission, also those that concern the schema.
pub fn authorize_class(principal: &Principal, permission: Permission, class: &Class) -> Result<(), Denied> {
    if !is_never_permitted(class, permission) && principal.passes(class.acl().rules(permission)) {
        Ok(())
    } else {
        Err(Denied::Class {
            class: class.name().clone(),
            permission,
        })
    }
}

/// Logs are evidence: nobody changes them, administrators included, and the audit log is written by the server alone.
fn is_never_permitted(class: &Class, permission: Permission) -> bool {
    match class.name().as_str() {
        APP_LOG => matches!(permission, Permission::Update | Permission::Delete),
        AUDIT_LOG => matches!(permission, Permission::Insert | Permission::Update | Permission::Delete),
        _ => false,
    }
}

/// Decides about what only administrators may do; `action` completes "only an administrator may …".
pub fn authorize_admin(principal: &Principal, action: &'static str) -> Result<Admin, Denied> {
    if principal.is_admin() {
        Ok(Admin(()))
    } else {
        Err(Denied::Admin(action))
    }
}

/// Proof that the caller is an administrator of the app, or that the server acts on its own behalf.
#[derive(Debug, Clone)]
pub struct Admin(());

impl Admin {
    /// Access to all objects of `class`.
    pub fn grant(&self, class: &ClassName) -> Grant {
        Grant::new(class.clone(), Scope::Everything, FieldRights::ALL)
    }
}

/// Decides about what administrators and the app's own code, which has the predefined role `node`, may do; `action`
/// completes "only an administrator or the app's own code may …".
pub fn authorize_code(principal: &Principal, action: &'static str) -> Result<(), Denied> {
    if principal.is_admin() || principal.ids().iter().any(|id| id == NODE_ROLE) {
        Ok(())
    } else {
        Err(Denied::Code(action))
    }
}

/// Why the server itself reaches for objects, without a caller's rights. Each is a reviewed exception to the rule that
/// callers' rights decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Finding the user and the roles of a caller.
    ResolvePrincipal,
    /// Creating the first administrator and the predefined roles.
    SetUpApp,
    /// Creating a user account for whoever registers.
    Register,
    /// Changing what the server alone may change of a user, on behalf of whoever has proved to be it, or of an
    /// administrator.
    ManageAccounts,
    /// Writing an entry of the audit log.
    Audit,
    /// Carrying out a schema change whose every step was authorized.
    AlterSchema,
    /// Making the bucket that an authorized upload goes to, and removing what a deleted bucket holds.
    KeepBuckets,
    /// Serving a website to whoever gave its password.
    ServeSite,
    /// Showing code the object that it is asked about.
    RunCode,
    /// Writing the device of whoever registers, handing it out and removing it for whoever has its cookie, and removing
    /// those that their push services do not know any more.
    KeepDevices,
    /// Writing an entry of the app's log.
    WriteLog,
    /// Removing entries of logs that are older or more than the app's settings keep.
    PruneLogs,
    /// Reading what jobs there are, writing when they run next, and how their runs went.
    KeepJobs,
    /// Reading again what several subscribers of a live query see, if that is the same for everybody.
    KeepLive,
}

/// Access for the server's own errands.
pub fn system(errand: Errand) -> Admin {
    match errand {
        Errand::ResolvePrincipal
        | Errand::SetUpApp
        | Errand::Register
        | Errand::ManageAccounts
        | Errand::Audit
        | Errand::AlterSchema
        | Errand::KeepBuckets
        | Errand::ServeSite
        | Errand::RunCode
        | Errand::KeepDevices
        | Errand::WriteLog
        | Errand::PruneLogs
        | Errand::KeepJobs
        | Errand::KeepLive => Admin(()),
    }
}
