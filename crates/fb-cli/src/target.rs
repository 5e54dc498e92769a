//! Which app is meant: the URL of its API.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::CliError;

/// The API of one app, such as `http://localhost:8080/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    origin: String,
    base: String,
    is_tls: bool,
    is_loopback: bool,
}

impl Target {
    /// Reads a URL. Without a path it gets `/v1`, or `/apps/<app>/v1` if an app is named; without a scheme, `http://` for
    /// this machine and `https://` for others.
    pub fn parse(text: &str, app: Option<&str>) -> Result<Self, CliError> {
        let wrong = |why: &str| CliError::Usage(format!("`{text}` is no URL of an app: {why}"));
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => {
                let host = text.split(['/', ':']).next().unwrap_or_default();
                let is_local = host == "localhost" || host.starts_with("127.") || text.starts_with("[::1]");
                format!("{}://{text}", if is_local { "http" } else { "https" })
            }
        };
        let url = Url::parse(&with_scheme).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "it must not hold a password; use `freshbase login` or FRESHBASE_TOKEN",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it must not have a query"));
        }
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
            Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
            None => return Err(wrong("it has no host")),
        };
        let path = url.path().trim_end_matches('/');
        let base = match app {
            None if path.is_empty() => "/v1".to_owned(),
            None => path.to_owned(),
            Some(app) => {
                let app = fb_types::AppId::new(app).map_err(|error| CliError::Usage(error.to_string()))?;
                if !matches!(path, "" | "/v1") {
                    return Err(wrong("it has a path already, so --app cannot be given"));
                }
                format!("/apps/{app}/v1")
            }
        };
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            base,
            is_tls: url.scheme() == "https",
            is_loopback,
        })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// True if tokens would cross a network readable.
    pub fn is_readable_by_others(&self) -> bool {
        !self.is_tls && !self.is_loopback
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.base)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_completed() {
        for (text, app, expected) in [
            ("http://localhost:8080/v1", None, "http://localhost:8080/v1"),
            ("http://localhost:8080/v1/", None, "http://localhost:8080/v1"),
            ("http://localhost:8080", None, "http://localhost:8080/v1"),
            ("localhost:8080", None, "http://localhost:8080/v1"),
            ("127.0.0.1:8080", None, "http://127.0.0.1:8080/v1"),
            ("[::1]:8080", None, "http://[::1]:8080/v1"),
            ("api.example.com", None, "https://api.example.com/v1"),
            ("https://EXAMPLE.com:443/", None, "https://example.com/v1"),
            (
                "https://example.com/apps/shop/v1",
                None,
                "https://example.com/apps/shop/v1",
            ),
            ("localhost:8080", Some("shop"), "http://localhost:8080/apps/shop/v1"),
            (
                "http://localhost:8080/v1",
                Some("shop"),
                "http://localhost:8080/apps/shop/v1",
            ),
        ] {
            assert_eq!(Target::parse(text, app).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_an_app_is_refused() {
        for (text, app) in [
            ("", None),
            ("ftp://example.com", None),
            ("https://ann:secret@example.com/v1", None),
            ("https://example.com/v1?x=1", None),
            ("https://example.com/apps/shop/v1", Some("shop")),
            ("https://example.com", Some("../shop")),
        ] {
            let error = Target::parse(text, app).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}: {error}");
            assert!(!error.to_string().contains("\n"));
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_encryption_unnoticed() {
        let is_readable = |text| Target::parse(text, None).unwrap().is_readable_by_others();
        assert!(is_readable("http://example.com/v1") && is_readable("http://192.168.0.1/v1"));
        assert!(!is_readable("http://localhost/v1") && !is_readable("https://example.com"));
    }
}
