//! What the task of live queries is asked to do.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Principal;
use fb_live::{Refused, Registration, Row, Subscriber, Ticket, ViewId};
use fb_types::Seq;
use tokio::sync::{mpsc, oneshot};

use super::LiveStats;
use super::budget::Charge;
use super::caller::LiveCaller;
use super::outlet::Outlet;
use super::resume::Token;
use super::tell::Listener;
use super::wish::LiveWish;
use crate::AppError;

/// What the task is asked to do.
pub(super) enum Command {
    Ticket(oneshot::Sender<Held>),
    GiveBack(Ticket),
    Register(Box<Registered>),
    Resume(Box<Resumption>),
    /// A subscription ends, if this is still its connection.
    Cancel(Subscriber, Arc<Outlet>),
    /// Its connection is gone.
    Leave(Subscriber, Arc<Outlet>),
    Renewed(ViewId, Vec<Row>, Seq),
    Differs(ViewId),
    /// It could not be read again, so nobody knows what its subscribers should see.
    Lost(ViewId),
    /// A subscriber may not any more.
    End(Subscriber, Box<AppError>),
    Reviewed,
    /// A query is to be watched for the sake of copies of its result.
    Watch(Box<Watching>),
    Unwatch(Subscriber),
    /// Says when everything up to here is matched.
    Settle(Seq, oneshot::Sender<()>),
    /// The app is closed.
    Close,
    Stats(oneshot::Sender<LiveStats>),
}

/// A ticket that is given back when nobody uses it.
pub(super) struct Held {
    pub(super) ticket: Option<Ticket>,
    pub(super) commands: mpsc::WeakUnboundedSender<Command>,
}

impl Held {
    pub(super) fn take(mut self) -> Ticket {
        // It is there until it is taken.
        self.ticket.take().unwrap_or_else(|| unreachable!())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(ticket), Some(commands)) = (self.ticket.take(), self.commands.upgrade()) {
            let _ = commands.send(Command::GiveBack(ticket));
        }
    }
}

/// Who subscribed, and to what: all that is needed to do it again.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) id: Arc<str>,
    pub(super) caller: LiveCaller,
    pub(super) principal: Principal,
    pub(super) wish: Arc<LiveWish>,
    pub(super) outlet: Arc<Outlet>,
    /// When its rights were looked at.
    pub(super) rights_rev: u64,
    /// What it costs, until it ends.
    pub(super) charges: Arc<Vec<Charge>>,
}

pub(super) struct Registered {
    pub(super) registration: Registration,
    pub(super) listener: Listener,
    pub(super) first: Option<Bytes>,
    pub(super) seat: Seat,
    pub(super) schema_rev: u32,
    /// True for one who is there already.
    pub(super) again: bool,
    pub(super) done: oneshot::Sender<Result<(), Refused>>,
}

/// A subscription that is to go on with another connection.
pub(super) struct Resumption {
    pub(super) token: Token,
    pub(super) seat: Seat,
    /// If it does.
    pub(super) done: oneshot::Sender<bool>,
}

/// A query that is to be watched.
pub(super) struct Watching {
    pub(super) registration: Registration,
    pub(super) schema_rev: u32,
    pub(super) done: oneshot::Sender<Result<(), Refused>>,
}
