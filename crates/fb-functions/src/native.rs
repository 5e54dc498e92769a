//! Functions in Rust that the builtin modules (`js/node`) are made of: bytes, hashes, ciphers, compression, URLs.
//!
//! They take and give strings, numbers and `Uint8Array`s only; whatever Node's API has on top of that (options, defaults, streams,
//! callbacks) is JavaScript. The crates `llrt_*`, which offer much of the same, are not used: they pin rquickjs 0.11 and its
//! asynchronous contexts, and bring a tree many times as large as what is needed here.
//!
//! Errors are JavaScript `Error`s, with a `code` of Node's where Node has one. Nothing here panics, whatever is passed. One call of a
//! native gets at most [`bytes::MAX_BYTES`]; before it does work on more than a few bytes it asks whether the call of the app's
//! code has used up its time, because the engine itself looks only between instructions of JavaScript.

mod bytes;
mod cipher;
mod compress;
mod encoding;
mod hash;
mod kdf;
mod random;
mod signature;
mod url;

use std::sync::Arc;

use rquickjs::function::IntoJsFunc;
use rquickjs::{Ctx, Function, Object};

use bytes::Failure;

/// True once the running call has to stop.
pub(crate) type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Work on fewer bytes is done without asking the clock, which costs more.
const SMALL: usize = 4096;

/// Defines all natives on `native`, the object that builtin modules get as their fourth parameter.
pub(crate) fn install<'js>(native: &Object<'js>, stop: &Stop) -> rquickjs::Result<()> {
    bytes::install(native.ctx())?;
    encoding::install(native, stop)?;
    hash::install(native, stop)?;
    kdf::install(native, stop)?;
    cipher::install(native, stop)?;
    compress::install(native, stop)?;
    signature::install(native, stop)?;
    random::install(native, stop)?;
    url::install(native)
}

fn define<'js, P, F>(native: &Object<'js>, name: &str, function: F) -> rquickjs::Result<()>
where
    F: IntoJsFunc<'js, P> + 'js,
{
    native.set(name, Function::new(native.ctx().clone(), function)?.with_name(name)?)
}

/// Refuses to begin if the time of the call is used up.
fn gate(stop: &Stop, n_bytes: usize) -> Result<(), Failure> {
    if n_bytes > SMALL && stop() {
        return Err(Failure::out_of_time());
    }
    Ok(())
}

/// Throws if the time of the call is used up and it is about work on more than a few bytes.
pub(crate) fn in_time(ctx: &Ctx<'_>, n_bytes: usize, stop: impl Fn() -> bool) -> rquickjs::Result<()> {
    if n_bytes > SMALL && stop() {
        return Err(Failure::out_of_time().throw(ctx));
    }
    Ok(())
}

/// For the end of a native: throws the failure.
fn give<'js, T>(ctx: &Ctx<'js>, result: Result<T, Failure>) -> rquickjs::Result<T> {
    result.map_err(|failure| failure.throw(ctx))
}

#[cfg(test)]
mod tests {
    use rquickjs::{Context, Runtime};

    use super::*;

    /// What the last statement of `source` gives, or the code of what it throws.
    fn eval(source: &str, must_stop: bool) -> String {
        let runtime = Runtime::new().unwrap();
        Context::full(&runtime).unwrap().with(|ctx| {
            let native = Object::new(ctx.clone()).unwrap();
            let stop: Stop = Arc::new(move || must_stop);
            install(&native, &stop).unwrap();
            ctx.globals().set("native", native).unwrap();
            ctx.eval(format!("try {{ {source} }} catch (error) {{ error.code }}"))
                .unwrap()
        })
    }

    #[test]
    fn arrays_are_read_as_they_are() {
        for (prepare, expected) in [
            ("", "abc"),
            ("Object.defineProperty(bytes, 'length', { value: 0 })", "abc"),
            ("bytes.toBase64 = () => 'AAAA'.repeat(6 << 20)", "abc"),
            ("Uint8Array.prototype.toBase64 = () => 'AAAA'", "abc"),
            ("bytes.buffer.transfer()", ""),
            (
                "bytes = new Uint8Array((16 << 20) + 1); Object.defineProperty(bytes, 'length', { value: 1 })",
                "ERR_OUT_OF_RANGE",
            ),
        ] {
            let source = format!("let bytes = new Uint8Array([97, 98, 99]); {prepare}; native.latin1Decode(bytes)");
            assert_eq!(eval(&source, false), expected, "{prepare}");
        }
    }

    #[test]
    fn no_native_begins_large_work_when_the_time_is_used_up() {
        for call in [
            "utf8Encode(text)",
            "utf8Decode(bytes, false)",
            "latin1Encode(text)",
            "latin1Decode(bytes)",
            "base64Decode(text)",
            "hexDecode(text)",
            "compare(bytes, bytes)",
            "timingSafeEqual(bytes, bytes)",
            "randomBytes(100000)",
        ] {
            let source =
                format!("const text = '0'.repeat(100000); const bytes = new Uint8Array(100000); native.{call}; 'done'");
            assert_eq!(eval(&source, true), "ERR_OPERATION_FAILED", "{call}");
        }
    }
}
