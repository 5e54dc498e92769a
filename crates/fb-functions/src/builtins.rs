//! JavaScript that is part of the engine: a table of sources, compiled once per process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rquickjs::loader::Loader;
use rquickjs::loader::bundle::{Bundle, HasByteCode, ScaBundleData};
use rquickjs::{Context, Ctx, Function, Module, Runtime, WriteOptions};

/// A module of the engine, in CommonJS form: a function body that sees `exports`, `require`, `module` and `native`.
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

/// The prelude of every instance, and that of contexts for validation; of the first the last file is the one that is run, the others are what it requires.
static ENGINE: &[(&str, Builtin)] = &[
    (
        "engine",
        Builtin {
            name: "engine",
            public: false,
            sources: &[
                ("abort", include_str!("../js/engine/abort.js")),
                ("errors", include_str!("../js/engine/errors.js")),
                ("timers", include_str!("../js/engine/timers.js")),
                ("modules", include_str!("../js/engine/modules.js")),
                ("console", include_str!("../js/engine/console.js")),
                ("operations", include_str!("../js/engine/operations.js")),
                ("rejections", include_str!("../js/engine/rejections.js")),
                ("globals", include_str!("../js/engine/globals.js")),
                ("dispatch", include_str!("../js/engine/dispatch.js")),
                ("main", include_str!("../js/engine/main.js")),
            ],
        },
    ),
    (
        "validation",
        Builtin {
            name: "validation",
            public: false,
            sources: &[("validation", include_str!("../js/engine/validation.js"))],
        },
    ),
];

/// Bytecode by name. Held while one is compiled, which happens once per builtin and process.
static COMPILED: Mutex<Option<HashMap<&'static str, &'static [u8]>>> = Mutex::new(None);

impl HasByteCode<'static> for Builtin {
    fn get_bytecode(&self) -> &'static [u8] {
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        compiled
            .get_or_insert_default()
            .entry(self.name)
            .or_insert_with(|| compile(self))
    }
}

impl Builtin {
    /// The text of one ES module whose default export is an array of functions, in the order of `sources`.
    fn source(&self) -> String {
        let mut text = String::from("export default [");
        for (_, source) in self.sources {
            text.push_str("function (exports, require, module, native) {");
            text.push_str(source);
            text.push_str("\n},");
        }
        text.push_str("];");
        text
    }
}

/// Stays in memory for good: QuickJS uses it in place, and there are few.
fn compile(builtin: &Builtin) -> &'static [u8] {
    let compile = || -> rquickjs::Result<Vec<u8>> {
        let runtime = Runtime::new()?;
        runtime.set_max_stack_size(0);
        Context::full(&runtime)?.with(|ctx| {
            let name = format!("freshbase:{}", builtin.name);
            let options = WriteOptions {
                strip_source: true,
                ..WriteOptions::default()
            };
            Module::declare(ctx.clone(), name, builtin.source())?.write(options)
        })
    };
    match compile() {
        Ok(bytes) => bytes.leak(),
        Err(error) => {
            tracing::error!("the builtin {} does not compile: {error}", builtin.name);
            &[]
        }
    }
}

/// The files of a builtin: their names, and their functions in the same order.
pub(crate) type Files<'js> = (Vec<&'static str>, Vec<Function<'js>>);

/// The builtin `name`, if there is one. Costs about as much as copying its bytecode, plus compiling it the first time.
pub(crate) fn load<'js>(ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Option<Files<'js>>> {
    let Some((_, builtin)) = BUILTINS.iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    let names = builtin.sources.iter().map(|(file, _)| *file).collect();
    Ok(Some((names, functions(ctx, BUILTINS, name)?)))
}

/// Whether code of apps may require `name`; `privately`: whether builtins may.
pub(crate) fn exists(name: &str, privately: bool) -> bool {
    BUILTINS
        .iter()
        .any(|(known, builtin)| *known == name && (privately || builtin.public))
}

/// The files of the prelude by name, in their order.
pub(crate) fn load_engine<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Files<'js>> {
    let names = ENGINE[0].1.sources.iter().map(|(name, _)| *name).collect();
    Ok((names, functions(ctx, ENGINE, "engine")?))
}

/// The same for contexts that run validation code.
pub(crate) fn load_validation<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Files<'js>> {
    Ok((vec!["validation"], functions(ctx, ENGINE, "validation")?))
}

fn functions<'js>(ctx: &Ctx<'js>, table: ScaBundleData<Builtin>, name: &str) -> rquickjs::Result<Vec<Function<'js>>> {
    let (module, _) = Bundle(table).load(ctx, name, None)?.eval()?;
    module.get("default")
}
