//! HTTPS as it is configured: certificates, and what keeps them up to date.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fb_auth::{Sealer, Secret};
use fb_outbound::{Outbound, OutboundOptions};
use fb_store::Node;
use fb_tls::{Acceptor, Acme, AcmeOptions, Certificates, Follower, PemFiles};
use fb_types::SystemClock;
use tokio::task::JoinHandle;

use crate::config::{AcmeContact, Config, HttpsRedirect};

/// Authorities may take a while: some check hosts before they answer.
const AUTHORITY_TIME: Duration = Duration::from_secs(30);

/// HTTPS, prepared.
pub(crate) struct Https {
    /// How the server speaks it.
    pub(crate) options: fb_server::Https,
    follower: Option<Follower>,
    acme: Option<Acme>,
}

/// The certificate's files, if some are configured.
pub(crate) fn files(config: &Config) -> Option<PemFiles> {
    let (Some(chain), Some(key)) = (config.tls_cert.clone(), config.tls_key.clone()) else {
        return None;
    };
    Some(PemFiles { chain, key })
}

impl Https {
    /// `None` if it is off. Fails if the certificate's files cannot be used.
    pub(crate) fn prepare(config: &Config, address: Option<SocketAddr>) -> anyhow::Result<Option<Self>> {
        let Some(address) = address else { return Ok(None) };
        let certificates = Arc::new(Certificates::default());
        let follower = match files(config) {
            Some(files) => {
                let path = files.chain.display().to_string();
                let follower = files.follow(certificates.clone());
                Some(follower.with_context(|| format!("loading the certificate {path}"))?)
            }
            None => None,
        };
        let options = fb_server::Https {
            acceptor: Acceptor::new(certificates.clone())?,
            certificates,
            redirect_to: match config.https_redirect {
                HttpsRedirect::Off => None,
                HttpsRedirect::ToListener => Some(address.port()),
                HttpsRedirect::To(port) => Some(port),
            },
        };
        Ok(Some(Self {
            options,
            follower,
            acme: None,
        }))
    }

    /// Takes up the certificates that were obtained by ACME, if that is configured.
    pub(crate) async fn open_acme(
        &mut self,
        config: &Config,
        node: Arc<dyn Node>,
        master_key: &Secret,
    ) -> anyhow::Result<()> {
        let Some(contact) = &config.acme else { return Ok(()) };
        let options = AcmeOptions {
            directory: config.acme_directory.clone(),
            contact: match contact {
                AcmeContact::Nobody => None,
                AcmeContact::Mail(address) => Some(address.clone()),
            },
            outbound: to_authority(config)?,
            node,
            sealer: Sealer::new(master_key),
            clock: Arc::new(SystemClock),
            certificates: self.options.certificates.clone(),
            domain: config.domain.clone(),
        };
        self.acme = Some(Acme::open(options).await.context("taking up certificates")?);
        Ok(())
    }

    /// Keeps certificates up to date until it is stopped.
    pub(crate) fn keep(self) -> Kept {
        let follower = self.follower.map(|follower| tokio::spawn(follower.run()));
        let acme = self.acme.map(|acme| tokio::spawn(acme.run()));
        Kept {
            tasks: follower.into_iter().chain(acme).collect(),
        }
    }
}

/// The client for requests to the ACME authority, which may be one of the own network: the operator named it.
fn to_authority(config: &Config) -> anyhow::Result<Outbound> {
    let url = &config.acme_directory;
    let host = url.trim_start_matches("https://").split(['/', '?', '#']).next();
    let host = host.unwrap_or_default();
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port {
        host.to_owned()
    } else {
        format!("{host}:443")
    };
    let mut extra_authorities = Vec::new();
    if let Some(path) = &config.acme_root {
        let pem = std::fs::read_to_string(path);
        extra_authorities.push(pem.with_context(|| format!("reading {}", path.display()))?);
    }
    let outbound = Outbound::new(OutboundOptions {
        allow: vec![
            host.parse()
                .with_context(|| format!("reading `acme-directory` {url}"))?,
        ],
        user_agent: concat!("Freshbase/", env!("CARGO_PKG_VERSION")).into(),
        timeout: AUTHORITY_TIME,
        extra_authorities,
        ..OutboundOptions::default()
    });
    outbound.context("preparing requests to the ACME authority")
}

/// What keeps certificates up to date.
pub(crate) struct Kept {
    tasks: Vec<JoinHandle<()>>,
}

impl Kept {
    /// Ends it.
    pub(crate) async fn stop(self) {
        for task in self.tasks {
            task.abort();
            // Its end may be the answer to the abort, or the panic that made it end.
            let _ = task.await;
        }
    }
}
