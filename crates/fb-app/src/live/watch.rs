//! Queries that are watched for the sake of copies of their results: see [`crate::caching`].

use std::sync::Arc;
use std::time::Duration;

use fb_auth::Grant;
use fb_live::{LiveQuery, Refused, Registration, Row, Subscriber};
use fb_types::{Class, Schema};
use tokio::sync::{mpsc, oneshot};

use super::TRIES;
use super::command::{Command, Watching};
use crate::{App, AppError};

/// Set in the numbers of those who are nobody's connection.
pub(super) const WATCH: Subscriber = 1 << 63;
/// How long a filter, or somebody who asks for a result, waits for the matcher.
const PATIENCE: Duration = Duration::from_millis(500);

/// A query that is to be watched.
pub(crate) struct Watch<'a> {
    pub(crate) subscriber: Subscriber,
    pub(crate) schema: &'a Schema,
    pub(crate) class: &'a Class,
    /// What everybody may see.
    pub(crate) grant: &'a Grant,
    pub(crate) query: &'a Arc<LiveQuery>,
    /// Most rows.
    pub(crate) most: u64,
}

impl App {
    /// A number for [`Watch`].
    pub(crate) fn next_watch(&self) -> Subscriber {
        self.live().next_number() | WATCH
    }

    /// Registers a query. From these rows on, [`Caching::result_changed`](crate::caching::Caching::result_changed) is told of each
    /// change. `None` if that is not possible just now.
    pub(crate) async fn watch(self: &Arc<Self>, watch: Watch<'_>) -> Result<Option<Vec<Row>>, AppError> {
        let commands = self.live().commands(self);
        for _ in 0..TRIES {
            let (to, ticket) = oneshot::channel();
            let is_sent = commands.send(Command::Ticket(to)).is_ok();
            let Some(ticket) = ticket.await.ok().filter(|_| is_sent) else {
                return Ok(None);
            };
            let Watch {
                schema, class, grant, ..
            } = watch;
            let snapshot = self
                .live_snapshot(schema, class, grant, watch.query, watch.most)
                .await?;
            let (done, registered) = oneshot::channel();
            let registration = Registration {
                subscriber: watch.subscriber,
                query: watch.query.clone(),
                scope: grant.scope().clone(),
                rows: snapshot.rows.clone(),
                seq: snapshot.seq,
                tell_all: false,
                ticket: ticket.take(),
            };
            let watching = Watching {
                registration,
                schema_rev: schema.rev(),
                done,
            };
            if commands.send(Command::Watch(Box::new(watching))).is_err() {
                return Ok(None);
            }
            match tokio::time::timeout(PATIENCE, registered).await {
                Ok(Ok(Ok(()))) => return Ok(Some(snapshot.rows)),
                Ok(Ok(Err(Refused::TooLate))) if self.schema().rev() == schema.rev() => {}
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Ends a watch.
    pub(crate) fn unwatch(&self, subscriber: Subscriber) {
        if let Some(commands) = self.live().running() {
            let _ = commands.send(Command::Unwatch(subscriber));
        }
    }

    /// Waits until everything is matched that was committed so far. False if that takes too long.
    pub(crate) async fn matched(&self) -> bool {
        let seq = self.live().feed.newest();
        let Some(commands) = self.live().running() else {
            return true;
        };
        let (to, matched) = oneshot::channel();
        if commands.send(Command::Settle(seq, to)).is_err() {
            return false;
        }
        matches!(tokio::time::timeout(PATIENCE, matched).await, Ok(Ok(())))
    }
}

impl super::Live {
    /// Where commands go, if the task is there.
    pub(super) fn running(&self) -> Option<mpsc::UnboundedSender<Command>> {
        let task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        task.as_ref().map(|task| task.commands.clone())
    }
}
