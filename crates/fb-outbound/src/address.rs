//! Which addresses belong to the public internet.
//!
//! Source: the special-purpose address registries of IANA (RFC 6890 and its updates), as of 2026. For IPv6 the rule is
//! reversed: only global unicast, `2000::/3`, is public at all, which leaves out loopback, mapped and compatible IPv4,
//! NAT64, unique local, link-local and multicast without naming them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not the public internet: network, prefix length, name.
const SPECIAL_V4: &[(Ipv4Addr, u8, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an address of this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (
        Ipv4Addr::new(100, 64, 0, 0),
        10,
        "an address of a provider's own network",
    ),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "an address for protocols"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "an address of a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "an address for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved or broadcast address"),
];

/// Networks inside of `2000::/3` that are not the public internet.
const SPECIAL_V6: &[(Ipv6Addr, u8, &str)] = &[
    // With Teredo (an embedded IPv4 address), ORCHID and benchmarks.
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        "an address for protocols",
    ),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "an address for documentation",
    ),
    (
        Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),
        16,
        "an embedded IPv4 address (6to4)",
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "an address for documentation",
    ),
];

/// Why `ip` is not on the public internet; `None` if it is.
pub fn why_refused(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => SPECIAL_V4
            .iter()
            .find(|(network, prefix, _)| contains_v4(*network, *prefix, ip))
            .map(|(_, _, name)| *name),
        IpAddr::V6(ip) if ip.segments()[0] & 0xe000 != 0x2000 => Some(name_of_v6(ip)),
        IpAddr::V6(ip) => SPECIAL_V6
            .iter()
            .find(|(network, prefix, _)| contains_v6(*network, *prefix, ip))
            .map(|(_, _, name)| *name),
    }
}

/// Is `ip` in the private networks that a company runs services in? Loopback, private, provider-internal and unique local
/// addresses are; link-local ones, where clouds serve credentials, are not.
pub(crate) fn is_internal(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || contains_v4(Ipv4Addr::new(100, 64, 0, 0), 10, ip),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

/// Is `ip` in the network of the first `prefix` bits of `network`? Families never mix, mapped addresses included.
pub(crate) fn contains(network: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => contains_v4(network, prefix, ip),
        (IpAddr::V6(network), IpAddr::V6(ip)) => contains_v6(network, prefix, ip),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn contains_v4(network: Ipv4Addr, prefix: u8, ip: Ipv4Addr) -> bool {
    // A shift by the whole width, for prefix 0, has no value and leaves no bits to compare.
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    (network.to_bits() ^ ip.to_bits()) & mask == 0
}

fn contains_v6(network: Ipv6Addr, prefix: u8, ip: Ipv6Addr) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
    (network.to_bits() ^ ip.to_bits()) & mask == 0
}

/// A word for what is outside of `2000::/3`, for the error message only.
fn name_of_v6(ip: Ipv6Addr) -> &'static str {
    if ip.is_loopback() {
        "a loopback address"
    } else if ip.is_unspecified() {
        "an address of this network"
    } else if ip.is_unique_local() {
        "a private address"
    } else if ip.is_unicast_link_local() {
        "a link-local address"
    } else if ip.is_multicast() {
        "a multicast address"
    } else if ip.to_ipv4().is_some() || contains_v6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 32, ip) {
        "an embedded IPv4 address"
    } else {
        "not a public address"
    }
}
