//! What can go wrong, and the exit code that says it to scripts.

use std::path::Path;

/// Any error, as far as this crate only passes it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// Arguments or settings that make no sense.
    #[error("{0}")]
    Usage(String),
    /// Something in the project folder is wrong.
    #[error("{0}")]
    Project(String),
    /// No connection, or it broke.
    #[error("{url} cannot be reached; is the server running, and is the URL right?")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        source: BoxError,
    },
    /// Whatever answers there is no Freshbase API.
    #[error("{url} does not answer like the API of an app ({found}); the URL usually ends with /v1")]
    NotAnApi {
        /// What was asked for.
        url: String,
        /// What came instead.
        found: String,
    },
    /// No login, or one that is not accepted.
    #[error("{0}")]
    Login(String),
    /// The server refused, or failed.
    #[error("{what}: {message} (status {status})")]
    Answer {
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
        /// What the server says, on one line.
        message: String,
    },
    /// It would do what takes an explicit permission; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// Some of it is done and some is not; what failed has been listed.
    #[error("{0}")]
    Partial(String),
    /// A file cannot be read or written.
    #[error("{during}")]
    Io {
        /// What was being done.
        during: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl CliError {
    /// 1: failed; 2: wrong usage; 3: refused, nothing was changed; 4: partly done; 5: not logged in.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Partial(_) => 4,
            Self::Login(_) => 5,
            Self::Project(_)
            | Self::Unreachable { .. }
            | Self::NotAnApi { .. }
            | Self::Answer { .. }
            | Self::Io { .. } => 1,
        }
    }

    pub(crate) fn io(verb: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let during = format!("{verb} {}", path.display());
        move |source| Self::Io { during, source }
    }
}

impl From<fb_auth::NoRandomness> for CliError {
    fn from(error: fb_auth::NoRandomness) -> Self {
        Self::Io {
            during: error.to_string(),
            source: std::io::ErrorKind::Other.into(),
        }
    }
}
