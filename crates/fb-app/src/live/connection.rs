//! One client's connection and its subscriptions.

use std::sync::Arc;

use fb_auth::{Objects, Operation, authorize};
use fb_live::{LiveQuery, Refused, Registration};
use fb_query::{Limits, Query, QueryError, SortKey, parse_filter, parse_sort};
use fb_types::{Class, Schema};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::budget::{Cost, LiveSource, Purse};
use super::caller::LiveCaller;
use super::command::{Command, Registered, Resumption, Seat};
use super::outlet::{LiveEnd, LiveMessage, LiveSink, Outlet, RESULT_BYTES};
use super::resume::{Log, Token};
use super::tell::{Listener, first, head};
use super::wish::{LiveWish, Resume};
use super::{MAX_MEMBERS, PER_CONNECTION, TRIES};
use crate::{App, AppError};

/// The sort order of a live query. Fields that the class does not have are the same in all objects, so they are left out; the protocol's
/// clients sort by fields that come later. (A new field is another schema, which resets connections.)
fn sort_order(json: &Value, schema: &Schema, class: &Class, limits: &Limits) -> Result<Vec<SortKey>, QueryError> {
    let sort = parse_sort(json, schema, class, limits);
    if !matches!(sort, Err(QueryError::UnknownField { .. })) {
        return sort;
    }
    let members: Vec<(&String, &Value)> = match json {
        Value::Object(members) => members.iter().collect(),
        Value::Array(objects) => objects.iter().filter_map(Value::as_object).flatten().collect(),
        _ => Vec::new(),
    };
    let mut known = Vec::with_capacity(members.len());
    for (name, direction) in members {
        match parse_sort(&json!({ name: direction }), schema, class, limits) {
            Ok(keys) => known.extend(keys),
            Err(QueryError::UnknownField { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if known.is_empty() {
        // Still an order, with positions.
        return parse_sort(&json!({ "id": 1 }), schema, class, limits);
    }
    Ok(known)
}

/// What a row in a window takes besides its object, roughly.
const EACH_ROW: usize = 200;

/// The subscriptions of one client, and what it is told. Dropping it ends them, but for those that can be resumed: they go on for a minute.
pub struct LiveConnection {
    number: u64,
    app: Arc<App>,
    commands: mpsc::UnboundedSender<Command>,
    outlet: Arc<Outlet>,
    purse: Purse,
}

impl App {
    /// A connection without subscriptions. While there is one, the app stays awake.
    pub fn live_connection(self: &Arc<Self>, source: LiveSource) -> LiveConnection {
        let live = self.live();
        let (number, outlet) = (live.next_number(), Arc::<Outlet>::default());
        live.outlets.insert(number, outlet.clone());
        LiveConnection {
            number,
            purse: live.accounts.open(source),
            commands: live.commands(self),
            app: self.clone(),
            outlet,
        }
    }
}

impl LiveConnection {
    /// Begins a subscription under a name of the client's. Its first message, the result or
    /// that it has begun, is on its way when this returns. The same name again replaces the subscription. Waits
    /// while too much is waiting for [`Self::next`].
    ///
    /// Errors: those of queries; `NotLive` for what cannot be kept up to date; `TooManySubscriptions`; `BadToken`.
    pub async fn subscribe(&self, id: &str, caller: impl Into<LiveCaller>, wish: LiveWish) -> Result<(), AppError> {
        let caller = caller.into();
        self.unsubscribe(id);
        if self.len() >= PER_CONNECTION {
            return Err(AppError::TooManySubscriptions(format!(
                "a connection may have {PER_CONNECTION} live queries at most: end some of them"
            )));
        }
        self.outlet.room().await;
        let rights_rev = self.app.live().feed.rights_rev();
        let seat = Seat {
            id: id.into(),
            principal: self.app.live_principal(&caller).await?,
            caller,
            wish: Arc::new(wish),
            outlet: self.outlet.clone(),
            rights_rev,
            charges: Arc::default(),
        };
        if self.resume(&seat).await {
            return Ok(());
        }
        let number = self.app.live().next_number();
        self.outlet
            .with_subscriptions(|subscriptions| subscriptions.insert(seat.id.clone(), number));
        let begun = self.app.seat(&self.commands, number, seat, Some(&self.purse)).await;
        if begun.is_err() {
            self.outlet.with_subscriptions(|subscriptions| subscriptions.remove(id));
        }
        begun
    }

    /// Takes over the subscription that is to be resumed. False if it cannot be.
    async fn resume(&self, seat: &Seat) -> bool {
        let Resume::After(token) = &seat.wish.resume else {
            return false;
        };
        let Some(token) = Token::parse(token) else { return false };
        // First: its messages may come before the answer.
        let is_new = self.outlet.with_subscriptions(|subscriptions| {
            let is_new = !subscriptions.numbers.contains(&token.subscriber);
            if is_new {
                subscriptions.insert(seat.id.clone(), token.subscriber);
            }
            is_new
        });
        if !is_new {
            return false;
        }
        let (done, is_done) = oneshot::channel();
        let command = Command::Resume(Box::new(Resumption {
            token,
            seat: seat.clone(),
            done,
        }));
        let is_resumed = self.commands.send(command).is_ok() && is_done.await.unwrap_or(false);
        if !is_resumed {
            self.outlet
                .with_subscriptions(|subscriptions| subscriptions.remove(&seat.id));
        }
        is_resumed
    }

    /// Ends a subscription: [`Self::next`] gives no message of it any more. Unknown names are no error.
    pub fn unsubscribe(&self, id: &str) {
        let number = self.outlet.with_subscriptions(|subscriptions| subscriptions.remove(id));
        if let Some(number) = number {
            let _ = self.commands.send(Command::Cancel(number, self.outlet.clone()));
        }
    }

    /// All messages that wait; waits for one. None at all if what the sink of [`Self::write_through`] could not write is to be
    /// written. One caller at a time, which has written what it got before when it calls again. A subscription that has ended with an
    /// error is forgotten. The error says that nothing comes any more.
    pub async fn next(&self) -> Result<Vec<LiveMessage>, LiveEnd> {
        self.outlet.next().await
    }

    /// From now on messages may be written by whoever has them, in their order and never while [`Self::next`] has given some that are not
    /// written yet. What the sink does not take comes from [`Self::next`], as do errors.
    pub fn write_through(&self, sink: Arc<dyn LiveSink>) {
        self.outlet.write_through(sink);
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.outlet
            .with_subscriptions(|subscriptions| subscriptions.by_id.len())
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for LiveConnection {
    fn drop(&mut self) {
        // First: whoever is about to subscribe must not be left behind.
        self.outlet.end(LiveEnd::Reset);
        self.app.live().outlets.remove(self.number);
        let numbers = self
            .outlet
            .with_subscriptions(|subscriptions| std::mem::take(&mut subscriptions.numbers));
        for number in numbers {
            let _ = self.commands.send(Command::Leave(number, self.outlet.clone()));
        }
    }
}

impl std::fmt::Debug for LiveConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveConnection")
            .field("subscriptions", &self.len())
            .finish()
    }
}

impl App {
    /// Reads a first result and registers it. No purse is for a subscriber who is there already: it is told the difference.
    pub(super) async fn seat(
        self: &Arc<Self>,
        commands: &mpsc::UnboundedSender<Command>,
        number: u64,
        mut seat: Seat,
        purse: Option<&Purse>,
    ) -> Result<(), AppError> {
        let again = purse.is_none();
        let gone = || AppError::Busy { retry_after: 1 };
        for _ in 0..TRIES {
            let schema = self.schema();
            let class = self.entity(&schema, &seat.wish.bucket)?;
            let grant = authorize(&seat.principal, Operation::Query, class)?;
            let limits = &self.limits().query;
            let filter = parse_filter(&seat.wish.filter, &schema, class, limits)?;
            let sort = sort_order(&seat.wish.sort, &schema, class, limits)?;
            let query = Query::new(
                class,
                filter,
                sort,
                seat.wish.offset,
                seat.wish.limit.unwrap_or(u64::MAX),
            );
            if !grant.fields().read_everything() {
                for field in query.fields() {
                    grant.fields().authorize_read(field, Objects::All)?;
                }
            }
            let query = LiveQuery::new(query).map_err(|unfit| AppError::NotLive(unfit.to_string()))?;
            if let Some(purse) = purse {
                let filter = purse.pay(Cost {
                    subscriptions: 1,
                    filter_bytes: query.canonical().len() as u64,
                    object_bytes: 0,
                })?;
                seat.charges = Arc::new(vec![filter]);
            }
            let (to, ticket) = oneshot::channel();
            commands.send(Command::Ticket(to)).map_err(|_| gone())?;
            let ticket = ticket.await.map_err(|_| gone())?;
            // What has grown too long since is known all the same.
            let most = if again { u64::MAX } else { MAX_MEMBERS };
            let snapshot = self.live_snapshot(&schema, class, &grant, &query, most).await?;
            if let Some(purse) = purse
                && query.is_window()
            {
                let object_bytes = snapshot.rows.iter().map(|row| (row.body.len() + EACH_ROW) as u64).sum();
                let objects = purse.pay(Cost {
                    subscriptions: 0,
                    filter_bytes: 0,
                    object_bytes,
                })?;
                seat.charges = Arc::new(
                    Arc::into_inner(seat.charges)
                        .into_iter()
                        .flatten()
                        .chain([objects])
                        .collect(),
                );
            }
            let listener = Listener {
                outlet: seat.outlet.clone(),
                number,
                head: head(&seat.id),
                log: match seat.wish.resume {
                    Resume::Never => None,
                    Resume::Possible | Resume::After(_) => Some(Log::new(number, self.live().kept_bytes.clone())),
                },
                events: seat.wish.events,
                fields: grant.fields().clone(),
                schema: schema.clone(),
                class: class.name().clone(),
            };
            let (from, end) = query.window(snapshot.rows.len());
            let result = seat.wish.initial.then(|| listener.result(&snapshot.rows[from..end]));
            if !again && result.as_ref().is_some_and(|result| result.len() > RESULT_BYTES) {
                return Err(AppError::NotLive(format!(
                    "the first result of a live query may have {} MiB at most: add conditions, or a sort order and a limit",
                    RESULT_BYTES >> 20
                )));
            }
            let was_to_resume = matches!(seat.wish.resume, Resume::After(_));
            let first = (!again).then(|| first(result.as_deref(), was_to_resume.then_some(false), self.clock().now()));
            let (done, registered) = oneshot::channel();
            let registration = Registration {
                subscriber: number,
                query: Arc::new(query),
                scope: grant.scope().clone(),
                rows: snapshot.rows,
                seq: snapshot.seq,
                tell_all: false,
                ticket: ticket.take(),
            };
            let command = Command::Register(Box::new(Registered {
                registration,
                listener,
                first,
                seat: seat.clone(),
                schema_rev: schema.rev(),
                again,
                done,
            }));
            commands.send(command).map_err(|_| gone())?;
            match registered.await.map_err(|_| gone())? {
                Ok(()) => return Ok(()),
                Err(Refused::TooLate) => {}
            }
        }
        Err(gone())
    }
}
