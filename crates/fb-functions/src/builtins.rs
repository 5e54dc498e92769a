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
    ($($name:literal $visibility:ident $path:literal;)*) => {
        &[$((
            $name,
            Builtin {
                name: $name,
                public: builtins!(@ $visibility),
                sources: &[($name, include_str!(concat!("../js/", $path)))],
            },
        )),*]
    };
    (@ public) => { true };
    (@ private) => { false };
}

/// What `require` finds beside modules of the app. `public`: code of apps may name it. `private`: only builtins and the engine may.
static BUILTINS: &[(&str, Builtin)] = builtins! {};

/// The prelude of every instance; the last file is the one that is run, the others are what it requires.
static ENGINE: &[(&str, Builtin)] = &[(
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
            ("globals", include_str!("../js/engine/globals.js")),
            ("dispatch", include_str!("../js/engine/dispatch.js")),
            ("main", include_str!("../js/engine/main.js")),
        ],
    },
)];

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

/// The function of the builtin `name`, if there is one. Costs about as much as copying its bytecode, plus compiling it the first time.
pub(crate) fn load<'js>(ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Option<Function<'js>>> {
    if !BUILTINS.iter().any(|(known, _)| *known == name) {
        return Ok(None);
    }
    let functions = functions(ctx, BUILTINS, name)?;
    Ok(functions.into_iter().next())
}

/// Whether code of apps may require `name`; `privately`: whether builtins may.
pub(crate) fn exists(name: &str, privately: bool) -> bool {
    BUILTINS
        .iter()
        .any(|(known, builtin)| *known == name && (privately || builtin.public))
}

/// The files of the prelude by name, in their order.
pub(crate) fn load_engine<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Vec<(&'static str, Function<'js>)>> {
    let functions = functions(ctx, ENGINE, "engine")?;
    Ok(ENGINE[0]
        .1
        .sources
        .iter()
        .map(|(name, _)| *name)
        .zip(functions)
        .collect())
}

fn functions<'js>(ctx: &Ctx<'js>, table: ScaBundleData<Builtin>, name: &str) -> rquickjs::Result<Vec<Function<'js>>> {
    let (module, _) = Bundle(table).load(ctx, name, None)?.eval()?;
    module.get("default")
}
