//! User accounts: register, log in, passwords, tokens, second factors, and what mails are for.
//!
//! A user is an object of class `User`, and records that no client can reach: `username/<folded name>` holds the user's
//! key, `account/<key>` its [`Credentials`], `identity/<provider> <subject>` the key of whoever logs in that way.

mod administrators;
mod breach;
mod credentials;
mod guard;
mod hooks;
mod links;
mod login;
mod mail;
mod mfa;
mod oauth;
mod password;
mod register;
mod remove;
mod tokens;
mod username;

use fb_auth::Secret;

use crate::view::Seen;

pub(crate) use credentials::{Credentials, fold, record};
pub use guard::Source;
pub(crate) use login::is_inactive;
pub use mfa::{MfaStatus, NewFactor};
pub use oauth::{OAuthCallback, OAuthEnd, OAuthWish};
pub use password::PasswordChange;
pub(crate) use register::Draft;
pub use register::{NewUser, Registered};
pub(crate) use username::check_username;

/// A user, and a token where one is issued.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user as it sees itself.
    pub user: Seen,
    /// A fresh token.
    pub token: Option<Secret>,
}
