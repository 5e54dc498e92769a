//! Logins with passwords: as a load of their own, and beside another load.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    api::{Api, Line},
    client::Workload,
    dataset::Rng,
    http::RequestHeaders,
};

/// Connections of the scenario `login`. Together with those that are being hashed they fit into the queue.
pub(crate) const CONNECTIONS: usize = 8;
/// Connections that log in beside the GETs of `get-during-logins`.
pub(crate) const CONNECTIONS_BESIDE: usize = 16;
/// Logins that the server lets wait for its hasher: fewer than its default of 64, so that few connections fill it.
pub(crate) const MAX_WAITING: usize = 8;
/// Users that log in.
const USERS: usize = 50;

const PATH: &str = "/v1/db/User/login";

/// Registers the users by `register`, which takes name and password and answers the id, and checks that they can log
/// in, and only with the right password. The requests that they log in with.
pub(crate) fn prepare(
    address: SocketAddr,
    headers: RequestHeaders,
    seed: u64,
    mut register: impl FnMut(&str, &str) -> Result<String>,
) -> Result<LoginLoad> {
    let api = Api::new(address);
    let mut bodies = Vec::with_capacity(USERS);
    for number in 0..USERS {
        let (name, password) = (format!("login{number:02}"), format!("correct-horse-{number:02}"));
        let id = register(&name, &password).with_context(|| format!("registering {name}"))?;
        let body = json!({ "username": name, "password": password });
        if number == 0 {
            verify(&api, &id, &body).context("verifying logins")?;
        }
        bodies.push(body.to_string().into_bytes());
    }
    Ok(LoginLoad {
        headers,
        bodies: bodies.into(),
        rng: Rng::new(seed),
    })
}

fn verify(api: &Api, id: &str, right: &Value) -> Result<()> {
    let answer = api.post(PATH, right)?.json()?;
    ensure!(answer["id"] == id, "{id} has logged in, the answer is {answer}");
    let mut wrong = right.clone();
    wrong["password"] = json!("correct-horse-battery");
    let status = api.try_post(PATH, &wrong)?.status;
    ensure!(
        (400..500).contains(&status) && status != 429,
        "a login with a wrong password is answered with status {status}"
    );
    Ok(())
}

/// Logins of random users with their right passwords.
#[derive(Clone)]
pub(crate) struct LoginLoad {
    headers: RequestHeaders,
    bodies: Arc<[Vec<u8>]>,
    rng: Rng,
}

impl LoginLoad {
    /// The same users in another order.
    pub(crate) fn reseeded(&self, seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            ..self.clone()
        }
    }
}

impl Workload for LoginLoad {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        let index = self.rng.below(self.bodies.len() as u64) as usize;
        self.headers.write_json(out, "POST", PATH, "", &self.bodies[index]);
    }

    fn min_body(&self) -> usize {
        // The user at least; the token is in a header.
        20
    }
}

/// Logins that went on beside another load, its warm-up included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct LoginsBeside {
    /// How long they went on.
    pub(crate) seconds: f64,
    /// Successful ones.
    pub(crate) answered: u64,
    /// Those that found the queue full: 503 with `Retry-After`.
    pub(crate) refused: u64,
}

impl LoginsBeside {
    /// Several rounds together.
    pub(crate) fn sum(rounds: &[Self]) -> Self {
        rounds.iter().fold(Self::default(), |sum, round| Self {
            seconds: sum.seconds + round.seconds,
            answered: sum.answered + round.answered,
            refused: sum.refused + round.refused,
        })
    }
}

/// Does `work` while [`CONNECTIONS_BESIDE`] connections log in, each as soon as its last answer is there, and after a
/// refusal when the server has told it to.
///
/// Errors: anything but a success, or a 503 that says when to come back, ends the run.
pub(crate) fn beside<T>(
    address: SocketAddr,
    logins: &LoginLoad,
    seed: u64,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, LoginsBeside)> {
    let is_done = &AtomicBool::new(false);
    thread::scope(|scope| {
        let since = Instant::now();
        let threads: Vec<_> = (0..CONNECTIONS_BESIDE as u64)
            .map(|index| {
                let load = logins.reseeded(seed + index);
                scope.spawn(move || log_in_until(is_done, address, load))
            })
            .collect();
        let result = work();
        is_done.store(true, Ordering::Relaxed);
        let mut sum = LoginsBeside {
            seconds: since.elapsed().as_secs_f64(),
            ..LoginsBeside::default()
        };
        for thread in threads {
            thread.thread().unpark();
            let (answered, refused) = thread.join().map_err(|_| anyhow!("a login thread panicked"))??;
            sum.answered += answered;
            sum.refused += refused;
        }
        ensure!(sum.answered > 0, "nobody could log in, so nothing kept the hasher busy");
        Ok((result?, sum))
    })
}

fn log_in_until(is_done: &AtomicBool, address: SocketAddr, mut load: LoginLoad) -> Result<(u64, u64)> {
    let mut line = Line::open(address)?;
    let (mut answered, mut refused) = (0, 0);
    let mut request = Vec::new();
    while !is_done.load(Ordering::Relaxed) {
        request.clear();
        load.write_next(&mut request);
        let reply = line.exchange(&request).context("logging in")?;
        let retry_after = reply.header("retry-after").and_then(|value| value.parse().ok());
        match (reply.status, retry_after) {
            (200, _) => answered += 1,
            (503, Some(seconds)) => {
                refused += 1;
                let until = Instant::now() + Duration::from_secs(seconds);
                while let Some(left) = until.checked_duration_since(Instant::now())
                    && !left.is_zero()
                    && !is_done.load(Ordering::Relaxed)
                {
                    thread::park_timeout(left);
                }
            }
            (status, _) => bail!("a login beside the load was answered with status {status}"),
        }
    }
    Ok((answered, refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_added_up() {
        let round = LoginsBeside {
            seconds: 2.0,
            answered: 100,
            refused: 5,
        };
        let sum = LoginsBeside::sum(&[round, round]);
        assert_eq!((sum.seconds, sum.answered, sum.refused), (4.0, 200, 10));
    }
}
