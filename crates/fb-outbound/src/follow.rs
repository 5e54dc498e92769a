//! Redirects, for callers that ask for it.

use bytes::Bytes;
use http::{Method, header};
use url::Url;

use crate::{Outbound, OutboundError, Request, Response};

impl Outbound {
    /// Sends a request and follows at most `most` redirects, each of which is checked like the first target: credentials in
    /// headers stay with the origin that they were for, and what was posted is sent again where HTTP says so (307, 308).
    /// Returns the URL that answered, too. Source: RFC 9110, section 15.4, and the Fetch standard, "HTTP-redirect fetch".
    pub async fn send_following(&self, request: Request, most: usize) -> Result<(Response, String), OutboundError> {
        let mut request = request;
        for _ in 0..=most {
            let answer = self.send(request.clone()).await?;
            let Some(target) = target_of(&answer, &request.url)? else {
                return Ok((answer, request.url));
            };
            let status = answer.status.as_u16();
            if status == 303 && request.method != Method::HEAD
                || matches!(status, 301 | 302) && request.method == Method::POST
            {
                request.method = Method::GET;
                request.body = Bytes::new();
                for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
                    request.headers.remove(name);
                }
            }
            let is_elsewhere = Url::parse(&request.url).map_or(true, |from| from.origin() != target.origin());
            if is_elsewhere {
                for name in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION] {
                    request.headers.remove(name);
                }
            }
            request.url = target.into();
        }
        Err(OutboundError::Invalid {
            reason: "it redirects too often",
        })
    }
}

/// Where an answer redirects to, without fragment; `None` if it does not.
fn target_of(answer: &Response, from: &str) -> Result<Option<Url>, OutboundError> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = answer.headers.get(header::LOCATION) else {
        return Ok(None);
    };
    let malformed = OutboundError::Invalid {
        reason: "it redirects to what is no URL",
    };
    let joined = location
        .to_str()
        .ok()
        .and_then(|location| Url::parse(from).ok()?.join(location).ok());
    let Some(mut target) = joined else {
        return Err(malformed);
    };
    target.set_fragment(None);
    Ok(Some(target))
}
