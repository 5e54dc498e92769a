//! Code of apps becomes functions and modules.
//!
//! CommonJS is tried first, as sloppy code in a wrapper. What does not parse so, and has `import` or `export` at the beginning of a line,
//! is an ES module; what it imports that is none is wrapped into one when it is linked.

use rquickjs::context::EvalOptions;
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Array, Ctx, Error, Exception, Function, IntoJs, Module, Object, Result, Value};
use std::sync::Arc;

use crate::Code;
use crate::hands::Hands;

/// What a CommonJS module is wrapped in: all on its first line, so that lines stay what they are; columns of the first line are put
/// right when a stack is shown.
pub(crate) const HEAD: &str = "(function (exports, require, module, __filename, __dirname) {";

/// `/code/<bucket>/<type>` as a function, or as `[namespace, promise]` if it is an ES module.
pub(crate) fn module<'js>(ctx: &Ctx<'js>, code: &Code, bucket: &str, code_type: &str) -> Result<Value<'js>> {
    let name = format!("/code/{bucket}/{code_type}");
    let Some(source) = code.get(bucket, code_type) else {
        return Err(Exception::throw_message(ctx, &format!("there is no code {name}")));
    };
    if code.is_es(bucket, code_type) != Some(true) {
        let compiled = common(ctx, source, &name);
        let mistake = match compiled {
            Ok(function) => {
                code.found(bucket, code_type, false, HEAD.len());
                return Ok(function);
            }
            Err(error) => error,
        };
        if !looks_like_es(source) {
            code.found(bucket, code_type, false, HEAD.len());
            return Err(mistake);
        }
        drop(ctx.catch());
        code.found(bucket, code_type, true, 0);
    }
    // By way of an import, so that it is the same module for all who require and import it.
    let text = format!(
        "import * as all from {}; export {{ all }};",
        serde_json::Value::from(name.as_str())
    );
    let (module, promise) = Module::declare(ctx.clone(), BRIDGE, text)?.eval()?;
    let both = Array::new(ctx.clone())?;
    both.set(0, module.get::<_, Value>("all")?)?;
    both.set(1, promise)?;
    both.into_js(ctx)
}

/// The module that imports what is required.
const BRIDGE: &str = "freshbase:require";

fn common<'js>(ctx: &Ctx<'js>, source: &str, name: &str) -> Result<Value<'js>> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(format!("{HEAD}{}\n}})", shell_line(source)), options)
}

/// Without the line for the shell that command line tools begin with.
fn shell_line(source: &str) -> String {
    if source.starts_with("#!") {
        format!("//{source}")
    } else {
        source.to_owned()
    }
}

fn looks_like_es(source: &str) -> bool {
    let statement = |line: &str| {
        let rest = line.strip_prefix("import").or_else(|| line.strip_prefix("export"));
        rest.is_some_and(|rest| rest.starts_with([' ', '{', '*', '"', '\'', '\t']))
    };
    source.split(['\n', ';', '}']).any(|line| statement(line.trim_start()))
}

/// How ES modules find what they import.
pub(crate) struct Imports {
    pub(crate) hands: Arc<Hands>,
}

/// Under which a function of the engine is kept for [`Imports`]: an array of `key` and `load`.
pub(crate) struct Hooks;

impl Resolver for Imports {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        if base == BRIDGE {
            return Ok(name.to_owned());
        }
        Hooks::get(ctx, "key")?.call((name,))
    }
}

impl Loader for Imports {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        if let Some((bucket, code_type)) = name.strip_prefix("/code/").and_then(|path| path.rsplit_once('/'))
            && let Some(source) = self.hands.code().get(bucket, code_type)
        {
            let is_es = match self.hands.code().is_es(bucket, code_type) {
                Some(known) => known,
                None => {
                    let is_es = looks_like_es(source) && common(ctx, source, name).is_err();
                    if is_es {
                        drop(ctx.catch());
                    }
                    self.hands
                        .code()
                        .found(bucket, code_type, is_es, if is_es { 0 } else { HEAD.len() });
                    is_es
                }
            };
            if is_es {
                return Module::declare(ctx.clone(), name, shell_line(source));
            }
        }
        // Something with `exports`: it is loaded now, because its names must be known.
        let names: Vec<String> = Hooks::get(ctx, "names")?.call((name,))?;
        let place = serde_json::Value::from(name);
        let mut text = format!("const all = import.meta.load({place}); export default all;");
        for (n, name) in names.iter().enumerate() {
            let name = serde_json::Value::from(name.as_str());
            text.push_str(&format!("const v{n} = all[{name}]; export {{ v{n} as {name} }};"));
        }
        let module = Module::declare(ctx.clone(), name, text)?;
        module.meta()?.set("load", Hooks::get(ctx, "load")?)?;
        Ok(module)
    }
}

impl Hooks {
    /// Keeps the engine's functions with the runtime.
    pub(crate) fn store<'js>(ctx: &Ctx<'js>, functions: Object<'js>) -> Result<()> {
        ctx.store_userdata(functions)?;
        Ok(())
    }

    fn get<'js>(ctx: &Ctx<'js>, name: &str) -> Result<Function<'js>> {
        ctx.userdata::<Object>().ok_or(Error::Unknown)?.get(name)
    }
}
