//! Who is asking, and may they? Principals, the one authorization kernel, passwords and tokens.
//!
//! Knows nothing of HTTP, SQL, the network or configuration; time and randomness are passed in.
//!
//! Storage only answers to a [`Grant`], and only [`authorize`] (or [`system`], for the server's own errands) makes one.

mod grant;
mod kernel;
mod principal;

pub use grant::{Grant, Scope};
pub use kernel::{Admin, Denied, Errand, Operation, authorize, authorize_admin, authorize_class, system};
pub use principal::{Principal, Roles};
