//! What requests to push services have in common.

use std::time::Duration;

use fb_outbound::Response;
use fb_types::Timestamp;
use http::header;
use serde_json::Value;

use crate::PushError;

/// Longest pause that is kept; a service that asks for more is asked again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The pause of a `Retry-After` header, in seconds or as a date.
pub(crate) fn retry_after(answer: &Response, now: Timestamp) -> Option<Duration> {
    let value = answer.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            let until = date.duration_since(std::time::UNIX_EPOCH).ok()?;
            let now = Duration::from_millis(u64::try_from(now.millis()).ok()?);
            until.saturating_sub(now)
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// What an answer means that is neither success nor one of the service's own codes.
pub(crate) fn by_status(answer: &Response, reason: &str, now: Timestamp) -> PushError {
    let status = answer.status.as_u16();
    let reason = match reason {
        "" => format!("status {status}"),
        reason => format!("status {status}, {reason}"),
    };
    match status {
        429 | 500..=599 => PushError::Later {
            reason,
            retry_after: retry_after(answer, now),
        },
        401 | 403 => PushError::Misconfigured { reason },
        _ => PushError::Rejected { reason },
    }
}

/// A code out of an answer, as far as it looks like one: it ends up in logs.
pub(crate) fn code(value: &Value) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    value
        .as_str()
        .filter(|text| text.len() <= 60 && text.chars().all(is_plain))
        .unwrap_or_default()
}
