//! What an app does by itself: code and webhooks after changes, jobs at their times.
//!
//! **Delivery.** One task per awake app that has code for changes, or webhooks, reads the change feed behind a persisted
//! cursor. An event is delivered at least once: the cursor passes it only when it was delivered, or is written down as one
//! to be tried again. Events of one object reach one receiver in the order of the commits; those of different objects do
//! not wait for each other. What fails too often becomes a dead letter.
//!
//! **Loops.** What code writes while it handles an event carries the chain of receivers that led to it, as a note on the
//! change. A receiver that is in the chain does not get the event, so every chain ends.
//!
//! **Times.** Nothing here sleeps: an app says when it is due next, and the node looks ([`Apps::run_due`](crate::Apps::run_due)).

mod admin;
mod cause;
mod cron;
mod deliver;
mod duties;
mod event;
mod feed;
mod follow;
mod jobs;
mod lanes;
mod letters;
mod records;
mod settle;
mod signal;
mod signature;
mod targets;
mod webhooks;

pub use admin::{DeadLetter, DeadLetters, TriggerState};
pub(crate) use cause::noted;
pub(crate) use duties::Duties;
pub(crate) use jobs::STATUS as RUN;
pub(crate) use signal::{Due, Signal};
pub use targets::EventKind;
pub(crate) use targets::has_events;
pub use webhooks::{Webhook, WebhookEvents, WebhookSettings};

use fb_types::Timestamp;

/// Pauses before an event is delivered again, in milliseconds. Afterwards it is a dead letter.
const PAUSES: [i64; 5] = [1_000, 5_000, 30_000, 120_000, 600_000];

/// How long a receiver has for an event in all: the sum of the pauses, in milliseconds.
const PATIENCE: i64 = 756_000;

/// Deliveries of one app that run at once. One receiver gets at most half of them.
const AT_ONCE: usize = 16;

/// A time that never comes.
pub(crate) const NEVER: i64 = i64::MAX;

/// The pause after so many failures, a quarter more or less, so that what failed together is not repeated together.
fn pause(failures: u32) -> Option<i64> {
    let pause = *PAUSES.get(usize::try_from(failures).ok()?.checked_sub(1)?)?;
    let [random] = fb_auth::random_bytes::<1>().unwrap_or([128]);
    Some(pause * 3 / 4 + pause / 2 * i64::from(random) / 255)
}

fn due_after(now: Timestamp, failures: u32) -> Option<i64> {
    pause(failures).map(|pause| now.millis() + pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        for (failures, pause) in (1..).zip(PAUSES) {
            let found = super::pause(failures).unwrap();
            assert!((pause * 3 / 4..=pause * 5 / 4).contains(&found), "{failures}: {found}");
        }
        assert_eq!(PAUSES.iter().sum::<i64>(), PATIENCE);
        assert_eq!(super::pause(6), None);
        assert_eq!(super::pause(0), None);
    }
}
