//! JavaScript that is part of the engine: a table of sources, each compiled once per process when it is first needed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rquickjs::loader::Loader;
use rquickjs::loader::bundle::{Bundle, ScaBundleData};
use rquickjs::{ArrayBuffer, Context, Ctx, Function, Module, Runtime, WriteOptions};

/// A module of the engine, in CommonJS form: a function body that sees `exports`, `require`, `module` and `native`, and the intrinsics as
/// they were before code of an app could replace them.
pub(crate) struct Builtin {
    name: &'static str,
    /// Whether code of apps may require it. The others are for builtins only.
    public: bool,
    sources: &'static [(&'static str, &'static str)],
}

macro_rules! builtins {
    ($($name:literal $visibility:ident [$($file:literal = $path:literal),+ $(,)?];)*) => {
        &[$((
            $name,
            Builtin {
                name: $name,
                public: builtins!(@ $visibility),
                sources: &[$(($file, include_str!(concat!("../js/", $path)))),+],
            },
        )),*]
    };
    (@ public) => { true };
    (@ private) => { false };
}

/// What `require` finds beside modules of the app. `public`: code of apps may name it. `private`: only builtins and the engine may.
/// Several files require each other as `./file`; the first one is the builtin.
#[cfg(not(test))]
static BUILTINS: &[(&str, Builtin)] = builtins! {
    "assert" public ["assert" = "node/assert.js"];
    "assert/strict" public ["assert-strict" = "node/assert-strict.js"];
    "buffer" public ["buffer" = "node/buffer.js"];
    "crypto" public ["crypto" = "node/crypto.js"];
    "events" public ["events" = "node/events.js"];
    "express" public ["express" = "node/express.js"];
    "http" public ["http" = "node/http.js"];
    "https" public ["https" = "node/https.js"];
    "image" public ["image" = "node/image.js"];
    "node-fetch" public ["node-fetch" = "node/node-fetch.js"];
    "os" public ["os" = "node/os.js"];
    "path" public ["path" = "node/path.js"];
    "path/posix" public ["path" = "node/path.js"];
    "perf_hooks" public ["perf_hooks" = "node/perf_hooks.js"];
    "process" public ["process" = "node/process.js"];
    "querystring" public ["querystring" = "node/querystring.js"];
    "stream" public ["stream" = "node/stream.js"];
    "stream/promises" public ["stream-promises" = "node/stream-promises.js"];
    "string_decoder" public ["string_decoder" = "node/string_decoder.js"];
    "timers" public ["timers" = "node/timers.js"];
    "timers/promises" public ["timers-promises" = "node/timers-promises.js"];
    "url" public ["url" = "node/url.js"];
    "util" public ["util" = "node/util.js"];
    "util/types" public ["util-types" = "node/util-types.js"];
    "v8" public ["v8" = "node/v8.js"];
    "zlib" public ["zlib" = "node/zlib.js"];
    "freshbase:http" private ["http-server" = "node/http-server.js"];
    "freshbase:client" private [
        "index" = "client/index.js",
        "acl" = "client/acl.js",
        "attributes" = "client/attributes.js",
        "basic-types" = "client/basic-types.js",
        "code" = "client/code.js",
        "collections" = "client/collections.js",
        "connector" = "client/connector.js",
        "devices" = "client/devices.js",
        "entity" = "client/entity.js",
        "errors" = "client/errors.js",
        "factories" = "client/factories.js",
        "files" = "client/files.js",
        "geo" = "client/geo.js",
        "hmac" = "client/hmac.js",
        "log" = "client/log.js",
        "manager" = "client/manager.js",
        "metamodel" = "client/metamodel.js",
        "partial-update" = "client/partial-update.js",
        "query" = "client/query.js",
        "schema" = "client/schema.js",
        "statics" = "client/statics.js",
        "token" = "client/token.js",
        "types" = "client/types.js",
        "users" = "client/users.js",
        "util" = "client/util.js",
    ];
    "freshbase:validate" private [
        "index" = "validate/index.js",
        "alphabets" = "validate/alphabets.js",
        "codes" = "validate/codes.js",
        "codings" = "validate/codings.js",
        "dates" = "validate/dates.js",
        "iso" = "validate/iso.js",
        "library" = "validate/library.js",
        "net" = "validate/net.js",
        "numbers" = "validate/numbers.js",
        "persons" = "validate/persons.js",
        "phones" = "validate/phones.js",
        "plates" = "validate/plates.js",
        "postal" = "validate/postal.js",
        "sanitize" = "validate/sanitize.js",
        "text" = "validate/text.js",
        "tongues" = "validate/tongues.js",
        "util" = "validate/util.js",
    ];
    "blob" private ["blob" = "node/blob.js"];
    "bytes" private ["bytes" = "node/bytes.js"];
    "deep-equal" private ["deep-equal" = "node/deep-equal.js"];
    "errors" private ["errors" = "node/errors.js"];
    "event-target" private ["event-target" = "node/event-target.js"];
    "fetch" private ["fetch" = "node/fetch.js"];
    "form-data" private ["form-data" = "node/form-data.js"];
    "headers" private ["headers" = "node/headers.js"];
    "http-client" private ["http-client" = "node/http-client.js"];
    "http-status" private ["http-status" = "node/http-status.js"];
    "inspect" private ["inspect" = "node/inspect.js"];
    "stream-core" private ["stream-core" = "node/stream-core.js"];
    "stream-statics" private ["stream-statics" = "node/stream-statics.js"];
    "stream-end" private ["stream-end" = "node/stream-end.js"];
    "structured-clone" private ["structured-clone" = "node/structured-clone.js"];
    "text-encoding" private ["text-encoding" = "node/text-encoding.js"];
    "web-streams" private ["web-streams" = "node/web-streams.js"];
    "webcrypto" private ["webcrypto" = "node/webcrypto.js"];
    "whatwg-url" private ["whatwg-url" = "node/whatwg-url.js"];
};

/// Tests also get at what builtins get.
#[cfg(test)]
static BUILTINS: &[(&str, Builtin)] = builtins! {
    "probe" public ["probe" = "../src/tests/probe.js"];
};

/// Globals that are builtins, loaded when they are first looked at: the global's name, the builtin, the property of its exports. Rows
/// whose builtin does not exist are left out.
static GLOBALS: &[[&str; 3]] = &[
    ["AbortController", "event-target", "AbortController"],
    ["AbortSignal", "event-target", "AbortSignal"],
    ["Blob", "blob", "Blob"],
    ["Buffer", "buffer", "Buffer"],
    ["CryptoKey", "webcrypto", "CryptoKey"],
    ["CustomEvent", "event-target", "CustomEvent"],
    ["Event", "event-target", "Event"],
    ["EventTarget", "event-target", "EventTarget"],
    ["File", "blob", "File"],
    ["FormData", "form-data", "FormData"],
    ["Headers", "headers", "Headers"],
    ["ReadableStream", "web-streams", "ReadableStream"],
    ["Request", "fetch", "Request"],
    ["Response", "fetch", "Response"],
    ["TextDecoder", "text-encoding", "TextDecoder"],
    ["TextEncoder", "text-encoding", "TextEncoder"],
    ["URL", "whatwg-url", "URL"],
    ["URLSearchParams", "whatwg-url", "URLSearchParams"],
    ["crypto", "webcrypto", "crypto"],
    ["fetch", "fetch", "fetch"],
    ["process", "process", "process"],
    ["structuredClone", "structured-clone", "structuredClone"],
];

/// The rows of [`GLOBALS`] that there is a builtin for.
pub(crate) fn globals() -> impl Iterator<Item = &'static [&'static str; 3]> {
    GLOBALS.iter().filter(|[_, name, _]| exists(name, true))
}

/// The prelude of every instance: the last file is the one that is run, the others are what it requires. All of it is needed at once, so
/// that it is compiled and read as one.
static ENGINE: &[(&str, &str)] = &[
    ("abort", include_str!("../js/engine/abort.js")),
    ("errors", include_str!("../js/engine/errors.js")),
    ("timers", include_str!("../js/engine/timers.js")),
    ("seal", include_str!("../js/engine/seal.js")),
    ("intrinsics", include_str!("../js/engine/intrinsics.js")),
    ("modules", include_str!("../js/engine/modules.js")),
    ("console", include_str!("../js/engine/console.js")),
    ("operations", include_str!("../js/engine/operations.js")),
    ("rejections", include_str!("../js/engine/rejections.js")),
    ("globals", include_str!("../js/engine/globals.js")),
    ("dispatch", include_str!("../js/engine/dispatch.js")),
    ("main", include_str!("../js/engine/main.js")),
];

/// The prelude of contexts for validation.
static VALIDATION: &[(&str, &str)] = &[
    ("intrinsics", include_str!("../js/engine/intrinsics.js")),
    ("validation", include_str!("../js/engine/validation.js")),
];

/// What [`Bundle`] takes: one module, its bytecode.
type Compiled = ScaBundleData<&'static [u8]>;

/// Bytecode by the names of a builtin and of one of its files. Held while one is compiled, which happens once per file and process.
static COMPILED: Mutex<Option<HashMap<(&'static str, &'static str), Compiled>>> = Mutex::new(None);

/// The functions of `files`, in their order. Costs about as much as copying their bytecode, plus compiling them the first time.
fn functions<'js>(
    ctx: &Ctx<'js>,
    builtin: &'static str,
    files: &[(&'static str, &'static str)],
) -> rquickjs::Result<Vec<Function<'js>>> {
    let Some((first, _)) = files.first() else {
        return Ok(Vec::new());
    };
    let table = *COMPILED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_default()
        .entry((builtin, first))
        .or_insert_with(|| compile(builtin, files));
    let (name, bytes) = table.first().map_or((builtin, 0), |(name, bytes)| (*name, bytes.len()));
    make_room(ctx, bytes)?;
    let (module, _) = Bundle(table).load(ctx, name, None)?.eval()?;
    module.get("default")
}

/// Fails if there may be too little memory to read so many bytes of bytecode.
///
/// QuickJS (0.14 of its crate) reads a module's exports into memory that it has not got, if there is none left just then, which ends the
/// process. So as much as reading takes at most is asked for and given back before.
fn make_room(ctx: &Ctx<'_>, bytes: usize) -> rquickjs::Result<()> {
    static NOTHING: [u8; 2 << 20] = [0; 2 << 20];
    let room = bytes.saturating_mul(4).saturating_add(32 << 10);
    ArrayBuffer::new_copy(ctx.clone(), &NOTHING[..room.min(NOTHING.len())]).map(drop)
}

/// Globals of the language that files of the engine have as constants of their own: a call can replace the global ones, and what the engine
/// makes must not be made of that, because later calls have it too.
const INTRINSICS: &str = "globalThis Object Function Array Boolean Symbol BigInt Number Math Date String RegExp JSON Reflect Proxy \
    Promise Iterator Map Set WeakMap WeakSet WeakRef Error EvalError RangeError ReferenceError SyntaxError \
    TypeError URIError AggregateError ArrayBuffer DataView Int8Array Uint8Array Uint8ClampedArray Int16Array \
    Uint16Array Int32Array Uint32Array BigInt64Array BigUint64Array Float32Array Float64Array parseInt parseFloat \
    isNaN isFinite encodeURI encodeURIComponent decodeURI decodeURIComponent queueMicrotask";

/// One ES module whose default export is an array of functions. Stays in memory for good: QuickJS uses it in place, and there are few.
fn compile(builtin: &str, files: &[(&str, &str)]) -> Compiled {
    let mut text = String::from("export default [");
    for (_, source) in files {
        let own: Vec<&str> = INTRINSICS.split(' ').filter(|name| source.contains(*name)).collect();
        // All on the first line, so that lines stay what they are.
        text.push_str("function (exports, require, module, native, intrinsics) {");
        text.push_str(&format!("const {{ {} }} = intrinsics;", own.join(", ")));
        text.push_str(source);
        text.push_str("\n},");
    }
    text.push_str("];");
    let mut name = format!("freshbase:{builtin}");
    if let [(file, _)] = files
        && !builtin.ends_with(file)
    {
        name.push('/');
        name.push_str(file);
    }
    let compile = || -> rquickjs::Result<Vec<u8>> {
        let runtime = Runtime::new()?;
        runtime.set_max_stack_size(0);
        Context::full(&runtime)?.with(|ctx| {
            let options = WriteOptions {
                strip_source: true,
                ..WriteOptions::default()
            };
            Module::declare(ctx.clone(), name.as_str(), text)?.write(options)
        })
    };
    let bytes = compile().unwrap_or_else(|error| {
        tracing::error!("the builtin {name} does not compile: {error}");
        Vec::new()
    });
    Box::leak(Box::new([(&*name.leak(), &*bytes.leak())]))
}

fn find(name: &str) -> Option<&'static Builtin> {
    let (_, builtin) = BUILTINS.iter().find(|(known, _)| *known == name)?;
    Some(builtin)
}

/// The names of a builtin's files, the first one being the builtin.
pub(crate) fn files(name: &str) -> Option<Vec<&'static str>> {
    Some(find(name)?.sources.iter().map(|(file, _)| *file).collect())
}

/// One file of a builtin, if there is such a one.
pub(crate) fn load<'js>(ctx: &Ctx<'js>, name: &str, file: &str) -> rquickjs::Result<Option<Function<'js>>> {
    let Some(builtin) = find(name) else { return Ok(None) };
    let Some(at) = builtin.sources.iter().position(|(known, _)| *known == file) else {
        return Ok(None);
    };
    Ok(functions(ctx, builtin.name, &builtin.sources[at..=at])?.pop())
}

/// Whether code of apps may require `name`; `privately`: whether builtins may.
pub(crate) fn exists(name: &str, privately: bool) -> bool {
    find(name).is_some_and(|builtin| privately || builtin.public)
}

/// Names of files, and their functions in the same order.
pub(crate) type Files<'js> = (Vec<&'static str>, Vec<Function<'js>>);

/// The files of the prelude.
pub(crate) fn load_engine<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Files<'js>> {
    load_files(ctx, "engine", ENGINE)
}

/// What runs validation code.
pub(crate) fn load_validation<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Files<'js>> {
    load_files(ctx, "validation", VALIDATION)
}

fn load_files<'js>(
    ctx: &Ctx<'js>,
    name: &'static str,
    files: &[(&'static str, &'static str)],
) -> rquickjs::Result<Files<'js>> {
    Ok((
        files.iter().map(|(name, _)| *name).collect(),
        functions(ctx, name, files)?,
    ))
}
