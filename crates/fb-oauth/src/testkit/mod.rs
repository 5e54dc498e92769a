//! For tests: an identity provider on loopback that is honest, until it is told not to be.
//!
//! It speaks OpenID Connect (discovery, keys, user info) and plain OAuth 2 in the manner of GitHub, and it is strict:
//! redirect URIs have to be registered, codes serve once, and client, redirect URI and PKCE verifier are checked.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fb_oauth::{OAuth, testkit::{Idp, REDIRECT_URI, query_of}};
//! use fb_types::Clock;
//!
//! let idp = Idp::start();
//! let flow = OAuth::new(idp.outbound()).flow("idp", &idp.openid_settings())?;
//! let now = fb_types::SystemClock.now();
//! let started = flow.begin(REDIRECT_URI, now).await?;
//! let back = query_of(&idp.authorize(&started.authorize_url)?);
//! let profile = flow.finish(&started.pending, &back["state"], &back["code"], None, now).await?;
//! assert_eq!(profile.subject, "248289761001");
//! # Ok(())
//! # }
//! ```

mod behaviour;
mod http;
mod server;
mod signing;

pub use behaviour::{Breakage, Misbehaviour};
pub use server::{CLIENT_ID, CLIENT_SECRET, Idp, REDIRECT_URI, query_of};
pub use signing::SigningAlgorithm;
