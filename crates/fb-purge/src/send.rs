//! Requests to targets, over connections that are kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fb_dial::Dial;
use fb_types::Clock;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::purger::SetupError;
use crate::target::{Asked, Target};
use crate::verdict::{self, Failure, Verdict};

/// Largest body of an answer that is looked at; more of it is cut off and means nothing.
const MAX_BODY: usize = 64 * 1024;

/// Time for a connection with its encryption.
const CONNECT: Duration = Duration::from_secs(4);

/// How long a connection that nobody uses is kept.
const KEEP: Duration = Duration::from_secs(50);

/// What carries requests; another one in tests.
pub(crate) trait Wire: Send + Sync + 'static {
    /// Sends a request for `target` and says how it went.
    fn send(&self, target: &Target, asked: Asked) -> impl Future<Output = Verdict> + Send;
}

/// The network. Redirects are not followed, proxies of the environment not used.
pub(crate) struct Network {
    client: Client<Dial, Full<Bytes>>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    longest_wait: Duration,
}

impl Network {
    pub(crate) fn new(clock: Arc<dyn Clock>, deadline: Duration, longest_wait: Duration) -> Result<Self, SetupError> {
        let dial = Dial::new([], CONNECT.min(deadline)).map_err(SetupError)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .build(dial);
        Ok(Self {
            client,
            clock,
            deadline,
            longest_wait,
        })
    }

    async fn exchange(&self, target: &Target, asked: Asked) -> Verdict {
        let unreachable = |source: fb_dial::BoxError| Verdict::Later {
            why: Failure::Unreachable(source),
            after: None,
        };
        let answer = match self.client.request(asked).await {
            Ok(answer) => answer,
            Err(error) => return unreachable(error.into()),
        };
        let (head, body) = answer.into_parts();
        let verdict = verdict::of_answer(head.status, &head.headers, self.clock.now(), self.longest_wait);
        // A body that breaks off after a good status changes nothing about what the target has done.
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        match verdict {
            Verdict::Done if target.denies(&body) => Verdict::Unacceptable(Failure::Unsuccessful(head.status)),
            verdict => verdict,
        }
    }
}

impl Wire for Network {
    async fn send(&self, target: &Target, asked: Asked) -> Verdict {
        match tokio::time::timeout(self.deadline, self.exchange(target, asked)).await {
            Ok(verdict) => verdict,
            Err(_) => Verdict::Later {
                why: Failure::Slow(self.deadline),
                after: None,
            },
        }
    }
}
