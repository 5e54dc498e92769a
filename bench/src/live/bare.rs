//! The yardstick for telling many: a server that sends the same bytes to the same sockets and does nothing else.
//!
//! One thread with epoll. Nothing is stored, matched or checked, every event lies ready but for two numbers, and goes out with
//! one `send`. What that costs is the system's: the TCP stack of both ends of the loopback interface, and waking the client. It
//! runs as a child process, so that its CPU time is measured in the same way as that of Freshbase.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use super::websocket;
use crate::http;

/// Name of the hidden subcommand that runs the server.
pub(crate) const SUBCOMMAND: &str = "bare-sender";

/// Where new connections are announced.
const LISTENER: Token = Token(usize::MAX);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const HANDSHAKE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
/// Digits of a stamp, always as many, so that all events are of one length.
const STAMP_DIGITS: usize = 10;

/// The command that starts this program as a server whose events, frames and all, have so many bytes.
pub(crate) fn command(event_bytes: usize) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding the path of this program")?);
    command
        .arg(SUBCOMMAND)
        .arg(event_bytes.to_string())
        .stdin(Stdio::piped());
    Ok(command)
}

/// Serves on a free port of the loopback interface until standard input ends.
pub(crate) fn serve(event_bytes: usize) -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let mut poll = Poll::new().context("creating an epoll instance")?;
    let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).context("binding a port")?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)
        .context("registering the listener")?;
    let address = listener.local_addr().context("asking for the port")?;
    writeln!(std::io::stdout(), "bare sender listening on http://{address}").context("printing the address")?;
    std::io::stdout().flush().context("printing the address")?;

    let mut server = Bare {
        event_bytes,
        connections: Vec::new(),
        subscribers: Vec::new(),
    };
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result.context("waiting for requests")?,
        }
        for event in events.iter() {
            if event.token() == LISTENER {
                while let Some((mut stream, _)) = ready(listener.accept()).context("accepting a connection")? {
                    stream.set_nodelay(true).context("switching Nagle's algorithm off")?;
                    poll.registry()
                        .register(&mut stream, Token(server.connections.len()), Interest::READABLE)
                        .context("registering a connection")?;
                    let incoming = Vec::new();
                    server.connections.push(Some(Connection {
                        stream,
                        incoming,
                        is_socket: false,
                    }));
                }
            } else {
                server.serve(event.token().0)?;
            }
        }
    }
}

struct Bare {
    event_bytes: usize,
    /// None for those that the client closed.
    connections: Vec<Option<Connection>>,
    subscribers: Vec<Subscriber>,
}

struct Connection {
    stream: TcpStream,
    incoming: Vec<u8>,
    is_socket: bool,
}

struct Subscriber {
    connection: usize,
    /// A frame that is complete but for the stamp, which is at the end.
    event: Vec<u8>,
}

impl Bare {
    fn serve(&mut self, index: usize) -> Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        if !connection.receive()? {
            self.connections[index] = None;
            return Ok(());
        }
        if connection.is_socket {
            return self.subscribe(index);
        }
        let Some(head) = http::find_head_end(&connection.incoming) else {
            return Ok(());
        };
        if connection.incoming.starts_with(b"GET ") {
            connection.incoming.drain(..head);
            connection.is_socket = true;
            return connection.send(HANDSHAKE);
        }
        let text = String::from_utf8_lossy(&connection.incoming[..head]).into_owned();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("a write without length")?.trim().parse()?;
        if connection.incoming.len() < head + length {
            return Ok(());
        }
        let stamp = number_behind(b"\"stamp\":", &connection.incoming[head..]).context("a write without stamp")?;
        connection.incoming.clear();
        connection.send(ANSWER)?;
        for subscriber in &mut self.subscribers {
            subscriber.stamp(stamp);
            let connection = self.connections[subscriber.connection].as_mut();
            connection.context("a subscriber has gone")?.send(&subscriber.event)?;
        }
        Ok(())
    }

    fn subscribe(&mut self, index: usize) -> Result<()> {
        let connection = self.connections[index].as_mut().context("a subscriber has gone")?;
        while let Some((text, len)) = websocket::next_masked(&connection.incoming)? {
            connection.incoming.drain(..len);
            let number = number_behind(b"\"sub-", &text).context("a subscription without number")?;
            let mut frame = Vec::new();
            let subscribed = format!(r#"{{"id":"sub-{number}","type":"subscribed"}}"#);
            websocket::write_unmasked_text(&mut frame, subscribed.as_bytes());
            connection.send(&frame)?;
            self.subscribers.push(Subscriber::new(index, number, self.event_bytes)?);
        }
        Ok(())
    }
}

impl Subscriber {
    fn new(connection: usize, number: u64, bytes: usize) -> Result<Self> {
        let start = format!(r#"{{"id":"sub-{number}","type":"match","text":""#);
        let end = format!("\",\"stamp\":{:STAMP_DIGITS$}}}", 0);
        // Of a frame that is neither very short nor very long.
        let filler = bytes.checked_sub(4 + start.len() + end.len());
        let text = format!("{start}{}{end}", "x".repeat(filler.context("events are too short")?));
        ensure!((126..0x1_0000).contains(&text.len()), "events have {bytes} bytes");
        let mut event = Vec::new();
        websocket::write_unmasked_text(&mut event, text.as_bytes());
        Ok(Self { connection, event })
    }

    fn stamp(&mut self, stamp: u64) {
        let end = self.event.len() - 1;
        self.event[end - STAMP_DIGITS..end].fill(b' ');
        // Left-aligned: a number, and then blanks.
        let digits = stamp.to_string();
        let start = end - STAMP_DIGITS;
        self.event[start..start + digits.len()].copy_from_slice(digits.as_bytes());
    }
}

impl Connection {
    /// False if the client has closed it.
    fn receive(&mut self) -> Result<bool> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.incoming.extend_from_slice(&chunk[..count]);
                    if count < chunk.len() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error).context("receiving a request"),
            }
        }
    }

    /// Sends what always has room: the client reads all the time.
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stream.write(bytes) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => bail!("the client does not read"),
            Err(error) => Err(error).context("sending"),
        }
    }
}

fn ready<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        other => other.map(Some),
    }
}

fn number_behind(marker: &[u8], text: &[u8]) -> Option<u64> {
    let start = memmem::find(text, marker)? + marker.len();
    let digits = text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[start..start + digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_size_that_was_asked_for_and_the_stamp_of_their_write() {
        for bytes in [300, 417, 2_000] {
            let mut subscriber = Subscriber::new(0, 42, bytes).unwrap();
            for stamp in [7, 123_456, 8] {
                subscriber.stamp(stamp);
                assert_eq!(subscriber.event.len(), bytes);
                let frame = websocket::next_frame(&subscriber.event).unwrap().unwrap();
                let event: serde_json::Value = serde_json::from_slice(frame.payload).unwrap();
                assert_eq!((&event["id"], &event["stamp"]), (&"sub-42".into(), &stamp.into()));
            }
        }
        assert!(Subscriber::new(0, 42, 50).is_err());
    }
}
