//! What counting a request costs, which every request pays: `cargo run --release -p fb-auth --example visits`.
#![expect(clippy::print_stdout, reason = "it reports to a person")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use fb_auth::{VisitLimit, Visits};
use fb_types::Timestamp;

const SOURCES: u32 = 1000;
const ROUNDS: u32 = 1000;

fn main() {
    let visits = Visits::default();
    let limit = VisitLimit {
        requests: u32::MAX,
        seconds: 60,
        ban_seconds: 60,
    };
    let now = Timestamp::from_millis(0);
    let addresses: Vec<IpAddr> = (0..SOURCES).map(|n| IpAddr::V4(Ipv4Addr::from_bits(n))).collect();
    let started = Instant::now();
    for _ in 0..ROUNDS {
        for address in &addresses {
            let visitor = visits.visitor("main", *address);
            black_box(visits.count(visitor, limit, now)).expect("nobody reaches the limit");
        }
    }
    let each = started.elapsed().as_nanos() as f64 / f64::from(SOURCES * ROUNDS);
    println!("{each:.0} ns each");
}
