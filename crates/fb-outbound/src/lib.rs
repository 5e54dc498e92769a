//! The one client for requests to the outside, guarded against requests that reach into the own network (SSRF).
//!
//! Knows nothing of apps, users, providers or configuration files; it takes a URL that may come from anybody.
//!
//! The rules: `https` only, unless the operator allowed the target; a host is looked up once, refused addresses are
//! dropped, and the connection goes to exactly the address that was checked; redirects are handed back, never followed;
//! proxies of the environment are ignored; time and size of an answer are bounded.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fb_outbound::{Outbound, OutboundOptions};
//! let outbound = Outbound::new(OutboundOptions::default())?;
//! let answer = outbound.get("https://accounts.google.com/.well-known/openid-configuration").await?;
//! assert_eq!(answer.status, 200);
//! assert!(outbound.get("http://169.254.169.254/latest/meta-data").await.is_err());
//! # Ok(())
//! # }
//! ```

mod address;
mod allow;
mod client;
mod error;
mod resolve;
mod session;
mod target;

pub use address::why_refused;
pub use allow::{AllowError, AllowedTarget};
pub use client::{Outbound, OutboundOptions, Request, Response};
pub use error::{BoxError, OutboundError};
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use session::Session;

#[cfg(test)]
mod tests;
