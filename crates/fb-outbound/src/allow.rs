//! Targets that an operator permits although the guard would refuse them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::address::{contains, is_internal};
use crate::target::{Host, Target, split_port};

/// A target inside of the own network that may be requested, also with plain `http`.
///
/// Text forms, each optionally with `:port` (any port without):
///
/// ```text
/// 127.0.0.1:9000   [::1]:9000     one address
/// 10.1.0.0/16      fd00:1::/32    a network, never with a port
/// idp.internal     idp.test:8443  a name: itself only, not names below it
/// ```
///
/// A name is trusted together with its DNS: it may resolve to public, loopback and private addresses, but not to
/// link-local ones, where clouds serve credentials; those can only be permitted by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTarget {
    host: AllowedHost,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowedHost {
    Network { network: IpAddr, prefix: u8 },
    Name(String),
}

/// A text is no [`AllowedTarget`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no target: expected a host, host:port, an address or a network such as 10.1.0.0/16")]
pub struct AllowError {
    text: String,
}

impl AllowedTarget {
    /// Does this permit a connection for `target` to `ip`?
    pub(crate) fn permits(&self, target: &Target, ip: IpAddr) -> bool {
        if self.port.is_some_and(|port| port != target.port) {
            return false;
        }
        match &self.host {
            AllowedHost::Network { network, prefix } => contains(*network, *prefix, ip),
            AllowedHost::Name(name) => {
                let is_named = matches!(&target.host, Host::Name(host) if host == name);
                is_named && (is_internal(ip) || crate::why_refused(ip).is_none())
            }
        }
    }
}

impl FromStr for AllowedTarget {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        let error = || AllowError { text: text.to_owned() };
        if let Some((network, prefix)) = text.split_once('/') {
            let network: IpAddr = network.parse().map_err(|_| error())?;
            let prefix: u8 = prefix.parse().map_err(|_| error())?;
            let longest = if network.is_ipv4() { 32 } else { 128 };
            if prefix > longest {
                return Err(error());
            }
            let host = AllowedHost::Network { network, prefix };
            return Ok(Self { host, port: None });
        }
        let one = |ip: IpAddr| AllowedHost::Network {
            network: ip,
            prefix: if ip.is_ipv4() { 32 } else { 128 },
        };
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self {
                host: one(ip),
                port: None,
            });
        }
        let (host, port) = split_port(text).map_err(|_| error())?;
        let host = match Host::parse(host).map_err(|_| error())? {
            Host::Ip(ip) => one(ip),
            Host::Name(name) => AllowedHost::Name(name),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for AllowedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            AllowedHost::Name(name) => f.write_str(name)?,
            AllowedHost::Network {
                network: IpAddr::V4(ip),
                prefix: 32,
            } => write!(f, "{ip}")?,
            AllowedHost::Network {
                network: IpAddr::V6(ip),
                prefix: 128,
            } => write!(f, "[{ip}]")?,
            AllowedHost::Network { network, prefix } => write!(f, "{network}/{prefix}")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}
