//! The default certificate's files, which may change while the server runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Certificate, CertificateError, Certificates};

/// How often the files are looked at. They have some kilobytes; reading them costs microseconds.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// A certificate's PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFiles {
    /// The server's certificate, then the chain.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What the files hold; `None` for one that cannot be read.
#[derive(PartialEq, Eq, Clone)]
struct Contents(Option<Vec<u8>>, Option<Vec<u8>>);

impl PemFiles {
    /// Reads them. Blocks.
    pub fn load(&self) -> Result<Certificate, CertificateError> {
        Certificate::from_files(&self.chain, &self.key)
    }

    /// Loads them into `certificates`, and gives what keeps them up to date there. Blocks.
    pub fn follow(self, certificates: Arc<Certificates>) -> Result<Follower, CertificateError> {
        // First: what changes while they are loaded is a change.
        let used = self.contents();
        let certificate = self.load()?;
        certificates.set_default(certificate);
        Ok(Follower {
            files: self,
            certificates,
            used,
            seen: None,
        })
    }

    fn contents(&self) -> Contents {
        Contents(std::fs::read(&self.chain).ok(), std::fs::read(&self.key).ok())
    }
}

/// Loads a certificate's files anew whenever they change. What cannot be used is logged once, and the certificate before
/// it stays.
///
/// The files themselves are compared, not their times: links that are turned over (as Kubernetes does) and changes within
/// a tick of the file system's clock count as well.
pub struct Follower {
    files: PemFiles,
    certificates: Arc<Certificates>,
    /// What was loaded, or found to be of no use.
    used: Contents,
    /// What was there at the last look, if it was something else.
    seen: Option<Contents>,
}

impl Follower {
    /// Follows the files for ever.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_TIME);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            // Reading files may block.
            self = match tokio::task::spawn_blocking(move || self.looked()).await {
                Ok(follower) => follower,
                // It cannot panic, or the runtime is shutting down.
                Err(_) => return,
            };
        }
    }

    fn looked(mut self) -> Self {
        self.look();
        self
    }

    fn look(&mut self) {
        let now = self.files.contents();
        if now == self.used {
            self.seen = None;
            return;
        }
        // Two files do not change in one moment: they are taken when they have stayed the same for one look.
        if self.seen.as_ref() != Some(&now) {
            self.seen = Some(now);
            return;
        }
        let path = self.files.chain.display();
        match self.files.load() {
            Ok(certificate) => {
                let until = certificate.validity().not_after;
                tracing::info!(%path, %until, "loaded the certificate {path}, valid until {until}");
                self.certificates.set_default(certificate);
            }
            Err(error) => {
                let reason = reason(&error);
                tracing::warn!(%path, "the new certificate {path} cannot be used, the one before stays: {reason}");
            }
        }
        self.used = now;
        self.seen = None;
    }
}

/// An error with its causes.
pub(crate) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pair;

    fn write(files: &PemFiles, (chain, key): (&str, &str)) {
        std::fs::write(&files.chain, chain).unwrap();
        std::fs::write(&files.key, key).unwrap();
    }

    #[test]
    fn new_files_are_taken_when_they_stay_and_broken_ones_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = PemFiles {
            chain: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        };
        let (a, b) = (pair(&["a.test"]), pair(&["b.test"]));
        let all = Arc::new(Certificates::default());
        assert!(files.clone().follow(all.clone()).is_err());
        write(&files, (&a.0, &a.1));
        let mut follower = files.clone().follow(all.clone()).unwrap();
        assert!(all.has("a.test"));
        follower.look();

        std::fs::write(&files.chain, &b.0).unwrap();
        follower.look();
        assert!(all.has("a.test"), "half a change is none");
        write(&files, (&b.0, &b.1));
        follower.look();
        follower.look();
        assert!(all.has("b.test") && !all.has("a.test"));

        for broken in [(a.0.as_str(), b.1.as_str()), ("", ""), (&a.0, "nonsense")] {
            write(&files, broken);
            follower.look();
            follower.look();
            assert!(all.has("b.test"));
        }
        std::fs::remove_file(&files.key).unwrap();
        follower.look();
        follower.look();
        assert!(all.has("b.test"));
        write(&files, (&a.0, &a.1));
        follower.look();
        follower.look();
        assert!(all.has("a.test"));
    }
}
