//! `/file`: files and their buckets.

mod archive;
mod buckets;
mod download;
mod list;
mod metadata;
mod upload;

use fb_types::{BucketName, FileEntry, FileId, FilePath, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::content;
use crate::context::Ctx;
use crate::error::ApiError;
use crate::route::{Access, Route, route};

use archive::{download_archive, upload_archive};
use buckets::{delete_bucket, get_bucket, list_buckets, put_bucket};
use download::download_file;
use list::list_files;
use metadata::{delete_files, update_file};
use upload::{create_file, upload_file};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/file" download_archive, "Download the files of a bucket, or of a folder of it, as a zip archive",
            Access::Bucket(&["query", "load"]), query: archive::QUERY, answers: &[(200, Some("Archive"))]),
        route!(POST "/file" upload_archive,
            "Upload a zip archive: its files are inserted, or replace those of the same name; others stay",
            Access::Bucket(&["insert", "update"]), query: archive::QUERY, body: "Archive",
            answers: &[(200, Some("StringList"))]),
        route!(GET "/file/buckets" list_buckets, "List the buckets", Access::Admin, answers: &[(200, Some("StringList"))]),
        route!(GET "/file/{bucket}" get_bucket, "Permissions of a bucket", Access::Admin,
            answers: &[(200, Some("BucketAcl"))]),
        route!(PUT "/file/{bucket}" put_bucket, "Create a bucket, or replace its permissions", Access::Admin,
            body: "BucketAcl", answers: &[(204, None)]),
        route!(DELETE "/file/{bucket}" delete_bucket, "Delete a bucket with all its files", Access::Admin,
            answers: &[(204, None)]),
        route!(POST "/file/{bucket}" create_file, "Upload a file under a random name", Access::Bucket(&["insert"]),
            body: "FileContent", answers: &[(200, Some("FileMetadata"))]),
        route!(GET "/file/{bucket}/ids" list_files, "List files and subfolders", Access::Bucket(&["query"]),
            query: &[("path", "Folder, relative to the bucket"), ("start", "Last entry of the piece before"),
                ("count", "At most so many, up to 1000"), ("deep", "true: all files below the folder")],
            answers: &[(200, Some("StringList"))]),
        route!(GET "/file/{bucket}/{*oid}" download_file, "Download a file; HEAD: its metadata",
            Access::Bucket(&["load"]), answers: &[(200, Some("FileContent")), (206, Some("FileContent")), (304, None)]),
        route!(PUT "/file/{bucket}/{*oid}" upload_file,
            "Upload a file: a new one (If-None-Match: *), over a known one (If-Match), or whatever is there (no condition)",
            Access::Bucket(&["insert", "update"]), body: "FileContent", answers: &[(200, Some("FileMetadata"))]),
        route!(POST "/file/{bucket}/{*oid}" update_file, "Change metadata of a file", Access::Bucket(&["update"]),
            body: "FileMetadata", answers: &[(200, Some("FileMetadata"))]),
        route!(DELETE "/file/{bucket}/{*oid}" delete_files,
            "Delete a file, or all files of a folder (a path that ends with /)", Access::Bucket(&["delete"]),
            answers: &[(204, None), (200, Some("StringList"))]),
    ]
}

impl Ctx {
    fn bucket_name(&self) -> Result<BucketName, ApiError> {
        Ok(BucketName::new(&self.request.param("bucket")?)?)
    }

    /// The file of the path.
    fn file_id(&self) -> Result<FileId, ApiError> {
        let path = decode_path(self.request.raw_param("oid"))?;
        Ok(FileId::new(self.bucket_name()?, FilePath::new(&path)?))
    }
}

/// The raw name in a path of a URL. Segments are decoded one by one, so that each file has one URL.
pub(crate) fn decode_path(encoded: &str) -> Result<String, ApiError> {
    let mut raw = String::with_capacity(encoded.len());
    for (n, segment) in encoded.split('/').enumerate() {
        if n > 0 {
            raw.push('/');
        }
        let decoded = percent_decode_str(segment)
            .decode_utf8()
            .map_err(|_| ApiError::bad_request("The path is not UTF-8."))?;
        if decoded.contains('/') {
            return Err(ApiError::bad_request("A segment of the path has an encoded slash."));
        }
        raw.push_str(&decoded);
    }
    Ok(raw)
}

/// Metadata as the protocol's clients read them. Moments have whole seconds, as in headers.
fn metadata_json(id: &FileId, entry: &FileEntry) -> Value {
    json!({
        "id": id.to_string(),
        "mimeType": entry.media_type,
        "eTag": entry.etag,
        "acl": content::acl_json(entry),
        "size": entry.size,
        "contentLength": entry.size,
        "lastModified": in_seconds(entry.updated_at),
        "createdAt": in_seconds(entry.created_at),
        "headers": entry.headers,
    })
}

fn in_seconds(moment: Timestamp) -> String {
    Timestamp::from_millis(moment.seconds() * 1000).to_string()
}
