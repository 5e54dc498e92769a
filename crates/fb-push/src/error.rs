//! Why a message was not delivered, by what is to be done about it.

use std::time::Duration;

use fb_outbound::OutboundError;

/// Why a message was not taken by the push service. Texts hold neither tokens nor endpoints nor keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The target is not registered any more: it is to be removed.
    #[error("the device is not registered any more")]
    Gone,
    /// It may work later.
    #[error("the push service is not available: {reason}")]
    Later {
        /// What happened.
        reason: String,
        /// The pause that the service asks for.
        retry_after: Option<Duration>,
    },
    /// This message will never be taken for this target.
    #[error("the push service refused the message: {reason}")]
    Rejected {
        /// What the service says.
        reason: String,
    },
    /// The keys are missing, wrong, or not for this target: an administrator has to act.
    #[error("push is not set up correctly: {reason}")]
    Misconfigured {
        /// What is wrong.
        reason: String,
    },
}

/// A key that an administrator gave cannot be used. The text says what is expected, and repeats nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub(crate) &'static str);

impl KeyError {
    /// A key that cannot be used for a reason that is known outside of this crate.
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }
}

impl From<OutboundError> for PushError {
    fn from(error: OutboundError) -> Self {
        let reason = error.to_string();
        match error {
            OutboundError::Unreachable { .. } | OutboundError::Timeout { .. } => Self::Later {
                reason,
                retry_after: None,
            },
            OutboundError::Setup { .. } => Self::Misconfigured { reason },
            // The target leads into the own network, is no URL, or is no push service at all.
            _ => Self::Rejected { reason },
        }
    }
}
