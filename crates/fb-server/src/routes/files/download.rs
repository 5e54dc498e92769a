//! Downloads.

use fb_app::caching::{Group, tags};

use crate::content::{self, Role};
use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) async fn download_file(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let id = ctx.file_id()?;
    let group = Group::Bucket(id.bucket().as_str());
    if is_plain_but_for_token(ctx.request.uri.query())
        && let Some((file, guarded)) = ctx.file_for_edge(&id).await?
        && !file.is_public()
    {
        let mut reply = content::answer(&ctx.app, &ctx.request, &id, &file, Role::Data).await?;
        ctx.count(&mut reply, group);
        return Ok(ctx.guarded(reply, &guarded));
    }
    if ctx.code.is_some() || !is_plain(ctx.request.uri.query()) {
        let file = ctx.app.open_file(&caller, &id).await?;
        return content::answer(&ctx.app, &ctx.request, &id, &file, Role::Data).await;
    }
    let (file, lifetime) = ctx.app.open_file_to_keep(&caller, &id).await?;
    let mut reply = content::answer(&ctx.app, &ctx.request, &id, &file, Role::Data).await?;
    if lifetime.is_some() {
        ctx.count(&mut reply, group);
    }
    Ok(match lifetime {
        Some(lifetime) => ctx.kept(reply, lifetime, || {
            let app = ctx.app.id();
            vec![
                tags::app(app),
                tags::bucket(app, id.bucket().as_str()),
                tags::file(app, &id),
            ]
        }),
        None => reply,
    })
}

/// True if the URL says nothing but which file it is. Variants of images change with the app's settings; URLs with tokens are
/// somebody's own. A published client that is told by the filter not to use its copy asks under a URL of its own (`?BCB`), which is
/// the same one each time: a copy of that answer would be used as long as the filter names the file.
fn is_plain(query: Option<&str>) -> bool {
    has_only(query, &[])
}

/// The same with a token in the URL.
fn is_plain_but_for_token(query: Option<&str>) -> bool {
    has_only(query, &["BAT"])
}

fn has_only(query: Option<&str>, names: &[&str]) -> bool {
    let is_known = |pair: &str| pair.is_empty() || pair.split('=').next().is_some_and(|name| names.contains(&name));
    query.is_none_or(|query| query.split('&').all(is_known))
}
