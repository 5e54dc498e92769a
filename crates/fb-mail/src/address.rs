//! Mail addresses and senders, each parsed once.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::text::is_unfit;

/// Longest address in bytes (RFC 5321, erratum 1690).
const MAX_ADDRESS: usize = 254;
/// Longest display name in bytes.
const MAX_NAME: usize = 200;

/// Why a text is no mail address or sender. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address.
    #[error("not a mail address")]
    Syntax,
    /// An address longer than 254 bytes.
    #[error("a mail address has at most {MAX_ADDRESS} bytes")]
    TooLong,
    /// A display name with control characters, or longer than 200 bytes.
    #[error("a display name has at most {MAX_NAME} bytes and no control characters")]
    Name,
}

/// Whether `text` is an address that mail can be sent to: at most 254 bytes of `local@domain`.
///
/// Stricter than the standards, because mail servers read the rare forms differently: no quoted local parts, no encoded
/// words, none of the routing characters `%` and `!`, no IP addresses as domain. Letters outside of ASCII are fine.
pub fn is_address(text: &str) -> bool {
    Address::parse(text).is_ok()
}

/// A checked address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// As it was given.
    text: String,
    /// With the domain in ASCII, as it goes over the wire.
    wire: lettre::Address,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Syntax)?;
        let is_odd_local = local.contains(['"', '\\', '%', '!', '@']) || local.contains("=?");
        let is_number = domain.starts_with('[') || domain.parse::<IpAddr>().is_ok();
        if is_odd_local || is_number || text.contains(|c: char| is_unfit(c) || c.is_whitespace()) {
            return Err(AddressError::Syntax);
        }
        let wire = if domain.is_ascii() {
            lettre::Address::new(local, domain)
        } else {
            // Servers without SMTPUTF8 take such a domain as well when it is in its ASCII form.
            let ascii = match url::Host::parse(domain) {
                Ok(url::Host::Domain(ascii)) => ascii,
                Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) | Err(_) => return Err(AddressError::Syntax),
            };
            lettre::Address::new(local, ascii)
        };
        let wire = wire.map_err(|_| AddressError::Syntax)?;
        Ok(Self {
            text: text.to_owned(),
            wire,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn local(&self) -> &str {
        self.wire.user()
    }

    pub(crate) fn wire(&self) -> &lettre::Address {
        &self.wire
    }

    /// `***@example.org`, for logs.
    pub(crate) fn redacted(&self) -> String {
        format!("***@{}", self.wire.domain())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Who a message is from: an address, and maybe a display name.
///
/// Its text, for configuration, is `Name <local@domain>` or the address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    name: Option<String>,
    address: Address,
}

impl Sender {
    /// Checks and takes both. A blank name is none.
    pub fn new(name: Option<&str>, address: &str) -> Result<Self, AddressError> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        if name.is_some_and(|name| name.len() > MAX_NAME || name.contains(is_unfit)) {
            return Err(AddressError::Name);
        }
        Ok(Self {
            name: name.map(str::to_owned),
            address: Address::parse(address)?,
        })
    }

    /// The display name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address.
    pub fn address(&self) -> &str {
        self.address.as_str()
    }

    pub(crate) fn wire(&self) -> &lettre::Address {
        self.address.wire()
    }
}

impl FromStr for Sender {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
            Some((name, address)) => Self::new(Some(name), address),
            None => Self::new(None, text),
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address()),
            None => f.write_str(self.address()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in [
            "bob@example.org",
            "b.o-b+tag@mail.example.co.uk",
            "o'neil@example.org",
            "bob@localhost",
            "jürgen@example.org",
            "bob@bücher.example",
            "a=b@example.org",
        ] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("bob@{}.org", "a.".repeat(130));
        for bad in [
            "",
            "@",
            "bob",
            "bob@",
            "@example.org",
            " bob@example.org",
            "bob@example.org ",
            "bob@example.org\n",
            "b ob@example.org",
            "bob@exa mple.org",
            "bob@example..org",
            "bob..x@example.org",
            "bob@example.org,eve@example.org",
            "bob@example.org;eve@example.org",
            "<bob@example.org>",
            "Bob <bob@example.org>",
            "bob@eve@example.org",
            "\"bob\"@example.org",
            "\"bob@x\"@example.org",
            "bob%x@example.org",
            "x!bob@example.org",
            "=?utf-8?q?bob=40x?=@example.org",
            "bob@[127.0.0.1]",
            "bob@127.0.0.1",
            "bob@[IPv6:::1]",
            "bob@example.org\0",
            "bob@\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "bo\u{202e}b@example.org",
            "bo\u{85}b@example.org",
            "bob@exam\u{2028}ple.org",
            &long,
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn domains_go_over_the_wire_in_ascii() {
        let address = Address::parse("bob@bücher.example").unwrap();
        assert_eq!(address.wire().to_string(), "bob@xn--bcher-kva.example");
        assert_eq!(address.as_str(), "bob@bücher.example");
    }

    #[test]
    fn senders_have_a_text() {
        let sender: Sender = "Freshbase Mail <noreply@example.org>".parse().unwrap();
        assert_eq!(
            (sender.name(), sender.address()),
            (Some("Freshbase Mail"), "noreply@example.org")
        );
        assert_eq!(sender.to_string(), "Freshbase Mail <noreply@example.org>");
        let bare: Sender = "noreply@example.org".parse().unwrap();
        assert_eq!(bare.name(), None);
        assert_eq!("<noreply@example.org>".parse::<Sender>().unwrap(), bare);
        assert!("A\r\nBcc: x <noreply@example.org>".parse::<Sender>().is_err());
        assert!("A <noreply@example.org".parse::<Sender>().is_err());
    }

    #[test]
    fn logs_show_no_local_part() {
        let sender = Sender::new(None, "bob@example.org").unwrap();
        assert!(!format!("{sender:?}").contains("bob"));
    }
}
