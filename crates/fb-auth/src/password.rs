//! Passwords: Argon2id hashes as PHC strings.

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Longest password in bytes; hashing more would only cost time.
pub const MAX_PASSWORD: usize = 1024;

/// A password cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is empty.
    #[error("a password is required")]
    Empty,
    /// It is longer than [`MAX_PASSWORD`].
    #[error("a password may have at most {MAX_PASSWORD} bytes")]
    TooLong,
    /// The hasher failed, for lack of memory or randomness.
    #[error("the password could not be hashed")]
    Hash,
}

/// Cost of one hash. The defaults take about 20 ms of CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB, at least 8.
    pub memory_kib: u32,
    /// Passes over the memory, at least 1.
    pub passes: u32,
}

impl Default for HashCost {
    /// 19 MiB and two passes: the first choice of the OWASP password storage cheat sheet.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
        }
    }
}

/// Hashes and verifies passwords. Each call burns CPU and memory as its cost says: call it off the async threads.
#[derive(Debug, Clone)]
pub struct Hasher {
    argon2: Argon2<'static>,
    /// What a login without an account is compared with, so that it takes as long as one with. Made by the first such
    /// login: at start it would cost every server the time of a hash.
    nobody: OnceLock<String>,
}

impl Hasher {
    /// A hasher of this cost.
    pub fn new(cost: HashCost) -> Result<Self, PasswordError> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|_| PasswordError::Hash)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self {
            argon2,
            nobody: OnceLock::new(),
        })
    }

    /// The PHC string of a password under a random salt.
    pub fn hash(&self, password: &str) -> Result<String, PasswordError> {
        check_password(password)?;
        hash(&self.argon2, password)
    }

    /// True if `password` is the one that `stored` was made from. `None` takes as long and is false.
    pub fn verify(&self, password: &str, stored: Option<&str>) -> bool {
        let usable = check_password(password).is_ok();
        let nobody = || hash(&self.argon2, "nobody's password").unwrap_or_default();
        let phc = stored.unwrap_or_else(|| self.nobody.get_or_init(nobody));
        let Ok(parsed) = PasswordHash::new(phc) else {
            return false;
        };
        let matches = self
            .argon2
            .verify_password(if usable { password } else { "" }.as_bytes(), &parsed)
            .is_ok();
        matches && usable && stored.is_some()
    }
}

/// Refuses empty and overlong passwords.
pub fn check_password(password: &str) -> Result<(), PasswordError> {
    match password.len() {
        0 => Err(PasswordError::Empty),
        1..=MAX_PASSWORD => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, PasswordError> {
    argon2
        .hash_password(password.as_bytes())
        .map(|h| h.to_string())
        .map_err(|_| PasswordError::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_is_accepted() {
        let hasher = Hasher::new(HashCost {
            memory_kib: 64,
            passes: 1,
        })
        .unwrap();
        let stored = hasher.hash("secret").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_ne!(stored, hasher.hash("secret").unwrap());
        assert!(hasher.verify("secret", Some(&stored)));
        for wrong in ["Secret", "", "secret ", &"x".repeat(MAX_PASSWORD + 1)] {
            assert!(!hasher.verify(wrong, Some(&stored)), "{wrong}");
        }
        assert!(!hasher.verify("nobody's password", None));
        assert!(!hasher.verify("secret", Some("not a hash")));
    }

    #[test]
    fn unusable_passwords_are_refused() {
        let hasher = Hasher::new(HashCost {
            memory_kib: 64,
            passes: 1,
        })
        .unwrap();
        assert_eq!(hasher.hash(""), Err(PasswordError::Empty));
        assert_eq!(hasher.hash(&"x".repeat(MAX_PASSWORD + 1)), Err(PasswordError::TooLong));
    }
}
