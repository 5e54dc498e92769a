//! Points, distances and areas on the earth.

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
