//! Certificates by ACME: for each host of an app, ordered when it appears and renewed in time.

mod client;
mod hosts;
mod kept;
mod order;
mod schedule;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fb_auth::{Sealer, Secret, random_bytes};
use fb_outbound::Outbound;
use fb_store::{Node, NodeError};
use fb_types::{Clock, Timestamp};
use tokio::task::JoinSet;

use crate::{BoxError, Certificates};
use client::Client;
use kept::{Failure, KeptAccount, KeptCertificate, KeptHost};
use order::{Failed, Issued};
use schedule::Limited;

pub use kept::{HostReport, report};

/// How often hosts are looked at. A look takes microseconds per host.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// How often records of hosts that are gone are looked at.
const SWEEP_MILLIS: i64 = 24 * 3600 * 1000;

/// Most orders at once.
const MAX_ORDERS: usize = 4;

/// What certificates are obtained with.
#[derive(Clone)]
pub struct AcmeOptions {
    /// URL of the authority's directory.
    pub directory: String,
    /// Where the authority may write to about the account.
    pub contact: Option<String>,
    /// The client for requests to the authority.
    pub outbound: Outbound,
    /// Holds the list of apps, and the records where account and certificates are kept.
    pub node: Arc<dyn Node>,
    /// Seals the private keys in the records.
    pub sealer: Sealer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where certificates are put, and answers to challenges.
    pub certificates: Arc<Certificates>,
    /// The host of the default app, beside those that apps have themselves.
    pub domain: String,
}

/// Certificates could not be looked after.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The node's records cannot be read or written.
    #[error("the node's records failed")]
    Records(#[source] NodeError),
    /// Something that cannot fail did.
    #[error("failed while keeping certificates")]
    Internal(#[source] BoxError),
}

/// Which hosts a server obtains certificates for, from the apps as they are registered and the host of the default app.
pub fn wanted_hosts(apps: &[fb_store::AppRecord], domain: &str) -> BTreeSet<String> {
    hosts::wanted(apps, domain)
}

/// Obtains certificates and renews them.
pub struct Acme {
    options: AcmeOptions,
    hosts: BTreeMap<String, Host>,
    /// Of the list of apps as it was read last.
    generation: Option<u64>,
    /// The account's credentials.
    account: Option<Secret>,
    account_failure: Option<Failure>,
    /// No account is made before.
    account_at: Timestamp,
    is_making_account: bool,
    /// Nothing is ordered before.
    paused_until: Timestamp,
    /// How often in a row the authority said that it was asked too often.
    n_pauses: u32,
    swept_at: Timestamp,
    jobs: JoinSet<Done>,
    /// The hosts of the jobs; the one that makes an account has none.
    hosts_of_jobs: HashMap<tokio::task::Id, String>,
}

/// A host that has a certificate or gets one.
struct Host {
    kept: KeptHost,
    /// When to order.
    next_at: Timestamp,
    is_busy: bool,
}

/// What a job has come to.
enum Done {
    Account(Result<Secret, Failed>),
    Host(String, Result<Box<Issued>, Failed>),
}

fn jitter() -> u8 {
    random_bytes::<1>().map_or(0, |[byte]| byte)
}

impl Acme {
    /// Takes up what is kept in the records: certificates are there for handshakes when this is done.
    pub async fn open(options: AcmeOptions) -> Result<Self, AcmeError> {
        let now = options.clock.now();
        let kept = kept::account(&*options.node).await?;
        let kept = kept
            .filter(|kept| kept.directory == options.directory)
            .unwrap_or_default();
        let account = kept.open(&options.sealer);
        if account.is_none() && kept.account.is_some() {
            tracing::warn!("the ACME account cannot be read under this master key; a new one will be made");
        }
        let account_at = kept
            .failure
            .as_ref()
            .map_or(now, |failure| failure.retry_after_restart(now));
        let mut acme = Self {
            options,
            hosts: BTreeMap::new(),
            generation: None,
            account,
            account_failure: kept.failure,
            account_at,
            is_making_account: false,
            paused_until: now,
            n_pauses: 0,
            swept_at: Timestamp::from_millis(now.millis() - SWEEP_MILLIS),
            jobs: JoinSet::new(),
            hosts_of_jobs: HashMap::new(),
        };
        acme.follow().await?;
        Ok(acme)
    }

    /// Looks after the certificates, for ever. Orders that are under way end with the future.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_TIME);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let done = tokio::select! {
                _ = ticks.tick() => None,
                Some(done) = self.jobs.join_next_with_id() => Some(done),
            };
            let followed = match done {
                Some(Ok((id, done))) => {
                    self.hosts_of_jobs.remove(&id);
                    self.take(done).await
                }
                Some(Err(error)) => {
                    let failed = Failed::panicked(&error);
                    let done = match self.hosts_of_jobs.remove(&error.id()) {
                        Some(host) => Done::Host(host, Err(failed)),
                        None => Done::Account(Err(failed)),
                    };
                    self.take(done).await
                }
                None => self.follow().await,
            };
            if let Err(error) = followed {
                let reason = crate::files::reason(&error);
                tracing::warn!("certificates could not be looked after: {reason}");
            }
            self.start_jobs();
        }
    }

    /// Takes over changes of the list of apps.
    async fn follow(&mut self) -> Result<(), AcmeError> {
        let node = self.options.node.clone();
        let now = self.options.clock.now();
        let generation = node.generation().await.map_err(AcmeError::Records)?;
        let is_sweep_due = now.millis() - self.swept_at.millis() >= SWEEP_MILLIS;
        if self.generation == Some(generation) && !is_sweep_due {
            return Ok(());
        }
        let apps = node.apps().await.map_err(AcmeError::Records)?;
        let wanted = hosts::wanted(&apps, &self.options.domain);
        let is_wanted = |host: &String| wanted.contains(host);
        let gone: Vec<String> = self.hosts.keys().filter(|host| !is_wanted(host)).cloned().collect();
        for host in gone {
            // An order that is under way comes to nothing when it is done.
            self.hosts.remove(&host);
            self.options.certificates.set(&host, None);
        }
        for host in &wanted {
            if !self.hosts.contains_key(host) {
                let kept = kept::host_record(&*node, host).await?.unwrap_or_default();
                let host_state = self.take_up(host, kept, now);
                self.hosts.insert(host.clone(), host_state);
            }
        }
        if is_sweep_due {
            self.swept_at = now;
            kept::sweep(&*node, &wanted, now).await?;
        }
        self.generation = Some(generation);
        Ok(())
    }

    /// A host as its record says.
    fn take_up(&self, host: &str, mut kept: KeptHost, now: Timestamp) -> Host {
        let mut renew_at = now;
        if let Some(certificate) = &kept.certificate {
            match certificate.open(&self.options.sealer, host) {
                Some(opened) => {
                    if certificate.directory == self.options.directory {
                        let issued_at = Timestamp::from_millis(certificate.issued_at);
                        renew_at = schedule::renew_at(opened.validity(), issued_at, jitter());
                    }
                    self.options.certificates.set(host, Some(opened));
                }
                None => {
                    tracing::warn!(
                        host,
                        "the certificate of {host} cannot be read under this master key; a new one will be ordered"
                    );
                    kept.certificate = None;
                }
            }
        }
        let retry_at = kept.failure.as_ref().map(|failure| failure.retry_after_restart(now));
        Host {
            kept,
            next_at: retry_at.unwrap_or(renew_at),
            is_busy: false,
        }
    }

    /// Starts what is due.
    fn start_jobs(&mut self) {
        let now = self.options.clock.now();
        if now < self.paused_until {
            return;
        }
        let certificates = &self.options.certificates;
        for (name, host) in &mut self.hosts {
            if self.jobs.len() >= MAX_ORDERS {
                break;
            }
            // Where the operator put a certificate by hand, none is needed.
            if host.is_busy || now < host.next_at || certificates.default_is_for(name) {
                continue;
            }
            let client = Client::new(self.options.outbound.clone());
            let Some(account) = self.account.clone() else {
                if !self.is_making_account && now >= self.account_at {
                    self.is_making_account = true;
                    let (directory, contact) = (self.options.directory.clone(), self.options.contact.clone());
                    self.jobs.spawn(async move {
                        Done::Account(order::make_account(client, &directory, contact.as_deref()).await)
                    });
                }
                return;
            };
            host.is_busy = true;
            let (host_name, name, certificates) = (name.clone(), name.clone(), certificates.clone());
            let worked = host.kept.certificate.as_ref().map(|certificate| certificate.way);
            let failures = host.kept.failure.as_ref().map_or(0, |failure| failure.count);
            let job = self.jobs.spawn(async move {
                let obtained = order::obtain(client, &account, &name, &certificates, worked, failures).await;
                Done::Host(name, obtained.map(Box::new))
            });
            self.hosts_of_jobs.insert(job.id(), host_name);
        }
    }

    async fn take(&mut self, done: Done) -> Result<(), AcmeError> {
        match done {
            Done::Account(made) => self.take_account(made).await,
            Done::Host(host, Ok(issued)) => self.take_certificate(host, *issued).await,
            Done::Host(host, Err(failed)) => self.take_failure(host, failed).await,
        }
    }

    async fn take_account(&mut self, made: Result<Secret, Failed>) -> Result<(), AcmeError> {
        self.is_making_account = false;
        match made {
            Ok(account) => {
                tracing::info!("made an account at the ACME authority {}", self.options.directory);
                self.account_failure = None;
                self.account = Some(account);
            }
            Err(failed) => {
                let failure = self.failure(self.account_failure.as_ref(), failed);
                self.account_at = Timestamp::from_millis(failure.retry_at);
                let (at, reason) = (self.account_at, &failure.reason);
                tracing::warn!(retry_at = %at, "no account at the ACME authority, next try at {at}: {reason}");
                self.account_failure = Some(failure);
            }
        }
        self.keep_account().await
    }

    async fn keep_account(&self) -> Result<(), AcmeError> {
        let sealed = match &self.account {
            Some(account) => Some(KeptAccount::seal(&self.options.sealer, account)?),
            None => None,
        };
        let kept = KeptAccount {
            directory: self.options.directory.clone(),
            account: sealed,
            failure: self.account_failure.clone(),
        };
        kept::keep_account(&*self.options.node, &kept).await
    }

    async fn take_certificate(&mut self, host: String, issued: Issued) -> Result<(), AcmeError> {
        self.n_pauses = 0;
        let now = self.options.clock.now();
        let key = KeptCertificate::seal(&self.options.sealer, &host, &issued.key)?;
        let kept = KeptHost {
            certificate: Some(KeptCertificate {
                directory: self.options.directory.clone(),
                chain: issued.chain,
                key,
                issued_at: now.millis(),
                way: issued.way,
            }),
            failure: None,
        };
        let validity = issued.certificate.validity();
        // First, so that what is said to be there survives a crash. Also of a host that is gone meanwhile: it may come back.
        let is_kept = kept::keep_host(&*self.options.node, &host, &kept).await;
        if let Some(state) = self.hosts.get_mut(&host) {
            self.options.certificates.set(&host, Some(issued.certificate));
            state.kept = kept;
            state.next_at = schedule::renew_at(validity, now, jitter());
            state.is_busy = false;
            let (until, next) = (validity.not_after, state.next_at);
            tracing::info!(host, %until, renew_at = %next, "obtained a certificate for {host}, valid until {until}");
        }
        is_kept
    }

    async fn take_failure(&mut self, host: String, failed: Failed) -> Result<(), AcmeError> {
        let now = self.options.clock.now();
        if failed.limited != Limited::No {
            self.n_pauses += 1;
            let until = now.millis() + schedule::pause_millis(self.n_pauses);
            self.paused_until = Timestamp::from_millis(until);
        }
        let is_account_unknown = failed.is_account_unknown;
        if is_account_unknown {
            tracing::warn!("the ACME authority does not know the account any more; a new one will be made");
            self.account = None;
            self.keep_account().await?;
        }
        let Some(state) = self.hosts.get(&host) else {
            return Ok(());
        };
        let mut failure = self.failure(state.kept.failure.as_ref(), failed);
        if is_account_unknown && failure.count == 1 {
            // The host has nothing to do with it. Only once, in case the authority forgets the new account as well.
            failure.retry_at = now.millis();
        }
        let retry_at = Timestamp::from_millis(failure.retry_at);
        let opened = state.kept.certificate.as_ref();
        let validity = opened
            .and_then(|certificate| certificate.open(&self.options.sealer, &host))
            .map(|c| c.validity());
        // Less than a sixth of the lifetime is left: by now somebody should look at it.
        let is_urgent = validity.is_some_and(|v| v.not_after.millis() - now.millis() < v.lifetime_millis() / 6);
        let reason = &failure.reason;
        if is_urgent {
            tracing::error!(host, %retry_at, "the certificate of {host} runs out and cannot be renewed, next try at {retry_at}: {reason}");
        } else {
            tracing::warn!(host, %retry_at, "no certificate for {host}, next try at {retry_at}: {reason}");
        }
        let Some(state) = self.hosts.get_mut(&host) else {
            return Ok(());
        };
        state.kept.failure = Some(failure);
        state.next_at = retry_at;
        state.is_busy = false;
        let kept = state.kept.clone();
        kept::keep_host(&*self.options.node, &host, &kept).await
    }

    fn failure(&self, before: Option<&Failure>, failed: Failed) -> Failure {
        let now = self.options.clock.now();
        let count = before.map_or(0, |failure| failure.count).saturating_add(1);
        Failure {
            at: now.millis(),
            count,
            retry_at: schedule::retry_at(now, count, failed.limited, jitter()).millis(),
            was_limited: failed.limited != Limited::No,
            reason: failed.reason,
        }
    }
}
