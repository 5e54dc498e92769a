//! What can be wrong with a description of a variant, and with an image.

use crate::probe::SourceFormat;

/// A description of a variant that is not valid. The text is for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariantError {
    /// There is no such option.
    #[error(
        "unknown image option {name:?}; there are: width, height, fit, focus, crop, format, quality, auto, enlarge, variant, signature"
    )]
    UnknownOption {
        /// As it was given, shortened.
        name: String,
    },
    /// An option is there twice.
    #[error("image option {name} is given twice")]
    Duplicate {
        /// Its name.
        name: &'static str,
    },
    /// A value is out of range, or not of the option's form.
    #[error("image option {option} must be {expected}, not {value:?}")]
    Invalid {
        /// Its name.
        option: &'static str,
        /// As it was given, shortened.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// Options that do not go together.
    #[error("{0}")]
    Conflict(&'static str),
    /// More pixels than [`Limits::side`](crate::Limits::side) allows.
    #[error("image option {option} may be at most {limit} pixels")]
    TooLarge {
        /// Its name.
        option: &'static str,
        /// Pixels.
        limit: u32,
    },
}

impl VariantError {
    pub(crate) fn invalid(option: &'static str, value: &str, expected: &'static str) -> Self {
        Self::Invalid {
            option,
            value: shortened(value),
            expected,
        }
    }

    pub(crate) fn unknown(name: &str) -> Self {
        Self::UnknownOption { name: shortened(name) }
    }
}

/// Error texts do not repeat pages of what they were sent.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Why there is no variant of an image. All but `Encode` are about the source or the request, never about the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The bytes are not of a format that is read, whatever their name says.
    #[error("not an image format that can be transformed; JPEG, PNG, GIF and WebP can")]
    NotAnImage,
    /// It begins like an image, but is damaged, cut off or lies about itself.
    #[error("the {format} image is damaged or cut off: {reason}")]
    Malformed {
        /// What it begins as.
        format: SourceFormat,
        /// What the decoder says; for whoever uploaded it.
        reason: String,
    },
    /// It is larger than the limits allow. Nothing was decoded.
    #[error("the image has {found} {unit}; at most {limit} can be transformed")]
    TooLarge {
        /// What was counted.
        unit: &'static str,
        /// How many there are, or would be.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The variant asks for more than the limits allow.
    #[error(transparent)]
    Variant(#[from] VariantError),
    /// The result could not be written: a fault of this server.
    #[error("failed while writing the {format} image: {reason}")]
    Encode {
        /// Name of the format.
        format: &'static str,
        /// What the encoder says; for the log.
        reason: String,
    },
}
