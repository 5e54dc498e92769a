//! The filter of what changed, as a client reads it: `docs/caching.md`, “The filter”.

use anyhow::{Context as _, Result, ensure};

/// The type of a whole filter.
pub(crate) const TYPE: &str = "application/vnd.freshbase.filter";

/// A filter that was fetched.
pub(crate) struct Filter {
    m: u64,
    hashes: u64,
    /// Without zero bytes at the end.
    bits: Vec<u8>,
}

impl Filter {
    /// Reads a filter of [`TYPE`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(b"FBF1").context("not a filter")?;
        let mut rest = rest.get(8..).context("a filter that ends early")?;
        let _version = leb128(&mut rest)?;
        let (m, hashes) = (leb128(&mut rest)?, leb128(&mut rest)?);
        ensure!(
            rest.len() as u64 <= m.div_ceil(8),
            "a filter with more bits than it says"
        );
        Ok(Self {
            m,
            hashes,
            bits: rest.to_vec(),
        })
    }

    /// Whether it names this id, perhaps by mistake.
    pub(crate) fn names(&self, id: Hashes) -> bool {
        let is_set = |bit: u64| {
            let byte = self.bits.get((bit / 8) as usize).copied().unwrap_or_default();
            byte & (1 << (bit % 8)) != 0
        };
        self.m > 0 && (0..self.hashes).all(|i| is_set((u64::from(id.first) + i * u64::from(id.second)) % self.m))
    }
}

/// What the positions of an id are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashes {
    first: u32,
    second: u32,
}

impl Hashes {
    /// Of an id in ASCII.
    pub(crate) fn of(id: &str) -> Self {
        let first = murmur3(0, id.as_bytes());
        Self {
            first,
            second: murmur3(first, id.as_bytes()),
        }
    }
}

fn leb128(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first().context("a number that ends early")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    anyhow::bail!("a number that is too long")
}

/// MurmurHash3, x86, 32 bits (public domain algorithm by Austin Appleby).
fn murmur3(seed: u32, bytes: &[u8]) -> u32 {
    let scramble = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = seed;
    let (blocks, tail) = bytes.as_chunks::<4>();
    for block in blocks {
        hash ^= scramble(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut last = [0; 4];
    last[..tail.len()].copy_from_slice(tail);
    hash ^= scramble(u32::from_le_bytes(last));
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_others_compute() {
        assert_eq!(murmur3(0, b""), 0);
        assert_eq!(murmur3(0, b"hello"), 0x248b_fa47);
        assert_eq!(murmur3(0, b"hello, world"), 0x149b_bb7f);
        assert_eq!(murmur3(0, b"The quick brown fox jumps over the lazy dog"), 0x2e4f_f723);
    }

    #[test]
    fn a_filter_names_what_is_in_it() {
        let (m, hashes) = (14_600_u64, 4_u64);
        let id = Hashes::of("/db/Todo/1");
        let mut bits = vec![0_u8; 1_825];
        for i in 0..hashes {
            let bit = (u64::from(id.first) + i * u64::from(id.second)) % m;
            bits[(bit / 8) as usize] |= 1 << (bit % 8);
        }
        // 14,600 in LEB128 is 0x88 0x72.
        let mut bytes = b"FBF1\0\0\0\0\0\0\0\x01\x05\x88\x72\x04".to_vec();
        bytes.extend_from_slice(&bits);
        let filter = Filter::parse(&bytes).unwrap();
        assert!(filter.names(id) && !filter.names(Hashes::of("/db/Todo/2")));
        assert!(Filter::parse(&bytes[..12]).is_err() && Filter::parse(b"FBD1").is_err());
    }
}
