//! What object_store reports, sorted by what the caller can do about it.

use std::error::Error as _;

use fb_types::ContentId;
use object_store::Error;
use object_store::client::HttpError;

use crate::FilesError;

/// Sorts an error of a request about one content.
pub(super) fn about(id: ContentId, during: &'static str) -> impl Fn(Error) -> FilesError {
    move |error| match error {
        Error::NotFound { .. } if !is_bucket_missing(&error) => FilesError::NotFound { id },
        Error::AlreadyExists { .. } => FilesError::Exists { id },
        error => general(during)(error),
    }
}

/// Sorts an error of a request about the bucket.
pub(super) fn general(during: &'static str) -> impl Fn(Error) -> FilesError {
    move |error| {
        if is_bucket_missing(&error) {
            return FilesError::Setup {
                reason: "the bucket does not exist".to_owned(),
            };
        }
        let text = error.to_string();
        // The codes are S3's; those with XMinio are MinIO's.
        let says = |codes: &[&str]| codes.iter().any(|code| text.contains(code));
        let status = status_in(&text);
        if status == Some(507) || says(&["QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"]) {
            return FilesError::Full { source: error.into() };
        }
        let is_denied = matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
        if is_denied
            || says(&[
                "InvalidAccessKeyId",
                "SignatureDoesNotMatch",
                "AuthorizationHeaderMalformed",
            ])
        {
            return FilesError::Denied {
                during,
                source: error.into(),
            };
        }
        let is_passing = matches!(status, Some(408 | 409 | 429 | 500..=599)) || says(&["SlowDown", "InternalError"]);
        if is_passing || is_of_network(&error) {
            return FilesError::Unavailable {
                during,
                source: error.into(),
            };
        }
        FilesError::internal(during, error)
    }
}

fn is_bucket_missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && error.to_string().contains("NoSuchBucket")
}

/// The status of the answer. object_store gives it in words only, except for the few that it has variants for.
pub(super) fn status_in(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn is_of_network(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<HttpError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
