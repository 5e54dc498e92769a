//! Mails that administrators and the app's own code write themselves.

use std::collections::BTreeSet;

use fb_auth::{AttemptLimit, Principal, authorize_code};
use fb_mail::{Content, Full, Message, Sender};
use serde::Deserialize;

use crate::{App, AppError};

/// Most recipients of one mail; each gets a message of its own, which names no other.
const MAX_RECIPIENTS: usize = 50;
/// Most bytes of texts, of all messages together.
const MAX_BYTES: usize = 4 << 20;
/// Most recipients per hour of what code sends, unless the settings say otherwise.
const PER_HOUR: u32 = 500;

/// A mail as it is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Letter {
    /// Whom it goes to.
    pub to: Recipients,
    /// One line, at most 500 bytes.
    pub subject: String,
    /// Plain text, at most 128 KiB.
    pub text: String,
    /// The same for readers that show HTML, at most 128 KiB.
    pub html: Option<String>,
    /// The app's own sender, for clients that name it. Nothing else is accepted.
    pub from: Option<String>,
    /// Display name of the sender; the app's if absent.
    pub from_name: Option<String>,
    /// Address that answers go to.
    pub reply_to: Option<String>,
}

/// One address or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Recipients {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl App {
    /// Queues a mail, for all of its recipients or for none. Gives the `Message-ID`s, in the order of the recipients.
    pub fn send_letter(&self, caller: &Principal, letter: Letter) -> Result<Vec<String>, AppError> {
        authorize_code(caller, "send mail")?;
        let mut known = BTreeSet::new();
        let recipients = match &letter.to {
            Recipients::One(to) => vec![to.as_str()],
            Recipients::Several(all) => all.iter().map(String::as_str).collect(),
        };
        let recipients: Vec<&str> = recipients.into_iter().filter(|to| known.insert(*to)).collect();
        if !(1..=MAX_RECIPIENTS).contains(&recipients.len()) {
            return Err(AppError::Invalid(format!(
                "a mail has 1 to {MAX_RECIPIENTS} recipients"
            )));
        }
        let bytes = letter.text.len() + letter.html.as_ref().map_or(0, String::len);
        if bytes * recipients.len() > MAX_BYTES {
            return Err(AppError::TooLarge(format!(
                "the messages to all recipients together may have {MAX_BYTES} bytes"
            )));
        }
        let invalid = |e: &dyn std::fmt::Display| AppError::Invalid(format!("the mail cannot be sent: {e}"));
        let sender = self.sender_of(&letter)?;
        let mut messages = Vec::with_capacity(recipients.len());
        for to in &recipients {
            let content = Content {
                subject: letter.subject.clone(),
                text: letter.text.clone(),
                html: letter.html.clone(),
            };
            let message = Message::new(self.id().as_str(), sender.clone(), to, content).map_err(|e| invalid(&e))?;
            messages.push(match &letter.reply_to {
                Some(address) => message.with_reply_to(address).map_err(|e| invalid(&e))?,
                None => message,
            });
        }
        let ids = messages.iter().map(|message| message.id().to_owned()).collect();
        let n_recipients = messages.len();
        let counted = self.count_letter(caller, n_recipients)?;
        if let Err(full) = self.shared().outbox.post_all(messages) {
            (0..counted).for_each(|_| self.shared().attempts.take_back(&self.letters()));
            tracing::debug!(app = %self.id(), "a mail was not taken: {full}");
            let retry_after = match full {
                Full::All | Full::Origin => 60,
                Full::Closed => 5,
            };
            return Err(AppError::Busy { retry_after });
        }
        Ok(ids)
    }

    /// The app's sender under the name that the letter gives it.
    fn sender_of(&self, letter: &Letter) -> Result<Sender, AppError> {
        let settings = self.settings();
        let node = &self.shared().mail_from;
        let address = settings.mail.from.as_deref().unwrap_or(node.address());
        if letter
            .from
            .as_ref()
            .is_some_and(|from| !from.eq_ignore_ascii_case(address))
        {
            return Err(AppError::Invalid(format!(
                "mails of this app come from {address}; an administrator can change that with the setting mail.from"
            )));
        }
        let own = match settings.mail.from {
            Some(_) => Some(self.display_name()),
            None => node.name().map(str::to_owned),
        };
        let name = letter.from_name.clone().or(own);
        Sender::new(name.as_deref(), address)
            .map_err(|e| AppError::Invalid(format!("the mail cannot be sent: the sender is {e}")))
    }

    /// Counts the recipients if it is code that sends; how many were counted.
    fn count_letter(&self, caller: &Principal, n_recipients: usize) -> Result<usize, AppError> {
        if !caller.is_code() {
            return Ok(0);
        }
        let limit = AttemptLimit {
            attempts: self.settings().mail.per_hour.unwrap_or(PER_HOUR),
            seconds: 3600,
        };
        let (key, now) = (self.letters(), self.clock().now());
        for n in 0..n_recipients {
            if let Err(refused) = self.shared().attempts.begin(&key, limit, now) {
                (0..n).for_each(|_| self.shared().attempts.take_back(&key));
                return Err(refused.into());
            }
        }
        Ok(n_recipients)
    }

    /// What letters of the app's code are counted under.
    fn letters(&self) -> String {
        format!("{} letters", self.id())
    }
}
