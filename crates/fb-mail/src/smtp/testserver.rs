//! A small mail server on a free port that does what a script says, and remembers what it was told.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// What the server does out of the ordinary. Moments are named by the command that comes before, with `CONNECT` for the
/// greeting and `.` for the end of a message.
#[derive(Clone, Copy, Default)]
pub(super) struct Script {
    pub(super) tls: ServerTls,
    pub(super) speaks_utf8: bool,
    /// Says this at that moment, instead of what it should.
    pub(super) says: Option<(&'static str, &'static str)>,
    /// Hangs up at that moment.
    pub(super) hangs_up: Option<&'static str>,
    /// Says nothing at all at that moment.
    pub(super) falls_silent: Option<&'static str>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ServerTls {
    #[default]
    None,
    FromTheStart,
    StartTls,
    /// STARTTLS, with bytes between its answer and the handshake, as somebody on the way would put them there.
    Injected,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    /// With `+` in front of what came encrypted.
    pub(super) commands: Vec<String>,
    pub(super) messages: Vec<Received>,
}

#[derive(Clone)]
pub(super) struct Received {
    pub(super) from: String,
    pub(super) to: String,
    /// As it came, dots already undoubled.
    pub(super) data: Vec<u8>,
}

pub(super) struct TestServer {
    pub(super) port: u16,
    seen: Arc<Mutex<Seen>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) const CERTIFICATE: &[u8] = include_bytes!("testdata/cert.pem");
const KEY: &[u8] = include_bytes!("testdata/key.pem");

impl TestServer {
    pub(super) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let server = Self {
            port,
            seen: Arc::clone(&seen),
        };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                seen.lock().unwrap().connections += 1;
                // An error is a client that hung up.
                tokio::spawn(serve(Box::new(tcp), script, Arc::clone(&seen)));
            }
        });
        server
    }

    pub(super) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    /// The names of all commands, in order.
    pub(super) fn verbs(&self) -> Vec<String> {
        self.seen(|seen| seen.commands.iter().map(|line| verb(line).to_owned()).collect())
    }
}

fn verb(line: &str) -> &str {
    line.split([' ', ':']).next().unwrap()
}

fn acceptor() -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(mut stream: Box<dyn Stream>, script: Script, seen: Arc<Mutex<Seen>>) -> std::io::Result<()> {
    let mut is_tls = script.tls == ServerTls::FromTheStart;
    if is_tls {
        stream = Box::new(acceptor().accept(stream).await?);
    }
    let (mut from, mut to) = (String::new(), String::new());
    let mut line = "CONNECT".to_owned();
    loop {
        let verb = verb(&line).to_owned();
        if script.hangs_up == Some(&*verb) {
            return Ok(());
        }
        if script.falls_silent == Some(&*verb) {
            std::future::pending::<()>().await;
        }
        let said = script.says.filter(|(at, _)| *at == verb).map(|(_, says)| says);
        let mut answer = match &*verb {
            "CONNECT" => "220 hello".to_owned(),
            "EHLO" => {
                let starttls = matches!(script.tls, ServerTls::StartTls | ServerTls::Injected) && !is_tls;
                format!(
                    "250-test\r\n{}{}250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
                    if starttls { "250-STARTTLS\r\n" } else { "" },
                    if script.speaks_utf8 { "250-SMTPUTF8\r\n" } else { "" },
                )
            }
            "AUTH" => "235 welcome".to_owned(),
            "DATA" => "354 go on".to_owned(),
            "STARTTLS" => "220 go ahead".to_owned(),
            "QUIT" => "221 bye".to_owned(),
            _ => "250 fine".to_owned(),
        };
        if let Some(said) = said {
            answer = said.to_owned();
        }
        answer.push_str("\r\n");
        if verb == "STARTTLS" && script.tls == ServerTls::Injected {
            answer.push_str("250-evil\r\n250 AUTH PLAIN\r\n");
        }
        match &*verb {
            "MAIL" => from = line.clone(),
            "RCPT" => to = line.clone(),
            _ => {}
        }
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        if verb == "QUIT" {
            return Ok(());
        }
        if verb == "STARTTLS" && said.is_none() {
            stream = Box::new(acceptor().accept(stream).await?);
            is_tls = true;
        }
        if verb == "DATA" && said.is_none() {
            let data = read_message(&mut stream).await?;
            let received = Received {
                from: from.clone(),
                to: to.clone(),
                data,
            };
            let refused = script.says.is_some_and(|(at, _)| at == ".") || script.hangs_up == Some(".");
            if !refused {
                seen.lock().unwrap().messages.push(received);
            }
            line = ".".to_owned();
            continue;
        }
        line = read_line(&mut stream).await?;
        let shown = if is_tls { format!("+{line}") } else { line.clone() };
        seen.lock().unwrap().commands.push(shown);
    }
}

async fn read_line(stream: &mut Box<dyn Stream>) -> std::io::Result<String> {
    let mut line = Vec::new();
    loop {
        let byte = stream.read_u8().await?;
        line.push(byte);
        if line.ends_with(b"\r\n") {
            line.truncate(line.len() - 2);
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

async fn read_message(stream: &mut Box<dyn Stream>) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line == "." {
            return Ok(data);
        }
        data.extend_from_slice(line.strip_prefix('.').unwrap_or(&line).as_bytes());
        data.extend_from_slice(b"\r\n");
    }
}
