//! The object `native`: what the engine's JavaScript can ask of Rust. Code of apps never gets hold of it.

mod call;
mod code;
mod operate;

use std::sync::Arc;

use rquickjs::{Ctx, Object, Result};

use crate::hands::Hands;
use crate::native;

/// The functions, bound to one instance.
pub(crate) fn object<'js>(ctx: &Ctx<'js>, hands: &Arc<Hands>) -> Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    call::install(ctx, &native, hands)?;
    code::install(ctx, &native, hands)?;
    operate::install(ctx, &native, hands)?;
    let mine = hands.clone();
    let stop: native::Stop = Arc::new(move || mine.watch.must_stop());
    native::install(&native, &stop)?;
    Ok(native)
}
