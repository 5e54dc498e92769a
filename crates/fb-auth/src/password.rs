//! Passwords: Argon2id hashes as PHC strings.

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

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
    /// It is shorter than the app's policy says.
    #[error("a password needs at least {0} characters")]
    TooShort(u32),
    /// It is one of those that are tried first, or the user's own name.
    #[error("this password is too easy to guess; choose another one")]
    TooCommon,
    /// The hash that somebody wants to import is of no known kind.
    #[error("the password hash must be an Argon2 or bcrypt hash in its usual text form")]
    UnknownHash,
    /// The hasher failed, for lack of memory or randomness.
    #[error("the password could not be hashed")]
    Hash,
}

/// Which passwords an app accepts. There are no rules about kinds of characters: they make passwords worse (NIST
/// SP 800-63B, section 3.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordPolicy {
    /// Fewest characters, 1 to 64.
    pub min_length: u32,
    /// Refuses the most common passwords, and those that are the user's name.
    pub reject_common: bool,
    /// Refuses passwords that a service knows from leaks. Whoever has a network asks it; [`leak_query`] says what.
    #[serde(default)]
    pub reject_breached: bool,
}

/// What to ask a service that knows leaked passwords by the SHA-1 of each (the range query of Have I Been Pwned): the
/// first five hex digits, which are sent, and the others, which are looked for in the answer. Five digits are shared by
/// hundreds of passwords, so that the service learns next to nothing.
pub fn leak_query(password: &str) -> (String, String) {
    use sha1::Digest;
    let mut digits = crate::hex::encode_hex(&sha1::Sha1::digest(password.as_bytes())).to_ascii_uppercase();
    let rest = digits.split_off(5);
    (digits, rest)
}

impl PasswordPolicy {
    /// Accepts or refuses a password that somebody chooses.
    pub fn check(&self, password: &str, username: &str) -> Result<(), PasswordError> {
        check_length(password)?;
        if password.chars().count() < usize::try_from(self.min_length).unwrap_or(usize::MAX) {
            return Err(PasswordError::TooShort(self.min_length));
        }
        let folded = password.to_lowercase();
        let name = username.to_lowercase();
        let local = name.split('@').next().unwrap_or(&name);
        if self.reject_common
            && (COMMON.contains(&&*folded) || folded == name || folded == local || is_monotonous(&folded))
        {
            return Err(PasswordError::TooCommon);
        }
        Ok(())
    }
}

/// One character again and again, or a run of neighbours such as `12345678` and `abcdefgh`.
fn is_monotonous(password: &str) -> bool {
    let steps: Vec<i64> = password
        .chars()
        .zip(password.chars().skip(1))
        .map(|(a, b)| i64::from(u32::from(b)) - i64::from(u32::from(a)))
        .collect();
    !steps.is_empty() && (-1..=1).any(|step| steps.iter().all(|s| *s == step))
}

/// Passwords of eight and more characters that lead every published list of leaked ones, in lower case.
const COMMON: &[&str] = &[
    "password",
    "password1",
    "password12",
    "password123",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "qwertyuiop",
    "qwerty123",
    "qwerty12",
    "qwertyui",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "zaq12wsx",
    "q1w2e3r4",
    "asdfghjkl",
    "asdf1234",
    "123123123",
    "123qweasd",
    "12341234",
    "11223344",
    "1234qwer",
    "qwer1234",
    "abcd1234",
    "abc12345",
    "123456abc",
    "1234567890",
    "0123456789",
    "987654321",
    "147258369",
    "iloveyou",
    "iloveyou1",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "basketball",
    "superman",
    "starwars",
    "trustno1",
    "whatever",
    "computer",
    "internet",
    "michelle",
    "jennifer",
    "jordan23",
    "welcome1",
    "welcome123",
    "letmein1",
    "letmein123",
    "admin123",
    "admin1234",
    "administrator",
    "changeme",
    "changeme1",
    "changeit",
    "secret123",
    "mypassword",
    "test1234",
    "testtest",
    "testing123",
    "dragon123",
    "monkey123",
    "shadow123",
    "master123",
    "hello123",
    "freedom1",
    "liverpool",
    "chelsea1",
    "arsenal1",
    "pokemon1",
    "minecraft",
    "samsung1",
    "google123",
    "facebook",
    "correcthorsebatterystaple",
];

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
        check_length(password)?;
        hash(&self.argon2, password)
    }

    /// Whether `password` is the one that `stored` was made from: an Argon2 hash of any parameters, or a bcrypt hash
    /// that came with an import. `None` takes as long as a hash of the present cost, and is wrong.
    pub fn verify(&self, password: &str, stored: Option<&str>) -> Verdict {
        let usable = check_length(password).is_ok();
        let password = if usable { password } else { "" };
        let nobody = || hash(&self.argon2, "nobody's password").unwrap_or_default();
        let phc = stored.unwrap_or_else(|| self.nobody.get_or_init(nobody));
        let matches = if is_bcrypt(phc) {
            bcrypt::verify(password, phc).unwrap_or(false)
        } else {
            PasswordHash::new(phc).is_ok_and(|parsed| self.argon2.verify_password(password.as_bytes(), &parsed).is_ok())
        };
        match matches && usable && stored.is_some() {
            false => Verdict::Wrong,
            true if self.is_current(phc) => Verdict::Right,
            true => Verdict::RightButOld,
        }
    }

    /// Accepts a hash from elsewhere: Argon2 (`$argon2id$…`, also `i` and `d`) or bcrypt (`$2a$`, `$2b$`, `$2y$`), of a
    /// cost that a login can be expected to pay.
    pub fn check_import(stored: &str) -> Result<(), PasswordError> {
        let fits = if is_bcrypt(stored) {
            let cost = stored.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
            stored.len() == 60 && cost.is_some_and(|cost| (4..=14).contains(&cost))
        } else {
            let parsed = PasswordHash::new(stored).ok();
            let params = parsed.as_ref().and_then(|parsed| Params::try_from(parsed).ok());
            let affordable = |p: &Params| p.m_cost() <= 256 << 10 && p.t_cost() <= 16 && p.p_cost() <= 16;
            stored.starts_with("$argon2")
                && parsed.is_some_and(|p| p.hash.is_some())
                && params.is_some_and(|p| affordable(&p))
        };
        if fits { Ok(()) } else { Err(PasswordError::UnknownHash) }
    }

    fn is_current(&self, phc: &str) -> bool {
        let current = self.argon2.params();
        let Ok(parsed) = PasswordHash::new(phc) else {
            return false;
        };
        let params = Params::try_from(&parsed);
        parsed.algorithm.as_str() == "argon2id"
            && params.is_ok_and(|p| {
                (p.m_cost(), p.t_cost(), p.p_cost()) == (current.m_cost(), current.t_cost(), current.p_cost())
            })
    }
}

/// What comparing a password with a stored hash gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is another password, or there is none.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, but its hash is of another kind or cost than hashes are made with now: hash it again.
    RightButOld,
}

fn is_bcrypt(stored: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| stored.starts_with(prefix))
}

fn check_length(password: &str) -> Result<(), PasswordError> {
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

    fn hasher(memory_kib: u32) -> Hasher {
        Hasher::new(HashCost { memory_kib, passes: 1 }).unwrap()
    }

    #[test]
    fn only_the_right_password_is_accepted() {
        let hasher = hasher(64);
        let stored = hasher.hash("secret").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_ne!(stored, hasher.hash("secret").unwrap());
        assert_eq!(hasher.verify("secret", Some(&stored)), Verdict::Right);
        for wrong in ["Secret", "", "secret ", &"x".repeat(MAX_PASSWORD + 1)] {
            assert_eq!(hasher.verify(wrong, Some(&stored)), Verdict::Wrong, "{wrong}");
        }
        assert_eq!(hasher.verify("nobody's password", None), Verdict::Wrong);
        assert_eq!(hasher.verify("secret", Some("not a hash")), Verdict::Wrong);
    }

    #[test]
    fn s51_hashes_of_other_kinds_and_costs_are_accepted_and_marked_as_old() {
        let stored = hasher(64).hash("secret").unwrap();
        assert_eq!(hasher(128).verify("secret", Some(&stored)), Verdict::RightButOld);
        assert_eq!(hasher(128).verify("Secret", Some(&stored)), Verdict::Wrong);
        // Made by another implementation of bcrypt, of the password `secret`.
        let bcrypt = bcrypt::hash("secret", 4).unwrap();
        assert_eq!(hasher(64).verify("secret", Some(&bcrypt)), Verdict::RightButOld);
        assert_eq!(hasher(64).verify("Secret", Some(&bcrypt)), Verdict::Wrong);
        assert_eq!(hasher(64).verify("", Some(&bcrypt)), Verdict::Wrong);
        for good in [&stored, &bcrypt] {
            assert_eq!(Hasher::check_import(good), Ok(()));
        }
        let dear = bcrypt.replace("$04$", "$31$");
        let vast = stored.replace("m=64", "m=4000000");
        for bad in [
            "",
            "secret",
            "$2b$",
            "$argon2id$",
            &dear,
            &vast,
            "$1$abc$def",
            &stored[..stored.len() - 44],
        ] {
            assert_eq!(Hasher::check_import(bad), Err(PasswordError::UnknownHash), "{bad}");
        }
    }

    #[test]
    fn s52_passwords_follow_the_policy_and_have_a_longest_length() {
        let strict = PasswordPolicy {
            min_length: 8,
            reject_common: true,
            reject_breached: false,
        };
        let long = "x".repeat(MAX_PASSWORD + 1);
        for (password, error) in [
            ("", PasswordError::Empty),
            (&*long, PasswordError::TooLong),
            ("short", PasswordError::TooShort(8)),
            // Characters count, not bytes.
            ("ünïcödé", PasswordError::TooShort(8)),
            ("Password", PasswordError::TooCommon),
            ("qwertyuiop", PasswordError::TooCommon),
            ("aaaaaaaaaa", PasswordError::TooCommon),
            ("23456789", PasswordError::TooCommon),
            ("hgfedcba", PasswordError::TooCommon),
            ("ANNABELLA", PasswordError::TooCommon),
            ("annabella@shop.example", PasswordError::TooCommon),
        ] {
            assert_eq!(
                strict.check(password, "Annabella@shop.example"),
                Err(error),
                "{password}"
            );
        }
        for good in ["correct horse", "ünïcödé!", &"ab".repeat(MAX_PASSWORD / 2)] {
            assert_eq!(strict.check(good, "ann"), Ok(()), "{good}");
        }
        let open = PasswordPolicy {
            min_length: 1,
            reject_common: false,
            reject_breached: false,
        };
        assert_eq!(open.check("password", "password"), Ok(()));
        assert_eq!(open.check("", "ann"), Err(PasswordError::Empty));
        assert_eq!(hasher(64).hash(""), Err(PasswordError::Empty));
        assert_eq!(hasher(64).hash(&long), Err(PasswordError::TooLong));
    }

    #[test]
    fn a_leak_is_asked_for_by_a_part_of_the_hash() {
        // SHA-1 of `password`: 5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8.
        let expected = ("5BAA6".to_owned(), "1E4C9B93F3F0682250B6CF8331B7EE68FD8".to_owned());
        assert_eq!(leak_query("password"), expected);
    }
}
