//! Downloads.

use crate::content::{self, Role};
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) async fn download_file(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let id = ctx.file_id()?;
    let file = ctx.app.open_file(&caller, &id).await?;
    content::answer(&ctx.app, &ctx.request, &id, &file, Role::Data).await
}
