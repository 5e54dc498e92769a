//! What is kept between messages under the same key: a token, and a session with the service.

use std::sync::Arc;

use fb_auth::Secret;
use fb_outbound::{Outbound, OutboundError, Request, Response, Session};
use fb_types::Timestamp;
use tokio::sync::Mutex;

use crate::PushError;
use crate::jwt::Signer;

/// How long a session is used, in seconds: its address was checked when it was opened.
const SESSION_SECONDS: i64 = 1800;

/// A token that services take, and until when it is used.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) text: Secret,
    pub(crate) use_until: i64,
}

/// Signing key, token and session of one account.
pub(crate) struct Channel {
    pub(crate) signer: Signer,
    /// Async: it is held while a token is fetched, so that one is fetched however many messages wait for it.
    token: Mutex<Option<Token>>,
    /// Async for the same reason.
    session: Mutex<Option<(Arc<Session>, i64)>>,
}

impl Channel {
    pub(crate) fn new(signer: Signer) -> Self {
        Self {
            signer,
            token: Mutex::default(),
            session: Mutex::default(),
        }
    }

    /// The token in use, or the one that `make` gives if there is none that is good for long enough.
    pub(crate) async fn token(
        &self,
        now: Timestamp,
        make: impl AsyncFnOnce() -> Result<Token, PushError>,
    ) -> Result<Secret, PushError> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| now.seconds() < token.use_until) {
            return Ok(token.text.clone());
        }
        let token = make().await?;
        let text = token.text.clone();
        *kept = Some(token);
        Ok(text)
    }

    /// Forgets the token if it is still this one: the service does not take it any more.
    pub(crate) async fn forget_token(&self, text: &Secret) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.text == *text) {
            *kept = None;
        }
    }

    /// Sends a request on the session with its origin. One that was used before may have been closed by the other side in
    /// the meantime; then a new one is opened.
    pub(crate) async fn send(
        &self,
        outbound: &Outbound,
        request: Request,
        now: Timestamp,
    ) -> Result<Response, OutboundError> {
        let (session, is_new) = self.session(outbound, &request.url, now).await?;
        match session.send(request.clone()).await {
            Err(OutboundError::Unreachable { .. }) if !is_new => {
                self.forget_session(&session).await;
                let (session, _) = self.session(outbound, &request.url, now).await?;
                session.send(request).await
            }
            Err(error @ (OutboundError::Unreachable { .. } | OutboundError::Timeout { .. })) => {
                self.forget_session(&session).await;
                Err(error)
            }
            result => result,
        }
    }

    async fn session(
        &self,
        outbound: &Outbound,
        url: &str,
        now: Timestamp,
    ) -> Result<(Arc<Session>, bool), OutboundError> {
        let mut kept = self.session.lock().await;
        if let Some((session, until)) = kept.as_ref()
            && session.is_open()
            && now.seconds() < *until
        {
            return Ok((session.clone(), false));
        }
        let session = Arc::new(outbound.open_session(url).await?);
        *kept = Some((session.clone(), now.seconds() + SESSION_SECONDS));
        Ok((session, true))
    }

    async fn forget_session(&self, session: &Arc<Session>) {
        let mut kept = self.session.lock().await;
        if kept.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, session)) {
            *kept = None;
        }
    }
}
