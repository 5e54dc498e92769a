//! Rights that are looked at again.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fb_live::Subscriber;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::caller::LiveCaller;
use super::super::command::{Command, Seat};
use super::Worker;
use crate::{App, AppError};

/// How often everybody's rights are looked at although nothing seems to have changed: tokens expire.
pub(in super::super) const REVIEW: Duration = Duration::from_secs(10);

impl Worker {
    /// Looks at everybody's rights if that is due.
    pub(super) fn review(&mut self) {
        let rights_rev = self.feed.rights_rev();
        self.must_review_again |= std::mem::replace(&mut self.rights_rev, rights_rev) != rights_rev;
        let is_due = self.must_review_again || self.reviewed_at.elapsed() >= REVIEW;
        if !is_due || self.is_reviewing || self.seats.is_empty() {
            return;
        }
        self.must_review_again = false;
        self.reviewed_at = Instant::now();
        let mut by_caller: HashMap<LiveCaller, Vec<(Subscriber, Seat)>> = HashMap::new();
        for (subscriber, seat) in &self.seats {
            if seat.caller != LiveCaller::Anonymous {
                by_caller
                    .entry(seat.caller.clone())
                    .or_default()
                    .push((*subscriber, seat.clone()));
            }
        }
        if by_caller.is_empty() {
            return;
        }
        self.is_reviewing = true;
        let (app, commands) = (self.app.clone(), self.own.clone());
        tokio::spawn(async move {
            for (caller, seats) in by_caller {
                let (Some(app), Some(commands)) = (app.upgrade(), commands.upgrade()) else {
                    return;
                };
                let review = review_caller(&app, &commands, &caller, seats);
                if AssertUnwindSafe(review).catch_unwind().await.is_err() {
                    tracing::error!(app = %app.id(), "a review of the rights of live queries panicked");
                }
            }
            if let Some(commands) = commands.upgrade() {
                let _ = commands.send(Command::Reviewed);
            }
        });
    }
}

/// Looks at the rights of all who subscribed in the same way.
async fn review_caller(
    app: &Arc<App>,
    commands: &mpsc::UnboundedSender<Command>,
    caller: &LiveCaller,
    seats: Vec<(Subscriber, Seat)>,
) {
    let rights_rev = app.live().feed.rights_rev();
    let principal = app.live_principal(caller).await;
    for (subscriber, mut seat) in seats {
        seat.rights_rev = rights_rev;
        let end = match &principal {
            Ok(principal) if *principal == seat.principal => continue,
            Ok(principal) => {
                seat.principal = principal.clone();
                app.seat(commands, subscriber, seat, None).await.err()
            }
            Err(AppError::BadToken) => Some(AppError::BadToken),
            // Nobody knows. It is looked at again.
            Err(_) => continue,
        };
        if let Some(error) = end {
            let _ = commands.send(Command::End(subscriber, Box::new(error)));
        }
    }
}
