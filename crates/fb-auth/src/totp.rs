//! Time-based one-time passwords (RFC 6238: HMAC-SHA1, 6 digits, 30 s), and codes for whoever lost the device.

use data_encoding::BASE32_NOPAD;
use fb_types::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::secret::{NoRandomness, Secret, fingerprint, random_bytes};

/// Seconds per step.
const STEP: i64 = 30;
/// How many recovery codes a user gets.
const RECOVERY_CODES: usize = 10;

/// A fresh shared secret of 160 bits, in base 32.
pub fn totp_secret() -> Result<Secret, NoRandomness> {
    Ok(Secret::new(BASE32_NOPAD.encode(&random_bytes::<20>()?)))
}

/// The number of the step in which `code` is right: that of `now` or one of its neighbours, and later than `last_step`,
/// the step of the last code that was used. `None` if it is wrong.
pub fn totp_step(secret: &Secret, code: &str, now: Timestamp, last_step: i64) -> Option<i64> {
    let key = BASE32_NOPAD.decode(secret.expose().as_bytes()).ok()?;
    let current = now.seconds() / STEP;
    let mut found = None;
    // All three are compared, so that time tells nothing.
    for step in [current - 1, current, current + 1] {
        let right: bool = totp_code(&key, step)?.as_bytes().ct_eq(code.as_bytes()).into();
        if right && step > last_step {
            found = Some(step);
        }
    }
    found
}

fn totp_code(key: &[u8], step: i64) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 15);
    let bytes = hash.get(offset..offset + 4)?.try_into().ok()?;
    let number = u32::from_be_bytes(bytes) & 0x7fff_ffff;
    Some(format!("{:06}", number % 1_000_000))
}

/// The `otpauth:` URI that authenticator apps scan.
pub fn totp_uri(secret: &Secret, issuer: &str, account: &str) -> String {
    let (issuer, account) = (fb_types::encode_component(issuer), fb_types::encode_component(account));
    let secret = secret.expose();
    format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30")
}

/// Fresh recovery codes, each good for one login, of 80 random bits.
pub fn recovery_codes() -> Result<Vec<Secret>, NoRandomness> {
    let code = || {
        let text = BASE32_NOPAD.encode(&random_bytes::<10>()?).to_lowercase();
        let (a, b) = text.split_at(8);
        Ok(Secret::new(format!("{a}-{b}")))
    };
    (0..RECOVERY_CODES).map(|_| code()).collect()
}

/// What is stored of a recovery code, however it is typed.
pub fn recovery_fingerprint(code: &str) -> String {
    let digits: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    fingerprint(&digits.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// The test vectors of RFC 6238, appendix B, cut to six digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let key = b"12345678901234567890";
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp_code(key, seconds / STEP).unwrap(), code);
        }
    }

    #[test]
    fn a_code_is_good_for_its_neighbourhood_and_once() {
        let secret = Secret::new(BASE32_NOPAD.encode(b"12345678901234567890"));
        let step = 1_234_567_890 / STEP;
        let check = |seconds, last| totp_step(&secret, "005924", at(seconds), last);
        for seconds in [1_234_567_890 - 30, 1_234_567_890, 1_234_567_890 + 30] {
            assert_eq!(check(seconds, 0), Some(step));
        }
        assert_eq!(check(1_234_567_890 - 61, 0), None);
        assert_eq!(check(1_234_567_890 + 61, 0), None);
        assert_eq!(check(1_234_567_890, step), None);
        assert_eq!(check(1_234_567_890, step - 1), Some(step));
        for wrong in ["", "00592", "0059240", "005925", " 005924"] {
            assert_eq!(totp_step(&secret, wrong, at(1_234_567_890), 0), None);
        }
    }

    #[test]
    fn recovery_codes_differ_and_may_be_typed_sloppily() {
        let codes = recovery_codes().unwrap();
        let mut prints: Vec<_> = codes.iter().map(|code| recovery_fingerprint(code.expose())).collect();
        let sloppy = codes[0].expose().to_uppercase().replace('-', " ");
        assert_eq!(recovery_fingerprint(&sloppy), prints[0]);
        prints.sort();
        prints.dedup();
        assert_eq!(prints.len(), RECOVERY_CODES);
    }
}
