//! Code: of the app, by bucket and type, and builtins, by name.

use std::sync::Arc;

use rquickjs::{Ctx, Function, Object, Result, Value};

use crate::hands::Hands;
use crate::{builtins, compile};

pub(super) fn install<'js>(ctx: &Ctx<'js>, native: &Object<'js>, hands: &Arc<Hands>) -> Result<()> {
    let mine = hands.clone();
    native.set(
        "has",
        Function::new(ctx.clone(), move |bucket: String, code_type: String| {
            mine.code().get(&bucket, &code_type).is_some()
        })?,
    )?;
    let mine = hands.clone();
    native.set(
        "compile",
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, bucket: String, code_type: String| -> Result<Value<'js>> {
                compile::module(&ctx, mine.code(), &bucket, &code_type)
            },
        )?,
    )?;
    native.set(
        "isPublic",
        Function::new(ctx.clone(), |name: String| builtins::exists(&name, false))?,
    )?;
    native.set(
        "hasBuiltin",
        Function::new(ctx.clone(), |name: String| builtins::exists(&name, true))?,
    )?;
    native.set(
        "builtinFiles",
        Function::new(ctx.clone(), |name: String| builtins::files(&name))?,
    )?;
    native.set(
        "builtinFile",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, name: String, file: String| {
            builtins::load(&ctx, &name, &file)
        })?,
    )?;
    let globals: Vec<Vec<&str>> = builtins::globals().map(|row| row.to_vec()).collect();
    native.set("lazyGlobals", globals)?;
    Ok(())
}
