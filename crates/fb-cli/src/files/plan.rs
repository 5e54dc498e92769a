//! Which files are new, different, or gone. Contents are compared by the validators that the server keeps, so that nothing is
//! downloaded.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use fb_types::{BucketName, FilePath};
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use crate::change::{Change, Kind, Part};
use crate::tree::{LocalFile, Tree};
use crate::{Api, CliError};

/// Requests at once.
pub(super) const AT_ONCE: usize = 8;

/// A change of files.
#[derive(Debug, Default)]
pub(crate) struct FilePlan {
    pub(crate) upload: Vec<LocalFile>,
    pub(crate) remove: Vec<String>,
    pub(crate) changes: Vec<Change>,
    /// Files of the bucket that are not in the folder, and stay.
    pub(crate) only_remote: usize,
}

/// Compares. With `prune` files that are not in the folder go. Cost: a request per file that is in both, and reading it.
pub(crate) async fn plan(api: &Api, bucket: &BucketName, tree: Tree, prune: bool) -> Result<FilePlan, CliError> {
    for file in &tree.files {
        FilePath::new(&file.name).map_err(|error| CliError::Project(format!("{}: {error}", file.path.display())))?;
    }
    let remote: BTreeSet<String> = api.files(bucket).await?.into_iter().collect();
    let local: BTreeSet<String> = tree.files.iter().map(|file| file.name.clone()).collect();
    let compared = stream::iter(tree.files).map(|file| {
        let is_there = remote.contains(&file.name);
        async move {
            let kind = match is_there {
                false => Some(Kind::Add),
                true => match is_same(api, bucket, &file).await? {
                    true => None,
                    false => Some(Kind::Change),
                },
            };
            Ok::<_, CliError>((file, kind))
        }
    });
    let mut compared = compared.buffered(AT_ONCE);
    let mut plan = FilePlan::default();
    while let Some((file, kind)) = compared.try_next().await? {
        if let Some(kind) = kind {
            let mut change = Change::new(Part::File, kind, format!("{bucket}/{}", file.name));
            change
                .details
                .extend((file.size >= 1 << 20).then(|| size_text(file.size)));
            plan.changes.push(change);
            plan.upload.push(file);
        }
    }
    for name in remote.difference(&local) {
        if prune {
            plan.changes
                .push(Change::new(Part::File, Kind::Remove, format!("{bucket}/{name}")));
            plan.remove.push(name.clone());
        } else {
            plan.only_remote += 1;
        }
    }
    Ok(plan)
}

fn size_text(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

async fn is_same(api: &Api, bucket: &BucketName, file: &LocalFile) -> Result<bool, CliError> {
    let Some(remote) = api.file(bucket, &file.name).await? else {
        return Ok(false);
    };
    let path = file.path.clone();
    let digest = tokio::task::spawn_blocking(move || digest(&path).map_err(CliError::io("reading", &path)));
    let digest = digest
        .await
        .map_err(|error| CliError::Project(format!("{}: {error}", file.name)))??;
    Ok(fb_auth::content_tag(&digest, &remote.media_type) == remote.etag)
}

fn digest(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().to_vec()),
            n => hash.update(&piece[..n]),
        }
    }
}
