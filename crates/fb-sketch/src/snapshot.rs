//! A filter at an instant, encoded once for everybody who asks.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::delta::{self, Version};
use crate::filter::{Filter, Malformed};
use crate::time::Moment;

const MAGIC: &[u8; 4] = b"FBF1";

/// What the filter was at its generation instant: it contains every key that was reported as written before that and of which
/// an older copy may live on.
#[derive(Debug, Clone)]
pub struct Snapshot {
    generation: Moment,
    body: Arc<Body>,
    /// Oldest first.
    earlier: Arc<VecDeque<Arc<Body>>>,
}

/// One version of the filter in all its forms.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) version: Version,
    filter: Arc<Filter>,
    json: OnceLock<Bytes>,
    binary: OnceLock<Bytes>,
}

impl Body {
    pub(crate) fn new(version: Version, filter: Filter) -> Self {
        Self {
            version,
            filter: Arc::new(filter),
            json: OnceLock::new(),
            binary: OnceLock::new(),
        }
    }
}

impl Snapshot {
    pub(crate) fn first(generation: Moment, body: Body) -> Self {
        Self {
            generation,
            body: Arc::new(body),
            earlier: Arc::default(),
        }
    }

    /// The same filter, confirmed later.
    pub(crate) fn again(&self, generation: Moment) -> Self {
        Self {
            generation,
            ..self.clone()
        }
    }

    pub(crate) fn followed_by(&self, generation: Moment, body: Body, n_versions: usize) -> Self {
        let mut earlier = VecDeque::clone(&self.earlier);
        earlier.push_back(self.body.clone());
        while earlier.len() > n_versions {
            earlier.pop_front();
        }
        Self {
            generation,
            body: Arc::new(body),
            earlier: Arc::new(earlier),
        }
    }

    /// When it was made. Its age, for an `Age` header rounded *up*, is the time since then.
    pub fn generation(&self) -> Moment {
        self.generation
    }

    /// Its version. Equal versions are equal filters; the generation may differ.
    pub fn version(&self) -> Version {
        self.body.version
    }

    /// The filter.
    pub fn filter(&self) -> &Arc<Filter> {
        &self.body.filter
    }

    /// [`Filter::to_json`], made by the first who asks.
    pub fn json(&self) -> Bytes {
        self.body.json.get_or_init(|| self.body.filter.to_json().into()).clone()
    }

    /// The binary form, made by the first who asks. Layout: `FBF1`, boot in 8 bytes little-endian, then version number, `m` and `h` in
    /// LEB128, then the bits without zero bytes at the end.
    pub fn binary(&self) -> Bytes {
        self.body
            .binary
            .get_or_init(|| encode(&self.body.filter, self.body.version))
            .clone()
    }

    /// What makes this out of an earlier version; none if that is too long ago, of another size or process, or the whole
    /// filter is shorter.
    ///
    /// Cost: linear in the bitmap.
    pub fn since(&self, known: Version) -> Option<Bytes> {
        let all = self.earlier.iter().rev().chain([&self.body]);
        let old = all.into_iter().find(|body| body.version == known)?;
        let delta = delta::encode(&old.filter, known, &self.body.filter, self.body.version).ok()?;
        (delta.len() < self.binary().len()).then_some(delta)
    }
}

fn encode(filter: &Filter, version: Version) -> Bytes {
    let bits = filter.significant();
    let mut out = Vec::with_capacity(bits.len() + 32);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&version.boot.to_le_bytes());
    for number in [version.number, u64::from(filter.m()), u64::from(filter.h())] {
        delta::push(&mut out, number);
    }
    out.extend_from_slice(bits);
    out.into()
}

/// Reads [`Snapshot::binary`].
///
/// # Errors
/// [`Malformed`]; never panics.
pub fn decode(binary: &[u8]) -> Result<(Filter, Version), Malformed> {
    let rest = binary.strip_prefix(MAGIC).ok_or(Malformed::Syntax)?;
    let (boot, mut rest) = rest.split_first_chunk::<8>().ok_or(Malformed::Syntax)?;
    let boot = u64::from_le_bytes(*boot);
    let [number, m, h] = [
        delta::pull(&mut rest)?,
        delta::pull(&mut rest)?,
        delta::pull(&mut rest)?,
    ];
    let m = u32::try_from(m).map_err(|_| Malformed::Size)?;
    let h = u8::try_from(h).map_err(|_| Malformed::Size)?;
    Ok((Filter::new(m, h, rest)?, Version { boot, number }))
}
