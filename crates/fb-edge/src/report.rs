//! What the edge counted, on its way to the origin: version 1.
//!
//! Every [`EdgeOptions::report_every`](crate::EdgeOptions::report_every), if there is something to tell, the edge sends `POST` [`REPORT_PATH`] with its proof,
//! and a body of JSON of at most [`MAX_REPORT`] bytes; more is several requests.
//!
//! ```text
//! {"report":1,"groups":[{"group":"main/db/Todo","hits":12,"misses":3}]}
//! ```
//!
//! The numbers are what came since the last report. Members that a reader does not know are ignored.
//!
//! Each number is sent once at most: what is not known to have arrived is not sent again. If an answer is lost, the origin has counted, and would count
//! twice; if the report is, so are its numbers. Figures that are too small now and then are better than such that are too large. While the stream of
//! purges is gone nothing is sent, and numbers wait, so that an origin that is away for a while costs none.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

use crate::edge::{Edge, Inner};
use crate::groups::GroupStats;

/// Where the origin takes reports.
pub const REPORT_PATH: &str = "/.freshbase/hits";

/// Version of reports that this code speaks.
pub const REPORT_VERSION: u32 = 1;

/// Longest report in bytes.
pub const MAX_REPORT: usize = 64 << 10;

/// Longest name of a group in bytes.
const MAX_NAME: usize = 256;

/// How long the last report may take when the edge stops.
const LAST: Duration = Duration::from_secs(2);

const BEGIN: &[u8] = b"{\"report\":1,\"groups\":[";
const END: &[u8] = b"]}";

/// Requests of one group since the last report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// As the origin names it: 1 to 256 visible ASCII characters.
    pub group: String,
    /// Answered without a request to the origin.
    pub hits: u32,
    /// Requests to the origin.
    pub misses: u32,
}

/// A report is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadReport {
    /// It is longer than [`MAX_REPORT`].
    #[error("a report has {MAX_REPORT} bytes at most, not {0}")]
    TooLong(usize),
    /// It is not of the expected form.
    #[error("a report is JSON of the form {{\"report\":1,\"groups\":[{{\"group\":\"…\",\"hits\":0,\"misses\":0}}]}}")]
    Form,
    /// It is of another version.
    #[error(
        "a report of version {REPORT_VERSION} is understood, not of version {0}; origin and edge should be of the same version"
    )]
    Version(u32),
    /// A name is empty, too long, or has other characters than visible ASCII.
    #[error("the name of a group has 1 to {MAX_NAME} visible ASCII characters")]
    Name,
}

/// As much of a report as says which version it is, and the rest.
#[derive(Deserialize)]
struct Version {
    report: u32,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Counted>,
}

/// Whether reports can name a group like this.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The reports that tell all of this, each at most [`MAX_REPORT`] bytes long.
pub fn write_reports(counted: &[Counted]) -> Vec<Bytes> {
    let mut reports = Vec::new();
    let mut report = BEGIN.to_vec();
    for one in counted {
        // Numbers and text: nothing in it can fail.
        let Ok(one) = serde_json::to_vec(one) else { continue };
        if report.len() > BEGIN.len() {
            if report.len() + 1 + one.len() + END.len() > MAX_REPORT {
                report.extend_from_slice(END);
                reports.push(std::mem::replace(&mut report, BEGIN.to_vec()).into());
            } else {
                report.push(b',');
            }
        }
        report.extend_from_slice(&one);
    }
    if report.len() > BEGIN.len() {
        report.extend_from_slice(END);
        reports.push(report.into());
    }
    reports
}

/// What a report tells.
pub fn read_report(report: &[u8]) -> Result<Vec<Counted>, BadReport> {
    if report.len() > MAX_REPORT {
        return Err(BadReport::TooLong(report.len()));
    }
    // First, because the rest of another version may be of another form.
    let Version { report: version } = serde_json::from_slice(report).map_err(|_| BadReport::Form)?;
    if version != REPORT_VERSION {
        return Err(BadReport::Version(version));
    }
    let Groups { groups } = serde_json::from_slice(report).map_err(|_| BadReport::Form)?;
    match groups.iter().all(|counted| is_name(&counted.group)) {
        true => Ok(groups),
        false => Err(BadReport::Name),
    }
}

/// Why a report came to nothing.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("the origin cannot be reached")]
    Connection,
    #[error("the origin answered {0}; is it of an older version?")]
    Refused(StatusCode),
}

impl Edge {
    /// Tells the origin what was counted, until `stop` is done, and then once more; one task per edge. Without it the origin knows nothing of hits.
    pub async fn report_hits(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut is_failing = false;
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = tokio::time::sleep(self.inner.options.report_every) => {}
            }
            let told = self.inner.report().await;
            if let Err(error) = &told
                && !is_failing
            {
                tracing::warn!(error = %error, "the origin was not told of hits; figures of caching are too small");
            }
            is_failing = told.is_err();
        }
        // What comes of it is nobody's concern any more.
        let _ = tokio::time::timeout(LAST, self.inner.report()).await;
    }

    /// What was counted by the origin's groups, in the order of their names.
    pub fn groups(&self) -> Vec<GroupStats> {
        self.inner.groups.stats()
    }
}

impl Inner {
    async fn report(&self) -> Result<(), Untold> {
        if !self.coherence.is_intact(self.ticks.now()) {
            return Ok(());
        }
        for report in write_reports(&self.groups.take()) {
            self.send_report(report).await?;
        }
        Ok(())
    }

    async fn send_report(&self, report: Bytes) -> Result<(), Untold> {
        let mut request = Request::new(Full::new(report));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(REPORT_PATH);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.options.prove(headers);
        let answer = self.origin.send(request).await.map_err(|_| Untold::Connection)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Untold::Refused(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted() -> impl Strategy<Value = Counted> {
        ("[!-~]{1,256}", any::<u32>(), any::<u32>()).prop_map(|(group, hits, misses)| Counted { group, hits, misses })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read_in_pieces_that_are_not_too_long(
            counted in prop::collection::vec(counted(), 0..300)
        ) {
            let reports = write_reports(&counted);
            let mut read = Vec::new();
            for report in &reports {
                prop_assert!(report.len() <= MAX_REPORT);
                let some = read_report(report).unwrap();
                prop_assert!(!some.is_empty());
                read.extend(some);
            }
            prop_assert_eq!(read, counted);
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..60_usize) {
            let _ = read_report(&bytes);
            let one = Counted { group: "main/db/Todo".to_owned(), hits: 1, misses: 2 };
            let mut report = write_reports(&[one]).remove(0).to_vec();
            report.splice(at..at, bytes);
            let _ = read_report(&report);
        }
    }

    #[test]
    fn reports_of_version_1_are_as_they_were() {
        let counted = [("main/db/Todo", 12, 3), ("a\"b\\c", 0, u32::MAX)].map(|(group, hits, misses)| Counted {
            group: group.to_owned(),
            hits,
            misses,
        });
        let expected = r#"{"report":1,"groups":[{"group":"main/db/Todo","hits":12,"misses":3},{"group":"a\"b\\c","hits":0,"misses":4294967295}]}"#;
        assert_eq!(write_reports(&counted), [expected]);
        assert_eq!(read_report(expected.as_bytes()).unwrap(), counted);
        assert_eq!(write_reports(&[]), Vec::<Bytes>::new());
        let later = br#"{"report":1,"since":5,"groups":[{"group":"g","hits":1,"misses":0,"bytes":7}]}"#;
        assert_eq!(read_report(later).unwrap()[0].hits, 1, "what is not known is ignored");
        assert_eq!(read_report(br#"{"report":1,"groups":[]}"#), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_report_is_refused_with_the_reason() {
        let group = |name: &str| format!(r#"{{"report":1,"groups":[{{"group":"{name}","hits":1,"misses":1}}]}}"#);
        for (report, error) in [
            (String::new(), BadReport::Form),
            ("[]".to_owned(), BadReport::Form),
            (r#"{"groups":[]}"#.to_owned(), BadReport::Form),
            (r#"{"report":1}"#.to_owned(), BadReport::Form),
            (r#"{"report":2,"what":7}"#.to_owned(), BadReport::Version(2)),
            (
                r#"{"report":1,"groups":[{"group":"g","hits":-1,"misses":0}]}"#.to_owned(),
                BadReport::Form,
            ),
            (
                r#"{"report":1,"groups":[{"group":"g","hits":4294967296,"misses":0}]}"#.to_owned(),
                BadReport::Form,
            ),
            (
                r#"{"report":1,"groups":[{"group":"g","hits":1}]}"#.to_owned(),
                BadReport::Form,
            ),
            (group(""), BadReport::Name),
            (group("two words"), BadReport::Name),
            (group("ü"), BadReport::Name),
            (group(r"\n"), BadReport::Name),
            (group(&"x".repeat(257)), BadReport::Name),
            (" ".repeat(MAX_REPORT + 1), BadReport::TooLong(MAX_REPORT + 1)),
        ] {
            assert_eq!(read_report(report.as_bytes()), Err(error), "{report}");
        }
    }
}
