//! Rectangles of the earth by the points they contain: as intervals, in two dimensions.

use std::collections::{BTreeMap, HashMap};

use fb_query::{Bounds, Point};

#[derive(Debug, Default)]
pub(crate) struct Areas {
    /// Rectangles per level.
    levels: BTreeMap<u32, usize>,
    buckets: HashMap<(u32, u32, u32), Vec<(Bounds, u32)>>,
}

impl Areas {
    pub(crate) fn insert(&mut self, bounds: Bounds, number: u32) {
        let level = level(&bounds);
        *self.levels.entry(level).or_default() += 1;
        for bucket in buckets(level, &bounds) {
            self.buckets.entry(bucket).or_default().push((bounds, number));
        }
    }

    pub(crate) fn remove(&mut self, bounds: Bounds, number: u32) {
        let level = level(&bounds);
        for bucket in buckets(level, &bounds) {
            if let Some(list) = self.buckets.get_mut(&bucket) {
                if let Some(at) = list.iter().position(|known| *known == (bounds, number)) {
                    list.swap_remove(at);
                }
                if list.is_empty() {
                    self.buckets.remove(&bucket);
                }
            }
        }
        if let Some(n) = self.levels.get_mut(&level) {
            *n -= 1;
            if *n == 0 {
                self.levels.remove(&level);
            }
        }
    }

    pub(crate) fn at(&self, point: Point, found: &mut dyn FnMut(u32)) {
        for level in self.levels.keys() {
            let bucket = (
                *level,
                cut(*level, unit(point.latitude, 90.0)),
                cut(*level, unit(point.longitude, 180.0)),
            );
            for (bounds, number) in self.buckets.get(&bucket).into_iter().flatten() {
                let is_in = (bounds.south..=bounds.north).contains(&point.latitude)
                    && (bounds.west..=bounds.east).contains(&point.longitude);
                if is_in {
                    found(*number);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

/// Degrees within ±`greatest` as a whole number; never less for more degrees. What is outside counts as the edge.
fn unit(degrees: f64, greatest: f64) -> u32 {
    let share = (degrees + greatest) / (2.0 * greatest);
    // Casts of floats stop at the greatest and least integer.
    (share * f64::from(u32::MAX)) as u32
}

fn cut(level: u32, unit: u32) -> u32 {
    unit.checked_shr(level).unwrap_or(0)
}

fn level(bounds: &Bounds) -> u32 {
    let width = |from: f64, to: f64, greatest| unit(to, greatest).saturating_sub(unit(from, greatest));
    let longest = width(bounds.south, bounds.north, 90.0).max(width(bounds.west, bounds.east, 180.0));
    32 - longest.leading_zeros()
}

fn buckets(level: u32, bounds: &Bounds) -> Vec<(u32, u32, u32)> {
    let span = |from: f64, to: f64, greatest| cut(level, unit(from, greatest))..=cut(level, unit(to, greatest));
    let mut all = Vec::with_capacity(4);
    for row in span(bounds.south, bounds.north, 90.0) {
        all.extend(span(bounds.west, bounds.east, 180.0).map(|column| (level, row, column)));
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coordinate(greatest: f64) -> impl Strategy<Value = f64> {
        prop_oneof![
            1 => Just(-greatest),
            1 => Just(greatest),
            2 => Just(0.0),
            4 => -greatest..greatest,
            4 => -0.001..0.001_f64,
        ]
    }

    proptest! {
        #[test]
        fn finds_what_contains_the_point(
            corners in proptest::collection::vec(
                (coordinate(90.0), coordinate(90.0), coordinate(180.0), coordinate(180.0)), 1..20),
            points in proptest::collection::vec((coordinate(90.0), coordinate(180.0)), 20),
        ) {
            let all: Vec<Bounds> = corners.iter().map(|(a, b, c, d)| Bounds {
                south: a.min(*b), north: a.max(*b), west: c.min(*d), east: c.max(*d),
            }).collect();
            let mut areas = Areas::default();
            for (number, bounds) in (0..).zip(&all) {
                areas.insert(*bounds, number);
            }
            let edges = all.iter().flat_map(|b| [(b.south, b.west), (b.north, b.east), (b.south, b.east)]);
            for (latitude, longitude) in points.into_iter().chain(edges) {
                let mut found = Vec::new();
                areas.at(Point { latitude, longitude }, &mut |number| found.push(number));
                found.sort_unstable();
                let contains = |(_, b): &(u32, &Bounds)| {
                    (b.south..=b.north).contains(&latitude) && (b.west..=b.east).contains(&longitude)
                };
                let expected: Vec<u32> = (0..).zip(&all).filter(contains).map(|(number, _)| number).collect();
                prop_assert_eq!(found, expected);
            }
            for (number, bounds) in (0..).zip(&all) {
                areas.remove(*bounds, number);
            }
            prop_assert!(areas.is_empty() && areas.buckets.is_empty());
        }
    }
}
