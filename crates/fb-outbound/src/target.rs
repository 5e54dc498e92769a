//! From a URL's text to what is connected to. There is one parser, and its result is both checked and used, so that no
//! second reading of the URL can disagree with the first.

use std::net::{IpAddr, Ipv4Addr};

use http::Uri;
use http::uri::PathAndQuery;

use crate::OutboundError;

/// Longest URL in bytes.
const MAX_URL: usize = 8 * 1024;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) is_tls: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Host and port as they go into the `Host` header.
    pub(crate) authority: String,
    pub(crate) path: PathAndQuery,
}

/// A host in normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Ip(IpAddr),
    /// Lower case, without a dot at the end, ASCII only: names in other scripts are given in their `xn--` form.
    Name(String),
}

impl Target {
    /// Reads an absolute `http` or `https` URL. A fragment is an error here, although it would not be sent.
    pub(crate) fn parse(url: &str) -> Result<Self, OutboundError> {
        let invalid = |reason| OutboundError::Invalid { reason };
        if url.len() > MAX_URL {
            return Err(invalid("it is too long"));
        }
        // `Uri` drops fragments silently.
        if url.contains('#') {
            return Err(invalid("it has a fragment"));
        }
        let uri: Uri = url.parse().map_err(|_| invalid("it is malformed"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(invalid("only http and https are spoken")),
            None => return Err(invalid("it is not absolute")),
        };
        let authority = uri.authority().ok_or(invalid("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("it carries a user name or password"));
        }
        let (host, port) = split_port(authority.as_str()).map_err(invalid)?;
        let host = Host::parse(host).map_err(invalid)?;
        let default_port = if is_tls { 443 } else { 80 };
        let port = port.unwrap_or(default_port);
        let mut authority = host.in_authority();
        if port != default_port {
            authority.push_str(&format!(":{port}"));
        }
        let path = match uri.path_and_query() {
            // Written out it begins with a slash, which `https://host?query` lacks.
            Some(path) => path.to_string().parse().map_err(|_| invalid("its path is malformed"))?,
            None => PathAndQuery::from_static("/"),
        };
        Ok(Self {
            is_tls,
            host,
            port,
            authority,
            path,
        })
    }
}

impl Host {
    /// Reads a host: a dotted address, an address in brackets, or a name.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(v6) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let ip = v6.parse().map_err(|_| "its host is no IPv6 address")?;
            return Ok(Self::Ip(IpAddr::V6(ip)));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(IpAddr::V4(ip)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err("its host is no name");
        }
        // `2130706433`, `0x7f.1` and `127.1` are loopback to the system's resolver. The filter behind it would catch
        // them; they are refused here because nothing serious is called that.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
            return Err("its host looks like an address in an unusual form");
        }
        Ok(Self::Name(name))
    }

    fn in_authority(&self) -> String {
        match self {
            Self::Ip(IpAddr::V4(ip)) => ip.to_string(),
            Self::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            Self::Name(name) => name.clone(),
        }
    }
}

/// Splits `host:port`; IPv6 addresses are in brackets.
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let end_of_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = text[end_of_host..].find(':').map(|i| end_of_host + i) else {
        return Ok((text, None));
    };
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port) if is_number && port != 0 => Ok((host, Some(port))),
        _ => Err("its port is no number from 1 to 65535"),
    }
}
