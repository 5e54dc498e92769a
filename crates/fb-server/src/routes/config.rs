//! `/config`: settings of the app.

use fb_auth::authorize_admin;
use serde_json::json;

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/config" get_config, "Read the app's settings", Access::Admin, answers: &[(200, Some("Config"))]),
        route!(PUT "/config" update_config, "Change the app's settings; those that are left out stay", Access::Admin,
            body: "Config", answers: &[(200, Some("Config"))]),
    ]
}

async fn get_config(ctx: Ctx) -> Result<Reply, ApiError> {
    authorize_admin(&ctx.caller()?, "read the app's configuration").map_err(fb_app::AppError::from)?;
    Ok(Reply::json(200, &json!(&*ctx.app.settings())))
}

async fn update_config(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let changes = ctx.json_object().await?;
    let settings = ctx.app.update_settings(&caller, &changes).await?;
    Ok(Reply::json(200, &json!(&*settings)))
}
