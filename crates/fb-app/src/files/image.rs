//! Variants of images: those that the app declares, and those that it has signed.

use bytes::Bytes;
use fb_auth::{Secret, fingerprint};
use fb_files::media_type::{self, MediaType};
use fb_images::{ImageQuery, Limits, RENDERER, SigningKey, Variant, Wanted};
use fb_types::FileId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::OpenFile;
use super::read::Form;
use crate::settings::HIDDEN;
use crate::{App, AppError};

/// Most declared variants of one app.
const MAX_VARIANTS: usize = 100;

/// Which variants of images there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ImageSettings {
    /// Declared variants by name; everybody who may load an image may load these of it.
    pub variants: BTreeMap<String, Variant>,
    /// What signs URLs of other variants, at least 16 bytes. Without one there are only declared variants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<Secret>,
}

impl ImageSettings {
    pub(crate) fn keep_secrets(&mut self, old: &Self) {
        if self.signing_key.as_ref().is_some_and(|key| key.expose() == HIDDEN) {
            self.signing_key.clone_from(&old.signing_key);
        }
    }

    pub(crate) fn hide_secrets(&mut self) {
        if let Some(key) = &mut self.signing_key {
            *key = Secret::new(HIDDEN);
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.variants.len() > MAX_VARIANTS {
            return Err(format!("images.variants: at most {MAX_VARIANTS} are allowed"));
        }
        let limits = Limits::default();
        for (name, variant) in &self.variants {
            let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
                return Err(format!(
                    "images.variants.{name}: names have 1 to 64 letters, digits, - and _"
                ));
            }
            variant
                .check(&limits)
                .map_err(|e| format!("images.variants.{name}: {e}"))?;
        }
        match &self.signing_key {
            Some(key) => SigningKey::new(key.expose().as_bytes())
                .map(drop)
                .map_err(|e| format!("images.signingKey: {e}")),
            None => Ok(()),
        }
    }
}

/// A variant that is permitted, for one client.
#[derive(Debug, Clone)]
pub struct ImageVariant {
    variant: Variant,
    /// True if other clients get another one under the same URL.
    pub varies: bool,
}

/// An image on its way out.
pub struct Image {
    /// Its bytes.
    pub bytes: Bytes,
    /// What it is.
    pub media_type: MediaType,
}

impl ImageVariant {
    /// A validator of this variant of a file with the validator `etag`.
    pub fn etag(&self, etag: &str) -> String {
        let mut tag = fingerprint(&format!("{etag} image {RENDERER} {}", self.variant));
        tag.truncate(32);
        tag
    }
}

impl App {
    /// The variant that the query of a URL asks for; `None` if it asks for the file itself. `others` are parameters that mean
    /// something else, `accept` is what the client says that it takes.
    pub fn image_variant(
        &self,
        id: &FileId,
        query: &str,
        others: &[&str],
        accept: Option<&str>,
    ) -> Result<Option<ImageVariant>, AppError> {
        let Some(query) = ImageQuery::parse(query, others, &Limits::default())? else {
            return Ok(None);
        };
        let settings = self.settings();
        let images = &settings.images;
        let variant = match query.wanted {
            Wanted::Named(name) => match images.variants.get(&name) {
                Some(variant) => *variant,
                None => return Err(AppError::NoVariant(name)),
            },
            Wanted::Described(variant) => {
                let key = images.signing_key.as_ref();
                let key = key.and_then(|key| SigningKey::new(key.expose().as_bytes()).ok());
                let is_signed = match (key, &query.signature) {
                    (Some(key), Some(signature)) => key.verify(&id.to_string(), &variant, signature),
                    _ => false,
                };
                match is_signed {
                    true => variant,
                    false => return Err(AppError::UnsignedVariant),
                }
            }
        };
        Ok(Some(ImageVariant {
            varies: variant.varies_by_accept(),
            variant: variant.for_client(accept),
        }))
    }

    /// The variant of an image. It is made once and kept until its source is gone.
    pub async fn image(&self, file: &OpenFile, variant: &ImageVariant) -> Result<Image, AppError> {
        let content = file.entry().content;
        let limits = Limits::default();
        if file.entry().size > limits.source_bytes as u64 {
            let text = format!("the image has more than {} bytes", limits.source_bytes);
            return Err(AppError::TooLarge(text));
        }
        let text = fingerprint(&variant.variant.to_string());
        let name = format!("image-{RENDERER}-{}", &text[..32]);
        let key = u128::from_str_radix(&text[..32], 16).unwrap_or_default();
        let make = async {
            if let Some(made) = self.contents().variant(content, &name).await? {
                return Ok(made);
            }
            let made = self.render(file, variant.variant, limits).await?;
            if let Err(error) = self.contents().put_variant(content, &name, made.clone()).await {
                tracing::debug!(app = %self.id(), error = %error, "a variant of an image was not kept");
            }
            Ok::<_, AppError>(made)
        };
        let bytes = self
            .content_cache()
            .get_or_make(content, Form::Image(key), make)
            .await?;
        Ok(Image {
            // Told from its bytes, which we have written ourselves.
            media_type: media_type::guess("", &bytes[..bytes.len().min(64)]),
            bytes,
        })
    }

    async fn render(&self, file: &OpenFile, variant: Variant, limits: Limits) -> Result<Bytes, AppError> {
        let content = file.entry().content;
        let read = async { Ok(self.contents().read(content, limits.source_bytes).await?) };
        let render = move |source: Bytes| fb_images::render(&source, &variant, &limits);
        let made = self.heavy("making an image", read, render).await??;
        Ok(Bytes::from(made.bytes))
    }
}
