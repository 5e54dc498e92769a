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
    encoding::install(native, stop)?;
    hash::install(native, stop)?;
    kdf::install(native, stop)?;
    cipher::install(native, stop)?;
    compress::install(native, stop)?;
    signature::install(native, stop)?;
    random::install(native)?;
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

/// For the end of a native: throws the failure.
fn give<'js, T>(ctx: &Ctx<'js>, result: Result<T, Failure>) -> rquickjs::Result<T> {
    result.map_err(|failure| failure.throw(ctx))
}
