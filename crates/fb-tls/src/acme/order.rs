//! One order: from the host's name to its certificate (RFC 8555, section 7.4).

use std::time::Duration;

use fb_auth::Secret;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::schedule::Limited;
use crate::files::reason;
use crate::{Certificate, Certificates};

/// How the authority checks that the host is this server's.
///
/// TLS comes first: it needs nothing but the listener that the certificate is for, and is not touched by redirects. HTTP is
/// for servers behind something that ends TLS itself, and for authorities that do not offer the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Way {
    /// `tls-alpn-01`, to port 443 (RFC 8737).
    Tls,
    /// `http-01`, to port 80.
    Http,
}

impl Way {
    fn other(self) -> Self {
        match self {
            Self::Tls => Self::Http,
            Self::Http => Self::Tls,
        }
    }

    fn challenge(self) -> ChallengeType {
        match self {
            Self::Tls => ChallengeType::TlsAlpn01,
            Self::Http => ChallengeType::Http01,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tls => "over TLS (port 443)",
            Self::Http => "over HTTP (port 80)",
        }
    }
}

/// How long an order may take in all; authorities answer within seconds, or are busy.
const ORDER_TIME: Duration = Duration::from_secs(300);

/// How to ask whether it is done.
const POLLS: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// A certificate as it was issued.
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: Secret,
    pub(super) certificate: Certificate,
    pub(super) way: Way,
}

/// An attempt came to nothing.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) reason: String,
    pub(super) limited: Limited,
    /// The authority does not know the account.
    pub(super) is_account_unknown: bool,
}

impl Failed {
    /// Something in the attempt gave way that should not.
    pub(super) fn panicked(error: &tokio::task::JoinError) -> Self {
        Self {
            reason: format!("the attempt broke off: {error}"),
            limited: Limited::No,
            is_account_unknown: false,
        }
    }
}

/// Why one order failed.
enum Trouble {
    /// The authority did not find this server behind the host in this way: another one may do.
    Challenge(String),
    /// The authority does not offer the way; nothing was tried.
    NotOffered,
    Other(instant_acme::Error),
    Unusable(String),
}

impl From<instant_acme::Error> for Trouble {
    fn from(error: instant_acme::Error) -> Self {
        Self::Other(error)
    }
}

/// Makes an account. Gives its credentials as JSON.
pub(super) async fn make_account(client: Client, directory: &str, mail: Option<&str>) -> Result<Secret, Failed> {
    let contact = mail.map(|mail| format!("mailto:{mail}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let builder = Account::builder_with_http(Box::new(client.clone()));
    let made = tokio::time::timeout(ORDER_TIME, builder.create(&new, directory.to_owned(), None));
    let made = made.await.map_err(|_| too_slow(&client))?;
    let (_, credentials) = made.map_err(|error| failed(&error, &client))?;
    let json = serde_json::to_string(&credentials);
    json.map(Secret::new).map_err(|error| failed(&error.into(), &client))
}

/// Obtains a certificate for `host`. The first attempt tries both ways; after `failures` one each time, in turns: failed
/// validations are what authorities count.
pub(super) async fn obtain(
    client: Client,
    credentials: &Secret,
    host: &str,
    certificates: &Certificates,
    worked: Option<Way>,
    failures: u32,
) -> Result<Issued, Failed> {
    let first = worked.unwrap_or(Way::Tls);
    let first = if failures.is_multiple_of(2) {
        first
    } else {
        first.other()
    };
    let mut n_tries = if failures == 0 { 2 } else { 1 };
    let attempt = async {
        let credentials: AccountCredentials =
            serde_json::from_str(credentials.expose()).map_err(|error| failed(&error.into(), &client))?;
        let builder = Account::builder_with_http(Box::new(client.clone()));
        let account = builder.from_credentials(credentials).await;
        let account = account.map_err(|error| failed(&error, &client))?;
        let mut reasons = Vec::new();
        for way in [first, first.other()] {
            if n_tries == 0 {
                break;
            }
            match order(&account, host, certificates, way).await {
                Ok(issued) => return Ok(issued),
                Err(Trouble::Challenge(reason)) => {
                    n_tries -= 1;
                    reasons.push(format!("{}: {reason}", way.name()));
                }
                Err(Trouble::NotOffered) => reasons.push(format!("{}: not offered by the authority", way.name())),
                Err(Trouble::Other(error)) => {
                    let mut failed = failed(&error, &client);
                    reasons.push(std::mem::take(&mut failed.reason));
                    failed.reason = reasons.join("; ");
                    return Err(failed);
                }
                Err(Trouble::Unusable(reason)) => {
                    reasons.push(reason);
                    break;
                }
            }
        }
        Err(Failed {
            reason: reasons.join("; "),
            limited: client.limited(),
            is_account_unknown: false,
        })
    };
    match tokio::time::timeout(ORDER_TIME, attempt).await {
        Ok(done) => done,
        Err(_) => Err(too_slow(&client)),
    }
}

fn too_slow(client: &Client) -> Failed {
    Failed {
        reason: format!("the authority took longer than {} s", ORDER_TIME.as_secs()),
        limited: client.limited(),
        is_account_unknown: false,
    }
}

fn failed(error: &instant_acme::Error, client: &Client) -> Failed {
    let problem = match error {
        instant_acme::Error::Api(problem) => problem.r#type.as_deref().unwrap_or_default(),
        _ => "",
    };
    let limited = match client.limited() {
        Limited::No if problem.ends_with(":rateLimited") => Limited::Yes,
        limited => limited,
    };
    Failed {
        reason: short(&reason(error)),
        limited,
        is_account_unknown: problem.ends_with(":accountDoesNotExist"),
    }
}

/// What authorities say goes into logs and records: one line of bounded length.
fn short(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(500).collect()
}

async fn order(account: &Account, host: &str, certificates: &Certificates, way: Way) -> Result<Issued, Trouble> {
    let identifiers = [Identifier::Dns(host.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    // Answers stay until the order is over, however it ends.
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            // Proven a while ago.
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => {
                return Err(Trouble::Challenge(
                    "an authorization that is over was handed out".to_owned(),
                ));
            }
        }
        let mut challenge = authorization.challenge(way.challenge()).ok_or(Trouble::NotOffered)?;
        let authorization = challenge.key_authorization();
        let answer = match way {
            Way::Tls => certificates.answer_over_tls(host, authorization.digest().as_ref()),
            Way::Http => Ok(certificates.answer_over_http(&challenge.token, authorization.as_str())),
        };
        answers.push(answer.map_err(|error| Trouble::Unusable(short(&reason(&error))))?);
        match challenge.set_ready().await {
            Ok(()) => {}
            // A fast authority has looked already, and its answer says what it found.
            Err(instant_acme::Error::Api(problem)) if !is_about_us(&problem) => {
                return Err(Trouble::Challenge(short(&problem.to_string())));
            }
            Err(error) => return Err(error.into()),
        }
    }
    match order.poll_ready(&POLLS).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) | Err(instant_acme::Error::Api(_)) => return Err(Trouble::Challenge(why_invalid(&mut order).await)),
        Err(error) => return Err(error.into()),
    }
    let unusable = |error: rcgen::Error| Trouble::Unusable(short(&reason(&error)));
    let key = KeyPair::generate().map_err(unusable)?;
    let mut params = CertificateParams::new([host.to_owned()]).map_err(unusable)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(unusable)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&POLLS).await?;
    let key = Secret::new(key.serialize_pem());
    let certificate = Certificate::from_pem(chain.as_bytes(), key.expose().as_bytes());
    let certificate = certificate.map_err(|error| Trouble::Unusable(short(&reason(&error))))?;
    if !certificate.is_for(host) {
        return Err(Trouble::Unusable("the authority issued it for another host".to_owned()));
    }
    Ok(Issued {
        chain,
        key,
        certificate,
        way,
    })
}

/// True for problems of the account or the authority, whatever the host.
fn is_about_us(problem: &instant_acme::Problem) -> bool {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    [":rateLimited", ":accountDoesNotExist", ":serverInternal", ":badNonce"]
        .iter()
        .any(|ours| kind.ends_with(ours))
}

/// What the authority found when it looked, which is said of the challenge only.
async fn why_invalid(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        if let Some(error) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return short(&error.to_string());
        }
    }
    "the authority did not say what it found".to_owned()
}
