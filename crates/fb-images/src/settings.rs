//! A variant in JSON: an object with a member per option, for the settings of an app.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap as _};

use crate::error::VariantError;
use crate::text::{Options, canonical};
use crate::variant::{Fit, Variant};

/// Numbers may be numbers or text: `0.25`, `"0.25"`. A whole number is pixels, also as `1`; all of the original is `"1.0"`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, a text or true or false")]
enum Scalar {
    Bool(bool),
    Whole(u64),
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Members {
    width: Option<Scalar>,
    height: Option<Scalar>,
    fit: Option<Scalar>,
    focus: Option<Scalar>,
    crop: Option<Scalar>,
    format: Option<Scalar>,
    quality: Option<Scalar>,
    auto: Option<Scalar>,
    enlarge: Option<Scalar>,
}

impl Members {
    fn into_variant(self) -> Result<Variant, VariantError> {
        let Self {
            width,
            height,
            fit,
            focus,
            crop,
            format,
            quality,
            auto,
            enlarge,
        } = self;
        if width.is_some() && height.is_some() && fit.is_none() {
            // URLs of the original product distort without being asked; whoever declares a variant says what is meant.
            return Err(VariantError::Conflict(
                "width and height together need a fit: fill, bounds or crop",
            ));
        }
        let mut options = Options::default();
        let members = [
            ("width", width),
            ("height", height),
            ("fit", fit),
            ("focus", focus),
            ("crop", crop),
            ("format", format),
            ("quality", quality),
            ("auto", auto),
            ("enlarge", enlarge),
        ];
        for (name, value) in members {
            let text = match value {
                None => continue,
                Some(Scalar::Bool(b)) => b.to_string(),
                Some(Scalar::Whole(n)) => n.to_string(),
                // With its point, also where nothing follows it: 1.0 is all of the original.
                Some(Scalar::Number(n)) => format!("{n:?}"),
                Some(Scalar::Text(text)) => text,
            };
            options.set(name, text)?;
        }
        Variant::from_options(&options)
    }
}

impl<'de> Deserialize<'de> for Variant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Members::deserialize(deserializer)?
            .into_variant()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Variant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let both = self.width.is_some() && self.height.is_some();
        for (name, value) in canonical(self) {
            match name {
                "width" | "height" | "quality" if !value.contains('.') => {
                    map.serialize_entry(name, &value.parse::<u32>().unwrap_or_default())?;
                }
                "width" | "height" => map.serialize_entry(name, &value.parse::<f64>().unwrap_or_default())?,
                "enlarge" => map.serialize_entry(name, &true)?,
                _ => map.serialize_entry(name, &value)?,
            }
            if name == "height" && both && self.fit == Fit::Fill {
                map.serialize_entry("fit", "fill")?;
            }
        }
        map.end()
    }
}
