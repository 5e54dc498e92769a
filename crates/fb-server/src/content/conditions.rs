//! Conditions of requests on files: tags and dates. Source: RFC 9110, section 13.

use std::time::{Duration, SystemTime};

use fb_app::files::FileCondition;
use fb_types::Timestamp;
use http::{HeaderMap, header};

use crate::error::ApiError;

/// A moment as headers say it, in whole seconds.
pub(crate) fn http_date(moment: Timestamp) -> String {
    let seconds = u64::try_from(moment.seconds()).unwrap_or_default();
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text)
        .ok()?
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let millis = i64::try_from(since.as_millis()).ok()?;
    Some(Timestamp::from_millis(millis))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The tag itself, without weak prefix, quotes and the suffix that says how the content was compressed.
fn bare(tag: &str) -> &str {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let tag = tag.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(tag);
    tag.split_once("--").map_or(tag, |(tag, _)| tag)
}

fn names(list: &str, etag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || bare(tag) == etag)
}

/// True if the copy that the client has is good. Published clients send `"-"` to say that they want no confirmation.
pub(crate) fn is_fresh(headers: &HeaderMap, etag: &str, modified: Timestamp) -> bool {
    if let Some(tags) = text(headers, header::IF_NONE_MATCH) {
        return names(tags, etag);
    }
    let since = text(headers, header::IF_MODIFIED_SINCE).and_then(parse_date);
    since.is_some_and(|since| modified.seconds() <= since.seconds())
}

/// True if the client wants the content in this state only, and it is another one. Published clients send an empty tag to
/// say nothing.
pub(crate) fn is_unwanted(headers: &HeaderMap, etag: &str, modified: Timestamp) -> bool {
    match text(headers, header::IF_MATCH) {
        None | Some("" | "\"\"") => {
            let since = text(headers, header::IF_UNMODIFIED_SINCE).and_then(parse_date);
            since.is_some_and(|since| modified.seconds() > since.seconds())
        }
        Some(tags) => !names(tags, etag),
    }
}

/// True unless the client wants a range of another state of the content. Weak tags and dates that are not exact do not
/// count.
pub(crate) fn may_range(headers: &HeaderMap, etag: &str, modified: Timestamp) -> bool {
    match text(headers, header::IF_RANGE) {
        None => true,
        Some(tag) if tag.starts_with('"') => tag.strip_prefix('"').and_then(|t| t.strip_suffix('"')) == Some(etag),
        Some(date) => parse_date(date).is_some_and(|date| date.seconds() == modified.seconds()),
    }
}

/// The condition on a write of a file. `If-Match` wins over `If-Unmodified-Since`.
pub(crate) fn of_write(headers: &HeaderMap) -> Result<FileCondition, ApiError> {
    match text(headers, header::IF_MATCH) {
        Some("*") => return Ok(FileCondition::Exists),
        None | Some("" | "\"\"") => {}
        Some(tag) if tag.contains(',') => {
            return Err(ApiError::bad_request("If-Match must be * or one tag."));
        }
        Some(tag) => return Ok(FileCondition::Tag(bare(tag).to_owned())),
    }
    match text(headers, header::IF_NONE_MATCH) {
        Some("*") => return Ok(FileCondition::Absent),
        None | Some("" | "\"\"" | "-" | "\"-\"") => {}
        Some(_) => return Err(ApiError::bad_request("If-None-Match of a write must be *.")),
    }
    match text(headers, header::IF_UNMODIFIED_SINCE) {
        None | Some("") => Ok(FileCondition::None),
        Some(date) => match parse_date(date) {
            Some(date) => Ok(FileCondition::NotAfter(date)),
            None => Err(ApiError::bad_request(
                "If-Unmodified-Since must be a date such as \"Sun, 06 Nov 1994 08:49:37 GMT\".",
            )),
        },
    }
}

/// The condition on a deletion. Published clients send `If-None-Match: *` where they know nothing of the file.
pub(crate) fn of_deletion(headers: &HeaderMap) -> Result<FileCondition, ApiError> {
    match of_write(headers)? {
        FileCondition::Absent => Ok(FileCondition::None),
        condition => Ok(condition),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const MODIFIED: i64 = 784_111_777_500;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn headers(entries: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let pairs = entries.iter().map(|(n, v)| (n.clone(), HeaderValue::from_static(v)));
        pairs.collect()
    }

    #[test]
    fn copies_are_confirmed_by_tag_or_date() {
        use header::{IF_MODIFIED_SINCE as SINCE, IF_NONE_MATCH as NONE};
        type Case<'a> = (&'a [(header::HeaderName, &'static str)], bool);
        let cases: &[Case<'_>] = &[
            (&[], false),
            (&[(NONE, "\"abc\"")], true),
            (&[(NONE, "W/\"abc\"")], true),
            (&[(NONE, "\"abc--gzip\"")], true),
            (&[(NONE, "\"x\", \"abc\"")], true),
            (&[(NONE, "*")], true),
            (&[(NONE, "\"-\"")], false),
            (&[(NONE, "-")], false),
            (&[(NONE, "\"x\""), (SINCE, DATE)], false),
            (&[(SINCE, DATE)], true),
            (&[(SINCE, BEFORE)], false),
            (&[(SINCE, "yesterday")], false),
        ];
        for (given, fresh) in cases {
            let modified = Timestamp::from_millis(MODIFIED);
            assert_eq!(is_fresh(&headers(given), "abc", modified), *fresh, "{given:?}");
        }
    }

    #[test]
    fn reads_under_a_condition() {
        use header::{IF_MATCH as MATCH, IF_UNMODIFIED_SINCE as SINCE};
        type Case<'a> = (&'a [(header::HeaderName, &'static str)], bool);
        let cases: &[Case<'_>] = &[
            (&[], false),
            (&[(MATCH, "\"\"")], false),
            (&[(MATCH, "\"abc\"")], false),
            (&[(MATCH, "\"x\"")], true),
            (&[(MATCH, "*")], false),
            (&[(SINCE, DATE)], false),
            (&[(SINCE, BEFORE)], true),
            (&[(MATCH, "\"abc\""), (SINCE, BEFORE)], false),
        ];
        for (given, unwanted) in cases {
            let modified = Timestamp::from_millis(MODIFIED);
            assert_eq!(is_unwanted(&headers(given), "abc", modified), *unwanted, "{given:?}");
        }
    }

    #[test]
    fn writes_under_a_condition() {
        use header::{IF_MATCH as MATCH, IF_NONE_MATCH as NONE, IF_UNMODIFIED_SINCE as SINCE};
        let of = |given: &[(header::HeaderName, &'static str)]| of_write(&headers(given));
        assert_eq!(of(&[]).unwrap(), FileCondition::None);
        assert_eq!(of(&[(MATCH, "\"\""), (NONE, "\"-\"")]).unwrap(), FileCondition::None);
        assert_eq!(of(&[(NONE, "*")]).unwrap(), FileCondition::Absent);
        assert_eq!(of(&[(MATCH, "*")]).unwrap(), FileCondition::Exists);
        let tag = FileCondition::Tag("abc".into());
        assert_eq!(of(&[(MATCH, "\"abc\""), (SINCE, BEFORE)]).unwrap(), tag);
        let date = FileCondition::NotAfter(Timestamp::from_millis(784_111_777_000));
        assert_eq!(of(&[(SINCE, DATE)]).unwrap(), date);
        for bad in [(NONE, "\"abc\""), (SINCE, "soon"), (MATCH, "\"a\", \"b\"")] {
            assert!(of(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
        assert_eq!(of_deletion(&headers(&[(NONE, "*")])).unwrap(), FileCondition::None);
    }

    #[test]
    fn ranges_of_another_state_are_not_given() {
        let may = |value: &'static str| {
            let headers = headers(&[(header::IF_RANGE, value)]);
            may_range(&headers, "abc", Timestamp::from_millis(MODIFIED))
        };
        assert!(may("\"abc\"") && may(DATE));
        for other in ["\"x\"", "W/\"abc\"", "\"abc--br\"", BEFORE, "abc"] {
            assert!(!may(other), "{other}");
        }
    }
}
