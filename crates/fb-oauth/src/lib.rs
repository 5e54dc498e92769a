//! Logins with OAuth 2 and OpenID Connect at any provider: builds the authorize URL, exchanges the code, checks what comes
//! back.
//!
//! Knows nothing of users, storage or HTTP servers; time is passed in, and requests go through `fb_outbound`.
//!
//! A login takes two steps. [`Flow::begin`] gives the URL the browser is sent to, and a [`Pending`] that the caller stores
//! under its state. When the browser returns, the caller takes the `Pending` out of its store, so that it serves once, and
//! [`Flow::finish`] turns the code into a [`Profile`]. What the caller has to add:
//!
//! - bind the state to the browser that began (a cookie), or else an attacker can log a victim in as himself;
//! - give each provider a redirect URI of its own, which is the defence against mix-up where a provider sends no `iss`;
//! - link a profile to an existing account by `(provider, subject)`, and by e-mail only if [`Profile::email_verified`].
//!
//! ```no_run
//! # async fn example(now: fb_types::Timestamp) -> Result<(), Box<dyn std::error::Error>> {
//! use fb_oauth::{OAuth, ProviderSettings};
//! use fb_outbound::{Outbound, OutboundOptions};
//!
//! let oauth = OAuth::new(Outbound::new(OutboundOptions::default())?);
//! let settings: ProviderSettings =
//!     serde_json::from_str(r#"{ "preset": "google", "clientId": "id", "clientSecret": "secret" }"#)?;
//! let flow = oauth.flow("google", &settings)?;
//! let started = flow.begin("https://api.test/v1/db/User/OAuth/google", now).await?;
//! // … the browser goes to `started.authorize_url` and comes back with `state` and `code` …
//! # let (state, code) = ("", "");
//! let profile = flow.finish(&started.pending, state, code, None, now).await?;
//! # Ok(())
//! # }
//! ```

mod apple;
mod cache;
mod claims;
mod encoding;
mod error;
mod flow;
mod issuer;
mod jwk;
mod jwt;
mod pending;
mod presets;
mod profile;
mod provider;
mod settings;
#[cfg(feature = "testkit")]
pub mod testkit;
mod wire;

pub use error::{Forgery, OAuthError, ProviderFault};
pub use flow::{Flow, OAuth, Started};
pub use pending::Pending;
pub use presets::preset_names;
pub use profile::Profile;
pub use settings::{AppleKey, Mapping, ProviderSettings, TokenAuth};
