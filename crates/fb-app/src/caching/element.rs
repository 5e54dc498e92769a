//! Ids of objects and files as the filter knows them. Source: protocol 07, section 4.

use fb_sketch::KeyHash;
use fb_types::{FileId, ObjectKey};

/// Ids up to this length are put together on the stack.
const SHORT: usize = 256;

/// An object: its id in the encoded form.
pub(crate) fn of_object(class: &str, key: &ObjectKey) -> KeyHash {
    joined(["/db/", class, "/", key.as_str()])
}

/// A file: its id as it is, not encoded.
pub(crate) fn of_file(id: &FileId) -> KeyHash {
    joined(["/file/", id.bucket().as_str(), "/", id.path().as_str()])
}

fn joined(parts: [&str; 4]) -> KeyHash {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut buffer = [0; SHORT];
    let Some(text) = buffer.get_mut(..length) else {
        return KeyHash::of(&parts.concat());
    };
    let mut at = 0;
    for part in parts {
        text[at..at + part.len()].copy_from_slice(part.as_bytes());
        at += part.len();
    }
    match std::str::from_utf8(text) {
        Ok(text) => KeyHash::of(text),
        Err(_) => KeyHash::of(&parts.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_the_ids_that_clients_test() {
        for key in ["42", "a b/ü", &"x".repeat(300)] {
            let key = ObjectKey::from_raw(key).unwrap();
            assert_eq!(of_object("Todo", &key), KeyHash::of(&format!("/db/Todo/{key}")));
        }
        let id: FileId = "/file/www/a b ü.png".parse().unwrap();
        assert_eq!(of_file(&id), KeyHash::of("/file/www/a b ü.png"));
    }
}
