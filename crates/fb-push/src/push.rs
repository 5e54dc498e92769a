//! The client of all push services.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use fb_outbound::Outbound;
use fb_types::Clock;

use crate::channel::Channel;
use crate::jwt::Signer;
use crate::{ApnsKey, Message, PushError, ServiceAccount, Subscription, VapidKeys, apns, fcm, web};

/// Most accounts whose tokens and sessions are kept; further ones take the place of any.
const MAX_CHANNELS: usize = 256;

/// Where the push services are; web push has its endpoints in the subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Firebase Cloud Messaging, without a slash at the end.
    pub fcm: String,
    /// Where service accounts get their tokens.
    pub fcm_token: String,
    /// Apple's service for builds from the store.
    pub apns: String,
    /// The one for builds from Xcode.
    pub apns_development: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            fcm: "https://fcm.googleapis.com".to_owned(),
            fcm_token: "https://oauth2.googleapis.com/token".to_owned(),
            apns: "https://api.push.apple.com".to_owned(),
            apns_development: "https://api.sandbox.push.apple.com".to_owned(),
        }
    }
}

/// Sends messages, one at a time to one target each. Tokens and sessions of up to 256 accounts are kept between them.
pub struct Push {
    outbound: Outbound,
    endpoints: Endpoints,
    clock: Arc<dyn Clock>,
    /// Std: held for a look-up only.
    channels: Mutex<HashMap<String, Arc<Channel>>>,
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl Push {
    /// A client whose requests all go through `outbound`.
    pub fn new(outbound: Outbound, endpoints: Endpoints, clock: Arc<dyn Clock>) -> Self {
        Self {
            outbound,
            endpoints,
            clock,
            channels: Mutex::default(),
        }
    }

    /// To a browser. `contact` is a `mailto:` or `https:` URL where the push service can complain.
    pub async fn web(
        &self,
        keys: &VapidKeys,
        contact: &str,
        subscription: &Subscription,
        message: &Message,
    ) -> Result<(), PushError> {
        let now = self.clock.now();
        web::send(&self.outbound, keys, contact, subscription, message, now).await
    }

    /// To an installation of an Android app, or whatever else has a token of Firebase.
    pub async fn fcm(&self, account: &ServiceAccount, token: &str, message: &Message) -> Result<(), PushError> {
        let channel = self.channel(account.identity(), || account.signer())?;
        let to = (&self.outbound, &self.endpoints);
        fcm::send(to, &channel, account, token, message, self.clock.now()).await
    }

    /// To an installation of an app on a device of Apple's.
    pub async fn apns(&self, key: &ApnsKey, token: &str, message: &Message) -> Result<(), PushError> {
        let channel = self.channel(key.identity(), || key.signer())?;
        let to = (&self.outbound, &self.endpoints);
        apns::send(to, &channel, key, token, message, self.clock.now()).await
    }

    fn channel(&self, identity: String, signer: impl FnOnce() -> Option<Signer>) -> Result<Arc<Channel>, PushError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&identity) {
            return Ok(channel.clone());
        }
        let signer = signer().ok_or_else(|| PushError::Misconfigured {
            reason: "the private key cannot be read".to_owned(),
        })?;
        if channels.len() >= MAX_CHANNELS
            && let Some(other) = channels.keys().next().cloned()
        {
            channels.remove(&other);
        }
        let channel = Arc::new(Channel::new(signer));
        channels.insert(identity, channel.clone());
        Ok(channel)
    }
}
