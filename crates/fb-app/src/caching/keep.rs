//! Reads whose answers may be kept, and the filter.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use fb_auth::{Principal, authorize_admin};
use fb_sketch::Snapshot;
use fb_types::schema::predefined;
use fb_types::{FileId, ObjectKey};

use super::{Lifetime, element};
use crate::files::OpenFile;
use crate::objects::Seen;
use crate::{App, AppError};

impl App {
    /// The object like [`Self::load`], and how long the answer may be kept by whoever gets it; `None` unless everybody may read
    /// it.
    ///
    /// It is looked at twice: first to see whether it is for everybody, so that nobody can fill the books with, or find out about,
    /// what is not; then, with the copy in the books, for the answer. What changes between the books and the second look is seen by
    /// that look; what changes behind it finds the copy in the books.
    pub async fn load_to_keep(
        &self,
        caller: &Principal,
        bucket: &str,
        key: &ObjectKey,
    ) -> Result<(Seen, Option<Lifetime>), AppError> {
        let seen = self.load(caller, bucket, key).await?;
        let settings = self.settings();
        if !seen.is_public() || !settings.caching.enabled || !is_kept(bucket) {
            return Ok((seen, None));
        }
        if !self.caching().begin(self.store()).await {
            return Ok((seen, None));
        }
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let area = self.caching().classes.get_or_insert(bucket);
        let id = element::of_object(class.name(), key);
        let lifetime = self.caching().promise(&area, id, &settings.caching);
        let seen = self.load(caller, bucket, key).await?;
        let lifetime = lifetime.filter(|_| seen.is_public());
        Ok((seen, lifetime))
    }

    /// The file like [`Self::open_file`], and how long the answer may be kept; `None` unless everybody may read it, and if its own headers
    /// say what caches may do.
    pub async fn open_file_to_keep(
        &self,
        caller: &Principal,
        id: &FileId,
    ) -> Result<(OpenFile, Option<Lifetime>), AppError> {
        let file = self.open_file(caller, id).await?;
        let settings = self.settings();
        if !may_keep(&file) || !settings.caching.enabled || !self.caching().begin(self.store()).await {
            return Ok((file, None));
        }
        let area = self.caching().buckets.get_or_insert(id.bucket().as_str());
        let lifetime = self.caching().promise(&area, element::of_file(id), &settings.caching);
        let file = self.open_file(caller, id).await?;
        let lifetime = lifetime.filter(|_| may_keep(&file));
        Ok((file, lifetime))
    }

    /// Which copies are out of date, by everything that was acknowledged before this call.
    ///
    /// Cost: two locks; after a change also a copy of the bits.
    pub fn filter(&self) -> Arc<Snapshot> {
        let caching = self.caching();
        let now = caching.now();
        caching.books().sketch.snapshot(now)
    }

    /// Makes all clients ask about all their copies, until the last one has ended. The filter cannot be emptied otherwise: the copies
    /// that it names are out there.
    pub async fn distrust_copies(&self, caller: &Principal) -> Result<(), AppError> {
        authorize_admin(caller, "flush the filter")?;
        let caching = self.caching();
        let last = caching.books().sketch.last_expiry();
        caching.doubt_until(last);
        caching.purges.app();
        self.tend_caching().await
    }
}

fn may_keep(file: &OpenFile) -> bool {
    let says_itself = |name: &str| name == "cache-control" || name == "expires" || name == "pragma";
    let mut names = file.entry().headers.keys();
    file.is_public() && !names.any(|name| says_itself(name) || fb_files::headers::is_for_shared_caches(name))
}

/// The server's own classes (users, roles, devices, logs) are nobody's to keep.
fn is_kept(bucket: &str) -> bool {
    static OWN: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let references = predefined().into_iter().map(|def| def.class);
        references
            .filter_map(|reference| Some(reference.strip_prefix("/db/")?.to_owned()))
            .collect()
    });
    !bucket.starts_with("logs.") && !OWN.contains(bucket)
}
