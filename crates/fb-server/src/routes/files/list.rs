//! Lists of files.

use fb_app::files::ListWish;
use fb_types::FolderPath;
use serde_json::json;

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) async fn list_files(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let bucket = ctx.bucket_name()?;
    let request = &ctx.request;
    let folder = request.query("path")?.unwrap_or_default();
    let after = request.query("start")?.filter(|start| !start.is_empty());
    let count: Option<i64> = request.number("count")?;
    let wish = ListWish {
        folder: FolderPath::new(folder.strip_prefix('/').unwrap_or(&folder))?,
        after: after.map(|start| start.strip_prefix('/').unwrap_or(&start).to_owned()),
        is_deep: request.query("deep")?.as_deref() == Some("true"),
        // Less than none means all.
        limit: count.and_then(|count| usize::try_from(count).ok()),
    };
    let names = ctx.app.list_files(&caller, &bucket, wish).await?;
    let ids: Vec<String> = names.iter().map(|name| format!("/file/{bucket}/{name}")).collect();
    Ok(Reply::json(200, &json!(ids)))
}
