//! The yardstick for logins: threads that do nothing but verify a password, one per core.
//!
//! Parameters and crate are those that Freshbase hashes with unless it is told otherwise. What this
//! reaches is what the hasher gives on this box; what logins lack of it is ours.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use hdrhistogram::Histogram;

use crate::{
    measure::{self, Sample},
    process,
};

/// KiB of memory per hash; the server's default.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it; the server's default.
const PASSES: u32 = 2;

const PASSWORD: &str = "verified-again-and-again";

const WARM_UP: u8 = 0;
const MEASURING: u8 = 1;
const DONE: u8 = 2;

/// A hasher and what it verifies.
pub(crate) struct Argon2Baseline {
    hasher: Argon2<'static>,
    stored: String,
}

impl Argon2Baseline {
    /// Hashes the password that is to be verified.
    pub(crate) fn create() -> Result<Self> {
        let params =
            Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| anyhow!("parameters of Argon2: {error}"))?;
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let stored = hasher
            .hash_password(PASSWORD.as_bytes())
            .map_err(|error| anyhow!("hashing a password: {error}"))?
            .to_string();
        Ok(Self { hasher, stored })
    }

    /// Verifies on every core for `warm_up` and then `measured`, and until something was verified at all.
    pub(crate) fn round(&self, warm_up: Duration, measured: Duration) -> Result<Sample> {
        let cores = thread::available_parallelism().context("counting the cores")?.get();
        let (phase, verified) = (&AtomicU8::new(WARM_UP), &AtomicU64::new(0));
        thread::scope(|scope| {
            let threads: Vec<_> = (0..cores)
                .map(|_| scope.spawn(move || self.verify_until_done(phase, verified)))
                .collect();

            thread::sleep(warm_up);
            let cpu_before = process::own_process_cpu_time();
            let since = Instant::now();
            phase.store(MEASURING, Ordering::Relaxed);
            thread::sleep(measured);
            // A thread that fails ends, and `join` tells why.
            while verified.load(Ordering::Relaxed) == 0 && !threads.iter().any(|thread| thread.is_finished()) {
                thread::sleep(Duration::from_millis(1));
            }
            phase.store(DONE, Ordering::Relaxed);
            let elapsed = since.elapsed();
            let cpu = process::own_process_cpu_time().saturating_sub(cpu_before);

            let mut latency = measure::new_histogram();
            for thread in threads {
                let of_thread = thread.join().map_err(|_| anyhow!("a hashing thread panicked"))??;
                latency.add(of_thread).context("adding up the latencies")?;
            }
            Sample::new(latency.len(), elapsed, cpu, &latency)
        })
    }

    fn verify_until_done(&self, phase: &AtomicU8, verified: &AtomicU64) -> Result<Histogram<u64>> {
        let mut latency = measure::new_histogram();
        while phase.load(Ordering::Relaxed) != DONE {
            let since = Instant::now();
            ensure!(self.verify(PASSWORD), "the right password was refused");
            if phase.load(Ordering::Relaxed) == MEASURING {
                measure::record(&mut latency, since.elapsed());
                verified.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(latency)
    }

    /// As a login does: reads the stored text, hashes, compares.
    fn verify(&self, password: &str) -> bool {
        PasswordHash::new(&self.stored)
            .is_ok_and(|parsed| self.hasher.verify_password(password.as_bytes(), &parsed).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_of_the_cost_that_the_server_uses() {
        let baseline = Argon2Baseline::create().unwrap();
        assert!(
            baseline.stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            baseline.stored
        );
        assert!(baseline.verify(PASSWORD) && !baseline.verify("another"));
    }

    #[test]
    fn even_a_short_round_verifies_something() {
        let baseline = Argon2Baseline::create().unwrap();
        let sample = baseline.round(Duration::ZERO, Duration::from_millis(1)).unwrap();
        assert!(sample.ops_per_second > 0.0 && sample.p50_ms > 0.0);
    }
}
