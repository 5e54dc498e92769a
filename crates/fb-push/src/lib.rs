//! Push messages: Web Push (RFC 8030, 8188, 8291, 8292), Firebase Cloud Messaging (HTTP v1), Apple Push Notification service.
//!
//! Knows nothing of HTTP servers, users, devices as objects, or storage; it is given keys, a target and a message, and sends
//! one message to one target. Every request goes through `fb-outbound`.
//!
//! ```no_run
//! # async fn example(clock: std::sync::Arc<dyn fb_types::Clock>) -> Result<(), Box<dyn std::error::Error>> {
//! use fb_push::{Message, Push, Subscription, VapidKeys};
//! let push = Push::new(fb_outbound::Outbound::new(Default::default())?, Default::default(), clock);
//! let keys = VapidKeys::generate()?;
//! let subscription = Subscription::from_json(&serde_json::json!({
//!     "endpoint": "https://push.example/x", "keys": { "p256dh": "…", "auth": "…" } }))?;
//! let message = Message::from_json(serde_json::json!({ "message": "Hello" }).as_object().ok_or("an object")?)?;
//! push.web(&keys, "mailto:ops@shop.example", &subscription, &message).await?;
//! # Ok(())
//! # }
//! ```

mod apns;
mod channel;
mod encoding;
mod encrypt;
mod error;
mod fcm;
mod jwt;
mod message;
mod push;
mod subscription;
#[cfg(feature = "testkit")]
pub mod testkit;
mod vapid;
mod web;
mod wire;

pub use apns::{ApnsKey, is_apns_token};
pub use error::{KeyError, PushError};
pub use fcm::ServiceAccount;
pub use message::{MAX_APNS, MAX_FCM, MAX_WEB, Message, MessageError};
pub use push::{Endpoints, Push};
pub use subscription::{Subscription, SubscriptionError};
pub use vapid::{PUBLIC_KEY_BYTES, VapidKeys};
