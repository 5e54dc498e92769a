//! Contents of files by random id: in local directories, or in S3-compatible storage.
//!
//! Knows nothing of names, users, rights, HTTP servers and databases. Contents never change; what is called how, belongs to
//! whom and is served as what stands in the app's store, which names the id of a content. Beside them, pure functions on
//! [media types](media_type) of files.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let data = directory.path().to_owned();
//! use fb_files::FileStore;
//! use fb_types::{AppId, ContentId};
//!
//! let store = FileStore::local(move |app| data.join(app.as_str()).join("files"));
//! store.check().await?;
//! let contents = store.app(&AppId::new("shop")?);
//! let id = ContentId::from_bytes([7; 16]); // random bytes in earnest
//!
//! let mut upload = contents.create(id).await?;
//! upload.write("Hello".into()).await?;
//! let written = upload.finish().await?;
//! assert_eq!(written.size, 5);
//!
//! let mut download = contents.open(id, 1..written.size).await?;
//! while let Some(piece) = download.next().await {
//!     assert_eq!(piece?, "ello");
//! }
//! # Ok(()) }
//! ```

mod digest;
mod error;
pub mod headers;
mod local;
pub mod media_type;
mod s3;
mod store;

pub use digest::Written;
pub use error::{BoxError, FilesError};
pub use s3::S3Config;
pub use store::{Contents, Download, FileStore, Upload};
