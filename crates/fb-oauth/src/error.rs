//! Why a login failed, by what the caller can do about it.

use std::fmt;

use fb_outbound::OutboundError;

/// Longest text of a provider that is repeated in an error, in characters.
const MAX_PROVIDER_TEXT: usize = 300;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// The settings cannot work, or the provider refuses the client they describe. For who configures the app.
    #[error("{0}")]
    Config(String),
    /// The provider says no: the user declined, or the code is used, expired or not for this client. The texts are the
    /// provider's, without control characters and cut off at 300 characters; they are still to be escaped in HTML.
    #[error("the provider refused: {error}{}", Described(.description))]
    Denied {
        /// The `error` code, such as `access_denied`.
        error: String,
        /// What the provider says about it.
        description: Option<String>,
    },
    /// What came back is not from this login, this user or this provider.
    #[error("the login is not genuine: {0}")]
    Forged(Forgery),
    /// The provider cannot be reached, or does not answer in the way it should.
    #[error("the provider failed while {during}")]
    Provider {
        /// What was going on.
        during: &'static str,
        /// Why it failed.
        #[source]
        fault: ProviderFault,
    },
}

impl OAuthError {
    /// The error for a browser that returns with `error` and `error_description` instead of a code.
    pub fn denied(error: &str, description: Option<&str>) -> Self {
        Self::Denied {
            error: harmless(error),
            description: description.map(harmless).filter(|text| !text.is_empty()),
        }
    }
}

/// What gave a forgery away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forgery {
    /// The state is not the one of this login.
    #[error("the state is another one")]
    State,
    /// The login began with another provider.
    #[error("it began with another provider")]
    OtherProvider,
    /// The login took too long. Beginning again helps.
    #[error("it has expired")]
    LoginExpired,
    /// The code is empty or no code at all.
    #[error("the code is malformed")]
    Code,
    /// The answer in the browser names another issuer, or none although the provider names itself (RFC 9207).
    #[error("the answer comes from another issuer")]
    CallbackIssuer,
    /// The id token is no signed token.
    #[error("the id token is malformed")]
    Malformed,
    /// The id token is signed with an algorithm that is not permitted, or not signed.
    #[error("the id token's algorithm is not permitted")]
    Algorithm,
    /// The id token is signed with a key that the issuer does not publish for this.
    #[error("the id token's key is not one of the issuer")]
    Key,
    /// The signature does not match.
    #[error("the id token's signature is wrong")]
    Signature,
    /// `iss` is not the configured issuer.
    #[error("the id token comes from another issuer")]
    Issuer,
    /// `aud` or `azp` is not this client.
    #[error("the id token is for another client")]
    Audience,
    /// `exp` is past or missing.
    #[error("the id token has expired")]
    Expired,
    /// `iat` or `nbf` is in the future, or `iat` is missing.
    #[error("the id token is from the future")]
    Future,
    /// `nonce` is not the one of this login.
    #[error("the id token is for another login")]
    Nonce,
    /// `at_hash` is not the one of the access token.
    #[error("the access token is another one")]
    AccessToken,
    /// `sub` is missing, empty or no text, or user info is about somebody else.
    #[error("the subject is missing or another one")]
    Subject,
}

/// Why a provider failed, for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderFault {
    /// No answer, or the request was refused by the guard of outbound requests.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// An answer with another status than 200.
    #[error("status {0}")]
    Status(u16),
    /// An answer that makes no sense.
    #[error("{0}")]
    Garbage(&'static str),
}

/// The end of the message of `Denied`.
struct Described<'a>(&'a Option<String>);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

/// `text` without what breaks log lines or changes the direction of writing, and not too long.
pub(crate) fn harmless(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .filter(|&c| !is_harmful(c))
        .take(MAX_PROVIDER_TEXT)
        .collect()
}

pub(crate) fn garbage(during: &'static str, what: &'static str) -> OAuthError {
    OAuthError::Provider {
        during,
        fault: ProviderFault::Garbage(what),
    }
}

impl From<Forgery> for OAuthError {
    fn from(forgery: Forgery) -> Self {
        Self::Forged(forgery)
    }
}
