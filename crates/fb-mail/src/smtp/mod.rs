//! Sending over SMTP.

mod options;
mod prelude;
#[cfg(test)]
mod testserver;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::{ClientId, Extension};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use options::Security;
pub use options::SmtpOptions;
use prelude::Prelude;

use crate::address::Address;
use crate::text::{cut, one_line};
use crate::{BoxFuture, MailError, Mailer, Message};

/// Longest wait for a connection, for STARTTLS, and for the login.
const STEP: Duration = Duration::from_secs(10);
/// Longest wait from `MAIL FROM` to the answer that the message was taken. Generous, because a server that checks the
/// content takes its time, and a message that is given up after its last byte is sent twice.
const TRANSACTION: Duration = Duration::from_secs(60);
/// Connections that are kept for the next message.
const IDLE: usize = 4;
/// How long they are kept. Many servers hang up after a minute or more.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// Longest reason in an error, in bytes.
const MAX_REASON: usize = 300;

/// Why there is no [`Smtp`].
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// Not an SMTP URL. The URL is not repeated, because it may hold a password.
    #[error("not a URL of a mail server: {0}")]
    Url(&'static str),
    /// TLS cannot be set up.
    #[error("setting up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends over SMTP. Keeps up to four idle connections; each try takes at most about 100 seconds.
///
/// An answer of 5xx to sender, recipient or message is [`MailError::Rejected`]. Everything else is
/// [`MailError::Unavailable`], also a refused login: the message is not at fault.
pub struct Smtp {
    options: SmtpOptions,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    /// Newest last. A std mutex: sections are short and never await. Nothing removes old connections in the background;
    /// there are four at most, and the next message does.
    idle: Mutex<Vec<(Instant, AsyncSmtpConnection)>>,
}

impl Smtp {
    /// Reads the system's root certificates, unless the connection is to be plaintext. Does not connect.
    pub fn new(options: SmtpOptions) -> Result<Self, SmtpError> {
        let tls = match options.security {
            Security::Plaintext => None,
            Security::Tls | Security::StartTls => {
                Some(TlsParameters::new(options.host.clone()).map_err(|error| SmtpError::Tls(Box::new(error)))?)
            }
        };
        Ok(Self::with_tls(options, tls))
    }

    /// [`Smtp::new`] from a URL; see [`SmtpOptions`].
    pub fn from_url(url: &str) -> Result<Self, SmtpError> {
        Self::new(url.parse()?)
    }

    fn with_tls(options: SmtpOptions, tls: Option<TlsParameters>) -> Self {
        let login = options.login.as_ref();
        Self {
            tls,
            credentials: login.map(|login| Credentials::new(login.user.clone(), login.password.clone())),
            hello: options.hello.clone().map_or_else(ClientId::default, ClientId::Domain),
            idle: Mutex::default(),
            options,
        }
    }

    async fn deliver(&self, message: &Message) -> Result<(), MailError> {
        let (envelope, bytes) = message.encode()?;
        let mut connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        if !message.has_ascii_addresses() && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            self.keep(connection);
            return Err(MailError::Rejected {
                reason: "the mail server takes only ASCII in addresses".to_owned(),
            });
        }
        // After an error or a timeout the connection is dropped: nobody knows where the conversation stands.
        match timeout(TRANSACTION, connection.send(&envelope, &bytes)).await {
            Ok(Ok(_)) => {
                self.keep(connection);
                Ok(())
            }
            Ok(Err(error)) => {
                let reason = reason(&error, message.recipient());
                Err(if error.is_permanent() {
                    MailError::Rejected { reason }
                } else {
                    MailError::Unavailable { reason }
                })
            }
            Err(_) => Err(unavailable("no answer while sending")),
        }
    }

    /// An idle connection that still works.
    async fn reuse(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let (since, mut connection) = self.idle().pop()?;
            if since.elapsed() < IDLE_TIME && timeout(STEP, connection.test_connected()).await == Ok(true) {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle();
        idle.retain(|(since, _)| since.elapsed() < IDLE_TIME);
        if idle.len() < IDLE && !connection.has_broken() {
            idle.push((Instant::now(), connection));
        }
    }

    /// A new connection, encrypted as required and logged in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let mut connection = self.open().await?;
        if self.options.security == Security::StartTls {
            let tls = self.tls.clone().ok_or_else(|| unavailable("TLS is not set up"))?;
            // lettre refuses as well when the server does not offer STARTTLS, with a less helpful message.
            if !connection.can_starttls() {
                return Err(unavailable("the mail server does not offer STARTTLS"));
            }
            step("STARTTLS", connection.starttls(tls, &self.hello)).await?;
        }
        // What comes next would give away credentials and links.
        if !self.options.is_plaintext() && !connection.is_encrypted() {
            return Err(unavailable("the connection is not encrypted"));
        }
        if let Some(credentials) = &self.credentials {
            match timeout(STEP, connection.auth(DEFAULT_MECHANISMS, credentials)).await {
                Ok(Ok(_)) => {}
                // Without the server's text: it may repeat what was sent.
                Ok(Err(error)) => {
                    return Err(match error.status() {
                        Some(code) => unavailable(&format!("the login was refused with {code}")),
                        None => unavailable("the login failed"),
                    });
                }
                Err(_) => return Err(unavailable("no answer to the login")),
            }
        }
        Ok(connection)
    }

    /// TCP, TLS if it comes first, greeting and EHLO.
    async fn open(&self) -> Result<AsyncSmtpConnection, MailError> {
        let address = (self.options.host.as_str(), self.options.port);
        if self.options.security == Security::Tls {
            let connecting =
                AsyncSmtpConnection::connect_tokio1(address, Some(STEP), &self.hello, self.tls.clone(), None);
            return step("connecting", connecting).await;
        }
        let tcp = match timeout(STEP, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(unavailable(&format!("connecting: {error}"))),
            Err(_) => return Err(unavailable("connecting: no answer")),
        };
        let stream = Box::new(Prelude::new(tcp));
        step(
            "greeting",
            AsyncSmtpConnection::connect_with_transport(stream, &self.hello),
        )
        .await
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, AsyncSmtpConnection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailer for Smtp {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(self.deliver(message))
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({})", self.options)
    }
}

/// One step before the message, in bounded time. Whatever goes wrong here is not the message's fault.
async fn step<T>(
    what: &str,
    doing: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, MailError> {
    match timeout(STEP, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(unavailable(&format!("{what}: {}", said(&error)))),
        Err(_) => Err(unavailable(&format!("{what}: no answer"))),
    }
}

fn unavailable(reason: &str) -> MailError {
    MailError::Unavailable {
        reason: redact(reason, None),
    }
}

/// `550 no such user`, or what broke.
fn said(error: &lettre::transport::smtp::Error) -> String {
    match (error.status(), std::error::Error::source(error)) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        (Some(code), None) => code.to_string(),
        (None, _) => error.to_string(),
    }
}

fn reason(error: &lettre::transport::smtp::Error, recipient: &Address) -> String {
    redact(&said(error), Some(recipient))
}

/// One line of at most 300 bytes, in which addresses have no local part. Servers like to repeat them.
fn redact(text: &str, recipient: Option<&Address>) -> String {
    let local = recipient.map(|address| address.local().to_lowercase());
    let is_local = |word: &str| {
        let word = word.to_lowercase();
        local.as_ref().is_some_and(|local| match local.len() {
            // So short that it is part of many words.
            ..3 => word.trim_matches(|c: char| !c.is_alphanumeric()) == *local,
            _ => word.contains(local.as_str()),
        })
    };
    let text = one_line(text);
    let words = text.split_whitespace().map(|word| match word.rfind('@') {
        Some(at) => format!("***{}", &word[at..]),
        None if is_local(word) => "***".to_owned(),
        None => word.to_owned(),
    });
    cut(&words.collect::<Vec<_>>().join(" "), MAX_REASON).to_owned()
}

#[cfg(test)]
mod tests;
