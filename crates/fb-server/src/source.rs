//! Where a request comes from, as far as limits are concerned.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use fb_app::Source;
use http::HeaderMap;

/// A proxy, or a network of them, whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedProxy {
    address: IpAddr,
    /// Leading bits that count.
    bits: u8,
}

impl FromStr for TrustedProxy {
    type Err = String;

    /// `10.0.0.7` or `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is no IP address or network such as 10.0.0.0/8");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= all).ok_or_else(expected)?,
            None => all,
        };
        Ok(Self { address, bits })
    }
}

impl TrustedProxy {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                a.to_bits() & mask == b.to_bits() & mask
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                a.to_bits() & mask == b.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// The address behind the proxies: from the right, the first one in `X-Forwarded-For` that is no trusted proxy. What
/// stands further left, anybody may have written.
pub(crate) fn address_of(peer: IpAddr, headers: &HeaderMap, trusted: &[TrustedProxy]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|proxy| proxy.contains(address));
    let mut address = peer.to_canonical();
    if is_trusted(address) {
        let forwarded = headers.get_all("x-forwarded-for");
        let all: Vec<&str> = forwarded.iter().filter_map(|value| value.to_str().ok()).collect();
        let all = all.join(",");
        for hop in all.rsplit(',') {
            let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
            address = hop.to_canonical();
            if !is_trusted(address) {
                break;
            }
        }
    }
    address
}

/// The source at that address.
pub(crate) fn source_of(peer: IpAddr, headers: &HeaderMap, trusted: &[TrustedProxy]) -> Source {
    Source::new(match address_of(peer, headers, trusted) {
        IpAddr::V4(address) => address.to_string(),
        // One customer has at least a network of this size.
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_only_trusted_proxies_say_where_a_request_comes_from() {
        let trusted: Vec<TrustedProxy> = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]
            .map(|t| t.parse().unwrap())
            .into();
        for (peer, forwarded, expected) in [
            ("203.0.113.9", "", "203.0.113.9"),
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
            ("10.1.2.3", "", "10.1.2.3"),
            ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
            ("10.1.2.3", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
            ("10.1.2.3", "198.51.100.1, 10.9.9.9, 192.0.2.1", "198.51.100.1"),
            ("10.1.2.3", "198.51.100.1, nonsense", "10.1.2.3"),
            ("::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"),
            ("11.1.2.3", "198.51.100.1", "11.1.2.3"),
            ("2001:db8:1::1", "2001:dead:1:2:3:4:5:6", "2001:dead:1:2::"),
            ("2001:dead:1:2:3:4:5:6", "", "2001:dead:1:2::"),
        ] {
            let mut headers = HeaderMap::new();
            if !forwarded.is_empty() {
                headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            }
            let found = source_of(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found, Source::new(expected), "{peer} {forwarded}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0", "::/129", "host", "10.0.0.0/-1"] {
            assert!(bad.parse::<TrustedProxy>().is_err(), "{bad}");
        }
    }
}
