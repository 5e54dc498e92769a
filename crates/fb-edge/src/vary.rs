//! The fields that answers may vary by.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, COOKIE, HeaderName, ORIGIN, VARY};

use crate::headers::set;
use crate::lines::{Lines, text};

/// Longest value of a field, in bytes, of which there are variants.
const MAX_VALUE: usize = 512;

/// Codings that are told apart, in the order in which the origin is told of them.
const CODINGS: [&str; 3] = ["br", "gzip", "zstd"];

/// Which of the known fields an answer varies by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fields(u8);

const KNOWN: [(HeaderName, u8); 5] = [
    (ACCEPT, 1),
    (ACCEPT_ENCODING, 2),
    (ORIGIN, 4),
    (AUTHORIZATION, 8),
    (COOKIE, 16),
];

impl Fields {
    /// `None` if the answer varies by anything else, which is then not stored.
    pub(crate) fn of_answer(headers: &HeaderMap) -> Option<Self> {
        let mut fields = 0;
        for value in headers.get_all(VARY) {
            for name in value
                .to_str()
                .ok()?
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
            {
                let (_, bit) = KNOWN
                    .iter()
                    .find(|(known, _)| known.as_str().eq_ignore_ascii_case(name))?;
                fields |= bit;
            }
        }
        Some(Self(fields))
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The request's values of these fields, as they stand in keys. `None` if one of them is not fit for that.
    pub(crate) fn variant(self, request: &impl Lines) -> Option<String> {
        let mut variant = String::new();
        for (name, bit) in &KNOWN {
            if self.0 & bit == 0 {
                continue;
            }
            if let Some(value) = value(request, name)? {
                variant.push_str(&value);
            } else {
                variant.push('\u{1}');
            }
            // Neither stands in a header's value.
            variant.push('\n');
        }
        Some(variant)
    }

    /// Whether the answer is another one for who says who it is.
    pub(crate) fn has_credentials(self) -> bool {
        self.0 & (8 | 16) != 0
    }

    /// The request's values of these fields, as the origin is told of them.
    pub(crate) fn values(self, request: &HeaderMap) -> HeaderMap {
        let mut values = HeaderMap::new();
        self.copy(request, &mut values);
        values
    }

    /// Gives a request to the origin these fields of a client's request, and no others.
    pub(crate) fn copy(self, from: &HeaderMap, to: &mut HeaderMap) {
        for (name, bit) in KNOWN {
            if self.0 & bit != 0
                && let Some(Some(value)) = value(from, &name)
            {
                set(to, name, value.as_bytes());
            }
        }
    }
}

/// The value of a field, made the same where it means the same. The outer `None`: not fit for keys.
fn value(request: &impl Lines, name: &HeaderName) -> Option<Option<String>> {
    if name == ACCEPT_ENCODING {
        return Some(codings(request));
    }
    let mut values = request.lines(name);
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        // Such answers are kept for those who send none.
        (Some(_), _) if [AUTHORIZATION, COOKIE].contains(name) => None,
        (Some(value), None) => {
            let value = text(value).filter(|value| value.len() <= MAX_VALUE)?;
            Some(Some(value.to_owned()))
        }
        (Some(_), Some(_)) => None,
    }
}

fn codings(request: &impl Lines) -> Option<String> {
    let values = || request.texts(&ACCEPT_ENCODING);
    let accepts = |coding: &str| {
        values().flat_map(|value| value.split(',')).any(|item| {
            let (name, quality) = item.split_once(';').unwrap_or((item, ""));
            let quality: String = quality.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let is_refused = quality
                .strip_prefix("q=")
                .is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
            name.trim().eq_ignore_ascii_case(coding) && !is_refused
        })
    };
    let accepted: Vec<&str> = CODINGS.into_iter().filter(|coding| accepts(coding)).collect();
    (!accepted.is_empty()).then(|| accepted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn spellings_of_accepted_codings_are_one_variant() {
        let encoding = Fields::of_answer(&with(VARY, "accept-encoding")).unwrap();
        let variant = |value| encoding.variant(&with(ACCEPT_ENCODING, value)).unwrap();
        assert_eq!(variant("gzip, deflate, br"), variant("BR;q=0.5,gzip"));
        assert_ne!(variant("gzip"), variant("gzip, br"));
        assert_eq!(variant("gzip, br;q=0"), variant("gzip"));
        assert_eq!(variant("identity"), encoding.variant(&HeaderMap::new()).unwrap());
    }

    #[test]
    fn answers_that_vary_by_unknown_fields_have_none() {
        assert_eq!(Fields::of_answer(&with(VARY, "*")), None);
        assert_eq!(Fields::of_answer(&with(VARY, "origin, user-agent")), None);
        assert_eq!(Fields::of_answer(&HeaderMap::new()), Some(Fields::default()));
    }

    #[test]
    fn s39_credentials_are_never_part_of_a_key() {
        for name in [AUTHORIZATION, COOKIE] {
            let fields = Fields::of_answer(&with(VARY, name.as_str())).unwrap();
            assert_eq!(fields.variant(&with(name, "secret")), None);
            assert!(fields.variant(&HeaderMap::new()).is_some());
        }
    }

    #[test]
    fn absent_values_are_unlike_all_others() {
        let both = Fields::of_answer(&with(VARY, "Origin, Accept")).unwrap();
        let none = both.variant(&HeaderMap::new()).unwrap();
        assert_ne!(none, both.variant(&with(ACCEPT, "")).unwrap());
        assert_ne!(both.variant(&with(ACCEPT, "a")), both.variant(&with(ORIGIN, "a")));
    }
}
