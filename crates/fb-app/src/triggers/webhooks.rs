//! Webhooks of an app: which URL is told of which events.

use std::collections::BTreeMap;

use fb_auth::Secret;
use serde::{Deserialize, Serialize};

use super::signature::key_of;
use super::targets::{EventKind, has_events};
use crate::settings::{HIDDEN, is_web_url};

/// Most webhooks of one app.
const MAX_WEBHOOKS: usize = 50;

/// Webhooks by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookSettings(BTreeMap<String, Webhook>);

/// A URL that is told of events, with POST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Where events are sent.
    pub url: String,
    /// Which ones.
    pub events: Vec<WebhookEvents>,
    /// The key of signatures: `whsec_` and 24 to 64 random bytes in base64.
    pub secret: Secret,
    /// Whether anything is sent.
    #[serde(default = "yes")]
    pub active: bool,
}

/// Events of one class, or of one bucket of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEvents {
    /// A class, or for `upload` a bucket of files.
    pub bucket: String,
    /// `insert`, `update`, `delete`, `upload`.
    pub operations: Vec<EventKind>,
}

fn yes() -> bool {
    true
}

impl WebhookSettings {
    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Webhook> {
        self.0.get(name)
    }

    pub(super) fn active(&self) -> impl Iterator<Item = (&String, &Webhook)> {
        self.0.iter().filter(|(_, webhook)| webhook.active)
    }

    /// Secrets that were shown as `***` are those of before, also if the URL leads elsewhere now: they are never sent, and
    /// whoever may change the URL may set another secret.
    pub(crate) fn keep_secrets(&mut self, old: &Self) {
        for (name, webhook) in &mut self.0 {
            if webhook.secret.expose() == HIDDEN
                && let Some(before) = old.0.get(name)
            {
                webhook.secret = before.secret.clone();
            }
        }
    }

    pub(crate) fn hide_secrets(&mut self) {
        for webhook in self.0.values_mut() {
            webhook.secret = Secret::new(HIDDEN);
        }
    }

    pub(crate) fn check(&self, old: &Self) -> Result<(), String> {
        if self.0.len() > MAX_WEBHOOKS {
            return Err(format!("webhooks: at most {MAX_WEBHOOKS} are allowed"));
        }
        for (name, webhook) in &self.0 {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if name.is_empty() || name.len() > 40 || !name.chars().all(is_name) {
                return Err("webhooks: names have 1 to 40 letters, digits, - and _".into());
            }
            webhook
                .check(old.0.get(name))
                .map_err(|problem| format!("webhooks.{name}: {problem}"))?;
        }
        Ok(())
    }
}

impl Webhook {
    fn check(&self, old: Option<&Self>) -> Result<(), String> {
        if !is_web_url(&self.url) {
            return Err("url must be a URL such as https://shop.example/events".into());
        }
        // A secret that cannot be read any more was of the right form.
        let is_kept = old.is_some_and(|old| old.secret == self.secret);
        if !is_kept && key_of(&self.secret).is_none() {
            return Err("secret must be whsec_ and 24 to 64 random bytes in base64".into());
        }
        if self.events.is_empty() || self.events.len() > 100 {
            return Err("events has 1 to 100 entries".into());
        }
        for events in &self.events {
            if events.operations.is_empty() {
                return Err(format!("the events of {} have no operations", events.bucket));
            }
            if !has_events(&events.bucket) {
                return Err(format!("there are no events of {}", events.bucket));
            }
        }
        Ok(())
    }
}
