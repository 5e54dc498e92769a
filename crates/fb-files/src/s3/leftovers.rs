//! Uploads in parts that were never completed. object_store does not list them.

use fb_types::Timestamp;
use http::Method;
use object_store::Error;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::S3Space;
use super::errors::general;
use crate::FilesError;

const DURING: &str = "listing interrupted uploads";
/// Largest answer in bytes that is read; a page has 1,000 uploads at most.
const MAX_PAGE: usize = 4 * 1024 * 1024;

/// An upload that was begun.
#[derive(Debug, PartialEq, Eq)]
struct Begun {
    key: String,
    upload: String,
    initiated: String,
}

impl S3Space {
    /// Aborts uploads that were begun before `before`, and says how many.
    pub(crate) async fn sweep(&self, before: Timestamp) -> Result<u64, FilesError> {
        let mut aborted = 0;
        let mut after = None;
        loop {
            let page = self.page_of_uploads(after.as_ref()).await?;
            for begun in uploads_in(&page) {
                let is_old = begun.initiated.parse::<Timestamp>().is_ok_and(|at| at < before);
                let key = Path::from(begun.key);
                if !is_old || self.id_in(&key).is_none() {
                    continue;
                }
                match self.bucket.store.abort_multipart(&key, &begun.upload).await {
                    Ok(()) => aborted += 1,
                    // Completed or aborted in the meantime.
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(general("aborting interrupted uploads")(error)),
                }
            }
            let next = (text_of(&page, "NextKeyMarker"), text_of(&page, "NextUploadIdMarker"));
            match (text_of(&page, "IsTruncated").as_deref(), next) {
                // A storage that repeats itself would keep this going for ever.
                (Some("true"), (Some(key), Some(upload))) if after.as_ref() != Some(&(key.clone(), upload.clone())) => {
                    after = Some((key, upload));
                }
                _ => return Ok(aborted),
            }
        }
    }

    async fn page_of_uploads(&self, after: Option<&(String, String)>) -> Result<String, FilesError> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut url = format!("{}/?prefix={}&uploads=", self.bucket.url, encode(&self.prefix));
        if let Some((key, upload)) = after {
            url.push_str(&format!(
                "&key-marker={}&upload-id-marker={}",
                encode(key),
                encode(upload)
            ));
        }
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = url.parse().map_err(|error| FilesError::internal(DURING, error))?;
        let config = &self.bucket.config;
        let credential = AwsCredential {
            key_id: config.key_id.clone(),
            secret_key: config.secret.clone(),
            token: None,
        };
        let authorizer = AwsAuthorizer::new(&credential, "s3", &config.region);
        authorizer.try_authorize(&mut request, None).map_err(general(DURING))?;
        let unavailable = |error| FilesError::Unavailable {
            during: DURING,
            source: Box::new(error),
        };
        let answer = self.bucket.wire.client().execute(request).await.map_err(unavailable)?;
        let status = answer.status();
        let body = http_body_util::Limited::new(answer.into_body(), MAX_PAGE);
        let body = http_body_util::BodyExt::collect(body).await;
        let body = body
            .map_err(|source| FilesError::Unavailable { during: DURING, source })?
            .to_bytes();
        let refused = |source: String| source.into();
        match status.as_u16() {
            200 => Ok(String::from_utf8_lossy(&body).into_owned()),
            401 | 403 => Err(FilesError::Denied {
                during: DURING,
                source: refused(format!("status {status}")),
            }),
            _ => Err(FilesError::Unavailable {
                during: DURING,
                source: refused(format!("status {status}")),
            }),
        }
    }
}

/// The uploads of a `ListMultipartUploadsResult`. A whole XML parser would be used for this alone; what is read is what
/// storages print, where text has no markup inside.
fn uploads_in(page: &str) -> Vec<Begun> {
    let mut uploads = Vec::new();
    for element in page.split("<Upload>").skip(1) {
        let element = element.split("</Upload>").next().unwrap_or_default();
        if let (Some(key), Some(upload), Some(initiated)) = (
            text_of(element, "Key"),
            text_of(element, "UploadId"),
            text_of(element, "Initiated"),
        ) {
            uploads.push(Begun { key, upload, initiated });
        }
    }
    uploads
}

fn text_of(xml: &str, element: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    let (text, _) = rest.split_once(&format!("</{element}>"))?;
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    // Keys of ours have no percent sign, so that it does not matter whether the storage encodes them.
    Some(match element {
        "Key" => percent_decode_str(&text).decode_utf8_lossy().into_owned(),
        _ => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_are_read_from_a_page() {
        let page = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><Bucket>b</Bucket><NextKeyMarker>n</NextKeyMarker>\
            <IsTruncated>false</IsTruncated><Upload>\n <Key>a%2Fb</Key><UploadId>x&amp;y</UploadId><Initiator><ID>1</ID></Initiator>\
            <Initiated>2010-11-10T20:48:33.000Z</Initiated></Upload><Upload><Key>c</Key></Upload></ListMultipartUploadsResult>";
        let expected = Begun {
            key: "a/b".to_owned(),
            upload: "x&y".to_owned(),
            initiated: "2010-11-10T20:48:33.000Z".to_owned(),
        };
        assert_eq!(uploads_in(page), [expected]);
        assert_eq!(text_of(page, "IsTruncated").as_deref(), Some("false"));
        assert_eq!(uploads_in("<Upload><Upload></Upload><Key>"), []);
    }
}
