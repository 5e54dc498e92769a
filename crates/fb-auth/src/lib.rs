//! Who is asking, and may they? Principals, the one authorization kernel, passwords and tokens.
//!
//! Knows nothing of HTTP, SQL, the network or configuration; time is passed in.
//!
//! Storage only answers to a [`Grant`], and only [`authorize`] (or [`Admin`], which [`authorize_admin`] gives, or
//! [`system`] for the server's own errands) makes one.

mod fields;
mod grant;
mod hex;
mod kernel;
mod password;
mod principal;
mod secret;
mod token;

pub use fields::{FieldRights, Objects};
pub use grant::{Grant, Scope};
pub use hex::{decode_hex, encode_hex};
pub use kernel::{
    Admin, Denied, Errand, FieldRight, Operation, authorize, authorize_admin, authorize_class, field_rights, system,
};
pub use password::{HashCost, Hasher, MAX_PASSWORD, PasswordError, check_password};
pub use principal::{Principal, Roles};
pub use secret::{NoRandomness, Secret, fingerprint, random_bytes};
pub use token::{Claims, TokenError, TokenKey};
