use proptest::prelude::*;

use super::*;

fn point(latitude: f64, longitude: f64) -> Point {
    Point { latitude, longitude }
}

fn near(latitude: f64, longitude: f64, max_distance: f64) -> Near {
    Near {
        center: point(latitude, longitude),
        max_distance: Some(max_distance),
        min_distance: 0.0,
    }
}

#[test]
fn distances_are_those_of_a_sphere() {
    let quarter = EARTH_RADIUS * std::f64::consts::FRAC_PI_2;
    for (from, to, metres) in [
        (point(0.0, 0.0), point(0.0, 90.0), quarter),
        (point(0.0, 0.0), point(90.0, 17.0), quarter),
        (point(0.0, 0.0), point(0.0, 180.0), 2.0 * quarter),
        (point(0.0, 179.5), point(0.0, -179.5), quarter / 90.0),
        (point(53.55, 9.99), point(52.52, 13.405), 255_300.0),
    ] {
        let distance = Near {
            center: from,
            max_distance: None,
            min_distance: 0.0,
        }
        .distance(to);
        assert!((distance - metres).abs() < 1_000.0, "{from:?} {to:?}: {distance}");
    }
}

#[test]
fn bounds_know_poles_and_the_antimeridian() {
    assert_eq!(near(0.0, 0.0, 1e9).bounds(), None);
    let pole = near(89.9, 0.0, 50_000.0).bounds().unwrap();
    assert_eq!(
        (pole.len(), pole[0].west, pole[0].east, pole[0].north),
        (1, -180.0, 180.0, 90.0)
    );
    assert_eq!(near(10.0, 179.99, 50_000.0).bounds().unwrap().len(), 2);
    assert_eq!(near(10.0, -179.99, 50_000.0).bounds().unwrap().len(), 2);
    assert_eq!(near(10.0, 20.0, 50_000.0).bounds().unwrap().len(), 1);
}

#[test]
fn regions_include_their_border_and_exclude_their_holes() {
    let square = |low: f64, high: f64| vec![point(low, low), point(low, high), point(high, high), point(high, low)];
    let region = Region {
        outer: square(0.0, 10.0),
        holes: vec![square(4.0, 6.0)],
    };
    for (at, inside) in [
        (point(1.0, 1.0), true),
        (point(0.0, 5.0), true),
        (point(10.0, 10.0), true),
        (point(5.0, 5.0), false),
        (point(4.0, 5.0), true),
        (point(-0.1, 5.0), false),
        (point(5.0, 10.1), false),
        (point(10.0, 11.0), false),
    ] {
        assert_eq!(region.contains(at), inside, "{at:?}");
    }
    assert_eq!(
        region.bounds(),
        Bounds {
            south: 0.0,
            north: 10.0,
            west: 0.0,
            east: 10.0
        }
    );
}

fn points() -> impl Strategy<Value = Point> {
    let latitude = prop_oneof![-90.0..=90.0f64, Just(90.0), Just(-90.0), Just(0.0)];
    let longitude = prop_oneof![-180.0..=180.0f64, Just(180.0), Just(-180.0), 179.0..=180.0f64];
    (latitude, longitude).prop_map(|(latitude, longitude)| Point { latitude, longitude })
}

/// A point at about this distance and bearing, so that points close to the limit are tried.
fn destination(from: Point, metres: f64, bearing: f64) -> Point {
    let (angle, latitude) = (metres / EARTH_RADIUS, from.latitude.to_radians());
    let to = (latitude.sin() * angle.cos() + latitude.cos() * angle.sin() * bearing.cos())
        .clamp(-1.0, 1.0)
        .asin();
    let turn = (bearing.sin() * angle.sin() * latitude.cos()).atan2(angle.cos() - latitude.sin() * to.sin());
    let longitude = (from.longitude + turn.to_degrees() + 540.0).rem_euclid(360.0) - 180.0;
    Point {
        latitude: to.to_degrees().clamp(-90.0, 90.0),
        longitude,
    }
}

proptest! {
    #[test]
    fn bounds_contain_the_area(center in points(), metres in prop_oneof![0.0..1e4f64, 0.0..2e7f64],
                               share in 0.9..=1.0f64, bearing in 0.0..6.3f64) {
        let near = Near { center, max_distance: Some(metres), min_distance: 0.0 };
        let at = destination(center, metres * share, bearing);
        if near.contains(at) && let Some(bounds) = near.bounds() {
            let inside = |b: &Bounds| b.south <= at.latitude && at.latitude <= b.north
                && b.west <= at.longitude && at.longitude <= b.east;
            prop_assert!(bounds.iter().any(inside), "{at:?} {bounds:?}");
        }
    }
}
