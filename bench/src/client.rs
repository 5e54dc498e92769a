//! The load client: one thread, epoll, a fixed number of keep-alive connections, each sending its
//! next request as soon as its last answer is complete (a closed loop).
//!
//! It is hand-written to be cheap: on a box with two cores whatever the client burns is missing
//! on the server's side. A request costs one `write`, one `read` and a share of one `epoll_wait`.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    http::{self, Answer},
    measure::{self, Sample},
    process,
};

/// A server that does not answer for so long is taken for dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// Where requests come from and which answers are good enough.
pub(crate) trait Workload {
    /// Appends the next request, complete, to `out`.
    fn write_next(&mut self, out: &mut Vec<u8>);

    /// Shortest body that a right answer can have. It catches a server that answers quickly
    /// because it answers nothing; the content is verified before the measurement.
    fn min_body(&self) -> usize;
}

/// The server under load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process, whose CPU time is measured.
    pub(crate) pid: u32,
    /// How many connections to keep busy.
    pub(crate) connections: usize,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// After exactly so many requests, all of them measured.
    Requests(u64),
    /// After `warm_up`, which is not measured, and then `measured`.
    Time {
        /// Lets caches fill and CPU clocks rise.
        warm_up: Duration,
        /// The window that counts.
        measured: Duration,
    },
}

/// Drives `target` with `workload` until `limit` and waits for the last answers.
///
/// Errors: any status outside 200 … 299, a body that is too short, or a closed connection ends
/// the run, because figures that contain failures compare nothing.
pub(crate) fn drive(target: Target, limit: Limit, workload: &mut dyn Workload) -> Result<Sample> {
    let mut poll = Poll::new().context("creating an epoll instance")?;
    let mut connections = (0..target.connections)
        .map(|index| Connection::open(target.address, &poll, Token(index)))
        .collect::<Result<Vec<_>>>()?;
    let mut run = Run::start(target, limit)?;

    for connection in &mut connections {
        if run.may_send() {
            connection.send_next(workload, Instant::now())?;
        }
    }

    let mut events = Events::with_capacity(target.connections.max(1));
    while run.in_flight > 0 {
        match poll.poll(&mut events, Some(SILENCE_LIMIT)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result.context("waiting for answers")?,
        }
        ensure!(!events.is_empty(), "no answer for {} seconds", SILENCE_LIMIT.as_secs());
        for event in &events {
            let connection = &mut connections[event.token().0];
            if event.is_writable() {
                connection.flush()?;
            }
            if event.is_readable() && connection.receive(workload.min_body())? {
                let now = Instant::now();
                run.finished_one(now - connection.sent_at, now)?;
                if run.may_send() {
                    connection.send_next(workload, now)?;
                }
            }
        }
    }
    run.into_sample()
}

/// Bookkeeping of one run: how far it is and what was measured.
struct Run {
    pid: u32,
    in_flight: u64,
    /// Requests that may still be sent; unlimited when time decides.
    remaining: u64,
    phase: Phase,
    window: Option<Window>,
    requests: u64,
    latency: Histogram<u64>,
}

/// Where a run is in time.
#[derive(Clone, Copy)]
enum Phase {
    WarmUp { until: Instant, measured: Duration },
    Measuring { until: Option<Instant> },
    Draining,
}

/// Clocks at the begin of the measured window, and after it the differences.
enum Window {
    Open {
        since: Instant,
        server_cpu: Duration,
        client_cpu: Duration,
    },
    Closed {
        elapsed: Duration,
        server_cpu: Duration,
        client_cpu: Duration,
    },
}

impl Run {
    fn start(target: Target, limit: Limit) -> Result<Self> {
        let now = Instant::now();
        let mut run = Self {
            pid: target.pid,
            in_flight: 0,
            remaining: u64::MAX,
            phase: Phase::Draining,
            window: None,
            requests: 0,
            latency: measure::new_histogram(),
        };
        match limit {
            Limit::Requests(count) => {
                run.remaining = count;
                run.open_window(now, None)?;
            }
            Limit::Time { warm_up, measured } => {
                run.phase = Phase::WarmUp {
                    until: now + warm_up,
                    measured,
                }
            }
        }
        Ok(run)
    }

    /// Whether another request is wanted; if so it counts as sent.
    fn may_send(&mut self) -> bool {
        let wanted = self.remaining > 0 && !matches!(self.phase, Phase::Draining);
        if wanted {
            self.remaining -= 1;
            self.in_flight += 1;
        }
        wanted
    }

    fn finished_one(&mut self, latency: Duration, now: Instant) -> Result<()> {
        self.in_flight -= 1;
        match self.phase {
            Phase::WarmUp { until, measured } => {
                if now >= until {
                    self.open_window(now, Some(measured))?;
                }
            }
            Phase::Measuring { until } => {
                self.requests += 1;
                measure::record(&mut self.latency, latency);
                let last_of_count = self.remaining == 0 && self.in_flight == 0;
                if last_of_count || until.is_some_and(|until| now >= until) {
                    self.close_window(now)?;
                }
            }
            Phase::Draining => {}
        }
        Ok(())
    }

    fn open_window(&mut self, now: Instant, measured: Option<Duration>) -> Result<()> {
        self.phase = Phase::Measuring {
            until: measured.map(|measured| now + measured),
        };
        self.window = Some(Window::Open {
            since: now,
            server_cpu: process::cpu_time(self.pid)?,
            client_cpu: process::own_thread_cpu_time(),
        });
        Ok(())
    }

    fn close_window(&mut self, now: Instant) -> Result<()> {
        let Some(Window::Open {
            since,
            server_cpu,
            client_cpu,
        }) = self.window
        else {
            bail!("the measured window closed before it opened");
        };
        self.phase = Phase::Draining;
        self.window = Some(Window::Closed {
            elapsed: now - since,
            server_cpu: process::cpu_time(self.pid)?.saturating_sub(server_cpu),
            client_cpu: process::own_thread_cpu_time().saturating_sub(client_cpu),
        });
        Ok(())
    }

    fn into_sample(self) -> Result<Sample> {
        let Some(Window::Closed {
            elapsed,
            server_cpu,
            client_cpu,
        }) = self.window
        else {
            bail!("the run ended before its measured window");
        };
        Sample::new(self.requests, elapsed, server_cpu, &self.latency)
            .map(|sample| sample.with_client_cpu(client_cpu, elapsed))
    }
}

/// One keep-alive connection with at most one request on its way.
struct Connection {
    stream: TcpStream,
    outgoing: Vec<u8>,
    /// Bytes of `outgoing` that the kernel has taken.
    sent: usize,
    incoming: Vec<u8>,
    /// Bytes of `incoming` that hold data.
    filled: usize,
    sent_at: Instant,
}

impl Connection {
    fn open(address: SocketAddr, poll: &Poll, token: Token) -> Result<Self> {
        let stream = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("switching Nagle's algorithm off")?;
        stream.set_nonblocking(true).context("making a socket non-blocking")?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry()
            .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
            .context("registering a socket")?;
        Ok(Self {
            stream,
            outgoing: Vec::with_capacity(1024),
            sent: 0,
            incoming: vec![0; 16 * 1024],
            filled: 0,
            sent_at: Instant::now(),
        })
    }

    fn send_next(&mut self, workload: &mut dyn Workload, now: Instant) -> Result<()> {
        self.outgoing.clear();
        self.sent = 0;
        workload.write_next(&mut self.outgoing);
        self.sent_at = now;
        self.flush()
    }

    /// Hands what is left of the request to the kernel; an event tells when there is room again.
    fn flush(&mut self) -> Result<()> {
        while self.sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[self.sent..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("sending a request"),
            }
        }
        Ok(())
    }

    /// Reads what has arrived; true when the answer is complete and was a success.
    fn receive(&mut self, min_body: usize) -> Result<bool> {
        loop {
            if self.filled == self.incoming.len() {
                self.incoming.resize(self.incoming.len() * 2, 0);
            }
            match self.stream.read(&mut self.incoming[self.filled..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("receiving an answer"),
            }
            // Not reading until `WouldBlock` saves a system call per request. It is safe with
            // edge-triggered epoll: a complete answer leaves nothing unread, and new bytes are a
            // new edge.
            if let Some(answer) = http::parse_answer(&self.incoming[..self.filled])? {
                self.check(answer, min_body)?;
                self.filled = 0;
                return Ok(true);
            }
        }
    }

    fn check(&self, answer: Answer, min_body: usize) -> Result<()> {
        ensure!(
            self.filled == answer.total_len,
            "an answer is followed by bytes that nobody asked for"
        );
        if answer.is_success() && answer.total_len - answer.head_len >= min_body {
            return Ok(());
        }
        let end = self.filled.min(answer.head_len + 500);
        bail!(
            "status {} with {} bytes of body (at least {min_body} expected)\nrequest:\n{}\nanswer:\n{}",
            answer.status,
            answer.total_len - answer.head_len,
            String::from_utf8_lossy(&self.outgoing[..self.outgoing.len().min(800)]),
            String::from_utf8_lossy(&self.incoming[..end]),
        )
    }
}
