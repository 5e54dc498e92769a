//! The storage of a node, and the contents of one app in it, wherever they are.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fb_types::{AppId, ContentId, Timestamp};

use crate::digest::Written;
use crate::local::{LocalDownload, LocalUpload, Place};
use crate::s3::{Bucket, S3Download, S3Space, S3Upload};
use crate::{FilesError, S3Config};

/// Largest variant in bytes.
const MAX_VARIANT: usize = 32 * 1024 * 1024;

/// Where the contents of all apps of a node are. Clones share everything.
#[derive(Clone)]
pub struct FileStore {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Local(Arc<Local>),
    S3(Arc<Bucket>),
}

struct Local {
    root_of: Box<dyn Fn(&AppId) -> PathBuf + Send + Sync>,
    /// What is known of each app that was asked for: a path, and that its leftovers were looked for.
    places: Mutex<HashMap<AppId, Arc<Place>>>,
}

impl Local {
    fn places(&self) -> std::sync::MutexGuard<'_, HashMap<AppId, Arc<Place>>> {
        // A map is whole between any two of its calls.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, app: &AppId) -> Arc<Place> {
        if let Some(place) = self.places().get(app) {
            return Arc::clone(place);
        }
        let place = Arc::new(Place::new((self.root_of)(app)));
        Arc::clone(self.places().entry(app.clone()).or_insert(place))
    }
}

impl FileStore {
    /// Contents in local directories, one for each app, which are created when they are needed. The directories of two
    /// apps must not be the same or inside of one another, and belong to this crate alone.
    pub fn local(root_of: impl Fn(&AppId) -> PathBuf + Send + Sync + 'static) -> Self {
        let local = Local {
            root_of: Box::new(root_of),
            places: Mutex::default(),
        };
        Self {
            backend: Backend::Local(Arc::new(local)),
        }
    }

    /// Contents in a bucket of an S3-compatible storage. Nothing is requested yet; see [`FileStore::check`].
    ///
    /// Fails with [`FilesError::Setup`] when the configuration makes no sense.
    ///
    /// Set a lifecycle rule on the bucket that aborts incomplete multipart uploads after a day or a few: an upload that is
    /// cut off by a crash of the server leaves its parts, which no list shows and which are paid for.
    pub fn s3(config: S3Config) -> Result<Self, FilesError> {
        Ok(Self {
            backend: Backend::S3(Arc::new(Bucket::new(config)?)),
        })
    }

    /// The contents of `app`. Costs an allocation or two; touches neither disk nor network.
    pub fn app(&self, app: &AppId) -> Contents {
        Contents {
            home: match &self.backend {
                Backend::Local(local) => Home::Local(local.place(app)),
                Backend::S3(bucket) => Home::S3(bucket.space(app)),
            },
        }
    }

    /// Removes everything of `app`, and says how many contents that were. To be called when nobody writes to it any more;
    /// an upload that is under way nevertheless fails (local) or may still finish (S3). Removing what is not there is fine.
    pub async fn remove_app(&self, app: &AppId) -> Result<u64, FilesError> {
        match &self.backend {
            Backend::Local(local) => {
                let removed = local.place(app).remove_all().await?;
                local.places().remove(app);
                Ok(removed)
            }
            Backend::S3(bucket) => bucket.space(app).remove_all().await,
        }
    }

    /// Tries whether the storage is there and may be written, read and deleted from, with one tiny file that belongs to no
    /// app; the error says what is wrong. Meant for the start of a server.
    pub async fn check(&self) -> Result<(), FilesError> {
        match &self.backend {
            Backend::Local(local) => {
                let name = AppId::new("check").map_err(|error| FilesError::internal("checking", error))?;
                Arc::new(Place::new((local.root_of)(&name))).check().await
            }
            Backend::S3(bucket) => bucket.check().await,
        }
    }
}

/// The contents of one app. Clones share everything.
#[derive(Clone)]
pub struct Contents {
    home: Home,
}

#[derive(Clone)]
enum Home {
    Local(Arc<Place>),
    S3(S3Space),
}

impl Contents {
    /// Begins a new content. [`FilesError::Exists`] now or at the end when there is one with this id already.
    pub async fn create(&self, id: ContentId) -> Result<Upload, FilesError> {
        Ok(Upload {
            way: match &self.home {
                Home::Local(place) => Way::Local(Box::new(LocalUpload::create(Arc::clone(place), id).await?)),
                Home::S3(space) => Way::S3(Box::new(S3Upload::create(space.clone(), id).await?)),
            },
            is_broken: false,
        })
    }

    /// Begins to read bytes `range` of a content, `0..size` for all of it.
    ///
    /// [`FilesError::NotFound`] when there is no such content, [`FilesError::Corrupt`] when it ends before the range does.
    pub async fn open(&self, id: ContentId, range: Range<u64>) -> Result<Download, FilesError> {
        // An end before the start is nobody's wish, and not worth an error.
        let range = range.start..range.end.max(range.start);
        Ok(Download {
            flow: match &self.home {
                Home::Local(place) => Flow::Local(LocalDownload::open(Arc::clone(place), id, range).await?),
                Home::S3(space) => Flow::S3(S3Download::open(space, id, range).await?),
            },
        })
    }

    /// Bytes of a content; `None` when there is none with this id.
    pub async fn size(&self, id: ContentId) -> Result<Option<u64>, FilesError> {
        match &self.home {
            Home::Local(place) => place.size(id).await,
            Home::S3(space) => space.size(id).await,
        }
    }

    /// The whole of a small content; [`FilesError::TooLarge`] when it has more than `limit` bytes.
    pub async fn read(&self, id: ContentId, limit: usize) -> Result<Bytes, FilesError> {
        match &self.home {
            Home::Local(place) => place.read(id, limit).await,
            Home::S3(space) => space.read(id, limit).await,
        }
    }

    /// Removes a content with its variants. Removing what is not there is fine. Who reads it at this moment reads on to the
    /// end (local) or gets an error (S3, perhaps).
    pub async fn remove(&self, id: ContentId) -> Result<(), FilesError> {
        match &self.home {
            Home::Local(place) => place.remove(id).await,
            Home::S3(space) => space.remove(id).await,
        }
    }

    /// Stores something that was made of a content, for example a smaller image, and can be made again. It replaces what
    /// was there under this name, and goes when the content goes.
    ///
    /// `name` is 1 to 80 of `[a-z0-9._-]` and does not begin with a dot; `bytes` at most 32 MiB. [`FilesError::NotFound`]
    /// when there is no such content.
    pub async fn put_variant(&self, id: ContentId, name: &str, bytes: Bytes) -> Result<(), FilesError> {
        check_name(name)?;
        if bytes.len() > MAX_VARIANT {
            return Err(FilesError::TooLarge {
                limit: MAX_VARIANT as u64,
            });
        }
        match &self.home {
            Home::Local(place) => place.put_variant(id, name, bytes).await,
            Home::S3(space) => space.put_variant(id, name, bytes).await,
        }
    }

    /// What was stored with [`Contents::put_variant`]; `None` when there is nothing, also when there is no such content. After
    /// a removal that was cut off S3 may still give it; the removal is to be repeated.
    pub async fn variant(&self, id: ContentId, name: &str) -> Result<Option<Bytes>, FilesError> {
        check_name(name)?;
        match &self.home {
            Home::Local(place) => place.variant(id, name).await,
            Home::S3(space) => space.variant(id, name, MAX_VARIANT).await,
        }
    }

    /// The ids after `after` of whatever is stored, ascending, at most `limit`; fewer mean the end. Variants that lost their
    /// content in a crash are listed with its id, so that removing it removes them. For checks: each call reads up to the
    /// whole directory of names between `after` and the last id.
    pub async fn list(&self, after: Option<ContentId>, limit: usize) -> Result<Vec<ContentId>, FilesError> {
        match &self.home {
            Home::Local(place) => place.list(after, limit).await,
            Home::S3(space) => space.list(after, limit).await,
        }
    }

    /// Removes what interrupted uploads have left, and says how many. The first upload to an app does it too.
    ///
    /// Local: those whose process is gone, whatever their age; on file systems without locks, where that cannot be seen,
    /// those not written to since `before`. S3: multipart uploads begun before `before`, also those still under way; so it
    /// should lie back further than any upload takes, a day for example.
    pub async fn sweep(&self, before: Timestamp) -> Result<u64, FilesError> {
        match &self.home {
            Home::Local(place) => place.sweep(before).await,
            Home::S3(space) => space.sweep(before).await,
        }
    }
}

fn check_name(name: &str) -> Result<(), FilesError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    match (1..=80).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(FilesError::internal(
            "naming a variant",
            "its name is not made of 1 to 80 of a-z, 0-9, `.`, `_` and `-`, or begins with a dot",
        )),
    }
}

/// A content that is being written. Until [`Upload::finish`] returns nobody sees anything of it; dropping it removes what
/// was written, as far as possible.
///
/// It holds at most 2 MiB (local) or 40 MiB (S3) of what was written, beside the piece in hand.
pub struct Upload {
    way: Way,
    /// Set while a write is under way, and for good when it failed or was dropped half-way.
    is_broken: bool,
}

enum Way {
    Local(Box<LocalUpload>),
    S3(Box<S3Upload>),
}

impl Upload {
    /// Appends a piece of any size. It waits when the storage is slower than the caller. After an error, or when the future
    /// was dropped, the upload cannot be finished any more.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), FilesError> {
        if std::mem::replace(&mut self.is_broken, true) {
            return Err(FilesError::broken_upload());
        }
        match &mut self.way {
            Way::Local(upload) => upload.write(piece).await?,
            Way::S3(upload) => upload.write(piece).await?,
        }
        self.is_broken = false;
        Ok(())
    }

    /// Completes the content. When it returns, the content is whole and survives a crash of the machine (local: file and
    /// directories are flushed; S3: it is acknowledged). If the future is dropped, the content may exist or not.
    pub async fn finish(self) -> Result<Written, FilesError> {
        if self.is_broken {
            return Err(FilesError::broken_upload());
        }
        match self.way {
            Way::Local(upload) => upload.finish().await,
            Way::S3(upload) => upload.finish().await,
        }
    }

    /// Gives up, and waits until what was written is removed, as far as possible.
    pub async fn abort(self) {
        match self.way {
            Way::Local(upload) => upload.abort().await,
            Way::S3(upload) => upload.abort().await,
        }
    }
}

/// A content that is being read.
pub struct Download {
    flow: Flow,
}

enum Flow {
    Local(LocalDownload),
    S3(S3Download),
}

impl Download {
    /// The next piece, never empty, at most 1 MiB; `None` after the last one. After an error there is nothing more. Dropping
    /// the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, FilesError>> {
        match &mut self.flow {
            Flow::Local(download) => download.next().await,
            Flow::S3(download) => download.next().await,
        }
    }
}
