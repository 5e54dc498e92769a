//! The language of the purge stream, version 1.
//!
//! An edge sends `GET <path>` or, to go on where it was, `GET <path>?boot=<hex>&after=<number>`. The answer never ends: lines of
//! JSON, each at most [`MAX_LINE`] bytes.
//!
//! ```text
//! {"purges":1,"boot":"00c0ffee00c0ffee","from":41,"at":123456}   first line: what follows begins behind number 41
//! {"n":42,"keys":["todo:/db/Todo/42","todo:/db/Todo/43"]}        everything that was answered with one of these keys
//! {"n":43,"urls":["app.example.com/v1/db/Todo/42"]}              these URLs, without scheme
//! {"n":44,"all":true}                                            everything
//! {"beat":44,"at":124456}                                        up to 44 there was nothing else, for what was acknowledged by then
//! ```
//!
//! `boot` is 16 hexadecimal digits and another one after each start of the origin. Numbers have no gaps. `at` is in milliseconds
//! of the origin's monotonic clock. That of the first line is when it was written; that of a beat was read before the number that it stands with, or is an earlier
//! time, also one before the first line, if purges are late: what was acknowledged before it has its purge at or before that number. If `boot` or `from` is not what the edge
//! asked for, it has missed something. Members that a reader does not know are ignored; a record without any that it knows is a
//! purge of everything, so that later kinds of purges are safe with older edges.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Version of the stream that this code speaks.
pub const STREAM_VERSION: u32 = 1;

/// Longest line in bytes. A reader that meets a longer one gives the stream up.
pub const MAX_LINE: usize = 64 * 1024;

/// What is no longer as it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Purge {
    /// Answers that carried one of these in their `Surrogate-Key`.
    Keys(Vec<String>),
    /// Answers of these URLs: host, port if it is not the scheme's own, path and query as they stand in requests.
    Urls(Vec<String>),
    /// Everything.
    All,
}

/// Where a reader was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// Whose numbers these are.
    pub boot: u64,
    /// The last number that was read.
    pub after: u64,
}

impl Resume {
    /// Reads a request's query. `None` also for a malformed one: then the stream begins anew, which is safe.
    pub fn of_query(query: &str) -> Option<Self> {
        let member = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        Some(Self {
            boot: u64::from_str_radix(member("boot")?, 16).ok()?,
            after: member("after")?.parse().ok()?,
        })
    }

    /// Reads `<boot>:<number>`, as answers have it.
    pub fn of_header(text: &str) -> Option<Self> {
        let (boot, after) = text.split_once(':')?;
        Some(Self {
            boot: u64::from_str_radix(boot, 16).ok()?,
            after: after.parse().ok()?,
        })
    }

    /// The query that [`of_query`](Self::of_query) reads.
    pub fn to_query(self) -> String {
        format!("boot={:016x}&after={}", self.boot, self.after)
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The first one.
    Hello {
        /// The origin's present start.
        boot: u64,
        /// What follows begins behind it.
        from: u64,
        /// The origin's time.
        at: Duration,
    },
    /// A purge.
    Purge {
        /// Its number.
        number: u64,
        /// What is purged.
        purge: Purge,
    },
    /// A sign of life.
    Beat {
        /// The last number so far.
        number: u64,
        /// The origin's time that it speaks for.
        at: Duration,
    },
}

/// A line is not of this protocol, or of another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a line of the purge stream is not understood: {0}; origin and edge should be of the same version")]
pub struct Malformed(pub &'static str);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Raw {
    #[serde(skip_serializing_if = "Option::is_none")]
    purges: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    urls: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
}

impl Line {
    /// Appends the line with its end. A purge that would be longer than [`MAX_LINE`] becomes one of everything.
    pub fn write(&self, out: &mut Vec<u8>) {
        let raw = match self {
            Self::Hello { boot, from, at } => Raw {
                purges: Some(STREAM_VERSION),
                boot: Some(format!("{boot:016x}")),
                from: Some(*from),
                at: Some(millis(*at)),
                ..Raw::default()
            },
            Self::Beat { number, at } => Raw {
                beat: Some(*number),
                at: Some(millis(*at)),
                ..Raw::default()
            },
            Self::Purge { number, purge } => {
                let mut raw = Raw {
                    n: Some(*number),
                    ..Raw::default()
                };
                match purge {
                    Purge::Keys(keys) => raw.keys = Some(keys.clone()),
                    Purge::Urls(urls) => raw.urls = Some(urls.clone()),
                    Purge::All => raw.all = Some(true),
                }
                raw
            }
        };
        let start = out.len();
        if serde_json::to_writer(&mut *out, &raw).is_err() || out.len() - start >= MAX_LINE {
            out.truncate(start);
            let number = raw.n.unwrap_or(0);
            out.extend_from_slice(format!("{{\"n\":{number},\"all\":true}}").as_bytes());
        }
        out.push(b'\n');
    }

    /// Reads a line without its end.
    pub fn read(line: &[u8]) -> Result<Self, Malformed> {
        let raw: Raw = serde_json::from_slice(line).map_err(|_| Malformed("no JSON of the expected form"))?;
        let at = raw.at.map(Duration::from_millis);
        if let Some(version) = raw.purges {
            if version != STREAM_VERSION {
                return Err(Malformed("another version"));
            }
            let boot = raw.boot.as_deref().and_then(|hex| u64::from_str_radix(hex, 16).ok());
            return match (boot, raw.from, at) {
                (Some(boot), Some(from), Some(at)) => Ok(Self::Hello { boot, from, at }),
                _ => Err(Malformed("a first line without boot, from or at")),
            };
        }
        if let Some(number) = raw.beat {
            let at = at.ok_or(Malformed("a beat without at"))?;
            return Ok(Self::Beat { number, at });
        }
        let number = raw.n.ok_or(Malformed("neither first line nor record nor beat"))?;
        let purge = match (raw.keys, raw.urls, raw.all) {
            (Some(keys), None, None) => Purge::Keys(keys),
            (None, Some(urls), None) => Purge::Urls(urls),
            _ => Purge::All,
        };
        Ok(Self::Purge { number, purge })
    }
}

/// Rounded down: a beat that says less than it knows is safe.
fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &Line, expected: &str) {
        let mut out = Vec::new();
        line.write(&mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), format!("{expected}\n"));
        assert_eq!(Line::read(expected.as_bytes()).as_ref(), Ok(line));
    }

    #[test]
    fn lines_of_version_1_are_as_they_were() {
        let at = Duration::from_millis(123);
        let hello = Line::Hello {
            boot: 0xc0ffee,
            from: 41,
            at,
        };
        check(&hello, r#"{"purges":1,"boot":"0000000000c0ffee","from":41,"at":123}"#);
        check(&Line::Beat { number: 7, at }, r#"{"beat":7,"at":123}"#);
        let purge = |number, purge| Line::Purge { number, purge };
        check(
            &purge(1, Purge::Keys(vec!["a:/db/T/1".into()])),
            r#"{"n":1,"keys":["a:/db/T/1"]}"#,
        );
        check(
            &purge(2, Purge::Urls(vec!["a.example/x".into()])),
            r#"{"n":2,"urls":["a.example/x"]}"#,
        );
        check(&purge(3, Purge::All), r#"{"n":3,"all":true}"#);
    }

    #[test]
    fn a_purge_of_an_unknown_kind_or_of_too_much_is_one_of_everything() {
        let everything = Line::Purge {
            number: 9,
            purge: Purge::All,
        };
        assert_eq!(Line::read(br#"{"n":9,"prefix":"x"}"#), Ok(everything.clone()));
        let long = Line::Purge {
            number: 9,
            purge: Purge::Keys(vec!["k".repeat(MAX_LINE)]),
        };
        let mut out = Vec::new();
        long.write(&mut out);
        assert_eq!(Line::read(out.trim_ascii_end()), Ok(everything));
    }

    #[test]
    fn other_versions_and_nonsense_are_refused() {
        for line in [
            r#"{"purges":2,"boot":"00","from":0,"at":0}"#,
            r#"{"purges":1}"#,
            r#"{"beat":1}"#,
            r#"{}"#,
            r#"[]"#,
            "",
            r#"{"n":-1}"#,
        ] {
            assert!(Line::read(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn a_place_survives_its_query() {
        let place = Resume {
            boot: u64::MAX,
            after: 12,
        };
        assert_eq!(Resume::of_query(&place.to_query()), Some(place));
        for bad in ["", "boot=1", "after=1", "boot=x&after=1", "boot=1&after="] {
            assert_eq!(Resume::of_query(bad), None, "{bad}");
        }
    }
}
