//! What is kept in the node's records: the account, and one record per host.
//!
//! ```text
//! acme/account       { directory, account?: sealed, failure? }
//! acme/host/<host>   { certificate?: { directory, chain: PEM, key: sealed PEM, issuedAt, way }, failure? }
//! acme/hosts         [host, …]: those that there are records of
//! ```
//!
//! Private keys are sealed under the node's master key, for their place. Chains are public, so that commands without the
//! key can read their dates.

use std::collections::BTreeSet;

use fb_auth::{Sealer, Secret};
use fb_store::Node;
use fb_types::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::order::Way;
use super::{AcmeError, schedule};
use crate::{Certificate, Validity};

const ACCOUNT: &str = "acme/account";
const HOSTS: &str = "acme/hosts";

fn host_key(host: &str) -> String {
    format!("acme/host/{host}")
}

/// The account's record.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeptAccount {
    /// Of the authority that it is an account of.
    pub(super) directory: String,
    /// Its credentials, sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Failure>,
}

/// A host's record.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct KeptHost {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<KeptCertificate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Failure>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeptCertificate {
    pub(super) directory: String,
    pub(super) chain: String,
    pub(super) key: String,
    /// Milliseconds.
    pub(super) issued_at: i64,
    /// How it was obtained.
    pub(super) way: Way,
}

/// The failures since the last success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    /// Milliseconds.
    pub(super) at: i64,
    pub(super) count: u32,
    /// Milliseconds.
    pub(super) retry_at: i64,
    /// The authority wanted to be left alone.
    pub(super) was_limited: bool,
    pub(super) reason: String,
}

impl Failure {
    pub(super) fn retry_after_restart(&self, now: Timestamp) -> Timestamp {
        schedule::retry_after_restart(now, Timestamp::from_millis(self.retry_at), self.was_limited)
    }
}

impl KeptCertificate {
    pub(super) fn seal(sealer: &Sealer, host: &str, key: &Secret) -> Result<String, AcmeError> {
        sealer
            .seal(&host_key(host), key)
            .map_err(|e| AcmeError::Internal(e.into()))
    }

    /// The certificate with its key; `None` if the key was sealed under another master key, or anything is damaged.
    pub(super) fn open(&self, sealer: &Sealer, host: &str) -> Option<Certificate> {
        let key = sealer.open(&host_key(host), &self.key).ok()?;
        Certificate::from_pem(self.chain.as_bytes(), key.expose().as_bytes()).ok()
    }

    fn validity(&self) -> Option<Validity> {
        let first = CertificateDer::pem_slice_iter(self.chain.as_bytes()).next()?.ok()?;
        Validity::of(&first)
    }
}

impl KeptAccount {
    pub(super) fn seal(sealer: &Sealer, credentials: &Secret) -> Result<String, AcmeError> {
        sealer
            .seal(ACCOUNT, credentials)
            .map_err(|e| AcmeError::Internal(e.into()))
    }

    pub(super) fn open(&self, sealer: &Sealer) -> Option<Secret> {
        sealer.open(ACCOUNT, self.account.as_deref()?).ok()
    }
}

/// What the node's records say about a host, for people and checks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostReport {
    /// From when to when its certificate is valid, if it has one.
    pub validity: Option<Validity>,
    /// When the last attempt to obtain one failed, and why; `None` if it did not.
    pub failure: Option<(Timestamp, String)>,
}

/// What a server left in the records about the certificate of `host`; also when it could not even get an account. Needs
/// no keys.
pub async fn report(node: &dyn Node, host: &str) -> Result<HostReport, AcmeError> {
    let kept = host_record(node, host).await?.unwrap_or_default();
    let failure = match kept.failure {
        Some(failure) => Some(failure),
        None if kept.certificate.is_none() => read::<KeptAccount>(node, ACCOUNT).await?.and_then(|a| a.failure),
        None => None,
    };
    Ok(HostReport {
        validity: kept.certificate.and_then(|certificate| certificate.validity()),
        failure: failure.map(|failure| (Timestamp::from_millis(failure.at), failure.reason)),
    })
}

pub(super) async fn account(node: &dyn Node) -> Result<Option<KeptAccount>, AcmeError> {
    read(node, ACCOUNT).await
}

pub(super) async fn keep_account(node: &dyn Node, account: &KeptAccount) -> Result<(), AcmeError> {
    write(node, ACCOUNT, Some(account)).await
}

pub(super) async fn host_record(node: &dyn Node, host: &str) -> Result<Option<KeptHost>, AcmeError> {
    read(node, &host_key(host)).await
}

pub(super) async fn keep_host(node: &dyn Node, host: &str, kept: &KeptHost) -> Result<(), AcmeError> {
    // The list first: a host in it without a record does no harm.
    let mut hosts: BTreeSet<String> = read(node, HOSTS).await?.unwrap_or_default();
    if hosts.insert(host.to_owned()) {
        write(node, HOSTS, Some(&hosts)).await?;
    }
    write(node, &host_key(host), Some(kept)).await
}

/// Removes the records of hosts that nobody wants any more. Certificates that are still valid stay: an app that is
/// restored from a backup, or a host that moves to another app, gets along with them.
pub(super) async fn sweep(node: &dyn Node, wanted: &BTreeSet<String>, now: Timestamp) -> Result<(), AcmeError> {
    let mut hosts: BTreeSet<String> = read(node, HOSTS).await?.unwrap_or_default();
    let unwanted: Vec<String> = hosts.difference(wanted).cloned().collect();
    let mut is_changed = false;
    for host in unwanted {
        let certificate = host_record(node, &host).await?.and_then(|kept| kept.certificate);
        let validity = certificate.and_then(|certificate| certificate.validity());
        if validity.is_some_and(|validity| validity.not_after >= now) {
            continue;
        }
        write(node, &host_key(&host), None::<&KeptHost>).await?;
        hosts.remove(&host);
        is_changed = true;
    }
    if is_changed {
        write(node, HOSTS, Some(&hosts)).await?;
    }
    Ok(())
}

/// What cannot be read any more counts as absent: it is obtained anew.
async fn read<T: DeserializeOwned>(node: &dyn Node, key: &str) -> Result<Option<T>, AcmeError> {
    let Some(bytes) = node.record(key).await.map_err(AcmeError::Records)? else {
        return Ok(None);
    };
    Ok(serde_json::from_slice(&bytes).ok())
}

/// Only the one server of the node writes these records, so that whatever is there may be replaced.
async fn write<T: Serialize>(node: &dyn Node, key: &str, value: Option<&T>) -> Result<(), AcmeError> {
    let old = node.record(key).await.map_err(AcmeError::Records)?;
    let new = value.map(serde_json::to_vec).transpose();
    let new = new.map_err(|e| AcmeError::Internal(e.into()))?;
    node.swap_record(key, old.as_deref(), new.as_deref())
        .await
        .map_err(AcmeError::Records)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use fb_store_sqlite::{SqliteNode, SqliteOptions};

    use super::*;
    use crate::testing::pair;

    fn host(node_sealer: &Sealer, name: &str) -> KeptHost {
        let (chain, key) = pair(&[name]);
        KeptHost {
            certificate: Some(KeptCertificate {
                directory: "https://ca.test/dir".to_owned(),
                chain,
                key: KeptCertificate::seal(node_sealer, name, &Secret::new(key)).unwrap(),
                issued_at: 0,
                way: Way::Tls,
            }),
            failure: None,
        }
    }

    fn failure(reason: &str) -> Failure {
        Failure {
            at: 0,
            count: 1,
            retry_at: 0,
            was_limited: false,
            reason: reason.to_owned(),
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_read_back_for_its_host_and_under_its_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let node = SqliteNode::open(dir.path(), SqliteOptions::default()).unwrap();
        let (sealer, other) = (Sealer::new(&Secret::new("a")), Sealer::new(&Secret::new("b")));
        keep_host(&node, "a.test", &host(&sealer, "a.test")).await.unwrap();
        let kept = host_record(&node, "a.test")
            .await
            .unwrap()
            .unwrap()
            .certificate
            .unwrap();
        assert!(kept.open(&sealer, "a.test").unwrap().is_for("a.test"));
        assert!(kept.open(&sealer, "b.test").is_none());
        assert!(kept.open(&other, "a.test").is_none());
        assert_eq!(host_record(&node, "b.test").await.unwrap().map(|_| ()), None);
    }

    #[tokio::test]
    async fn reports_need_no_key_and_name_what_stands_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let node = SqliteNode::open(dir.path(), SqliteOptions::default()).unwrap();
        let sealer = Sealer::new(&Secret::new("a"));
        assert_eq!(report(&node, "a.test").await.unwrap(), HostReport::default());
        let account = KeptAccount {
            failure: Some(failure("no account")),
            ..KeptAccount::default()
        };
        keep_account(&node, &account).await.unwrap();
        let reason = |report: HostReport| report.failure.map(|(_, why)| why);
        let found = report(&node, "a.test").await.unwrap();
        assert_eq!(reason(found).as_deref(), Some("no account"));

        let mut kept = host(&sealer, "a.test");
        keep_host(&node, "a.test", &kept).await.unwrap();
        let found = report(&node, "a.test").await.unwrap();
        assert!(found.validity.is_some() && found.failure.is_none());
        kept.failure = Some(failure("not now"));
        keep_host(&node, "a.test", &kept).await.unwrap();
        assert_eq!(
            reason(report(&node, "a.test").await.unwrap()).as_deref(),
            Some("not now")
        );
        // A damaged record is none.
        node.swap_record("acme/host/b.test", None, Some(b"{")).await.unwrap();
        let found = report(&node, "b.test").await.unwrap();
        assert_eq!(found.validity, None);
    }

    #[tokio::test]
    async fn records_of_hosts_that_are_gone_stay_as_long_as_their_certificates_are_good() {
        let dir = tempfile::tempdir().unwrap();
        let node = SqliteNode::open(dir.path(), SqliteOptions::default()).unwrap();
        let sealer = Sealer::new(&Secret::new("a"));
        for name in ["a.test", "b.test"] {
            keep_host(&node, name, &host(&sealer, name)).await.unwrap();
        }
        let failed = KeptHost {
            certificate: None,
            failure: Some(failure("never")),
        };
        keep_host(&node, "c.test", &failed).await.unwrap();
        let left = async || {
            let mut left = Vec::new();
            for name in ["a.test", "b.test", "c.test"] {
                if host_record(&node, name).await.unwrap().is_some() {
                    left.push(name);
                }
            }
            left
        };
        let wanted = BTreeSet::from(["a.test".to_owned()]);
        let (now, later): (Timestamp, Timestamp) = (
            "2026-01-01T00:00:00Z".parse().unwrap(),
            "9999-01-01T00:00:00Z".parse().unwrap(),
        );
        sweep(&node, &wanted, now).await.unwrap();
        assert_eq!(left().await, ["a.test", "b.test"]);
        sweep(&node, &wanted, later).await.unwrap();
        assert_eq!(left().await, ["a.test"]);
        sweep(&node, &BTreeSet::new(), later).await.unwrap();
        assert_eq!(left().await, [""; 0]);
    }
}
