//! Validation code: a second context of an instance, made when it is first needed.

use std::sync::Arc;

use rquickjs::context::EvalOptions;
use rquickjs::{CaughtError, Context, Ctx, Exception, Function, Object, Runtime};

use crate::hands::Hands;
use crate::{CallError, Outcome, builtins, errors};

pub(crate) struct Validation {
    context: Context,
}

impl Validation {
    pub(crate) fn new(runtime: &Runtime, hands: &Arc<Hands>) -> Result<Self, CallError> {
        let context = Context::full(runtime).map_err(|error| CallError::Internal(error.to_string()))?;
        context.with(|ctx| {
            set_up(&ctx, hands).map_err(|error| {
                let error = CaughtError::from_error(&ctx, error);
                CallError::Internal(format!("{error} while validation was set up"))
            })
        })?;
        Ok(Self { context })
    }

    /// Runs `source` on `input`; both as in `docs/calls.md`.
    pub(crate) fn run(&self, hands: &Hands, bucket: &str, input: &str) -> Result<Outcome, CallError> {
        let Some(source) = hands.code().get(bucket, "validate") else {
            return Err(CallError::NoCode {
                bucket: bucket.to_owned(),
                code_type: "validate".to_owned(),
            });
        };
        self.context.with(|ctx| {
            let run = ctx.userdata::<Option<Function>>().and_then(|run| (*run).clone());
            let run = run.ok_or_else(|| CallError::Internal("validation is not set up".to_owned()))?;
            let answer = run.call::<_, Vec<String>>((bucket, &**source, input)).map_err(|_| {
                drop(ctx.catch());
                errors::null(hands.code())
            })?;
            match <[String; 1]>::try_from(answer) {
                Ok([json]) => Ok(Outcome {
                    json,
                    body: bytes::Bytes::new(),
                }),
                Err(other) => match <[String; 3]>::try_from(other) {
                    Ok([name, message, stack]) => Err(errors::failed(hands.code(), name, message, &stack)),
                    Err(_) => Err(errors::null(hands.code())),
                },
            }
        })
    }
}

fn set_up<'js>(ctx: &Ctx<'js>, hands: &Arc<Hands>) -> rquickjs::Result<()> {
    let native = Object::new(ctx.clone())?;
    let mine = hands.clone();
    native.set(
        "compile",
        Function::new(ctx.clone(), move |ctx, bucket, source, names| {
            compile(&ctx, &mine, bucket, source, names)
        })?,
    )?;
    let (names, bodies) = builtins::load_validation(ctx)?;
    let library = builtins::files(LIBRARY).and_then(|files| files.first().copied());
    let file = Function::new(ctx.clone(), |ctx: Ctx<'js>, file: String| {
        builtins::load(&ctx, LIBRARY, &file)
    })?;
    let run: Function = ctx.eval(SET_UP)?;
    let run: Function = run.call((names, bodies, library, file, native))?;
    ctx.store_userdata(Some(run))?;
    Ok(())
}

const LIBRARY: &str = "freshbase:validate";

const SET_UP: &str = "(names, bodies, library, file, native) => {
    const loader = (body, native) => {
        const loaded = new Map();
        return function require(path) {
            const name = path.startsWith('./') ? path.slice(2) : path;
            if (!loaded.has(name)) {
                const module = { exports: {} };
                loaded.set(name, module);
                body(name)(module.exports, require, module, native, globalThis);
            }
            return loaded.get(name).exports;
        };
    };
    if (library !== undefined) native.validate = loader(file, {})(library).validate;
    else native.validate = (checks, fields) => { checks(...Object.values(fields)); return { valid: true, result: {} }; };
    const prelude = loader((name) => bodies[names.indexOf(name)], native)('validation');
    prelude.freeze();
    return prelude.run;
}";

fn compile<'js>(
    ctx: &Ctx<'js>,
    hands: &Hands,
    bucket: String,
    source: String,
    names: Vec<String>,
) -> rquickjs::Result<Function<'js>> {
    let head = format!("(function ({}) {{", names.join(","));
    hands.code().found(&bucket, "validate", false, head.chars().count());
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(format!("/code/{bucket}/validate"));
    let value: rquickjs::Value = ctx.eval_with_options(format!("{head}{source}\n}})"), options)?;
    value
        .into_function()
        .ok_or_else(|| Exception::throw_syntax(ctx, "this is not the body of a function"))
}
