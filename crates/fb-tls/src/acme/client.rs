//! The ACME library's requests, by the one client for requests to the outside.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fb_outbound::Outbound;
use http::StatusCode;
use http::header::{RETRY_AFTER, USER_AGENT};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use super::schedule::Limited;

/// The client of one order. It remembers when the authority says that it is asked too often: the library does not.
#[derive(Clone)]
pub(super) struct Client {
    outbound: Outbound,
    /// Held for an assignment.
    limited: Arc<Mutex<Limited>>,
}

impl Client {
    pub(super) fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            limited: Arc::new(Mutex::new(Limited::No)),
        }
    }

    pub(super) fn limited(&self) -> Limited {
        *self.limited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(self, request: http::Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let mut request = fb_outbound::Request::new(head.method, head.uri.to_string());
        request.headers = head.headers;
        // This server's own name says more to the authority's people than that of a library.
        request.headers.remove(USER_AGENT);
        request.body = body;
        let answer = self.outbound.send(request).await;
        let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
        if matches!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let seconds = answer
                .headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            let limited = seconds.map_or(Limited::Yes, Limited::For);
            *self.limited.lock().unwrap_or_else(PoisonError::into_inner) = limited;
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = answer.status;
        parts.headers = answer.headers;
        Ok(BytesResponse {
            parts,
            body: Box::new(answer.body),
        })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().send(request))
    }
}

#[cfg(test)]
mod tests {
    use fb_outbound::OutboundOptions;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::acme::order::make_account;

    /// What comes of an authority that answers with this to everything.
    async fn limited_by(answer: &'static str) -> Limited {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let outbound = Outbound::new(OutboundOptions {
            allow: vec![address.parse().unwrap()],
            ..OutboundOptions::default()
        });
        let client = Client::new(outbound.unwrap());
        let failed = make_account(client, &format!("http://{address}/dir"), None)
            .await
            .unwrap_err();
        assert!(!failed.reason.is_empty());
        failed.limited
    }

    #[tokio::test]
    async fn how_long_an_authority_wants_to_be_left_alone_is_heard() {
        let head = "content-length: 2\r\nconnection: close\r\n";
        for (answer, expected) in [
            (
                format!("HTTP/1.1 429 Too Many\r\n{head}retry-after: 3600\r\n\r\n{{}}"),
                Limited::For(3600),
            ),
            (
                format!("HTTP/1.1 503 Busy\r\n{head}retry-after: 5\r\n\r\n{{}}"),
                Limited::For(5),
            ),
            (format!("HTTP/1.1 429 Too Many\r\n{head}\r\n{{}}"), Limited::Yes),
            (
                format!("HTTP/1.1 500 Broken\r\n{head}retry-after: 5\r\n\r\n{{}}"),
                Limited::No,
            ),
        ] {
            assert_eq!(limited_by(answer.leak()).await, expected);
        }
    }
}
