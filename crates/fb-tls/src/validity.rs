//! From when to when a certificate is valid, read from its DER.
//!
//! The two dates are all that is wanted of X.509 here, and the TLS library does not say them: a page of our own instead of
//! a parser for everything. It trusts nothing, but decides nothing either: clients check certificates, we only plan by them.

use fb_types::Timestamp;

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: Timestamp,
    /// Last moment.
    pub not_after: Timestamp,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// `[0] EXPLICIT`, the version, which certificates of version 1 leave out.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl Validity {
    /// Of a certificate in DER. `None` if it is none. Source: RFC 5280, section 4.1.
    ///
    /// ```text
    /// Certificate    ::= SEQUENCE { tbsCertificate TBSCertificate, … }
    /// TBSCertificate ::= SEQUENCE { version [0] OPTIONAL, serialNumber INTEGER, signature SEQUENCE, issuer SEQUENCE,
    ///                               validity SEQUENCE { notBefore Time, notAfter Time }, … }
    /// ```
    pub fn of(der: &[u8]) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (mut rest, _) = element(certificate, SEQUENCE)?;
        if let Some((_, behind)) = element(rest, VERSION) {
            rest = behind;
        }
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            rest = element(rest, tag)?.1;
        }
        let (validity, _) = element(rest, SEQUENCE)?;
        let (not_before, rest) = time(validity)?;
        let (not_after, _) = time(rest)?;
        Some(Self { not_before, not_after })
    }

    /// How long it is valid in all, in milliseconds; 0 if it never is.
    pub fn lifetime_millis(&self) -> i64 {
        (self.not_after.millis() - self.not_before.millis()).max(0)
    }
}

/// The content of an element of this tag at the front of `der`, and what is behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Up to 16 MiB. Longer ones are no certificates.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |sum, &b| sum << 8 | usize::from(b)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// `YYMMDDHHMMSSZ` of the years 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let ((text, rest), is_short) = match element(der, UTC_TIME) {
        Some(found) => (found, true),
        None => (element(der, GENERALIZED_TIME)?, false),
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|b| b.is_ascii_digit()) || text.len() != if is_short { 12 } else { 14 } {
        return None;
    }
    let century = match is_short {
        true if text < "50" => "20",
        true => "19",
        false => "",
    };
    let text = format!("{century}{text}");
    let [year, month, day, hour, minute, second] =
        [(0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14)].map(|(from, to)| &text[from..to]);
    let moment = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()?;
    Some((moment, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::date_time_ymd;

    use super::*;

    fn der(from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn both_dates_are_read_in_both_forms() {
        for (from, to, expected) in [
            (
                (2024, 2, 29),
                (2025, 1, 1),
                ("2024-02-29T00:00:00Z", "2025-01-01T00:00:00Z"),
            ),
            (
                (1975, 1, 2),
                (2049, 12, 31),
                ("1975-01-02T00:00:00Z", "2049-12-31T00:00:00Z"),
            ),
            (
                (2050, 1, 1),
                (4096, 1, 1),
                ("2050-01-01T00:00:00Z", "4096-01-01T00:00:00Z"),
            ),
        ] {
            let found = Validity::of(&der(from, to)).unwrap();
            let found = (found.not_before.to_string(), found.not_after.to_string());
            assert_eq!((found.0.as_str(), found.1.as_str()), expected);
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused_without_panic() {
        let good = der((2024, 1, 1), (2025, 1, 1));
        for cut in 0..good.len() {
            // The signature behind the dates is not looked at, but the outer lengths no longer fit.
            assert_eq!(Validity::of(&good[..cut]), None, "{cut}");
        }
        for at in 0..good.len().min(200) {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = Validity::of(&bad);
            }
        }
        assert_eq!(Validity::of(b""), None);
    }
}
