//! Results that are read again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fb_live::{LiveQuery, ViewId};
use futures_util::FutureExt;
use tokio::time::Instant;

use super::super::command::Command;
use super::Worker;
use crate::AppError;

/// The pause between the beginnings of two renewals.
const PACE: Duration = Duration::from_millis(5);
/// How often a renewal is tried, and the pause before the second time; each further one is twice as long.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

impl Worker {
    /// Reads a result again, beside everything else.
    pub(super) fn renew(&mut self, view: ViewId, query: Arc<LiveQuery>, scopes: Vec<fb_auth::Scope>) {
        if !self.renewing.insert(view.clone()) {
            return;
        }
        let begin_at = self.next_renewal.max(Instant::now());
        self.next_renewal = begin_at + PACE;
        let (app, commands) = (self.app.clone(), self.own.clone());
        tokio::spawn(async move {
            tokio::time::sleep_until(begin_at).await;
            let mut pause = PAUSE;
            let mut n_tries = 0;
            let command = loop {
                let Some(app) = app.upgrade() else { return };
                // A renewal that panics must not leave its view waiting for ever.
                let result = AssertUnwindSafe(app.live_renewal(&query, &scopes)).catch_unwind().await;
                drop(app);
                let error = match result {
                    Ok(Ok(Some(snapshot))) => break Command::Renewed(view, snapshot.rows, snapshot.seq),
                    Ok(Ok(None)) => break Command::Differs(view),
                    Ok(Err(error)) => error,
                    Err(_) => AppError::internal("reading a live query again", "it panicked"),
                };
                tracing::warn!(error = %error, "a live query could not be read again");
                n_tries += 1;
                if n_tries == TRIES {
                    break Command::Lost(view);
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            };
            if let Some(commands) = commands.upgrade() {
                let _ = commands.send(command);
            }
        });
    }
}
