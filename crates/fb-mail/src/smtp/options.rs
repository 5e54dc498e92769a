//! Where the mail server is, and how to log in there.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::SmtpError;

/// A mail server and the login there, from a URL:
///
/// - `smtp://user:password@host:587`: begins in plaintext and insists on STARTTLS before anything else; port 587 if none is
///   given
/// - `smtps://user:password@host:465`: TLS from the start; port 465 if none is given
/// - `smtp://127.0.0.1:2525?tls=none`: plaintext throughout, the login included
///
/// The login may be left out. `&hello=mail.example.org` (or `?hello=`) sets the name under which this machine introduces
/// itself, `[127.0.0.1]` by default. What has a meaning in URLs is percent-encoded in user and password.
///
/// Neither `Debug` nor `Display` show the password, and no error repeats any part of the URL.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpOptions {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) login: Option<Login>,
    pub(super) hello: Option<String>,
}

/// When the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// From the first byte.
    Tls,
    /// After a plaintext beginning; without it the conversation ends.
    StartTls,
    /// Never.
    Plaintext,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl SmtpOptions {
    /// Whether messages, and the login if there is one, go over the network unencrypted.
    pub fn is_plaintext(&self) -> bool {
        self.security == Security::Plaintext
    }
}

impl FromStr for SmtpOptions {
    type Err = SmtpError;

    fn from_str(text: &str) -> Result<Self, SmtpError> {
        let url = url::Url::parse(text).map_err(|_| SmtpError::Url("it cannot be parsed"))?;
        let (mut security, default_port) = match url.scheme() {
            "smtp" => (Security::StartTls, 587),
            "smtps" => (Security::Tls, 465),
            _ => return Err(SmtpError::Url("it begins with smtp:// or smtps://")),
        };
        let host = match url.host() {
            Some(url::Host::Domain(name)) if is_host_name(name) => name.to_owned(),
            Some(url::Host::Ipv4(ip)) => ip.to_string(),
            Some(url::Host::Ipv6(ip)) => ip.to_string(),
            Some(url::Host::Domain(_)) | None => return Err(SmtpError::Url("a host name or IP address is expected")),
        };
        // A password with an unencoded `/` or `#` would otherwise become a path, and its user name the host.
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpError::Url(
                "nothing but ? may follow the port; / and # in a password are written %2F and %23",
            ));
        }
        let mut hello = None;
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("tls", "none") if security != Security::Tls => security = Security::Plaintext,
                ("hello", name) if is_host_name(name) => hello = Some(name.to_owned()),
                _ => {
                    return Err(SmtpError::Url(
                        "?tls=none (with smtp://) and ?hello=<host name> are all there is",
                    ));
                }
            }
        }
        let port = url.port().unwrap_or(default_port);
        if port == 0 {
            return Err(SmtpError::Url("port 0 is no port"));
        }
        Ok(Self {
            host,
            port,
            security,
            login: login(&url)?,
            hello,
        })
    }
}

fn login(url: &url::Url) -> Result<Option<Login>, SmtpError> {
    let (user, password) = match (url.username(), url.password()) {
        ("", None) => return Ok(None),
        ("", Some(_)) | (_, None) => return Err(SmtpError::Url("user and password go together")),
        (user, Some(password)) => (user, password),
    };
    // AUTH PLAIN separates with NUL.
    let decode = |text| match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        Ok(_) | Err(_) => Err(SmtpError::Url("user and password are UTF-8 without NUL")),
    };
    Ok(Some(Login {
        user: decode(user)?,
        password: decode(password)?,
    }))
}

fn is_host_name(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=253).contains(&name.len()) && name.bytes().all(ok)
}

impl fmt::Display for SmtpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.security == Security::Tls {
            "smtps://"
        } else {
            "smtp://"
        })?;
        if self.login.is_some() {
            f.write_str("***@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        if self.is_plaintext() {
            f.write_str("?tls=none")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SmtpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpOptions({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_and_how() {
        for (url, host, port, security, login) in [
            (
                "smtp://mail.example.org",
                "mail.example.org",
                587,
                Security::StartTls,
                None,
            ),
            (
                "smtps://mail.example.org/",
                "mail.example.org",
                465,
                Security::Tls,
                None,
            ),
            (
                "smtp://127.0.0.1:2525?tls=none",
                "127.0.0.1",
                2525,
                Security::Plaintext,
                None,
            ),
            ("smtp://[::1]:25", "::1", 25, Security::StartTls, None),
            (
                "smtps://bob%40example.org:p%2F%23%3A@mail.example.org:4650",
                "mail.example.org",
                4650,
                Security::Tls,
                Some(("bob@example.org", "p/#:")),
            ),
        ] {
            let options: SmtpOptions = url.parse().unwrap();
            assert_eq!(
                (&*options.host, options.port, options.security),
                (host, port, security),
                "{url}"
            );
            let found = options.login.as_ref().map(|login| (&*login.user, &*login.password));
            assert_eq!(found, login, "{url}");
        }
        let options: SmtpOptions = "smtp://h?tls=none&hello=a.example".parse().unwrap();
        assert_eq!(options.hello.as_deref(), Some("a.example"));
    }

    #[test]
    fn s47_passwords_show_nowhere() {
        let options: SmtpOptions = "smtp://bob:hunter2@mail.example.org".parse().unwrap();
        assert_eq!(options.to_string(), "smtp://***@mail.example.org:587");
        let smtp = super::super::Smtp::new(options.clone()).unwrap();
        for shown in [
            format!("{options:?} {options:#?} {options}"),
            format!("{smtp:?} {smtp:#?}"),
        ] {
            assert!(!shown.contains("hunter2") && !shown.contains("bob"), "{shown}");
        }
        for bad in [
            "hunter2",
            "http://bob:hunter2@mail.example.org",
            "smtp://bob:25#hunter2@mail.example.org",
            "smtp://bob:25/hunter2@mail.example.org",
            "smtp://bob:25?hunter2@mail.example.org",
            "smtp://bob:hunter2@mail.example.org?tls=maybe",
            "smtps://bob:hunter2@mail.example.org?tls=none",
            "smtp://bob:hunter2@mail example.org",
            "smtp://bob:hunter2@mail.example.org:0",
            "smtp://bob:hunter2@mail.example.org:99999",
            "smtp://bob:hunter2%00@mail.example.org",
            "smtp://bob:hunter2%ff@mail.example.org",
            "smtp://:hunter2@mail.example.org",
            "smtp://hunter2@mail.example.org",
            "smtp://bob:hunter2@mail.example.org?hello=hunter2%0d%0aMAIL",
            "smtp://bob:hunter2@",
            "smtp:bob:hunter2@mail.example.org",
        ] {
            let error = bad.parse::<SmtpOptions>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{bad}: {error:?}");
        }
    }
}
