//! Ids of contents of files.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The random id of a content of a file: 16 bytes, written as 32 lower-case hex digits.
///
/// It says nothing about the file, so that a path or key made of it holds no text of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 16]);

/// A text is no content id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a content id has 32 lower-case hex digits")]
pub struct ContentIdError;

impl ContentId {
    /// Takes 16 bytes, which are random if the id is new.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ContentId {
    type Err = ContentIdError;

    fn from_str(text: &str) -> Result<Self, ContentIdError> {
        // One spelling only: two texts for one id would be two files for one content.
        fn digit(c: u8) -> Result<u8, ContentIdError> {
            match c {
                b'0'..=b'9' => Ok(c - b'0'),
                b'a'..=b'f' => Ok(c - b'a' + 10),
                _ => Err(ContentIdError),
            }
        }
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(ContentIdError);
        };
        let mut bytes = [0; 16];
        if pairs.len() != bytes.len() {
            return Err(ContentIdError);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ContentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ids_have_one_spelling() {
        let id = ContentId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xab, 0xcd, 0xef, 0xff, 0x10, 0x80]);
        let text = "00010203040506070809abcdefff1080";
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<ContentId>(&format!("\"{text}\"")).unwrap(), id);
        let upper = text.to_uppercase();
        for bad in [
            "",
            "00",
            &text[1..],
            &upper,
            "../../../../../../../../etc/pass",
            "00010203040506070809abcdefff10800",
            "ü0010203040506070809abcdefff108",
        ] {
            assert_eq!(bad.parse::<ContentId>(), Err(ContentIdError), "{bad}");
        }
    }
}
