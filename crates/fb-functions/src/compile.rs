//! Code of apps becomes functions.

use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, Exception, Result, Value};

use crate::Code;

/// What a CommonJS module is wrapped in: all on its first line, so that lines stay what they are; columns of the first line are put
/// right when a stack is shown.
pub(crate) const HEAD: &str = "(function (exports, require, module, __filename, __dirname) {";

/// The function of `/code/<bucket>/<type>`.
pub(crate) fn module<'js>(ctx: &Ctx<'js>, code: &Code, bucket: &str, code_type: &str) -> Result<Value<'js>> {
    let Some(source) = code.get(bucket, code_type) else {
        return Err(Exception::throw_message(
            ctx,
            &format!("there is no code /code/{bucket}/{code_type}"),
        ));
    };
    let mut text = String::with_capacity(HEAD.len() + source.len() + 4);
    text.push_str(HEAD);
    // A line for the shell, as command line tools have.
    if source.starts_with("#!") {
        text.push_str("//");
    }
    text.push_str(source);
    text.push_str("\n})");
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(format!("/code/{bucket}/{code_type}"));
    ctx.eval_with_options(text, options)
}
