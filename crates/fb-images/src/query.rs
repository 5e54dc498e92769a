//! The options in the query of a URL.

use crate::error::VariantError;
use crate::limits::Limits;
use crate::text::{Options, pairs};
use crate::variant::Variant;

/// What a URL asks for: `?bqoptimize=1;width=640;quality=90`, with `;` or `&` between options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageQuery {
    /// The variant.
    pub wanted: Wanted,
    /// `signature`, unchecked; see [`SigningKey::verify`](crate::SigningKey::verify).
    pub signature: Option<String>,
}

/// A variant, directly or by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `variant=<name>`: declared in the app's settings. 1 to 64 letters, digits, `-` and `_` of ASCII.
    Named(String),
    /// Described by options. Whether strangers may describe variants is up to the caller.
    Described(Variant),
}

impl ImageQuery {
    /// Reads the query of a URL (without `?`, still percent-encoded). `None` if it asks for no variant, which is without `bqoptimize`.
    ///
    /// `others` are names of parameters that mean something else to the caller; they are skipped.
    ///
    /// # Errors
    /// Unknown or repeated options, values out of range or over `limits`, options that do not go together.
    pub fn parse(query: &str, others: &[&str], limits: &Limits) -> Result<Option<Self>, VariantError> {
        if !query
            .split([';', '&'])
            .any(|piece| piece == "bqoptimize" || piece.starts_with("bqoptimize="))
        {
            return Ok(None);
        }
        let (mut options, mut described) = (Options::default(), false);
        let (mut version, mut name, mut signature) = (None, None, None);
        for (key, value) in pairs(query) {
            match key.as_str() {
                "bqoptimize" => set(&mut version, "bqoptimize", value)?,
                "variant" => set(&mut name, "variant", value)?,
                "signature" => set(&mut signature, "signature", value)?,
                other if others.contains(&other) => {}
                option => {
                    options.set(option, value)?;
                    described = true;
                }
            }
        }
        if version.as_deref() != Some("1") {
            return Err(VariantError::invalid("bqoptimize", &version.unwrap_or_default(), "1"));
        }
        let wanted = match name {
            Some(_) if described => {
                return Err(VariantError::Conflict(
                    "a declared variant cannot be combined with other image options",
                ));
            }
            Some(name) if is_name(&name) => Wanted::Named(name),
            Some(name) => {
                return Err(VariantError::invalid(
                    "variant",
                    &name,
                    "1 to 64 letters, digits, - or _",
                ));
            }
            None => {
                let variant = Variant::from_options(&options)?;
                variant.check(limits)?;
                Wanted::Described(variant)
            }
        };
        Ok(Some(Self { wanted, signature }))
    }
}

fn set(slot: &mut Option<String>, name: &'static str, value: String) -> Result<(), VariantError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(VariantError::Duplicate { name }),
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
