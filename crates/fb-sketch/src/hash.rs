//! What a key is to the filter: 64 bits, from which its positions follow.

/// A key (id of an object or file, canonical URL of a query) as the filter sees it: the two 32-bit hashes all its positions
/// are made from.
///
/// The books are kept by this number instead of the key's text. Keys that share it share every position in every filter, so
/// they could not be told apart anyway: the later of their expiries counts, and a write of one makes clients revalidate both. A
/// collision, also one that somebody searched for, costs revalidations and never hides a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(u64);

impl KeyHash {
    /// Hash of a key. Of each UTF-16 unit only the low byte counts, as in the published clients.
    ///
    /// Cost: two passes, about 1 ns per byte; allocates if the key is not ASCII.
    /// Source: protocol 07, section 3.
    pub fn of(key: &str) -> Self {
        if key.is_ascii() {
            Self::of_bytes(key.as_bytes())
        } else {
            let low: Vec<u8> = key.encode_utf16().map(|unit| unit as u8).collect();
            Self::of_bytes(&low)
        }
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let first = murmur3(0, bytes);
        let second = murmur3(first, bytes);
        Self(u64::from(first) << 32 | u64::from(second))
    }

    /// The number itself.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// From [`to_bits`](Self::to_bits).
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its `h` positions in a filter of `m` bits, all below `m`; none if `m` is 0. They may repeat.
    pub fn positions(self, m: u32, h: u8) -> impl Iterator<Item = u32> {
        let (first, second) = (self.0 >> 32, self.0 & 0xffff_ffff);
        let n = if m == 0 { 0 } else { u64::from(h) };
        (0..n).map(move |i| ((first + i * second) % u64::from(m)) as u32)
    }
}

/// MurmurHash3, x86, 32 bits (public domain algorithm by Austin Appleby).
pub(crate) fn murmur3(seed: u32, bytes: &[u8]) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let scramble = |k: u32| k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);

    let mut hash = seed;
    let (blocks, tail) = bytes.as_chunks::<4>();
    for block in blocks {
        hash ^= scramble(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let k = tail.iter().rev().fold(0, |k, &byte| k << 8 | u32::from(byte));
        hash ^= scramble(k);
    }
    // The algorithm takes the length modulo 2^32.
    let length = bytes.len() as u32;
    hash ^= length;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// Hashes numbers that are hashes already; the seed keeps clients, who choose keys, from choosing buckets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mixer(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Mixed(u64);

impl std::hash::BuildHasher for Mixer {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(self.0)
    }
}

impl std::hash::Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(number ^ self.0) * u128::from(0x9e37_79b9_7f4a_7c15_u64 ^ self.0.rotate_left(32) | 1);
        let folded = product as u64 ^ (product >> 64) as u64;
        self.0 = folded;
    }
}

/// A map by key.
pub(crate) type ByKey<V> = std::collections::HashMap<KeyHash, V, Mixer>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur3_gives_the_published_vectors() {
        let words = [
            "Erik",
            "Witt",
            "Hello World",
            "demo",
            "demoo",
            "Lorem ipsum dolor sit amet",
        ];
        let expected: [(u32, [u32; 6]); 3] = [
            (0, [3050897767, 545263713, 427197390, 2714225050, 1838221292, 875169970]),
            (
                42,
                [3678409999, 3132235112, 1233774035, 2755392248, 3694137869, 4206322987],
            ),
            (
                666,
                [3471908579, 2040362262, 1460628018, 3836085620, 244294033, 688456789],
            ),
        ];
        for (seed, hashes) in expected {
            for (word, hash) in words.iter().zip(hashes) {
                assert_eq!(murmur3(seed, word.as_bytes()), hash, "{word} with seed {seed}");
            }
        }
    }

    #[test]
    fn positions_are_the_published_ones() {
        let positions: Vec<u32> = KeyHash::of("Erik").positions(10_000, 5).collect();
        assert_eq!(positions, [7767, 415, 3063, 5711, 8359]);
    }

    #[test]
    fn only_low_bytes_of_utf16_units_count() {
        assert_eq!(
            KeyHash::of("/file/www/ä\u{20ac}"),
            KeyHash::of_bytes(b"/file/www/\xe4\xac")
        );
    }

    #[test]
    fn a_filter_without_bits_has_no_positions() {
        assert_eq!(KeyHash::of("a").positions(0, 4).count(), 0);
    }
}
