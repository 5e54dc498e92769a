//! Limits on attempts: per account, so that passwords and codes cannot be guessed; per source, so that one stranger
//! cannot keep the password hasher busy or fill the app with accounts.

use fb_auth::AttemptLimit;
use fb_types::ObjectKey;

use super::fold;
use crate::{App, AppError};

/// Attempts on one account from all sources together, as a multiple of the limit per source.
const ALL_SOURCES: u32 = 10;

/// Stands for the app's own code; no address looks like that.
const CODE: &str = "code";

/// Where a request comes from, as far as limits are concerned: an IP address, or the network of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(String);

impl Source {
    /// Requests with the same text share limits.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The app's own code, whose requests do not count.
    pub fn code() -> Self {
        Self(CODE.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An attempt that was counted; a success takes it and its predecessors back.
pub(crate) struct Attempt<'a> {
    app: &'a App,
    keys: Vec<String>,
}

impl Attempt<'_> {
    /// It came to nothing, because the server was busy or failed.
    pub(crate) fn undecided(self) {
        for key in &self.keys {
            self.app.shared().attempts.take_back(key);
        }
    }

    pub(crate) fn succeeded(self) {
        for key in &self.keys {
            self.app.shared().attempts.forgive(key);
        }
    }
}

impl App {
    /// Counts a request that hashes passwords, creates accounts or sends mail.
    pub(crate) fn count_request(&self, source: &Source) -> Result<(), AppError> {
        if source.0 == CODE {
            return Ok(());
        }
        let settings = self.settings();
        let limit = AttemptLimit {
            attempts: settings.rate_limit.requests,
            seconds: settings.rate_limit.seconds,
        };
        let key = format!("{} request {}", self.id(), source.0);
        Ok(self.shared().attempts.begin(&key, limit, self.clock().now())?)
    }

    /// Forgets all attempts on the account of this name and key: whoever was locked out of it has proved to be its owner
    /// in another way.
    pub(crate) fn forget_attempts(&self, username: &str, key: &ObjectKey) {
        let counted = [
            format!("{} password {}", self.id(), fold(username)),
            format!("{} code {}", self.id(), fold(key.as_str())),
        ];
        self.shared().attempts.forgive_all(|known| {
            let rest = counted.iter().find_map(|prefix| known.strip_prefix(prefix.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" from "))
        });
    }

    /// Counts an attempt to prove something about an account: `what` is `password` or `code`. Names of accounts that do
    /// not exist are counted alike.
    pub(crate) fn begin_attempt(&self, what: &str, account: &str, source: &Source) -> Result<Attempt<'_>, AppError> {
        let settings = self.settings();
        let limit = AttemptLimit {
            attempts: settings.lockout.attempts,
            seconds: settings.lockout.seconds,
        };
        let all = AttemptLimit {
            attempts: limit.attempts.saturating_mul(ALL_SOURCES),
            ..limit
        };
        let account = fold(account);
        let keys = [
            format!("{} {what} {account} from {}", self.id(), source.0),
            format!("{} {what} {account}", self.id()),
        ];
        let now = self.clock().now();
        self.shared().attempts.begin(&keys[0], limit, now)?;
        self.shared().attempts.begin(&keys[1], all, now)?;
        Ok(Attempt {
            app: self,
            keys: keys.into(),
        })
    }

    /// The same for what all visitors share, such as the password of a site: counted per source only, so that nobody can
    /// lock it for all others.
    pub(crate) fn begin_shared_attempt(&self, what: &str, source: &Source) -> Result<Attempt<'_>, AppError> {
        let settings = self.settings();
        let limit = AttemptLimit {
            attempts: settings.lockout.attempts,
            seconds: settings.lockout.seconds,
        };
        let key = format!("{} {what} from {}", self.id(), source.0);
        self.shared().attempts.begin(&key, limit, self.clock().now())?;
        Ok(Attempt {
            app: self,
            keys: vec![key],
        })
    }
}
