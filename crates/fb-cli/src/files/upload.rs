//! Uploading: several at once, what pages need before the pages.

use fb_types::BucketName;
use futures_util::{StreamExt, stream};

use super::FilePlan;
use super::plan::AT_ONCE;
use crate::http::Payload;
use crate::tree::LocalFile;
use crate::ui::Ui;
use crate::{Api, CliError};

/// Something that could not be done.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) name: String,
    pub(crate) error: CliError,
}

/// Uploads, and then removes. Pages come after all that they may refer to; if any of that fails, they stay as they are, and
/// nothing is removed. Answers with what failed, also what was not tried because of that.
pub(crate) async fn apply(api: &Api, bucket: &BucketName, plan: FilePlan, ui: &dyn Ui) -> Vec<Failure> {
    let (pages, assets): (Vec<_>, Vec<_>) = plan.upload.into_iter().partition(|file| is_page(&file.name));
    let total = pages.len() + assets.len();
    let mut failures = upload(api, bucket, assets, 0, total, ui).await;
    let skipped = |name: &str| Failure {
        name: name.to_owned(),
        error: CliError::Refused("not tried, because others failed".into()),
    };
    if failures.is_empty() {
        let done = total - pages.len();
        failures = upload(api, bucket, pages, done, total, ui).await;
    } else {
        failures.extend(pages.iter().map(|page| skipped(&page.name)));
    }
    if !failures.is_empty() {
        failures.extend(plan.remove.iter().map(|name| skipped(name)));
        return failures;
    }
    let removals = stream::iter(&plan.remove).map(|name| async move { (name, api.delete_file(bucket, name).await) });
    let mut removals = removals.buffer_unordered(AT_ONCE);
    while let Some((name, result)) = removals.next().await {
        failures.extend(result.err().map(|error| Failure {
            name: name.clone(),
            error,
        }));
    }
    failures
}

fn is_page(name: &str) -> bool {
    let extension = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    matches!(extension.as_str(), "html" | "htm" | "xhtml")
}

async fn upload(
    api: &Api,
    bucket: &BucketName,
    files: Vec<LocalFile>,
    before: usize,
    total: usize,
    ui: &dyn Ui,
) -> Vec<Failure> {
    let uploads = stream::iter(files).map(|file| async move {
        let payload = Payload::File {
            path: file.path.clone(),
            size: file.size,
        };
        let result = api.upload(bucket, &file.name, payload).await;
        (file.name, result)
    });
    let mut uploads = uploads.buffer_unordered(AT_ONCE);
    let mut failures = Vec::new();
    let mut done = before;
    while let Some((name, result)) = uploads.next().await {
        done += 1;
        ui.progress("Uploading", done, total);
        failures.extend(result.err().map(|error| Failure { name, error }));
    }
    failures.sort_by(|a, b| a.name.cmp(&b.name));
    failures
}
