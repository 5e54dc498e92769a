//! Downloads.

use crate::content::{self, Role};
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) async fn download_file(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let id = ctx.file_id()?;
    if ctx.code.is_some() || !is_plain(ctx.request.uri.query()) {
        let file = ctx.app.open_file(&caller, &id).await?;
        return content::answer(&ctx.app, &ctx.request, &id, &file, Role::Data).await;
    }
    let (file, lifetime) = ctx.app.open_file_to_keep(&caller, &id).await?;
    let reply = content::answer(&ctx.app, &ctx.request, &id, &file, Role::Data).await?;
    Ok(match lifetime {
        Some(lifetime) => reply.kept_for(lifetime),
        None => reply,
    })
}

/// True if the URL says nothing but which file it is. Variants of images change with the app's settings; URLs with tokens are
/// somebody's own. A published client that is told by the filter not to use its copy asks under a URL of its own (`?BCB`), which is
/// the same one each time: a copy of that answer would be used as long as the filter names the file.
fn is_plain(query: Option<&str>) -> bool {
    query.is_none_or(str::is_empty)
}
