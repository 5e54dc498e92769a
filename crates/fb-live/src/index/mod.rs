//! Filters found by the values of an object.
//!
//! What is found is what may pass, never less: whoever finds a filter asks it.

mod area;
mod interval;
mod table;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use fb_query::{Access, Bounds, Fields, Filter, Point, Slots, Spot};

use self::area::Areas;
use self::interval::Intervals;
use self::table::Table;

/// Filters of one class by what they look for. Cost of a lookup: per path that filters are found by, a few lookups, and what is
/// found; independent of how many filters there are.
#[derive(Debug, Default)]
pub(crate) struct Index {
    paths: BTreeMap<u32, PathIndex>,
    /// Filters that nothing can be looked up of.
    scan: Vec<u32>,
    /// So that nobody can choose constants that fall together.
    hash: RandomState,
}

/// Where a filter stands in the index; what is needed to take it out.
#[derive(Debug, Default)]
pub(crate) enum Place {
    #[default]
    Scan,
    At(Box<[Spotted]>),
}

#[derive(Debug, Clone)]
pub(crate) struct Spotted {
    path: u32,
    by: By,
}

/// One of the values of an object, as far as it is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lookup {
    Key { path: u32, hash: u32, place: u128 },
    Point { path: u32, point: Point },
}

#[derive(Debug, Clone)]
enum By {
    Equal(u32),
    AtLeast(u128),
    AtMost(u128),
    Between(u128, u128),
    Area(Bounds),
}

#[derive(Debug, Default)]
struct PathIndex {
    equal: Table<()>,
    at_least: BTreeMap<u128, List>,
    at_most: BTreeMap<u128, List>,
    between: Intervals,
    areas: Areas,
}

/// Numbers of filters, or of their views; mostly one.
#[derive(Debug, Default)]
pub(crate) enum List {
    #[default]
    None,
    One(u32),
    #[expect(clippy::box_collection, reason = "it is seldom there, and the others are small")]
    Many(Box<Vec<u32>>),
}

impl Index {
    /// Puts a filter in by the choice that finds the fewest others with it. It is bound already, and to be taken out while it
    /// still is: that keeps the numbers of its paths.
    pub(crate) fn insert(&mut self, slots: &Slots, number: u32, filter: &Filter) -> Place {
        let mut best: Option<(u64, Vec<Spotted>)> = None;
        'choices: for choice in filter.choices() {
            let mut weight = 0;
            let mut spotted = Vec::with_capacity(choice.len());
            for access in choice {
                weight += access.weight();
                let Some(path) = slots.path(access.path()) else {
                    debug_assert!(false, "a choice of a path that the filter does not name");
                    continue 'choices;
                };
                let by = self.by(&access);
                weight += self.crowd(path, &by);
                spotted.push(Spotted { path, by });
            }
            if best.as_ref().is_none_or(|(least, _)| weight < *least) {
                best = Some((weight, spotted));
            }
        }
        let Some((_, spotted)) = best else {
            self.scan.push(number);
            return Place::Scan;
        };
        for Spotted { path, by } in &spotted {
            self.paths.entry(*path).or_default().insert(by, number);
        }
        Place::At(spotted.into())
    }

    pub(crate) fn remove(&mut self, number: u32, place: &Place) {
        match place {
            Place::Scan => {
                if let Some(at) = self.scan.iter().position(|known| *known == number) {
                    self.scan.swap_remove(at);
                }
            }
            Place::At(spotted) => {
                for Spotted { path, by } in spotted {
                    if let Some(index) = self.paths.get_mut(path) {
                        index.remove(by, number);
                        if index.is_empty() {
                            self.paths.remove(path);
                        }
                    }
                }
            }
        }
    }

    /// Adds what is to be looked up of an object.
    pub(crate) fn lookups(&self, slots: &Slots, fields: &Fields<'_>, lookups: &mut Vec<Lookup>) {
        for path in self.paths.keys().copied() {
            slots.spots(fields, path, &mut |spot| {
                lookups.push(match spot {
                    Spot::Key(key) => Lookup::Key {
                        path,
                        hash: self.hash(key),
                        place: Spot::place(key),
                    },
                    Spot::Point(point) => Lookup::Point { path, point },
                });
            });
        }
    }

    /// Reads where lookups begin, and no further.
    pub(crate) fn touch(&self, lookup: &Lookup) -> u32 {
        match lookup {
            Lookup::Key { path, hash, place } => self
                .paths
                .get(path)
                .map_or(0, |index| index.equal.touch(*hash) ^ index.between.touch(*place)),
            Lookup::Point { .. } => 0,
        }
    }

    /// The filters that lookups find, each once and in the order of their numbers.
    pub(crate) fn candidates(&self, lookups: &[Lookup], found: &mut Vec<u32>) {
        found.clear();
        let mut n_once = ROOM;
        for lookup in lookups {
            match lookup {
                Lookup::Key { path, hash, place } => {
                    if let Some(index) = self.paths.get(path) {
                        index.by_key(*hash, *place, &mut |number| found.push(number));
                    }
                }
                Lookup::Point { path, point } => {
                    if let Some(index) = self.paths.get(path) {
                        index.areas.at(*point, &mut |number| found.push(number));
                    }
                }
            }
            // The elements of an array may find the same ones over and over again.
            if found.len() >= 2 * n_once {
                once(found);
                n_once = found.len().max(ROOM);
            }
        }
        once(found);
    }

    /// The filters that are found by nothing but asking them.
    pub(crate) fn scanned(&self) -> &[u32] {
        &self.scan
    }

    /// Keys with the same one find each other's filters: with a million of them, one key in four thousand finds a wrong one.
    fn hash(&self, key: &[u8]) -> u32 {
        (self.hash.hash_one(key) >> 32) as u32
    }

    fn by(&self, access: &Access) -> By {
        match access {
            Access::Equal(_, key) => By::Equal(self.hash(key)),
            Access::Range(_, from, to) => {
                let (least, greatest) = class_of(*from);
                if *to == greatest {
                    By::AtLeast(*from)
                } else if *from == least {
                    By::AtMost(*to)
                } else {
                    By::Between(*from, *to)
                }
            }
            Access::Area(_, bounds) => By::Area(*bounds),
        }
    }

    /// How many filters are found at the same place already.
    fn crowd(&self, path: u32, by: &By) -> u64 {
        match (self.paths.get(&path), by) {
            (Some(index), By::Equal(hash)) => index.equal.count(*hash) as u64,
            _ => 0,
        }
    }
}

/// So many numbers are not looked through for repetitions while there come more.
const ROOM: usize = 4096;

fn once(numbers: &mut Vec<u32>) {
    numbers.sort_unstable();
    numbers.dedup();
}

/// The least and greatest place of values of the same type.
fn class_of(place: u128) -> (u128, u128) {
    let least = place >> 120 << 120;
    (least, least | (!0 >> 8))
}

impl PathIndex {
    fn insert(&mut self, by: &By, number: u32) {
        match by {
            By::Equal(hash) => self.equal.insert(*hash, number, ()),
            By::AtLeast(from) => push_ordered(&mut self.at_least, *from, number),
            By::AtMost(to) => push_ordered(&mut self.at_most, *to, number),
            By::Between(from, to) => self.between.insert(*from, *to, number),
            By::Area(bounds) => self.areas.insert(*bounds, number),
        }
    }

    fn remove(&mut self, by: &By, number: u32) {
        match by {
            By::Equal(hash) => self.equal.remove(*hash, number, ()),
            By::AtLeast(from) => remove_ordered(&mut self.at_least, *from, number),
            By::AtMost(to) => remove_ordered(&mut self.at_most, *to, number),
            By::Between(from, to) => self.between.remove(*from, *to, number),
            By::Area(bounds) => self.areas.remove(*bounds, number),
        }
    }

    fn is_empty(&self) -> bool {
        self.equal.is_empty()
            && self.at_least.is_empty()
            && self.at_most.is_empty()
            && self.between.is_empty()
            && self.areas.is_empty()
    }

    fn by_key(&self, hash: u32, place: u128, found: &mut dyn FnMut(u32)) {
        self.equal.each(hash, |number, ()| found(number));
        if self.at_least.is_empty() && self.at_most.is_empty() && self.between.is_empty() {
            return;
        }
        let (least, greatest) = class_of(place);
        for (_, list) in self.at_least.range(least..=place) {
            list.each(found);
        }
        for (_, list) in self.at_most.range(place..=greatest) {
            list.each(found);
        }
        self.between.at(place, found);
    }
}

fn push_ordered(map: &mut BTreeMap<u128, List>, at: u128, number: u32) {
    map.entry(at).or_default().push(number);
}

fn remove_ordered(map: &mut BTreeMap<u128, List>, at: u128, number: u32) {
    if map.get_mut(&at).is_some_and(|list| list.remove(number)) {
        map.remove(&at);
    }
}

impl List {
    pub(crate) fn push(&mut self, number: u32) {
        match self {
            Self::None => *self = Self::One(number),
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, number])),
            Self::Many(all) => all.push(number),
        }
    }

    /// True if nothing is left.
    pub(crate) fn remove(&mut self, number: u32) -> bool {
        match self {
            Self::None => {}
            Self::One(only) if *only == number => *self = Self::None,
            Self::One(_) => {}
            Self::Many(all) => {
                if let Some(at) = all.iter().position(|known| *known == number) {
                    all.swap_remove(at);
                }
                if all.is_empty() {
                    *self = Self::None;
                }
            }
        }
        matches!(self, Self::None)
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::One(only) => std::slice::from_ref(only),
            Self::Many(all) => all,
        }
    }

    fn each(&self, found: &mut dyn FnMut(u32)) {
        self.as_slice().iter().for_each(|number| found(*number));
    }
}
