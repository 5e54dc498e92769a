//! HTTPS as it is configured: certificates, and what keeps them up to date.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use fb_tls::{Acceptor, Certificates, Follower, PemFiles};
use tokio::task::JoinHandle;

use crate::config::{Config, HttpsRedirect};

/// HTTPS, prepared.
pub(crate) struct Https {
    /// How the server speaks it.
    pub(crate) options: fb_server::Https,
    follower: Option<Follower>,
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
        Ok(Some(Self { options, follower }))
    }

    /// Keeps certificates up to date until it is stopped.
    pub(crate) fn keep(self) -> Kept {
        let tasks = self.follower.map(|follower| tokio::spawn(follower.run()));
        Kept {
            tasks: tasks.into_iter().collect(),
        }
    }
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
