//! Subscribers and writers, all on one thread with epoll: writes go out at a fixed rate, whatever comes back (an open
//! loop), and every event is counted.
//!
//! Each write carries its number in the field `stamp`, each subscription its number in its id, so that an event tells
//! which write it comes from and who is told: one that is missing, doubled, or told to others fails the run.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::websocket::{self, Kind};
use crate::{
    http::{self, RequestHeaders},
    measure, process,
};

/// Where subscribers connect.
const PATH: &str = "/v1/events";
/// Sockets are read so much at a time: many messages.
const READ_SIZE: usize = 256 * 1024;
/// Events of one round of epoll.
const READY: usize = 1024;

/// Who must be told of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Nobody subscribed.
    Nobody,
    /// Every subscription.
    All,
    /// The one of the number that the written object has.
    Owner,
}

/// Writes to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writes {
    /// How many.
    pub(crate) count: u64,
    /// Per second.
    pub(crate) rate: f64,
    /// Objects that are written in turn; their numbers are those of their owners.
    pub(crate) objects: u64,
    /// Whom they reach.
    pub(crate) audience: Audience,
}

/// What a series of writes yielded.
#[derive(Debug)]
pub(crate) struct Yield {
    /// Writes that were acknowledged: all of them.
    pub(crate) writes: u64,
    /// Events that were received, each by whom and once.
    pub(crate) events: u64,
    /// From the first write to the last event or answer.
    pub(crate) elapsed: Duration,
    /// CPU time of the server meanwhile.
    pub(crate) server_cpu: Duration,
    /// CPU time of this thread meanwhile.
    pub(crate) client_cpu: Duration,
    /// From sending a write to each of its events.
    pub(crate) event: Histogram<u64>,
    /// From sending a write to its last event.
    pub(crate) last: Histogram<u64>,
    /// From reading the answer of a write to each of its events.
    pub(crate) behind_answer: Histogram<u64>,
    /// From sending a write to its answer.
    pub(crate) answer: Histogram<u64>,
    /// Writes of which an event came before the answer was there.
    pub(crate) early: u64,
    /// Bytes that subscribers received.
    pub(crate) bytes: u64,
}

impl Yield {
    /// Nothing yet, of so many writes.
    fn new(writes: u64) -> Self {
        Self {
            writes,
            events: 0,
            elapsed: Duration::ZERO,
            server_cpu: Duration::ZERO,
            client_cpu: Duration::ZERO,
            event: measure::new_histogram(),
            last: measure::new_histogram(),
            behind_answer: measure::new_histogram(),
            answer: measure::new_histogram(),
            early: 0,
            bytes: 0,
        }
    }
}

/// What is written: object and body by number.
pub(crate) trait Objects {
    /// Appends a complete request that writes the object `number` with `stamp`.
    fn write(&self, headers: &RequestHeaders, number: u64, stamp: u64, out: &mut Vec<u8>);
}

/// Open connections to one server.
pub(crate) struct Load {
    /// If nothing comes for so long while something is missing, it will not come.
    pub(crate) silence: Duration,
    poll: Poll,
    address: SocketAddr,
    pid: u32,
    headers: RequestHeaders,
    sockets: Vec<Socket>,
    writers: Vec<Writer>,
    buffer: Vec<u8>,
    acknowledged: Vec<bool>,
    n_acknowledged: usize,
    markers: Markers,
    series: Option<Series>,
}

/// A subscriber's connection.
struct Socket {
    stream: TcpStream,
    /// The beginning of a frame whose end did not come yet.
    pending: Vec<u8>,
    outgoing: VecDeque<u8>,
}

/// A connection with at most one request on its way.
struct Writer {
    stream: TcpStream,
    outgoing: Vec<u8>,
    sent: usize,
    incoming: Vec<u8>,
    /// The write whose answer is awaited.
    write: Option<u64>,
    /// The server closed it while nothing was on its way, as servers may.
    is_closed: bool,
}

/// What is looked for in messages; their JSON has no blanks.
struct Markers {
    subscription: Finder<'static>,
    stamp: Finder<'static>,
    is_match: Finder<'static>,
    is_error: Finder<'static>,
}

/// Bookkeeping of the writes that are under way.
struct Series {
    writes: Writes,
    /// Stamp of the first one.
    base: u64,
    n_subscriptions: u64,
    states: Vec<State>,
    /// One bit per write and subscription where all are told.
    told: Vec<u64>,
    answered: u64,
    /// Writes that everybody was told of.
    complete: u64,
    yielded: Yield,
}

#[derive(Clone, Copy)]
struct State {
    sent_at: Instant,
    answered_at: Option<Instant>,
    writer: u32,
    events: u32,
}

impl Load {
    /// Connects `sockets` subscribers and `writers` writers, these with a token if there is one.
    pub(crate) fn open(
        address: SocketAddr,
        pid: u32,
        sockets: usize,
        writers: usize,
        token: Option<&str>,
    ) -> Result<Self> {
        let poll = Poll::new().context("creating an epoll instance")?;
        let host = address.to_string();
        let sockets = (0..sockets)
            .map(|index| {
                let mut stream = connect(address)?;
                let pending = websocket::open(&mut stream, &host, PATH).context("opening a WebSocket")?;
                let stream = register(stream, &poll, index)?;
                Ok(Socket {
                    stream,
                    pending,
                    outgoing: VecDeque::new(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let writers = (0..writers)
            .map(|index| {
                Ok(Writer {
                    stream: register(connect(address)?, &poll, sockets.len() + index)?,
                    outgoing: Vec::with_capacity(1024),
                    sent: 0,
                    incoming: Vec::with_capacity(4096),
                    write: None,
                    is_closed: false,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            silence: Duration::from_secs(20),
            poll,
            address,
            pid,
            headers: RequestHeaders::new(&host, token),
            sockets,
            writers,
            buffer: vec![0; READ_SIZE],
            acknowledged: Vec::new(),
            n_acknowledged: 0,
            markers: Markers {
                subscription: Finder::new("\"sub-"),
                stamp: Finder::new("\"stamp\":"),
                is_match: Finder::new("\"type\":\"match\""),
                is_error: Finder::new("\"type\":\"error\""),
            },
            series: None,
        })
    }

    /// Sends subscriptions, as many to each socket, and waits until each has its first message.
    /// `message` is that of the subscription with a number and the id `sub-<number>`.
    pub(crate) fn subscribe(&mut self, count: usize, message: &dyn Fn(usize) -> String) -> Result<()> {
        self.acknowledged = vec![false; count];
        self.n_acknowledged = 0;
        let per_socket = count.div_ceil(self.sockets.len().max(1));
        let mut frame = Vec::new();
        for number in 0..count {
            frame.clear();
            websocket::write_text(&mut frame, &message(number));
            let socket = &mut self.sockets[number / per_socket];
            socket.outgoing.extend(&frame);
            socket.flush()?;
        }
        let mut events = Events::with_capacity(READY);
        while self.n_acknowledged < count {
            self.turn(&mut events, self.silence)
                .with_context(|| format!("{} of {count} subscriptions were acknowledged", self.n_acknowledged))?;
        }
        Ok(())
    }

    /// Makes writes and waits for all their answers and events. Stamps go on from `base`.
    pub(crate) fn write(&mut self, objects: &dyn Objects, base: u64, writes: Writes) -> Result<Yield> {
        let (count, rate) = (writes.count, writes.rate);
        let n_subscriptions = self.acknowledged.len() as u64;
        let bits = match writes.audience {
            Audience::All => count * n_subscriptions,
            Audience::Nobody | Audience::Owner => 0,
        };
        let (server_cpu, client_cpu) = (process::cpu_time(self.pid)?, process::own_thread_cpu_time());
        let since = Instant::now();
        self.series = Some(Series {
            writes,
            base,
            n_subscriptions,
            states: Vec::with_capacity(count as usize),
            told: vec![0; bits.div_ceil(64) as usize],
            answered: 0,
            complete: 0,
            yielded: Yield::new(count),
        });
        let mut events = Events::with_capacity(READY);
        let mut idle: Vec<usize> = (0..self.writers.len()).collect();
        let mut sent = 0;
        while !self.series()?.is_done() {
            let mut now = Instant::now();
            // Those that are due; whatever finds no idle connection waits for one.
            let mut wait = self.silence;
            while sent < count {
                let due = since + Duration::from_secs_f64(sent as f64 / rate);
                if due > now {
                    wait = due - now;
                    break;
                }
                let Some(index) = idle.pop() else { break };
                if self.writers[index].is_closed {
                    self.reconnect(index)?;
                }
                let writer = &mut self.writers[index];
                writer.outgoing.clear();
                writer.sent = 0;
                objects.write(&self.headers, sent % writes.objects, base + sent, &mut writer.outgoing);
                writer.write = Some(sent);
                now = Instant::now();
                let state = State {
                    sent_at: now,
                    answered_at: None,
                    writer: index as u32,
                    events: 0,
                };
                writer.flush()?;
                self.series()?.states.push(state);
                sent += 1;
            }
            let outcome = self.turn(&mut events, wait);
            outcome.with_context(|| self.series.as_ref().map_or_else(String::new, Series::progress))?;
            idle.clear();
            let without_write = (0..self.writers.len()).filter(|index| self.writers[*index].write.is_none());
            idle.extend(without_write);
            // Those that are connected come last, so they are taken first.
            idle.sort_by_key(|index| !self.writers[*index].is_closed);
        }
        let elapsed = since.elapsed();
        let mut yielded = self.series.take().context("the writes are over")?.yielded;
        yielded.elapsed = elapsed;
        yielded.server_cpu = process::cpu_time(self.pid)?.saturating_sub(server_cpu);
        yielded.client_cpu = process::own_thread_cpu_time().saturating_sub(client_cpu);
        Ok(yielded)
    }

    fn reconnect(&mut self, index: usize) -> Result<()> {
        let stream = register(connect(self.address)?, &self.poll, self.sockets.len() + index)?;
        let writer = &mut self.writers[index];
        (writer.stream, writer.is_closed) = (stream, false);
        Ok(())
    }

    /// Waits a moment for what nobody should be told any more: whatever comes now came twice, or to the wrong one.
    pub(crate) fn listen(&mut self, span: Duration) -> Result<()> {
        let until = Instant::now() + span;
        let mut events = Events::with_capacity(READY);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.turn(&mut events, left.min(self.silence / 2))?;
        }
        Ok(())
    }

    fn series(&mut self) -> Result<&mut Series> {
        self.series.as_mut().context("nothing is being written")
    }

    /// One round of epoll. Answers are read before events. A silence of [`Self::silence`] is an error.
    fn turn(&mut self, events: &mut Events, wait: Duration) -> Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.context("waiting for messages")?,
        }
        if events.is_empty() {
            ensure!(
                wait < self.silence,
                "nothing came for {} seconds",
                self.silence.as_secs()
            );
            return Ok(());
        }
        let n_sockets = self.sockets.len();
        for event in events.iter() {
            if let Some(index) = event.token().0.checked_sub(n_sockets) {
                if event.is_writable() {
                    self.writers[index].flush()?;
                }
                if event.is_readable() {
                    self.receive_answer(index)?;
                }
            }
        }
        for event in events.iter() {
            let index = event.token().0;
            if index < n_sockets {
                if event.is_writable() {
                    self.sockets[index].flush()?;
                }
                if event.is_readable() {
                    self.receive_messages(index)?;
                }
            }
        }
        Ok(())
    }

    fn receive_answer(&mut self, index: usize) -> Result<()> {
        let writer = &mut self.writers[index];
        let Some(number) = writer.receive()? else { return Ok(()) };
        let now = Instant::now();
        let series = self.series.as_mut().context("an answer that nobody asked for")?;
        series.answered(number, now);
        Ok(())
    }

    fn receive_messages(&mut self, index: usize) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let socket = &mut self.sockets[index];
            let carried = socket.pending.len();
            if buffer.len() < carried + READ_SIZE / 2 {
                buffer.resize(carried + READ_SIZE, 0);
            }
            buffer[..carried].copy_from_slice(&socket.pending);
            socket.pending.clear();
            let room = buffer.len() - carried;
            let count = match socket.stream.read(&mut buffer[carried..]) {
                Ok(0) => bail!("the server closed a subscriber's connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("receiving messages"),
            };
            if let Some(series) = &mut self.series {
                series.yielded.bytes += count as u64;
            }
            let now = Instant::now();
            let mut rest = &buffer[..carried + count];
            while let Some(frame) = websocket::next_frame(rest)? {
                rest = &rest[frame.len..];
                match frame.kind {
                    Kind::Text => self.take_message(frame.payload, now)?,
                    Kind::Ping => {
                        let mut pong = Vec::new();
                        websocket::write_pong(&mut pong, frame.payload);
                        let socket = &mut self.sockets[index];
                        socket.outgoing.extend(&pong);
                        socket.flush()?;
                    }
                    Kind::Close => bail!(
                        "the server closes a WebSocket: {:?}",
                        String::from_utf8_lossy(frame.payload)
                    ),
                    Kind::Other => {}
                }
            }
            self.sockets[index].pending.extend_from_slice(rest);
            // Less than there was room for: nothing is left, and what comes next is a new edge.
            if count < room {
                break;
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    fn take_message(&mut self, text: &[u8], now: Instant) -> Result<()> {
        let Markers {
            subscription,
            stamp,
            is_match,
            is_error,
        } = &self.markers;
        let shown = || String::from_utf8_lossy(&text[..text.len().min(1000)]).into_owned();
        let subscription = number_behind(subscription, text).with_context(|| format!("whose is {}", shown()))?;
        let known = self.acknowledged.get_mut(subscription as usize);
        let is_acknowledged = known.with_context(|| format!("nobody subscribed to {}", shown()))?;
        if is_match.find(text).is_none() {
            ensure!(is_error.find(text).is_none(), "a subscription failed: {}", shown());
            ensure!(!*is_acknowledged, "acknowledged twice: {}", shown());
            *is_acknowledged = true;
            self.n_acknowledged += 1;
            return Ok(());
        }
        ensure!(*is_acknowledged, "an event before the first message: {}", shown());
        let stamp = number_behind(stamp, text).with_context(|| format!("of which write is {}", shown()))?;
        let unanswered = match &self.series {
            Some(series) => series.unanswered(stamp),
            None => bail!("an event too many: {}", shown()),
        };
        if let Some(writer) = unanswered {
            // The answer must be there already; it was only not looked at yet.
            self.receive_answer(writer)?;
        }
        let series = self.series()?;
        series.told(stamp, subscription, now).with_context(shown)
    }
}

impl Series {
    fn is_done(&self) -> bool {
        self.answered == self.writes.count
            && (self.complete == self.writes.count || self.writes.audience == Audience::Nobody)
    }

    fn progress(&self) -> String {
        format!(
            "{} of {} writes are answered, of {} all events came ({} events in all)",
            self.answered, self.writes.count, self.complete, self.yielded.events
        )
    }

    /// The writer that still waits for the answer of a write.
    fn unanswered(&self, stamp: u64) -> Option<usize> {
        let state = self.states.get(stamp.checked_sub(self.base)? as usize)?;
        state.answered_at.is_none().then_some(state.writer as usize)
    }

    fn answered(&mut self, number: u64, now: Instant) {
        let state = &mut self.states[number as usize];
        state.answered_at = Some(now);
        self.answered += 1;
        measure::record(&mut self.yielded.answer, now - state.sent_at);
    }

    fn told(&mut self, stamp: u64, subscription: u64, now: Instant) -> Result<()> {
        let number = stamp.checked_sub(self.base).context("an event of a write long ago")?;
        let state = self.states.get_mut(number as usize).context("an event of no write")?;
        let expected = match self.writes.audience {
            Audience::Nobody => bail!("an event that nobody subscribed to"),
            Audience::All => {
                let bit = number * self.n_subscriptions + subscription;
                let word = &mut self.told[(bit / 64) as usize];
                ensure!(*word >> (bit % 64) & 1 == 0, "the same event twice");
                *word |= 1 << (bit % 64);
                self.n_subscriptions as u32
            }
            Audience::Owner => {
                ensure!(
                    number % self.writes.objects == subscription,
                    "an event for somebody else"
                );
                ensure!(state.events == 0, "the same event twice");
                1
            }
        };
        state.events += 1;
        self.yielded.events += 1;
        // An event may have been read in the same turn as the answer, and then not behind it.
        let behind = state
            .answered_at
            .map_or(Duration::ZERO, |answered| now.saturating_duration_since(answered));
        if state.answered_at.is_none() && state.events == 1 {
            self.yielded.early += 1;
        }
        measure::record(&mut self.yielded.event, now - state.sent_at);
        measure::record(&mut self.yielded.behind_answer, behind);
        if state.events == expected {
            self.complete += 1;
            measure::record(&mut self.yielded.last, now - state.sent_at);
        }
        Ok(())
    }
}

impl Socket {
    fn flush(&mut self) -> Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.write(self.outgoing.as_slices().0) {
                Ok(0) => bail!("the server closed a subscriber's connection"),
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("sending a subscription"),
            }
        }
        Ok(())
    }
}

impl Writer {
    fn flush(&mut self) -> Result<()> {
        while self.sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[self.sent..]) {
                Ok(0) => bail!("the server closed a writer's connection"),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("sending a write"),
            }
        }
        Ok(())
    }

    /// Reads what has come; the number of the write if its answer is complete. Any status but success is an error.
    fn receive(&mut self) -> Result<Option<u64>> {
        let mut chunk = [0; 8192];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) if self.write.is_none() => {
                    self.is_closed = true;
                    return Ok(None);
                }
                Ok(0) => bail!("the server closed a writer's connection"),
                Ok(count) => self.incoming.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("receiving an answer"),
            }
            if let Some(answer) = http::parse_answer(&self.incoming)? {
                ensure!(
                    answer.is_success() && answer.total_len == self.incoming.len(),
                    "status {} to\n{}\nanswer:\n{}",
                    answer.status,
                    String::from_utf8_lossy(&self.outgoing),
                    String::from_utf8_lossy(&self.incoming),
                );
                self.incoming.clear();
                return Ok(self.write.take());
            }
        }
    }
}

fn connect(address: SocketAddr) -> Result<std::net::TcpStream> {
    let stream = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true).context("switching Nagle's algorithm off")?;
    Ok(stream)
}

fn register(stream: std::net::TcpStream, poll: &Poll, index: usize) -> Result<TcpStream> {
    stream.set_nonblocking(true).context("making a socket non-blocking")?;
    let mut stream = TcpStream::from_std(stream);
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut stream, Token(index), interest)
        .context("registering a socket")?;
    Ok(stream)
}

/// The number that follows a marker.
fn number_behind(marker: &Finder<'_>, text: &[u8]) -> Option<u64> {
    let start = marker.find(text)? + marker.needle().len();
    let digits = text[start..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut n_digits = 0;
    let value = digits.fold(0_u64, |value, digit| {
        n_digits += 1;
        value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
    });
    (n_digits > 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(audience: Audience, count: u64) -> Series {
        let writes = Writes {
            count,
            rate: 1.0,
            objects: 2,
            audience,
        };
        let state = State {
            sent_at: Instant::now(),
            answered_at: None,
            writer: 0,
            events: 0,
        };
        Series {
            writes,
            base: 100,
            n_subscriptions: 2,
            states: vec![state; count as usize],
            told: vec![0; 1],
            answered: 0,
            complete: 0,
            yielded: Yield::new(count),
        }
    }

    #[test]
    fn every_subscriber_is_told_once() {
        let now = Instant::now();
        let mut all = series(Audience::All, 2);
        all.told(100, 0, now).unwrap();
        assert!(all.told(100, 0, now).is_err(), "twice");
        all.told(100, 1, now).unwrap();
        assert!(all.told(102, 1, now).is_err(), "no such write");
        assert!(all.told(99, 1, now).is_err(), "before the first write");
        assert_eq!((all.complete, all.is_done()), (1, false));
        all.told(101, 1, now).unwrap();
        all.told(101, 0, now).unwrap();
        all.answered(0, now);
        assert!(!all.is_done());
        all.answered(1, now);
        assert!(all.is_done());
        assert_eq!(all.yielded.early, 2);
    }

    #[test]
    fn an_owner_is_told_of_its_own() {
        let now = Instant::now();
        let mut own = series(Audience::Owner, 2);
        assert!(own.told(100, 1, now).is_err(), "somebody else's");
        own.told(101, 1, now).unwrap();
        assert!(own.told(101, 1, now).is_err(), "twice");
        assert_eq!(own.complete, 1);
    }

    #[test]
    fn numbers_follow_their_markers() {
        let finder = Finder::new("\"stamp\":");
        assert_eq!(number_behind(&finder, br#"{"a":1,"stamp":42,"b":7}"#), Some(42));
        assert_eq!(number_behind(&finder, br#"{"stamp":"x"}"#), None);
        assert_eq!(number_behind(&finder, br#"{"a":1}"#), None);
    }
}
