//! Follows the origin's purges, over one connection after the other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};

use crate::edge::{Edge, Inner};
use crate::options::{EdgeError, EdgeOptions};
use crate::origin::Incomplete;
use crate::proof::{EDGE_BOUND, EDGE_SECRET};
use crate::purge::{Follow, Gap};

/// Pauses between attempts.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// A connection is given up after this time, because what is known of the origin's clock becomes less exact.
const RENEWAL: Duration = Duration::from_secs(1200);

/// Why a connection of the stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the origin cannot be reached, or ended the stream")]
    Connection,
    #[error("the origin sent nothing for {0:?}")]
    Silence(Duration),
    #[error("the origin answered {0}; check the path and the secret of the purge stream")]
    Refused(StatusCode),
    #[error(transparent)]
    Gap(#[from] Gap),
}

impl EdgeOptions {
    pub(crate) fn check(&self) -> Result<(), EdgeError> {
        let is_path = self.purge_path.starts_with('/') && self.purge_path.parse::<Uri>().is_ok();
        (is_path && self.proof().is_ok()).then_some(()).ok_or(EdgeError::Purges)
    }

    fn proof(&self) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&self.secret)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// What every request to the origin has.
    pub(crate) fn prove(&self, headers: &mut http::HeaderMap) {
        headers.remove(EDGE_SECRET);
        headers.remove(EDGE_BOUND);
        if !self.secret.is_empty()
            && let Ok(proof) = self.proof()
        {
            headers.insert(EDGE_SECRET, proof);
            let bound = u64::try_from(self.bound.as_millis()).unwrap_or(u64::MAX);
            headers.insert(EDGE_BOUND, HeaderValue::from(bound));
        }
    }
}

impl Edge {
    /// Keeps what is in memory coherent, for as long as it runs; one task per edge. Without it everything is passed on.
    pub async fn follow_purges(&self) {
        let inner = &self.inner;
        let mut follow = Follow::new(inner.coherence.clone());
        let mut n_failures = 0;
        loop {
            let ended = inner.follow_once(&mut follow, &mut n_failures).await;
            let Err(ended) = ended else { continue };
            follow.lost();
            if n_failures == 0 {
                tracing::warn!(error = %ended, "the purge stream was lost; answers are validated until it is back");
            }
            let pause = PAUSES[n_failures.min(PAUSES.len() - 1)];
            n_failures += 1;
            tokio::time::sleep(pause).await;
        }
    }
}

impl Inner {
    /// Follows one connection, until it ends or is due for renewal.
    async fn follow_once(self: &Arc<Self>, follow: &mut Follow, n_failures: &mut usize) -> Result<(), Ended> {
        let begun = self.ticks.now();
        let path = &self.options.purge_path;
        let uri = match follow.connect(begun) {
            Some(place) => format!("{path}?{}", place.to_query()),
            None => path.clone(),
        };
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = uri.parse().map_err(|_| Ended::Connection)?;
        self.options.prove(request.headers_mut());
        let answer: Incomplete = self.origin.send(request).await.map_err(|_| Ended::Connection)?;
        if answer.status() != StatusCode::OK {
            return Err(Ended::Refused(answer.status()));
        }
        let mut body = answer.into_body();
        loop {
            // Not by the edge's own clock: this only finds connections that are dead. What is answered meanwhile is bounded by beats.
            let silence = self.options.bound.max(Duration::from_secs(1)) * 2;
            let frame = tokio::time::timeout(silence, body.frame())
                .await
                .map_err(|_| Ended::Silence(silence))?;
            let frame = frame.ok_or(Ended::Connection)?.map_err(|_| Ended::Connection)?;
            let Ok(bytes) = frame.into_data() else { continue };
            let fed = follow.feed(&bytes);
            self.refresh(follow.take_purged());
            fed?;
            if *n_failures > 0 && self.coherence.is_intact(self.ticks.now()) {
                tracing::info!("the purge stream is back");
                *n_failures = 0;
            }
            if self.ticks.now().saturating_sub(begun) > RENEWAL {
                return Ok(());
            }
        }
    }
}
