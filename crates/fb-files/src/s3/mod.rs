//! Contents in a bucket of an S3-compatible storage.
//!
//! ```text
//! <prefix>/<app>/<2 hex>/<id>           a content
//! <prefix>/<app>/<2 hex>/<id>.v/<name>  a variant of it
//! ```

mod config;
mod download;
mod errors;
mod leftovers;
mod space;
mod upload;
mod wire;

pub use config::S3Config;
pub(crate) use download::S3Download;
pub(crate) use space::{Bucket, S3Space};
pub(crate) use upload::S3Upload;
