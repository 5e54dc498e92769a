//! Connections that become something else than HTTP: live queries over WebSocket.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::body::EdgeBody;
use crate::edge::Inner;
use crate::error::Failure;
use crate::headers::{Peer, forward, strip_hop_by_hop};
use crate::proof::FOR_EDGES;
use crate::target::Target;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether the client wants a WebSocket. Other protocols do not pass: some read what follows as requests of their own.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && request
            .headers()
            .get(UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

impl Inner {
    /// Has the origin upgrade, and then carries bytes in both directions until both sides have ended.
    pub(crate) async fn tunnel<B>(self: Arc<Self>, mut request: Request<B>, peer: Peer) -> Response<EdgeBody> {
        let client = hyper::upgrade::on(&mut request);
        let (parts, _) = request.into_parts();
        let tunnelled = async {
            let target = Target::of(&parts, peer.is_tls).map_err(Failure::Malformed)?;
            if parts.uri.path().starts_with("/.freshbase/") {
                return Err(Failure::NotHere);
            }
            let mut forwarded = Request::new(Empty::<Bytes>::new());
            *forwarded.uri_mut() = parts.uri.clone();
            *forwarded.headers_mut() = parts.headers.clone();
            forward(forwarded.headers_mut(), &target, peer);
            upgrading(forwarded.headers_mut());
            self.options.prove(forwarded.headers_mut());
            // Not counted among the requests to the origin: they last, and the limit of connections holds for them.
            self.origin.send(forwarded).await
        };
        let mut answer = match tunnelled.await {
            Ok(answer) => answer,
            Err(failure) => return failure.answer(&parts.headers),
        };
        let is_upgraded = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let origin = hyper::upgrade::on(&mut answer);
        let (mut head, body) = answer.into_parts();
        strip_hop_by_hop(&mut head.headers);
        FOR_EDGES.iter().for_each(|name| drop(head.headers.remove(name)));
        if !is_upgraded {
            return Response::from_parts(head, EdgeBody::passing(body));
        }
        upgrading(&mut head.headers);
        tokio::spawn(carry(client, origin));
        Response::from_parts(head, EdgeBody::whole(Bytes::new()))
    }
}

fn upgrading(headers: &mut http::HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

async fn carry(client: OnUpgrade, origin: OnUpgrade) {
    let (Ok(client), Ok(origin)) = tokio::join!(client, origin) else {
        return;
    };
    let carried = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(origin)).await;
    if let Err(error) = carried {
        tracing::debug!(error = %error, "a tunnel broke");
    }
}
