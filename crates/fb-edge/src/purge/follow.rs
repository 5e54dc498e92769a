//! The edge's side of the stream: bytes come in, purges and confirmations go to [`Coherence`].

use std::sync::Arc;
use std::time::Duration;

use super::coherence::{Coherence, FenceKey};
use super::wire::{Line, MAX_LINE, Malformed, Purge, Resume};

/// By how much the clocks of origin and edge may run apart: two parts in ten thousand, four times what quartz does.
const DRIFT: u32 = 5_000;

/// Marks that are remembered for who wants to know what was purged. An edge that catches up gets many at once.
const MOST_PURGED: usize = 1_000;

/// Reads one connection of the stream after the other.
///
/// What a beat says is turned into the edge's time: the first line was written after the request for it was *sent*, so a beat
/// that was written `x` later, by the origin's clock, is from at least `x` after that, less the drift of clocks. How long anything
/// was under way does not matter then. Likewise one that speaks for a time `x` before the first line.
#[derive(Debug)]
pub(crate) struct Follow {
    coherence: Arc<Coherence>,
    place: Option<Resume>,
    connection: Option<Connection>,
    /// What was purged by name since somebody asked.
    purged: Vec<FenceKey>,
}

#[derive(Debug)]
struct Connection {
    /// By the edge's clock.
    sent: Duration,
    /// By the origin's, of the first line.
    zero: Option<Duration>,
    /// The beginning of a line.
    rest: Vec<u8>,
}

/// The stream is not to be followed any further; connect anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Gap {
    #[error("a purge is missing or out of order: number {got} came after {had}")]
    Number { had: u64, got: u64 },
    #[error("a line of the purge stream is longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("the purge stream does not begin as it should")]
    Order,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Follow {
    pub(crate) fn new(coherence: Arc<Coherence>) -> Self {
        Self {
            coherence,
            place: None,
            connection: None,
            purged: Vec::new(),
        }
    }

    /// The marks of what was purged by name since the last call; not all of them, if they are many.
    pub(crate) fn take_purged(&mut self) -> Vec<FenceKey> {
        std::mem::take(&mut self.purged)
    }

    /// Begins a connection whose request is about to be sent. Returns what to ask for.
    pub(crate) fn connect(&mut self, now: Duration) -> Option<Resume> {
        self.connection = Some(Connection {
            sent: now,
            zero: None,
            rest: Vec::new(),
        });
        self.place
    }

    /// Takes what came in. After an error the edge trusts nothing it has, until another connection has caught up.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Gap> {
        let read = self.read(bytes);
        if read.is_err() {
            self.lost();
        }
        read
    }

    /// Enters that the connection has ended, or never was.
    pub(crate) fn lost(&mut self) {
        self.connection = None;
        self.coherence.lost();
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Gap> {
        let mut pieces = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let Some(connection) = &mut self.connection else {
                return Err(Gap::Order);
            };
            if connection.rest.len() + piece.len() > MAX_LINE {
                return Err(Gap::TooLong);
            }
            connection.rest.extend_from_slice(piece);
            if pieces.peek().is_some() {
                let line = std::mem::take(&mut connection.rest);
                self.line(Line::read(&line)?)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: Line) -> Result<(), Gap> {
        let Some(connection) = &mut self.connection else {
            return Err(Gap::Order);
        };
        let is_first = connection.zero.is_none();
        match line {
            Line::Hello { boot, from, at } if is_first => {
                connection.zero = Some(at);
                let place = Resume { boot, after: from };
                if self.place.replace(place) != Some(place) {
                    self.coherence.apply(&Purge::All);
                }
                self.coherence.reach(place);
                Ok(())
            }
            Line::Purge { number, purge } if !is_first => {
                let place = self.place.as_mut().ok_or(Gap::Order)?;
                let had = place.after;
                if had.checked_add(1) != Some(number) {
                    return Err(Gap::Number { had, got: number });
                }
                self.coherence.apply(&purge);
                if self.purged.len() < MOST_PURGED {
                    self.purged.extend(self.coherence.fences_of(&purge));
                }
                place.after = number;
                let place = *place;
                self.coherence.reach(place);
                Ok(())
            }
            Line::Beat { number, at } => {
                let (Some(zero), Some(place)) = (connection.zero, self.place) else {
                    return Err(Gap::Order);
                };
                if number != place.after {
                    return Err(Gap::Number {
                        had: place.after,
                        got: number,
                    });
                }
                let as_of = match at.checked_sub(zero) {
                    Some(since) => Some(connection.sent + since - since / DRIFT),
                    // Purges are late there. Before this clock began there is nothing to be said.
                    None => connection.sent.checked_sub((zero - at) + (zero - at) / DRIFT),
                };
                if let Some(as_of) = as_of {
                    self.coherence.confirm(as_of);
                }
                Ok(())
            }
            Line::Hello { .. } | Line::Purge { .. } => Err(Gap::Order),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn begun() -> (Arc<Coherence>, Follow) {
        let coherence = Arc::new(Coherence::new(1 << 16, at(1000)));
        let mut follow = Follow::new(coherence.clone());
        assert_eq!(follow.connect(at(10_000)), None);
        follow
            .feed(b"{\"purges\":1,\"boot\":\"07\",\"from\":4,\"at\":500}\n")
            .unwrap();
        (coherence, follow)
    }

    #[test]
    fn nothing_is_trusted_before_the_first_beat_and_beats_count_from_when_the_request_was_sent() {
        let (coherence, mut follow) = begun();
        assert!(!coherence.is_intact(at(10_000)));
        follow.feed(b"{\"beat\":4,\"at\":500}\n").unwrap();
        assert!(coherence.is_intact(at(11_000)) && !coherence.is_intact(at(11_001)));
        // However late this one arrives, it speaks for 400 ms after the first line.
        follow.feed(b"{\"beat\":4,\"at\":900}\n").unwrap();
        assert!(
            coherence.is_intact(at(11_399)) && !coherence.is_intact(at(11_400)),
            "less the drift"
        );
    }

    #[test]
    fn beats_may_speak_for_a_time_before_the_first_line() {
        let (coherence, mut follow) = begun();
        follow.feed(b"{\"beat\":4,\"at\":100}\n").unwrap();
        assert!(
            coherence.is_intact(at(10_599)) && !coherence.is_intact(at(10_600)),
            "less the drift"
        );
        follow.feed(b"{\"beat\":4,\"at\":50}\n").unwrap();
        assert!(coherence.is_intact(at(10_599)), "what was said holds");
    }

    #[test]
    fn lines_may_come_in_any_pieces() {
        let (coherence, mut follow) = begun();
        let before = coherence.stamp();
        let fence = [coherence.fence_of_key("a")];
        for byte in b"{\"n\":5,\"keys\":[\"a\"]}\n{\"beat\":5,\"at\":600}\n" {
            follow.feed(&[*byte]).unwrap();
        }
        assert!(!coherence.is_current(before, &fence) && coherence.is_intact(at(10_000)));
    }

    #[test]
    fn a_gap_ends_trust_and_the_next_connection_goes_on_from_the_last_good_number() {
        let (coherence, mut follow) = begun();
        follow.feed(b"{\"beat\":4,\"at\":500}\n").unwrap();
        let before = coherence.stamp();
        assert_eq!(
            follow.feed(b"{\"n\":6,\"keys\":[\"a\"]}\n"),
            Err(Gap::Number { had: 4, got: 6 })
        );
        assert!(!coherence.is_intact(at(10_000)));
        let place = Resume { boot: 7, after: 4 };
        assert_eq!(follow.connect(at(10_500)), Some(place));
        follow
            .feed(b"{\"purges\":1,\"boot\":\"07\",\"from\":4,\"at\":900}\n{\"n\":5,\"keys\":[\"b\"]}\n{\"n\":6,\"keys\":[\"a\"]}\n")
            .unwrap();
        assert!(!coherence.is_intact(at(10_500)), "not before it has caught up");
        follow.feed(b"{\"beat\":6,\"at\":900}\n").unwrap();
        assert!(coherence.is_intact(at(10_500)));
        assert!(
            coherence.is_current(before, &[coherence.fence_of_key("c")]),
            "others are trusted again"
        );
        assert!(!coherence.is_current(before, &[coherence.fence_of_key("a")]));
    }

    #[test]
    fn beats_that_know_of_more_purges_than_came_are_gaps() {
        let (coherence, mut follow) = begun();
        assert_eq!(
            follow.feed(b"{\"beat\":5,\"at\":500}\n"),
            Err(Gap::Number { had: 4, got: 5 })
        );
        assert!(!coherence.is_intact(at(10_000)));
    }

    #[test]
    fn another_start_of_the_origin_purges_everything() {
        let (coherence, mut follow) = begun();
        let before = coherence.stamp();
        follow.connect(at(11_000));
        follow
            .feed(b"{\"purges\":1,\"boot\":\"08\",\"from\":4,\"at\":0}\n{\"beat\":4,\"at\":0}\n")
            .unwrap();
        assert!(coherence.is_intact(at(11_000)) && !coherence.is_current(before, &[]));
    }

    #[test]
    fn what_does_not_follow_the_protocol_ends_the_connection() {
        for (line, gap) in [
            (
                &b"{\"purges\":1,\"boot\":\"07\",\"from\":4,\"at\":500}\n"[..],
                Gap::Order,
            ),
            (b"{\"n\":4,\"all\":true}\n", Gap::Number { had: 4, got: 4 }),
            (&[b'x'; MAX_LINE + 1], Gap::TooLong),
        ] {
            let (_, mut follow) = begun();
            assert_eq!(follow.feed(line), Err(gap));
            assert_eq!(
                follow.feed(b"{\"beat\":4,\"at\":500}\n"),
                Err(Gap::Order),
                "the connection is over"
            );
        }
        let mut follow = Follow::new(Arc::new(Coherence::new(1, at(1))));
        follow.connect(at(0));
        assert_eq!(follow.feed(b"{\"n\":1,\"all\":true}\n"), Err(Gap::Order));
    }
}
