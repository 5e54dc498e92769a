//! Points, distances and areas on the earth.

use serde_json::Value;

/// A point, degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// −90 to 90
    pub latitude: f64,
    /// −180 to 180
    pub longitude: f64,
}

/// A distance condition around a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// The centre.
    pub center: Point,
    /// Greatest great-circle distance in metres, inclusive; `None` is unlimited.
    pub max_distance: Option<f64>,
    /// Least great-circle distance in metres, inclusive.
    pub min_distance: f64,
}

/// An area: a polygon whose edges are straight in the latitude/longitude plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Corners of the outer ring, not closed: the last one connects to the first.
    pub(crate) outer: Vec<Point>,
    /// Rings that are cut out.
    pub(crate) holes: Vec<Vec<Point>>,
}

/// A rectangle of latitudes and longitudes that contains an area; `west <= east`, it never wraps around.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Least latitude
    pub south: f64,
    /// Greatest latitude
    pub north: f64,
    /// Least longitude
    pub west: f64,
    /// Greatest longitude
    pub east: f64,
}

/// Radius of the earth in metres, taken for a sphere; the value MongoDB uses.
pub(crate) const EARTH_RADIUS: f64 = 6_378_100.0;

/// Margin of bounding boxes in degrees, about 10 cm; far above the rounding errors of the distance.
const MARGIN: f64 = 1e-6;

impl Point {
    /// A point within the ranges of latitude and longitude, `None` otherwise.
    pub(crate) fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let ok = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        ok.then_some(Self { latitude, longitude })
    }

    /// Reads `{"latitude": …, "longitude": …}`; `None` if a member is missing, no number or out of its range.
    pub fn from_json(value: &Value) -> Option<Self> {
        let coordinate = |name| value.get(name).and_then(Value::as_f64);
        Self::new(coordinate("latitude")?, coordinate("longitude")?)
    }
}

impl Near {
    /// Great-circle distance between the centre and `point` in metres, by the haversine formula.
    pub fn distance(&self, point: Point) -> f64 {
        let (from, to) = (self.center.latitude.to_radians(), point.latitude.to_radians());
        let half_latitude = ((to - from) / 2.0).sin();
        let half_longitude = ((point.longitude - self.center.longitude).to_radians() / 2.0).sin();
        let h = half_latitude * half_latitude + from.cos() * to.cos() * half_longitude * half_longitude;
        // Rounding may lift h a little above 1 for opposite points.
        2.0 * EARTH_RADIUS * h.min(1.0).sqrt().asin()
    }

    /// True if the distance of `point` is within the limits.
    pub fn contains(&self, point: Point) -> bool {
        let distance = self.distance(point);
        distance >= self.min_distance && self.max_distance.is_none_or(|max| distance <= max)
    }

    /// Rectangles that together contain every point within the greatest distance, and more; `None` is the whole earth.
    ///
    /// One rectangle, or two where the area crosses the antimeridian. Around a pole it spans all longitudes.
    pub fn bounds(&self) -> Option<Vec<Bounds>> {
        let radius = self.max_distance? / EARTH_RADIUS;
        let degrees = radius.to_degrees() + MARGIN;
        let (south, north) = (self.center.latitude - degrees, self.center.latitude + degrees);
        let has_pole = south <= -90.0 || north >= 90.0;
        let (south, north) = (south.max(-90.0), north.min(90.0));
        let all_longitudes = Bounds {
            south,
            north,
            west: -180.0,
            east: 180.0,
        };
        if has_pole {
            let everything = south <= -90.0 && north >= 90.0;
            return if everything { None } else { Some(vec![all_longitudes]) };
        }
        // Without a pole inside, the radius is below a quarter of the circumference and both values are in [0, 1].
        let ratio = degrees.to_radians().sin() / self.center.latitude.to_radians().cos();
        if !(0.0..1.0).contains(&ratio) {
            return Some(vec![all_longitudes]);
        }
        let half_width = ratio.asin().to_degrees() + MARGIN;
        let (west, east) = (self.center.longitude - half_width, self.center.longitude + half_width);
        let span = |west, east| Bounds {
            south,
            north,
            west,
            east,
        };
        Some(if east - west >= 360.0 {
            vec![all_longitudes]
        } else if west < -180.0 {
            vec![span(-180.0, east), span(west + 360.0, 180.0)]
        } else if east > 180.0 {
            vec![span(west, 180.0), span(-180.0, east - 360.0)]
        } else {
            vec![span(west, east)]
        })
    }
}

impl Region {
    /// True if `point` lies inside of the outer ring or on it, and not inside of a hole; the border of a hole belongs to
    /// the region. Even-odd rule in the latitude/longitude plane; edges never cross the antimeridian.
    /// Cost: linear in the corners.
    pub fn contains(&self, point: Point) -> bool {
        let in_hole = |hole: &Vec<Point>| position(hole, point) == Position::Inside;
        position(&self.outer, point) != Position::Outside && !self.holes.iter().any(in_hole)
    }

    /// The least rectangle around the outer ring.
    pub fn bounds(&self) -> Bounds {
        let mut bounds = Bounds {
            south: f64::INFINITY,
            north: f64::NEG_INFINITY,
            west: f64::INFINITY,
            east: f64::NEG_INFINITY,
        };
        for corner in &self.outer {
            bounds.south = bounds.south.min(corner.latitude);
            bounds.north = bounds.north.max(corner.latitude);
            bounds.west = bounds.west.min(corner.longitude);
            bounds.east = bounds.east.max(corner.longitude);
        }
        bounds
    }
}

#[derive(PartialEq, Eq)]
enum Position {
    Inside,
    Border,
    Outside,
}

fn position(ring: &[Point], point: Point) -> Position {
    let mut inside = false;
    let Some(mut from) = ring.last().copied() else {
        return Position::Outside;
    };
    for to in ring.iter().copied() {
        if on_edge(from, to, point) {
            return Position::Border;
        }
        // The edge crosses the latitude of the point (upper end exclusive), east of the point.
        if (from.latitude > point.latitude) != (to.latitude > point.latitude) {
            let share = (point.latitude - from.latitude) / (to.latitude - from.latitude);
            if point.longitude < from.longitude + share * (to.longitude - from.longitude) {
                inside = !inside;
            }
        }
        from = to;
    }
    if inside { Position::Inside } else { Position::Outside }
}

fn on_edge(from: Point, to: Point, point: Point) -> bool {
    let within = |a: f64, b: f64, c: f64| a.min(b) <= c && c <= a.max(b);
    let cross = (to.longitude - from.longitude) * (point.latitude - from.latitude)
        - (to.latitude - from.latitude) * (point.longitude - from.longitude);
    cross == 0.0
        && within(from.latitude, to.latitude, point.latitude)
        && within(from.longitude, to.longitude, point.longitude)
}

#[cfg(test)]
mod tests;
