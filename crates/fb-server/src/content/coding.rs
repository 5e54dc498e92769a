//! Which compression a client takes. Source: RFC 9110, section 12.5.3.

use fb_app::files::Encoding;

/// Ours, the smallest results first.
const OURS: [Encoding; 3] = [Encoding::Brotli, Encoding::Zstd, Encoding::Gzip];

/// The best encoding that the header accepts: the one with the greatest weight, of several the one that compresses best.
pub(crate) fn best(accepted: Option<&str>) -> Encoding {
    let Some(accepted) = accepted else {
        return Encoding::Identity;
    };
    let mut best = (Encoding::Identity, 0);
    for encoding in OURS {
        let weight = weight(accepted, encoding.token());
        if weight > best.1 {
            best = (encoding, weight);
        }
    }
    match best {
        (encoding, weight) if weight >= self::weight(accepted, "identity") => encoding,
        // Said to be preferred.
        _ => Encoding::Identity,
    }
}

/// The weight of a coding in thousandths; 0 if it is not acceptable.
fn weight(accepted: &str, token: &str) -> u32 {
    let mut any = 0;
    for item in accepted.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        let weight = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
        let weight = weight.map_or(1000, thousandths);
        if name.eq_ignore_ascii_case(token) {
            return weight;
        }
        if name == "*" {
            any = weight;
        }
    }
    any
}

fn thousandths(text: &str) -> u32 {
    match text.parse::<f32>() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 1000"
        )]
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_accepted_encoding_is_taken() {
        use Encoding::{Brotli, Gzip, Identity, Zstd};
        for (header, expected) in [
            ("gzip, deflate, br, zstd", Brotli),
            ("gzip, deflate", Gzip),
            ("gzip;q=1.0, br;q=0.5", Gzip),
            ("br;q=0, gzip", Gzip),
            ("zstd", Zstd),
            ("GZIP", Gzip),
            ("*", Brotli),
            ("*;q=0", Identity),
            ("identity", Identity),
            ("identity;q=1, gzip;q=0.5", Identity),
            ("deflate", Identity),
            ("", Identity),
            ("gzip;q=x", Identity),
            ("gzip;q=2", Identity),
        ] {
            assert_eq!(best(Some(header)), expected, "{header}");
        }
        assert_eq!(best(None), Identity);
    }
}
