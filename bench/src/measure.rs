//! What one round yields, and how rounds are combined.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart from longer ones, in microseconds.
const MAX_LATENCY_US: u64 = 60_000_000;

/// An empty histogram of latencies in microseconds, three significant digits.
pub(crate) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_LATENCY_US, 3).expect("the bounds are valid")
}

/// Adds `latency`; whatever is longer than a minute counts as a minute.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    histogram.saturating_record(micros.max(1));
}

/// The figures of one measured window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// Completed operations per second.
    pub(crate) ops_per_second: f64,
    /// Median latency in milliseconds.
    pub(crate) p50_ms: f64,
    /// Latency that one operation of a hundred exceeds, in milliseconds.
    pub(crate) p99_ms: f64,
    /// CPU microseconds that the measured process spent per operation.
    pub(crate) cpu_us_per_op: f64,
    /// Share of one core that the load client used, 0 … 1; near 1 the client is the limit.
    /// `None` where client and server are one process.
    pub(crate) client_busy: Option<f64>,
}

impl Sample {
    /// Figures for `operations` that took `elapsed` and cost the measured process `cpu`.
    pub(crate) fn new(operations: u64, elapsed: Duration, cpu: Duration, latency: &Histogram<u64>) -> Result<Self> {
        ensure!(
            operations > 0 && !elapsed.is_zero(),
            "nothing was completed in the measured window"
        );
        Ok(Self {
            ops_per_second: operations as f64 / elapsed.as_secs_f64(),
            p50_ms: latency.value_at_quantile(0.50) as f64 / 1000.0,
            p99_ms: latency.value_at_quantile(0.99) as f64 / 1000.0,
            cpu_us_per_op: cpu.as_secs_f64() * 1e6 / operations as f64,
            client_busy: None,
        })
    }

    /// Adds what the load client itself used.
    pub(crate) fn with_client_cpu(mut self, cpu: Duration, elapsed: Duration) -> Self {
        self.client_busy = Some(cpu.as_secs_f64() / elapsed.as_secs_f64());
        self
    }

    /// Each figure's own median over `rounds`.
    pub(crate) fn median_of(rounds: &[Self]) -> Result<Self> {
        let median_by = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Ok(Self {
            ops_per_second: median_by(|sample| sample.ops_per_second)?,
            p50_ms: median_by(|sample| sample.p50_ms)?,
            p99_ms: median_by(|sample| sample.p99_ms)?,
            cpu_us_per_op: median_by(|sample| sample.cpu_us_per_op)?,
            client_busy: median(rounds.iter().filter_map(|sample| sample.client_busy).collect()).ok(),
        })
    }
}

/// The middle value, or the mean of the two middle ones.
pub(crate) fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values
        .get(values.len() / 2)
        .context("no values to take the median of")?;
    let lower = values[(values.len() - 1) / 2];
    Ok((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_or_the_mean_of_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).unwrap(), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).unwrap(), 2.5);
        assert!(median(vec![]).is_err());
    }

    #[test]
    fn sample_divides_by_operations_and_time() {
        let mut latency = new_histogram();
        record(&mut latency, Duration::from_millis(2));
        let sample = Sample::new(100, Duration::from_secs(2), Duration::from_millis(10), &latency).unwrap();
        assert_eq!((sample.ops_per_second, sample.cpu_us_per_op), (50.0, 100.0));
        assert!((sample.p50_ms - 2.0).abs() < 0.01);
    }
}
