//! What HTTPS changes about answers: redirects to it, and the promise to stay with it.

use std::sync::Arc;

use fb_tls::{Acceptor, Certificates};
use http::header::{self, HeaderValue};

use crate::context::Request;
use crate::reply::Reply;
use crate::source::TrustedProxy;

/// How HTTPS is spoken.
#[derive(Clone)]
pub struct Https {
    /// Makes encrypted connections of plain ones.
    pub acceptor: Acceptor,
    /// Which hosts there are certificates for, and the answers to challenges of ACME servers.
    pub certificates: Arc<Certificates>,
    /// The port that plain requests for hosts with a certificate are sent to, as clients see it. `None`: they are answered
    /// like any other, and browsers are not told to stay with HTTPS.
    pub redirect_to: Option<u16>,
}

/// Where ACME servers look for the answers to their challenges (RFC 8555, section 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// A year, for this host alone: what is below it, and the lists that browsers are shipped with, are for the operator to
/// decide on.
const STAY: HeaderValue = HeaderValue::from_static("max-age=31536000");

impl Https {
    /// The answer to a request that does not get as far as any route: a challenge of an ACME server, or a redirect.
    pub(crate) fn answer(&self, request: &Request, host: Option<&str>, trusted: &[TrustedProxy]) -> Option<Reply> {
        let path = request.path();
        if let Some(token) = path.strip_prefix(CHALLENGES) {
            // Over HTTPS as well: something in front of this server may redirect everything there.
            let answer = self.certificates.challenge_answer(token)?;
            return Some(Reply::text(200, "application/octet-stream", answer));
        }
        let port = self.redirect_to.filter(|_| !request.is_tls)?;
        // Probes come over plain HTTP, by whatever name, and follow no redirects.
        if matches!(path, "/healthz" | "/readyz") {
            return None;
        }
        // An edge that asks for itself follows no redirects either.
        if request.edge.is_some_and(|edge| edge.is_own) {
            return None;
        }
        // A proxy has its own encryption towards the client; a redirect would come back to it without end.
        if trusted.iter().any(|proxy| proxy.contains(request.peer.to_canonical())) {
            return None;
        }
        let host = host?;
        if !self
            .certificates
            .has(host.trim_start_matches('[').trim_end_matches(']'))
        {
            return None;
        }
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let to = match port {
            443 => format!("https://{host}{path}"),
            port => format!("https://{host}:{port}{path}"),
        };
        // 308: with the same method and body.
        let mut reply = Reply::empty(308);
        reply.set_header(header::LOCATION, &to);
        Some(reply)
    }

    /// Completes an answer over HTTPS.
    pub(crate) fn decorate(&self, host: Option<&str>, reply: &mut Reply) {
        // Browsers keep the promise for all ports: it would cut developers off from all else on their own machine.
        let is_local = |host: &str| host == "localhost" || host.ends_with(".localhost");
        if self.redirect_to.is_some() && !host.is_some_and(is_local) {
            reply.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STAY);
        }
    }
}
