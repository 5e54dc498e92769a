//! Operations of the host. They are only written down here; they start when the slice ends.

use std::sync::Arc;

use bytes::Bytes;
use rquickjs::{Ctx, Exception, Function, Object, Result};

use crate::hands::{Hands, Submitted};
use crate::{HttpRequest, Operation};

pub(super) fn install<'js>(ctx: &Ctx<'js>, native: &Object<'js>, hands: &Arc<Hands>) -> Result<()> {
    let mine = hands.clone();
    native.set(
        "submit",
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, id: u32, kind: String, head: Vec<String>, body: String, is_text: bool| {
                let n_bytes = head.iter().map(String::len).sum::<usize>() + body.len();
                let held = mine.hold(n_bytes);
                let held = held.map_err(|why| Exception::throw_message(&ctx, why))?;
                let body = if is_text {
                    Bytes::from(body)
                } else {
                    let decoded = data_encoding::BASE64.decode(body.as_bytes());
                    Bytes::from(decoded.map_err(|_| Exception::throw_type(&ctx, "not base64"))?)
                };
                let [method, url, headers @ ..] = head.as_slice() else {
                    return Err(Exception::throw_type(&ctx, "not a request"));
                };
                let (method, url) = (method.clone(), url.clone());
                let headers = headers
                    .chunks_exact(2)
                    .map(|pair| (pair[0].clone(), pair[1].clone()))
                    .collect();
                let request = HttpRequest {
                    method,
                    url,
                    headers,
                    body,
                };
                let operation = match kind.as_str() {
                    "api" => Operation::Api(request),
                    "fetch" => Operation::Fetch(request),
                    "image" => Operation::Image(request),
                    _ => return Err(Exception::throw_type(&ctx, "no such operation")),
                };
                mine.with(|current| current.submitted.push(Submitted { id, operation, held }));
                Ok(())
            },
        )?,
    )?;
    Ok(())
}
