//! The yardstick for reading: a server on bare hyper that answers every request with fixed JSON.
//!
//! It runs as a child process of the benchmark, so that its CPU time is measured in the same way
//! as that of Freshbase. What it reaches is what HTTP costs on this box; the rest is ours.

use std::{
    convert::Infallible,
    io::{Read as _, Write as _},
    net::SocketAddr,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE, header::HeaderValue, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::{client::Workload, http::RequestHeaders};

/// Name of the hidden subcommand that runs the server.
pub(crate) const SUBCOMMAND: &str = "plain-server";

/// The answers it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// One document.
    Object,
    /// The size of ten documents.
    List10,
    /// The size of twenty documents.
    List20,
    /// A page of a website.
    File,
    /// The word that a copy of it is good.
    Confirmed,
}

impl Page {
    /// Every page.
    pub(crate) const ALL: [Self; 5] = [Self::Object, Self::List10, Self::List20, Self::File, Self::Confirmed];

    /// Where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Object => "/",
            Self::List10 => "/list",
            Self::List20 => "/list20",
            Self::File => "/page.html",
            Self::Confirmed => "/confirmed",
        }
    }

    /// Bytes of its body.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Object => 250,
            Self::List10 => 2_600,
            Self::List20 => 5_200,
            Self::File => crate::pages::PAGE_BYTES,
            Self::Confirmed => 0,
        }
    }

    /// JSON of exactly [`Self::size`] bytes.
    fn body(self) -> String {
        if self == Self::Confirmed {
            return String::new();
        }
        const START: &str = r#"{"id":"/db/Item/0123456789abcdef","version":1,"acl":null,"text":""#;
        const END: &str = r#""}"#;
        let filler = "x".repeat(self.size() - START.len() - END.len());
        format!("{START}{filler}{END}")
    }
}

/// Requests for one page, again and again.
pub(crate) struct PageLoad {
    page: Page,
    headers: RequestHeaders,
}

impl PageLoad {
    /// Asks the plain server at `address` for `page`.
    pub(crate) fn new(address: SocketAddr, page: Page) -> Self {
        Self {
            page,
            headers: RequestHeaders::new(&address.to_string(), None),
        }
    }
}

impl Workload for PageLoad {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        self.headers.write_get(out, self.page.path());
    }

    fn min_body(&self) -> usize {
        self.page.size()
    }
}

/// The command that starts this program as plain server.
pub(crate) fn command() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding the path of this program")?);
    command.arg(SUBCOMMAND).stdin(Stdio::piped());
    Ok(command)
}

/// Serves on a free port of the loopback interface until standard input ends, so that it never
/// outlives the benchmark.
pub(crate) fn serve() -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()
        .context("starting the runtime")?
        .block_on(accept_all())
}

async fn accept_all() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("binding a port")?;
    let address = listener.local_addr().context("asking for the port")?;
    writeln!(std::io::stdout(), "plain server listening on http://{address}").context("printing the address")?;
    std::io::stdout().flush().context("printing the address")?;

    let bodies = Page::ALL.map(|page| Bytes::from(page.body()));
    loop {
        let (stream, _) = listener.accept().await.context("accepting a connection")?;
        stream.set_nodelay(true).context("switching Nagle's algorithm off")?;
        let bodies = bodies.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &bodies);
                async move { Ok::<_, Infallible>(answer) }
            });
            // An error here is a client that hung up, which is how every run ends.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    [object, list10, list20, file, confirmed]: &[Bytes; 5],
) -> Response<Full<Bytes>> {
    let body = match request.uri().path() {
        "/list" => list10,
        "/list20" => list20,
        "/page.html" => file,
        "/confirmed" => confirmed,
        _ => object,
    };
    let mut response = Response::new(Full::new(body.clone()));
    if body.is_empty() {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_json_of_the_promised_size() {
        for page in Page::ALL.into_iter().filter(|page| *page != Page::Confirmed) {
            let body = page.body();
            assert_eq!(body.len(), page.size());
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        }
    }
}
