//! Requests to the origin, over connections that are kept.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fb_dial::Dial;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::pin;

use crate::body::{EdgeBody, Timed};
use crate::error::Failure;
use crate::options::{EdgeError, EdgeOptions};

/// The answer of an origin, as it comes in.
pub(crate) type Incomplete = Response<Timed<Incoming>>;

/// The server that the edge is for.
pub(crate) struct Origin {
    client: Client<Dial, EdgeBody>,
    scheme: Scheme,
    authority: Authority,
    limit: Duration,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl Origin {
    pub(crate) fn new(options: &EdgeOptions) -> Result<Self, EdgeError> {
        let uri: Uri = options.origin.parse().map_err(|_| EdgeError::Origin)?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(EdgeError::Origin);
        };
        let has_path = parts.path_and_query.is_some_and(|path| path.as_str() != "/");
        if has_path || ![Scheme::HTTP, Scheme::HTTPS].contains(&scheme) || authority.as_str().contains('@') {
            return Err(EdgeError::Origin);
        }
        let authorities = options.authorities.iter().map(Vec::as_slice);
        let dial = Dial::new(authorities, options.limits.connect).map_err(|error| EdgeError::Tls(error.into()))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.limits.keep_alive)
            .pool_max_idle_per_host(options.limits.origin_requests)
            .build(dial);
        Ok(Self {
            client,
            scheme,
            authority,
            limit: options.limits.silence,
        })
    }

    /// Sends a request for a path of the origin. Its headers should be those for the origin already.
    ///
    /// Fails if nothing moves for [`Limits::silence`](crate::Limits::silence), in either direction, before the answer begins; after
    /// that its body does.
    pub(crate) async fn send<B>(&self, mut request: Request<B>) -> Result<Incomplete, Failure>
    where
        B: Body<Data = bytes::Bytes> + Send + Unpin + 'static,
        B::Error: Into<crate::BoxError>,
    {
        let path = request
            .uri()
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path);
        *request.uri_mut() = uri.build().map_err(|_| Failure::Malformed("the URL"))?;
        *request.version_mut() = Version::HTTP_11;
        let is_empty = request.body().is_end_stream();
        let timed = request.map(|body| Timed::new(body, self.limit));
        let n_frames = timed.body().n_frames();
        let request = timed.map(|body| match is_empty {
            true => EdgeBody::whole(bytes::Bytes::new()),
            false => EdgeBody::passing(body),
        });
        let sending = self.client.request(request);
        pin!(sending);
        let mut seen = 0;
        let answer = loop {
            match tokio::time::timeout(self.limit, &mut sending).await {
                Ok(answer) => break answer,
                Err(_) => {
                    // An upload takes as long as it takes.
                    let so_far = n_frames.load(Ordering::Relaxed);
                    if so_far == seen {
                        return Err(Failure::Slow);
                    }
                    seen = so_far;
                }
            }
        };
        match answer {
            Ok(answer) => Ok(answer.map(|body| Timed::new(body, self.limit))),
            Err(error) => {
                tracing::debug!(error = %error, source = ?std::error::Error::source(&error), "a request to the origin failed");
                Err(Failure::Down)
            }
        }
    }
}
