//! Who subscribes.

use std::sync::Arc;

use fb_auth::Principal;

use crate::{App, AppError};

/// How somebody who subscribes says who it is. It is asked again as long as the subscription lasts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LiveCaller {
    /// Nobody in particular.
    Anonymous,
    /// By a user token.
    Token(Arc<str>),
    /// By a token for one path.
    Resource {
        /// The token
        token: Arc<str>,
        /// The path that it is for
        path: Arc<str>,
    },
}

impl App {
    /// The rights that a subscriber has at the moment.
    pub(super) async fn live_principal(&self, caller: &LiveCaller) -> Result<Principal, AppError> {
        Ok(match caller {
            LiveCaller::Anonymous => Principal::anonymous(),
            LiveCaller::Token(token) => self.authenticate(token).await?.principal,
            LiveCaller::Resource { token, path } => self.authenticate_resource(token, path).await?.principal,
        })
    }
}

impl From<Option<&str>> for LiveCaller {
    fn from(token: Option<&str>) -> Self {
        token.map_or(Self::Anonymous, |token| Self::Token(token.into()))
    }
}
