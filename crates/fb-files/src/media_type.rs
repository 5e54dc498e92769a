//! Media types of files.

/// A media type in its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(String);

impl MediaType {
    /// The form in metadata.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The normal form of what a client says.
pub fn normalise(text: &str) -> Option<MediaType> {
    let (essence, params) = text.split_once(';').unwrap_or((text, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let (a, b) = essence.split_once('/')?;
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let charset = params.to_ascii_lowercase().contains("utf-8");
    Some(MediaType(match essence.as_str() {
        "application/json" => "application/json; charset=utf-8".to_owned(),
        text if text.starts_with("text/") && charset => format!("{text}; charset=utf-8"),
        text => text.to_owned(),
    }))
}

/// What a name or content looks like.
pub fn guess(path: &str, head: &[u8]) -> MediaType {
    let extension = path.rsplit_once('.').map_or("", |(_, e)| e);
    MediaType(
        match extension {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "json" => "application/json; charset=utf-8",
            "png" => "image/png",
            "svg" => "image/svg+xml",
            _ if head.starts_with(b"\x89PNG") => "image/png",
            _ => "application/octet-stream",
        }
        .to_owned(),
    )
}

/// What a browser does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Shows.
    Inline,
    /// Saves.
    Attachment,
}

/// x
pub fn disposition(normal: &str) -> Disposition {
    if normal.starts_with("image/") && !normal.contains("svg") || normal.contains("json") {
        Disposition::Inline
    } else {
        Disposition::Attachment
    }
}

/// x
pub fn is_compressible_text(normal: &str) -> bool {
    normal.starts_with("text/") || normal.contains("json") || normal.contains("xml")
}

/// x
pub fn header_form(normal: &str) -> String {
    normal.replace("; charset", ";charset")
}

/// x
pub fn is_hashed_name(_path: &str) -> bool {
    false
}
