//! Logins at an identity provider that is honest, and at one that is not.

#![expect(clippy::unwrap_used, reason = "what is unexpected fails the test")]

mod forged;
mod honest;
mod settings;

use fb_oauth::testkit::{Idp, REDIRECT_URI, query_of};
use fb_oauth::{Flow, OAuth, OAuthError, Pending, Profile, ProviderSettings};
use fb_types::{Clock, SystemClock, Timestamp};

/// A provider and the logins at it.
struct World {
    idp: Idp,
    oauth: OAuth,
    now: Timestamp,
}

/// What the browser came back with.
struct Back {
    state: String,
    code: String,
    iss: Option<String>,
}

impl World {
    fn new() -> Self {
        let idp = Idp::start();
        Self {
            oauth: OAuth::new(idp.outbound()),
            idp,
            now: SystemClock.now(),
        }
    }

    fn flow(&self, settings: &ProviderSettings) -> Flow {
        self.oauth.flow("idp", settings).unwrap()
    }

    fn after(&self, seconds: i64) -> Timestamp {
        Timestamp::from_millis(self.now.millis() + seconds * 1000)
    }

    /// The first step, with the browser's part.
    async fn begin(&self, flow: &Flow) -> Result<(Pending, Back), OAuthError> {
        let started = flow.begin(REDIRECT_URI, self.now).await?;
        let back = query_of(&self.idp.authorize(&started.authorize_url).unwrap());
        if let Some(error) = back.get("error") {
            let description = back.get("error_description").map(String::as_str);
            return Err(OAuthError::denied(error, description));
        }
        let back = Back {
            state: back["state"].clone(),
            code: back["code"].clone(),
            iss: back.get("iss").cloned(),
        };
        Ok((started.pending, back))
    }

    async fn finish(&self, flow: &Flow, pending: &Pending, back: &Back) -> Result<Profile, OAuthError> {
        flow.finish(pending, &back.state, &back.code, back.iss.as_deref(), self.now)
            .await
    }

    async fn log_in(&self, settings: &ProviderSettings) -> Result<Profile, OAuthError> {
        let flow = self.flow(settings);
        let (pending, back) = self.begin(&flow).await?;
        self.finish(&flow, &pending, &back).await
    }
}
