//! How one version of a filter becomes another: what a client that has the one needs to have the other.
//!
//! # Layout
//! Numbers are LEB128 (7 bits per byte, least significant first, at most 10 bytes) unless said otherwise.
//!
//! | part | |
//! | --- | --- |
//! | `FBD1` | four bytes; other readers refuse it |
//! | boot | 8 bytes, little-endian: the process that counts the versions |
//! | from, to | the versions |
//! | m, h | the size, which must be that of the client's filter |
//! | runs, to the end | `skip << 1` and one byte, or `skip << 1 \| 1`, `length` and that many bytes |
//!
//! A run skips so many bytes of the bitmap behind the previous run and lays its bytes over what follows with exclusive or. A key that comes
//! or goes changes at most `h` single bits, so most runs have one byte and take two or three.

use bytes::Bytes;

use crate::filter::{Filter, Malformed};

const MAGIC: &[u8; 4] = b"FBD1";

/// A version of an app's filter, unique across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// A random number that the process drew when it started.
    pub boot: u64,
    /// Counts changes. 0 is the filter that contains everything.
    pub number: u64,
}

impl Version {
    /// For `ETag`, without quotes: 16 hexadecimal digits, a dot, the number.
    pub fn tag(self) -> String {
        format!("{:016x}.{}", self.boot, self.number)
    }

    /// Reads [`tag`](Self::tag), with or without quotes and the mark of weak tags.
    pub fn parse(tag: &str) -> Option<Self> {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let tag = tag
            .strip_prefix('"')
            .and_then(|tag| tag.strip_suffix('"'))
            .unwrap_or(tag);
        let (boot, number) = tag.split_once('.')?;
        if boot.len() != 16 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            boot: u64::from_str_radix(boot, 16).ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// The difference between two filters of one size.
///
/// Cost: linear in the bitmap, eight bytes at a time where nothing changed.
///
/// # Errors
/// [`Malformed::OtherVersion`] if the sizes differ, or the versions are of different processes.
pub fn encode(old: &Filter, from: Version, new: &Filter, to: Version) -> Result<Bytes, Malformed> {
    if (old.m(), old.h()) != (new.m(), new.h()) || from.boot != to.boot {
        return Err(Malformed::OtherVersion);
    }
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&from.boot.to_le_bytes());
    for number in [from.number, to.number, u64::from(new.m()), u64::from(new.h())] {
        push(&mut out, number);
    }
    let (old, new) = (old.bits(), new.bits());
    let mut at = 0;
    let mut end_of_last = 0;
    while at < new.len() {
        if old[at..].get(..8) == new[at..].get(..8) && at + 8 <= new.len() {
            at += 8;
            continue;
        }
        if old[at] == new[at] {
            at += 1;
            continue;
        }
        // Up to two equal bytes inside of a run are cheaper than a new one.
        let mut end = at + 1;
        let mut next = end;
        while next < new.len() && next - end < 3 {
            if old[next] != new[next] {
                end = next + 1;
            }
            next += 1;
        }
        let skip = (at - end_of_last) as u64;
        if end - at == 1 {
            push(&mut out, skip << 1);
        } else {
            push(&mut out, skip << 1 | 1);
            push(&mut out, (end - at) as u64);
        }
        out.extend(old[at..end].iter().zip(&new[at..end]).map(|(a, b)| a ^ b));
        at = end;
        end_of_last = end;
    }
    Ok(out.into())
}

/// Turns `filter`, which is version `have`, into the version that is returned.
///
/// # Errors
/// [`Malformed`], with `filter` unchanged. Never panics; takes no memory beside the filter's.
pub fn apply(delta: &[u8], filter: &mut Filter, have: Version) -> Result<Version, Malformed> {
    let mut rest = delta.strip_prefix(MAGIC).ok_or(Malformed::Syntax)?;
    let (boot, tail) = rest.split_first_chunk::<8>().ok_or(Malformed::Syntax)?;
    let boot = u64::from_le_bytes(*boot);
    rest = tail;
    let [from, to, m, h] = [pull(&mut rest)?, pull(&mut rest)?, pull(&mut rest)?, pull(&mut rest)?];
    let mine = (have.boot, have.number, u64::from(filter.m()), u64::from(filter.h()));
    if (boot, from, m, h) != mine {
        return Err(Malformed::OtherVersion);
    }
    // Looked through once before anything is changed.
    let n_bytes = filter.bits().len();
    for_each_run(rest, n_bytes, |_, _| ())?;
    let bits = filter.bits_mut();
    for_each_run(rest, n_bytes, |at, bytes| {
        for (bit, change) in bits[at..].iter_mut().zip(bytes) {
            *bit ^= change;
        }
    })?;
    Ok(Version { boot, number: to })
}

fn for_each_run(mut rest: &[u8], n_bytes: usize, mut run: impl FnMut(usize, &[u8])) -> Result<(), Malformed> {
    let mut at = 0_usize;
    while !rest.is_empty() {
        let head = pull(&mut rest)?;
        let length = if head & 1 == 0 { 1 } else { pull(&mut rest)? };
        let skip = usize::try_from(head >> 1).map_err(|_| Malformed::Syntax)?;
        let length = usize::try_from(length).map_err(|_| Malformed::Syntax)?;
        at = at.checked_add(skip).ok_or(Malformed::Syntax)?;
        let end = at
            .checked_add(length)
            .filter(|&end| end <= n_bytes)
            .ok_or(Malformed::Syntax)?;
        let (bytes, tail) = rest.split_at_checked(length).ok_or(Malformed::Syntax)?;
        run(at, bytes);
        rest = tail;
        at = end;
    }
    Ok(())
}

pub(crate) fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn pull(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(Malformed::Syntax)?;
        *rest = tail;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return Err(Malformed::Syntax);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed::Syntax)
}
