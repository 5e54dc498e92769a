//! Randomness of the operating system.

use rquickjs::{Ctx, Object};

use super::bytes::{Failure, MAX_BYTES, Output};
use super::{Stop, define, gate, give};

pub(super) fn install<'js>(native: &Object<'js>, stop: &Stop) -> rquickjs::Result<()> {
    let stop = stop.clone();
    define(native, "randomBytes", move |ctx: Ctx<'js>, length: f64| {
        give(&ctx, random(length, &stop).map(Output))
    })
}

fn random(length: f64, stop: &Stop) -> Result<Vec<u8>, Failure> {
    if !(0.0..=MAX_BYTES as f64).contains(&length) {
        return Err(Failure::new(
            "ERR_OUT_OF_RANGE",
            format!("size must be 0 to {MAX_BYTES}"),
        ));
    }
    gate(stop, length as usize)?;
    let mut bytes = vec![0; length as usize];
    getrandom::fill(&mut bytes).map_err(|_| Failure::new("ERR_OPERATION_FAILED", "the system gives no randomness"))?;
    Ok(bytes)
}
