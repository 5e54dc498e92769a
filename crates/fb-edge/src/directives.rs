//! `Cache-Control`, as far as it is read here.

use std::time::Duration;

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName};

/// Names and values of `Cache-Control`, in lower case. Of a name that comes twice the first one counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Directives(Vec<(String, Option<String>)>);

impl Directives {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::of_header(headers, &CACHE_CONTROL);
        if found.0.is_empty() && headers.get(PRAGMA).is_some_and(|value| value == "no-cache") {
            found.0.push(("no-cache".to_owned(), None));
        }
        found
    }

    /// Those of another header of the same form.
    pub(crate) fn of_header(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut found = Vec::new();
        for value in headers.get_all(name) {
            let Ok(value) = value.to_str() else {
                // Whatever it says, it is not that anything may be kept.
                found.push(("no-store".to_owned(), None));
                continue;
            };
            for directive in value
                .split(',')
                .map(str::trim)
                .filter(|directive| !directive.is_empty())
            {
                let (name, value) = match directive.split_once('=') {
                    Some((name, value)) => (name, Some(value.trim().trim_matches('"').to_owned())),
                    None => (directive, None),
                };
                found.push((name.trim().to_ascii_lowercase(), value));
            }
        }
        Self(found)
    }

    fn get(&self, name: &str) -> Option<&Option<String>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A value in seconds.
    pub(crate) fn seconds(&self, name: &str) -> Option<Duration> {
        self.get(name)?.as_deref()?.parse().ok().map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_in_all_values_and_quoted_or_not() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, "Public, max-age=\"5\"".parse().unwrap());
        headers.append(CACHE_CONTROL, "s-maxage = 7,, stale-if-error=x".parse().unwrap());
        let found = Directives::of(&headers);
        assert!(found.has("public") && !found.has("private"));
        assert_eq!(found.seconds("max-age"), Some(Duration::from_secs(5)));
        assert_eq!(found.seconds("s-maxage"), Some(Duration::from_secs(7)));
        assert_eq!(found.seconds("stale-if-error"), None);
    }
}
