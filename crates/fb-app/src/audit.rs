//! The audit log: who did what that changes what others may do. Entries are committed together with what they speak of,
//! and nobody can change them.

use std::sync::Arc;

use fb_auth::{Errand, Principal};
use fb_store::Write;
use fb_types::schema::AUDIT_LOG;
use fb_types::{Acl, ObjectKey, RuleMap, Schema, Timestamp};
use serde_json::{Map, Value, json};

use crate::objects::insert_own;
use crate::{App, AppError};

/// Longest JSON text of an entry's data in bytes; more is cut off.
const MAX_DATA: usize = 16 << 10;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    AdminCreated,
    AdminReset,
    ConfigChanged,
    TokenKeyRotated,
    PushKeyChanged,
    SchemaChanged,
    BucketChanged,
    BucketDeleted,
    ClassEmptied,
    ClassExported,
    ClassImported,
    RoleWritten,
    RoleDeleted,
    RoleAssumed,
    TokenCreated,
    TokensRevoked,
    PasswordSet,
    FactorRemoved,
    UserDeactivated,
    UserActivated,
    UserDeleted,
    CodeWritten,
    CodeDeleted,
    BansLifted,
    DeadLettersReplayed,
    DeadLettersDeleted,
}

impl Action {
    /// The name in the log.
    fn as_str(self) -> &'static str {
        match self {
            Self::AdminCreated => "admin.created",
            Self::AdminReset => "admin.reset",
            Self::ConfigChanged => "config.changed",
            Self::TokenKeyRotated => "tokenKey.rotated",
            Self::PushKeyChanged => "pushKey.changed",
            Self::SchemaChanged => "schema.changed",
            Self::BucketChanged => "bucket.changed",
            Self::BucketDeleted => "bucket.deleted",
            Self::ClassEmptied => "class.emptied",
            Self::ClassExported => "class.exported",
            Self::ClassImported => "class.imported",
            Self::RoleWritten => "role.written",
            Self::RoleDeleted => "role.deleted",
            Self::RoleAssumed => "role.assumed",
            Self::TokenCreated => "token.created",
            Self::TokensRevoked => "tokens.revoked",
            Self::PasswordSet => "password.set",
            Self::FactorRemoved => "factor.removed",
            Self::UserDeactivated => "user.deactivated",
            Self::UserActivated => "user.activated",
            Self::UserDeleted => "user.deleted",
            Self::CodeWritten => "code.written",
            Self::CodeDeleted => "code.deleted",
            Self::BansLifted => "bans.lifted",
            Self::DeadLettersReplayed => "deadLetters.replayed",
            Self::DeadLettersDeleted => "deadLetters.deleted",
        }
    }
}

impl App {
    /// The write of an entry. `target` is the id or name of what was changed; `data` says how, without secrets.
    pub(crate) fn audit(
        &self,
        schema: &Schema,
        caller: &Principal,
        action: Action,
        target: &str,
        data: Value,
    ) -> Result<Write, AppError> {
        let class = self.entity(schema, AUDIT_LOG)?;
        let text = data.to_string();
        let data = match text.len() > MAX_DATA {
            true => json!({ "truncated": text.chars().take(MAX_DATA).collect::<String>() }),
            false => data,
        };
        let now = self.clock().now();
        let mut fields = Map::new();
        fields.insert("date".into(), json!(now.to_string()));
        fields.insert("action".into(), json!(action.as_str()));
        fields.insert("user".into(), json!(caller.user_id().map(ToString::to_string)));
        fields.insert("target".into(), json!(target));
        fields.insert("data".into(), data);
        let fields = schema.check_fields(class, &fields, None)?;
        let id = Self::id_of(class, &entry_key(now)?);
        let acl = Some(Arc::new(Acl {
            read: RuleMap::allow(fb_types::schema::ADMIN_ROLE),
            write: RuleMap::deny_everybody(),
        }));
        Ok(insert_own(Errand::Audit, schema, class, id, acl, fields))
    }
}

/// Keys grow with time, so that the log is kept and listed in its order.
fn entry_key(now: Timestamp) -> Result<ObjectKey, AppError> {
    let random = fb_auth::random_bytes::<8>().map_err(|e| AppError::internal("making a key", e))?;
    let key = format!("{:012x}-{}", now.millis().max(0), fb_auth::encode_hex(&random));
    Ok(ObjectKey::from_raw(&key)?)
}
