//! Buckets: their rules, and their deletion with all that is in them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use fb_auth::{Admin, Errand, FileAction, Principal, authorize_admin, system};
use fb_store::{Batch, BucketEffect, BucketWrite, FileEffect, FileList, FileWrite, Refusal, StoreError, Write};
use fb_types::{Bucket, BucketName, ClassAcl, FilePath, FolderPath, Permission};
use serde_json::json;

use crate::audit::Action;
use crate::{App, AppError, Profile};

/// Most buckets of one app.
const MAX_BUCKETS: usize = 10_000;

/// Files of a bucket that are deleted in one transaction.
const DELETE_CHUNK: usize = 200;

type BucketMap = HashMap<BucketName, Arc<Bucket>>;

/// The buckets of an app as they are in the store.
#[derive(Default)]
pub(crate) struct Buckets {
    /// Moves on with every write of a bucket.
    generation: AtomicU64,
    /// What was read, and under which generation.
    known: ArcSwapOption<(u64, BucketMap)>,
}

impl Buckets {
    /// A bucket was written.
    pub(crate) fn invalidate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// What is known, or the generation under which it is to be read. If a bucket is written meanwhile, nobody will take what
    /// was read for current.
    fn get(&self) -> Result<Arc<(u64, BucketMap)>, u64> {
        let generation = self.generation.load(Ordering::Acquire);
        let known = self.known.load_full();
        known.filter(|known| known.0 == generation).ok_or(generation)
    }
}

impl App {
    async fn bucket_map(&self) -> Result<Arc<(u64, BucketMap)>, AppError> {
        let generation = match self.buckets().get() {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        Box::pin(self.read_buckets(generation)).await
    }

    async fn read_buckets(&self, generation: u64) -> Result<Arc<(u64, BucketMap)>, AppError> {
        let buckets = self.store().buckets().await?;
        let map: BucketMap = buckets.into_iter().map(|b| (b.name.clone(), Arc::new(b))).collect();
        let known = Arc::new((generation, map));
        self.buckets().known.store(Some(known.clone()));
        Ok(known)
    }

    /// A bucket as it is; nobody need have configured it. The second says whether there is one.
    pub(crate) async fn bucket(&self, name: &BucketName) -> Result<(Arc<Bucket>, bool), AppError> {
        Ok(match self.bucket_map().await?.1.get(name) {
            Some(bucket) => (bucket.clone(), true),
            None => (Arc::new(Bucket::unconfigured(name.clone())), false),
        })
    }

    /// All buckets in the order of their names, `www` among them.
    pub(crate) async fn all_buckets(&self) -> Result<Vec<Arc<Bucket>>, AppError> {
        let map = &self.bucket_map().await?.1;
        let mut buckets: Vec<_> = map.values().cloned().collect();
        if !map.contains_key(&BucketName::www()) {
            buckets.push(Arc::new(Bucket::unconfigured(BucketName::www())));
        }
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(buckets)
    }

    /// The names of all buckets, `www` among them.
    pub async fn list_buckets(&self, caller: &Principal) -> Result<Vec<BucketName>, AppError> {
        authorize_admin(caller, "list the buckets of files")?;
        let buckets = self.all_buckets().await?;
        Ok(buckets.iter().map(|bucket| bucket.name.clone()).collect())
    }

    /// The rules of a bucket.
    pub async fn bucket_rules(&self, caller: &Principal, name: &BucketName) -> Result<ClassAcl, AppError> {
        authorize_admin(caller, "see the permissions of a bucket")?;
        match self.bucket(name).await? {
            (bucket, exists) if exists || *name == BucketName::www() => Ok(bucket.rules.clone()),
            _ => Err(AppError::NoBucket(name.clone())),
        }
    }

    /// Creates a bucket, or replaces its rules. In the secure profile nobody is allowed by silence, as with classes.
    pub async fn set_bucket(&self, caller: &Principal, name: &BucketName, mut rules: ClassAcl) -> Result<(), AppError> {
        let admin = authorize_admin(caller, "change the permissions of a bucket")?;
        if let Some((permission, _)) = rules.iter().find(|(p, _)| !Permission::DATA.contains(p)) {
            let text = format!(
                "buckets have the permissions load, insert, update, delete and query, not {}",
                permission.as_str()
            );
            return Err(AppError::Invalid(text));
        }
        let known = self.bucket_map().await?;
        let map = &known.1;
        if map.len() >= MAX_BUCKETS && !map.contains_key(name) {
            return Err(AppError::TooLarge(format!("an app has at most {MAX_BUCKETS} buckets")));
        }
        if self.settings().profile == Profile::Secure {
            fb_auth::close_data(&mut rules);
        }
        let data = json!({ "rules": rules });
        let bucket = Bucket {
            name: name.clone(),
            rules,
            is_closing: false,
        };
        self.check_guards_bucket(&bucket)?;
        self.write_bucket(
            caller,
            &admin,
            name,
            BucketEffect::Put(bucket),
            Action::BucketChanged,
            data,
        )
        .await
    }

    async fn write_bucket(
        &self,
        caller: &Principal,
        admin: &Admin,
        name: &BucketName,
        to: BucketEffect,
        action: Action,
        data: serde_json::Value,
    ) -> Result<(), AppError> {
        let target = format!("/file/{name}");
        let entry = self.audit(&self.schema(), caller, action, &target, data)?;
        let write = BucketWrite {
            admin: admin.clone(),
            name: name.clone(),
            to,
        };
        let writes = vec![Write::Bucket(write), entry];
        match self.store().commit(Batch { writes }).await {
            Ok(_) => Ok(()),
            Err(StoreError::Refused {
                refusal: Refusal::NoBucket,
                ..
            }) => Err(AppError::BucketClosing(name.clone())),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a bucket with all its files. Nothing comes in from the beginning on; when it is cut off, the rest is
    /// deleted later.
    pub async fn delete_bucket(&self, caller: &Principal, name: &BucketName) -> Result<(), AppError> {
        let admin = authorize_admin(caller, "delete a bucket")?;
        match self.bucket(name).await? {
            (_, false) => return Err(AppError::NoBucket(name.clone())),
            (bucket, true) if !bucket.is_closing => {
                // What is uploaded to a bucket of this name later would be for everybody.
                self.check_guards_bucket(&Bucket::unconfigured(name.clone()))?;
                let data = json!({ "rules": bucket.rules });
                self.write_bucket(caller, &admin, name, BucketEffect::Close, Action::BucketDeleted, data)
                    .await?;
            }
            _ => {}
        }
        self.empty_bucket(name).await
    }

    /// Finishes the deletion of buckets that was cut off.
    pub(crate) async fn finish_closing(&self) -> Result<(), AppError> {
        for bucket in self.bucket_map().await?.1.values().filter(|bucket| bucket.is_closing) {
            self.empty_bucket(&bucket.name).await?;
        }
        Ok(())
    }

    /// Deletes the files of a bucket that takes in nothing any more, and then the bucket.
    async fn empty_bucket(&self, name: &BucketName) -> Result<(), AppError> {
        let admin = system(Errand::KeepBuckets);
        let grant = admin.files(name);
        let list = FileList {
            folder: FolderPath::root(),
            after: None,
            is_deep: true,
            limit: DELETE_CHUNK,
        };
        loop {
            let names = self.store().files(&grant, &list).await?;
            let mut writes = Vec::with_capacity(names.len().max(1));
            for name in &names {
                writes.push(Write::File(FileWrite {
                    grant: grant.clone(),
                    path: FilePath::new(name)?,
                    action: FileAction::Delete,
                    decide: Box::new(|_, _| Ok(FileEffect::Delete)),
                }));
            }
            if names.is_empty() {
                writes.push(Write::Bucket(BucketWrite {
                    admin: admin.clone(),
                    name: name.clone(),
                    to: BucketEffect::Remove,
                }));
            }
            self.store().commit(Batch { writes }).await?;
            if names.is_empty() {
                return Ok(());
            }
        }
    }
}
