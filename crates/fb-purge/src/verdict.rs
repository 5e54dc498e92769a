//! What an answer, or the lack of one, means for what was sent.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use fb_types::Timestamp;

/// How it went.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The target has dropped it.
    Done,
    /// Not now.
    Later {
        why: Failure,
        /// What the target asks for.
        after: Option<Duration>,
    },
    /// Not like this; perhaps without names.
    Unacceptable(Failure),
    /// Not at all, until somebody changes the configuration, here or there.
    Refused(Failure),
}

/// Why something was not told. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no connection, or it broke")]
    Unreachable(#[source] fb_dial::BoxError),
    #[error("no complete answer within {0:?}")]
    Slow(Duration),
    #[error("it answers with status {0}")]
    Status(StatusCode),
    #[error("it answers with status {0} and says that it was not successful")]
    Unsuccessful(StatusCode),
    #[error("a URL that is to be purged is none")]
    Unsayable,
}

/// What the status of an answer means. `longest` bounds what the target may ask for.
pub(crate) fn of_answer(status: StatusCode, headers: &HeaderMap, now: Timestamp, longest: Duration) -> Verdict {
    let why = Failure::Status(status);
    match status.as_u16() {
        200..=299 => Verdict::Done,
        400 | 413 | 414 | 422 | 431 => Verdict::Unacceptable(why),
        408 | 425 | 429 | 500..=599 => {
            let after = retry_after(headers, now).map(|after| after.min(longest));
            Verdict::Later { why, after }
        }
        _ => Verdict::Refused(why),
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.millis()).unwrap_or_default());
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, after: Option<&'static str>) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        of_answer(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            now,
            Duration::from_secs(300),
        )
    }

    #[test]
    fn targets_may_say_when_to_come_back_within_limits() {
        for (text, seconds) in [
            ("7", Some(7)),
            ("Thu, 01 Jan 2026 00:00:09 GMT", Some(9)),
            ("Thu, 01 Jan 2015 00:00:09 GMT", Some(0)),
            ("99999999", Some(300)),
            ("soon", None),
            ("-1", None),
        ] {
            let Verdict::Later { after, .. } = verdict(429, Some(text)) else {
                panic!("429 is for later")
            };
            assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn statuses_are_told_apart_by_what_helps() {
        assert!(matches!(verdict(200, None), Verdict::Done));
        assert!(matches!(verdict(503, None), Verdict::Later { after: None, .. }));
        for status in [301, 401, 403, 404, 405] {
            assert!(matches!(verdict(status, None), Verdict::Refused(_)), "{status}");
        }
        for status in [400, 413, 422] {
            assert!(matches!(verdict(status, None), Verdict::Unacceptable(_)), "{status}");
        }
    }
}
