//! The engine reads numbers from JSON exactly as the evaluator does.

use rusqlite::Connection;

#[test]
fn doubles_are_read_exactly() {
    let conn = Connection::open_in_memory().unwrap();
    let mut statement = conn
        .prepare("SELECT json_extract(?1, '$.x'), value FROM json_each(?2)")
        .unwrap();
    // A multiplicative generator over all bit patterns, and numbers of the kinds that people store.
    let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut different = Vec::new();
    for i in 0..200_000_u64 {
        bits = bits
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let double = match i % 4 {
            0 => f64::from_bits(bits),
            1 => (bits >> 11) as f64 / 1e9,
            2 => (bits % 1_000_000) as f64 / 100.0,
            _ => (bits >> 40) as f64 * 0.1,
        };
        if !double.is_finite() {
            continue;
        }
        let text = serde_json::Value::from(double).to_string();
        let read: (f64, f64) = statement
            .query_row([format!("{{\"x\":{text}}}"), format!("[{text}]")], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        if read != (double, double) {
            different.push(text);
        }
    }
    assert!(
        different.is_empty(),
        "{} differ: {:?}",
        different.len(),
        &different[..different.len().min(10)]
    );
}
