//! Bytes and failures across the border to JavaScript.

use rquickjs::function::This;
use rquickjs::{Ctx, Exception, FromJs, Function, IntoJs, Object, TypedArray, Value};

/// How many bytes one native takes at once. Bounds how long it can run; see the module above.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// `Uint8Array.prototype.toBase64` as it was before code of an app ran, which is kept with the runtime.
type ToBase64<'js> = Box<Function<'js>>;

/// Before any code runs.
pub(super) fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    let array: Object = ctx.globals().get("Uint8Array")?;
    let read: Function = array.get::<_, Object>("prototype")?.get("toBase64")?;
    ctx.store_userdata::<ToBase64>(Box::new(read))?;
    Ok(())
}

/// A `Uint8Array`, copied.
///
/// Reading an array's memory directly is `unsafe` in rquickjs, because JavaScript could change it meanwhile. So the engine writes it as
/// Base64, which it does in C; that and reading it takes some 3 ms per MiB.
pub(super) struct Input(pub(super) Vec<u8>);

impl<'js> FromJs<'js> for Input {
    fn from_js(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<Self> {
        let array = value
            .as_object()
            .filter(|object| object.is_typed_array::<u8>())
            .ok_or_else(|| Failure::new("ERR_INVALID_ARG_TYPE", "a native wants a Uint8Array").throw(ctx))?;
        // Nothing is asked of the array itself, which may have a `length` and a `toBase64` of its own.
        let memory = array.as_typed_array::<u8>().and_then(|array| array.as_raw());
        let length = memory.map_or(0, |memory| memory.len());
        if length == 0 {
            return Ok(Self(Vec::new()));
        }
        if length > MAX_BYTES {
            return Err(Failure::new("ERR_OUT_OF_RANGE", format!("at most {MAX_BYTES} bytes at once")).throw(ctx));
        }
        let read = ctx.userdata::<ToBase64>().map(|read| (**read).clone());
        let read = read.ok_or(rquickjs::Error::Unknown)?;
        let text: rquickjs::String = read.call((This(array.clone()),))?;
        data_encoding::BASE64
            .decode(text.to_string()?.as_bytes())
            .map(Self)
            .map_err(|_| Failure::new("ERR_INVALID_ARG_VALUE", "these bytes cannot be read").throw(ctx))
    }
}

/// Bytes for a new `Uint8Array`. They are copied into the engine's memory, so that they count towards the limit of an instance.
pub(super) struct Output(pub(super) Vec<u8>);

impl<'js> IntoJs<'js> for Output {
    fn into_js(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        TypedArray::<u8>::new_copy(ctx.clone(), self.0.as_slice())?.into_js(ctx)
    }
}

/// Why a native gives nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn out_of_time() -> Self {
        Self::new("ERR_OPERATION_FAILED", "the call has used up its computing time")
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// Throws an `Error` with `code`.
    pub(super) fn throw(&self, ctx: &Ctx<'_>) -> rquickjs::Error {
        let exception = match Exception::from_message(ctx.clone(), &self.message) {
            Ok(exception) => exception,
            Err(error) => return error,
        };
        match exception.as_object().set("code", self.code) {
            Ok(()) => exception.throw(),
            Err(error) => error,
        }
    }
}
