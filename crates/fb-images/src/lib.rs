//! Variants of images: a language that says what is wanted ([`Variant`], [`ImageQuery`]), signatures that permit single variants
//! ([`SigningKey`]), and the rendering itself ([`render`]) under limits that are on by default ([`Limits`]). Bytes in, bytes out: it knows
//! nothing of files, caches, apps, HTTP or clocks.
//!
//! ```
//! use fb_images::{ImageQuery, Limits, Wanted};
//!
//! let limits = Limits::default();
//! let query = ImageQuery::parse("bqoptimize=1;width=640;quality=90", &[], &limits)?.expect("an image is asked for");
//! let Wanted::Described(variant) = query.wanted else { panic!("it is described, not named") };
//! assert_eq!(variant.to_string(), "width=640;quality=90");
//! # Ok::<(), fb_images::VariantError>(())
//! ```
//!
//! A server does, in this order: [`ImageQuery::parse`]; find a declared variant by name or check the signature; [`Variant::for_client`];
//! look into its cache (key: source's version, [`RENDERER`], the variant's text); [`probe`] and [`Plan::new`] for [`Plan::cost`], to bound
//! the work that runs at once; [`render`] on a thread that may be busy for seconds.

mod colour;
mod crop;
mod decode;
mod encode;
mod error;
mod limits;
mod measure;
mod orient;
mod pixels;
mod plan;
mod probe;
mod query;
mod render;
mod resize;
mod settings;
mod sign;
mod text;
mod variant;

pub use error::{RenderError, VariantError};
pub use limits::Limits;
pub use orient::Orientation;
pub use plan::{Cost, Plan};
pub use probe::{Info, SourceFormat, probe};
pub use query::{ImageQuery, Wanted};
pub use render::{RENDERER, Rendered, render};
pub use sign::{SigningKey, WeakKey};
pub use variant::{DEFAULT_QUALITY, Format, Variant};
