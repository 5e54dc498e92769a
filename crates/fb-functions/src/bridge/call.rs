//! The call: its body, its results, its log, its clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rquickjs::{Ctx, Exception, Function, Object, Result, TypedArray};

use crate::hands::Hands;
use crate::{CallError, LogLevel, LogLine, Outcome, errors, native};

/// Longest line of the log, in bytes.
const LONGEST_LINE: usize = 16 << 10;

pub(super) fn install<'js>(ctx: &Ctx<'js>, native: &Object<'js>, hands: &Arc<Hands>) -> Result<()> {
    let mine = hands.clone();
    native.set("bodyLength", Function::new(ctx.clone(), move || body(&mine).len())?)?;
    let mine = hands.clone();
    native.set(
        "bodyText",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>| {
            let body = body_in_time(&ctx, &mine)?;
            Ok::<_, rquickjs::Error>(String::from_utf8_lossy(&body).into_owned())
        })?,
    )?;
    let mine = hands.clone();
    native.set(
        "bodyBytes",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>| {
            let body = body_in_time(&ctx, &mine)?;
            TypedArray::<u8>::new_copy(ctx, body)
        })?,
    )?;

    let mine = hands.clone();
    native.set(
        "finish",
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, json: String, body: String, is_base64: bool| {
                let body = if is_base64 {
                    let decoded = data_encoding::BASE64.decode(body.as_bytes());
                    decoded.map_err(|_| Exception::throw_type(&ctx, "not base64"))?
                } else {
                    body.into_bytes()
                };
                mine.settle(Ok(Outcome {
                    json,
                    body: Bytes::from(body),
                }));
                Ok::<_, rquickjs::Error>(())
            },
        )?,
    )?;
    native.set(
        "decode",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, body: String| {
            let decoded = data_encoding::BASE64.decode(body.as_bytes());
            let bytes = decoded.map_err(|_| Exception::throw_type(&ctx, "not base64"))?;
            Ok::<_, rquickjs::Error>(String::from_utf8_lossy(&bytes).into_owned())
        })?,
    )?;
    let mine = hands.clone();
    native.set(
        "abort",
        Function::new(ctx.clone(), move |message: String, data: Option<String>| {
            mine.settle(Err(CallError::Aborted { message, data }));
        })?,
    )?;
    let mine = hands.clone();
    native.set(
        "fail",
        Function::new(ctx.clone(), move |name: String, message: String, stack: String| {
            mine.settle(Err(errors::failed(mine.code(), name, message, &stack)));
        })?,
    )?;
    let mine = hands.clone();
    native.set(
        "failNull",
        Function::new(ctx.clone(), move || mine.settle(Err(errors::null(mine.code()))))?,
    )?;
    let mine = hands.clone();
    native.set(
        "noExport",
        Function::new(ctx.clone(), move |wanted: String| {
            mine.with(|current| {
                let (bucket, code_type) = (current.bucket.clone(), current.code_type.clone());
                current.result.get_or_insert(Err(CallError::NoExport {
                    bucket,
                    code_type,
                    wanted,
                }));
            });
        })?,
    )?;

    let mine = hands.clone();
    native.set(
        "log",
        Function::new(ctx.clone(), move |level: String, text: String| log(&mine, &level, text))?,
    )?;
    let mine = hands.clone();
    native.set(
        "share",
        Function::new(ctx.clone(), move |knows_caller: bool| {
            mine.ask(|host| host.share(knows_caller));
        })?,
    )?;
    let mine = hands.clone();
    native.set(
        "now",
        Function::new(ctx.clone(), move || mine.epoch.elapsed().as_secs_f64() * 1000.0)?,
    )?;
    let mine = hands.clone();
    native.set(
        "wake",
        Function::new(ctx.clone(), move |at: f64| {
            let at = mine.epoch + Duration::from_secs_f64((at / 1000.0).clamp(0.0, 1e9));
            mine.with(|current| current.wake = Some(current.wake.map_or(at, |known| known.min(at))));
        })?,
    )?;
    let mine = hands.clone();
    native.set(
        "schema",
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, known: f64| -> Result<Option<Object<'js>>> {
                let Some((revision, text)) = mine.ask(|host| host.schema()) else {
                    return Ok(None);
                };
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "JavaScript has no other numbers; a schema does not change 2^53 times"
                )]
                let revision = revision as f64;
                if revision.to_bits() == known.to_bits() {
                    return Ok(None);
                }
                let schema = Object::new(ctx)?;
                schema.set("revision", revision)?;
                schema.set("text", &*text)?;
                Ok(Some(schema))
            },
        )?,
    )?;
    let mine = hands.clone();
    native.set(
        "trace",
        Function::new(ctx.clone(), move |stack: String| errors::trace(mine.code(), &stack))?,
    )?;
    Ok(())
}

fn body(hands: &Hands) -> Bytes {
    hands.with(|current| current.body.clone()).unwrap_or_default()
}

/// The body for a copy of it, unless the call has used up its time.
fn body_in_time(ctx: &Ctx<'_>, hands: &Hands) -> Result<Bytes> {
    let body = body(hands);
    native::in_time(ctx, body.len(), || hands.watch.must_stop())?;
    Ok(body)
}

fn log(hands: &Hands, level: &str, mut text: String) {
    let level = match level {
        "trace" => LogLevel::Trace,
        "debug" => LogLevel::Debug,
        "warn" => LogLevel::Warn,
        "error" => LogLevel::Error,
        _ => LogLevel::Info,
    };
    if text.len() > LONGEST_LINE {
        text.truncate(text.floor_char_boundary(LONGEST_LINE));
        text.push('…');
    }
    let most = hands.limits().log_lines;
    let line = hands.with(|current| {
        current.lines = current.lines.saturating_add(1);
        let message = match current.lines.checked_sub(most) {
            None | Some(0) => text,
            Some(1) => format!("this call logs more than {most} lines; the others are left out"),
            Some(_) => return None,
        };
        Some(LogLine { level, message })
    });
    if let Some(Some(line)) = line {
        hands.ask(|host| host.log(line));
    }
}
