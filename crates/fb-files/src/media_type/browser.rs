//! What browsers may do with a type, where the files are not known to be harmless.

use super::MediaType;

/// What a browser does that is sent to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It shows the file, if it can.
    Inline,
    /// It saves the file.
    Attachment,
}

/// Whether a file of unknown origin may be shown as a document of the own site. Only types are that cannot run scripts there;
/// everything else, also what is not known, is saved. It is meant for answers that also carry
/// `X-Content-Type-Options: nosniff`, without which no list helps. Images, scripts and styles that a page names are used by
/// browsers whatever this says.
pub fn disposition(media_type: &MediaType) -> Disposition {
    let essence = media_type.essence();
    let (kind, subtype) = essence.split_once('/').unwrap_or_default();
    // Every XML document can name XHTML or SVG elements, and these run scripts; so no kind of type may end like this.
    if subtype == "xml" || subtype.ends_with("+xml") {
        return Disposition::Attachment;
    }
    let is_inert = match kind {
        // Rasters only, by name: a format made of markup may be invented any day.
        "image" => matches!(
            subtype,
            "png"
                | "apng"
                | "jpeg"
                | "jpg"
                | "pjpeg"
                | "gif"
                | "webp"
                | "avif"
                | "bmp"
                | "x-ms-bmp"
                | "x-icon"
                | "vnd.microsoft.icon"
                | "jxl"
                | "heic"
                | "heif"
                | "tiff"
        ),
        // Browsers make a document with nothing but a player of it, or save it.
        "audio" | "video" => true,
        // Never shown; as a document they are saved.
        "font" => true,
        // Shown as the text it is. Scripts and styles run only where a page names them, not as documents.
        "text" => matches!(subtype, "plain" | "css" | "csv" | "javascript" | "markdown" | "vtt"),
        // JSON is shown as text or in the browser's own viewer, whatever is in it.
        "application" if subtype == "json" || subtype.ends_with("+json") => true,
        // PDF can hold scripts, but viewers run them apart from the site, without access to its cookies and pages.
        "application" => matches!(
            subtype,
            "pdf" | "javascript" | "x-javascript" | "font-woff" | "x-font-ttf" | "ogg"
        ),
        // message, multipart, model, chemical, and what else there is: readers of messages show HTML inside.
        _ => false,
    };
    match is_inert {
        true => Disposition::Inline,
        false => Disposition::Attachment,
    }
}

/// Whether compression makes files of this type noticeably smaller: text in its many kinds, and the few binary formats
/// that are not compressed inside.
pub fn is_compressible(media_type: &MediaType) -> bool {
    let essence = media_type.essence();
    let (kind, subtype) = essence.split_once('/').unwrap_or_default();
    kind == "text"
        || ["+xml", "+json", "+text", "+yaml"]
            .iter()
            .any(|suffix| subtype.ends_with(suffix))
        || matches!(
            essence,
            "application/json"
                | "application/javascript"
                | "application/x-javascript"
                | "application/ecmascript"
                | "application/xml"
                | "application/xml-dtd"
                | "application/wasm"
                | "application/rtf"
                | "application/sql"
                | "application/toml"
                | "application/yaml"
                | "application/x-ndjson"
                | "application/x-subrip"
                | "application/x-tar"
                | "application/postscript"
                | "application/vnd.apple.mpegurl"
                | "application/vnd.ms-fontobject"
                | "font/ttf"
                | "font/otf"
                | "font/sfnt"
                | "font/collection"
                | "image/bmp"
                | "image/x-ms-bmp"
                | "image/x-icon"
                | "image/vnd.microsoft.icon"
                | "audio/midi"
                | "model/gltf-binary"
        )
}

#[cfg(test)]
mod tests {
    use super::super::normalise;
    use super::*;

    fn of(text: &str) -> Disposition {
        disposition(&normalise(text).unwrap())
    }

    #[test]
    fn active_and_unknown_types_are_saved() {
        for text in [
            "text/html",
            "text/html;charset=utf-7",
            "TEXT/HTML",
            "text/html; charset=\"utf-8\"",
            "text/htm",
            "text/x-html",
            "application/xhtml+xml",
            "application/vnd.wap.xhtml+xml",
            "IMAGE/SVG+XML",
            "image/svg+xml; charset=utf-8",
            "image/svg",
            "image/x-svg",
            "image/vnd.unknown",
            "text/xml",
            "application/xml",
            "text/xsl",
            "application/xslt+xml",
            "application/rdf+xml",
            "application/rss+xml",
            "application/atom+xml",
            "application/mathml+xml",
            "application/dash+xml",
            "audio/x+xml",
            "video/xml",
            "font/svg+xml",
            "text/vnd.wap.wml",
            "text/mathml",
            "text/ecmascript-but-not-quite",
            "text/rtf",
            "text/calendar",
            "text/cache-manifest",
            "text/x-component",
            "text/unknown",
            "message/rfc822",
            "message/http",
            "multipart/related",
            "multipart/x-mixed-replace",
            "application/x-mimearchive",
            "application/octet-stream",
            "application/x-shockwave-flash",
            "application/java-archive",
            "application/hta",
            "application/x-msdownload",
            "application/zip",
            "application/wasm",
            "application/pdf+xml",
            "model/gltf-binary",
            "x/y",
            "null/null",
        ] {
            assert_eq!(of(text), Disposition::Attachment, "{text}");
        }
    }

    #[test]
    fn inert_types_are_shown() {
        for text in [
            "image/png",
            "image/jpeg",
            "image/gif; charset=utf-8",
            "IMAGE/WEBP",
            "image/avif",
            "image/x-icon",
            "audio/mpeg",
            "video/mp4; codecs=\"avc1\"",
            "font/woff2",
            "text/plain",
            "text/plain; charset=utf-8",
            "text/css",
            "text/csv",
            "text/javascript",
            "application/json",
            "application/ld+json",
            "application/manifest+json",
            "application/pdf",
        ] {
            assert_eq!(of(text), Disposition::Inline, "{text}");
        }
    }

    #[test]
    fn text_is_compressible_and_media_are_not() {
        let is = |text| is_compressible(&normalise(text).unwrap());
        for text in [
            "text/html; charset=utf-8",
            "text/css",
            "application/json",
            "image/svg+xml",
            "application/wasm",
            "font/ttf",
            "application/geo+json",
        ] {
            assert!(is(text), "{text}");
        }
        for text in [
            "image/png",
            "image/jpeg",
            "video/mp4",
            "font/woff2",
            "application/zip",
            "application/gzip",
            "application/pdf",
            "application/octet-stream",
        ] {
            assert!(!is(text), "{text}");
        }
    }
}
