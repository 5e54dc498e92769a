//! Who is asking, and may they? Principals, the one authorization kernel, passwords and tokens.
//!
//! Knows nothing of HTTP, SQL, the network or configuration; time is passed in.
//!
//! Storage only answers to a [`Grant`], and only [`authorize`] (or [`Admin`], which [`authorize_admin`] gives, or
//! [`system`] for the server's own errands) makes one.

mod attempts;
mod defaults;
mod exposure;
mod fields;
mod files;
mod gains;
mod grant;
mod hex;
mod kernel;
mod load_rules;
mod password;
mod principal;
mod seal;
mod secret;
mod token;
mod totp;
mod visits;

pub use attempts::{AttemptLimit, Attempts, TooManyAttempts};
pub use defaults::{close, close_data, close_predefined, guard_schema};
pub use exposure::{Audience, Exposure, FileExposure, any_user, exposures, file_exposures};
pub use fields::{FieldRights, Objects};
pub use files::{FileAction, FileGrant, FileOperation, authorize_file};
pub use gains::{Gain, Gained, Gainer, bucket_gains, schema_gains};
pub use grant::{Grant, Scope};
pub use hex::{decode_hex, encode_hex};
pub use kernel::{
    Admin, Denied, Errand, FieldRight, Operation, authorize, authorize_admin, authorize_class, authorize_code,
    field_rights, system,
};
pub use load_rules::{LoadRules, PrincipalNote};
pub use password::{HashCost, Hasher, MAX_PASSWORD, PasswordError, PasswordPolicy, Verdict, leak_query};
pub use principal::{Principal, Roles};
pub use seal::{CannotOpen, Sealer};
pub use secret::{NoRandomness, Secret, content_tag, fingerprint, random_bytes};
pub use token::{Claims, NewToken, SigningKey, TokenError, TokenKeys, TokenKind};
pub use totp::{recovery_codes, recovery_fingerprint, totp_secret, totp_step, totp_uri};
pub use visits::{Banned, VisitLimit, Visitor, Visits};
