//! What every way to send mail has in common.

use std::pin::Pin;

use crate::Message;

/// A future on the heap, so that [`Mailer`] can be used as `dyn Mailer`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to send mail.
pub trait Mailer: Send + Sync + 'static {
    /// Hands `message` over, once and without retrying; `Ok` means that the next server has taken responsibility for it.
    /// Ends in bounded time. If it is dropped before, the message may or may not have been sent.
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), MailError>>;
}

/// Why a message was not sent. Reasons are one line of at most 300 bytes, and name neither credentials nor the local part
/// of an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// For good: the server refuses this message, and would again.
    #[error("the message was rejected: {reason}")]
    Rejected {
        /// What the server said.
        reason: String,
    },
    /// For now: no connection, no login, no answer, or a server that asks to try later.
    #[error("the mail server is unavailable: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}
