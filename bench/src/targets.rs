//! What figures must reach.

/// A figure that has a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Throughput divided by the yardstick's.
    ThroughputRatio,
    /// CPU per operation divided by the yardstick's.
    CpuRatio,
    /// CPU microseconds per operation.
    CpuMicros,
    /// The p99 divided by the yardstick's.
    TailRatio,
    /// Median of the first call of an app without an instance, in milliseconds.
    ColdMillis,
    /// Memory of a server without load, in MB (10⁶ bytes).
    IdleMegabytes,
    /// From spawning the process to the first answer, in milliseconds.
    StartMillis,
}

/// What a figure must reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// A figure and its bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    /// What is judged.
    pub(crate) figure: Figure,
    /// How.
    pub(crate) bound: Bound,
}

impl Target {
    const fn at_least(bound: f64, figure: Figure) -> Self {
        Self {
            figure,
            bound: Bound::AtLeast(bound),
        }
    }

    const fn at_most(bound: f64, figure: Figure) -> Self {
        Self {
            figure,
            bound: Bound::AtMost(bound),
        }
    }

    /// Whether `value` reaches the bound.
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        }
    }

    /// As shown in tables, such as `op/s ≥ 0.60×`.
    pub(crate) fn text(self) -> String {
        let (sign, bound) = match self.bound {
            Bound::AtLeast(bound) => ('≥', bound),
            Bound::AtMost(bound) => ('≤', bound),
        };
        match self.figure {
            Figure::ThroughputRatio => format!("op/s {sign} {bound:.2}×"),
            Figure::CpuRatio => format!("CPU {sign} {bound:.2}×"),
            Figure::CpuMicros => format!("CPU {sign} {bound:.0} µs"),
            Figure::TailRatio => format!("p99 {sign} {bound:.2}×"),
            Figure::ColdMillis => format!("p50 {sign} {bound:.1} ms"),
            Figure::IdleMegabytes => format!("{sign} {bound:.0} MB"),
            Figure::StartMillis => format!("{sign} {bound:.0} ms"),
        }
    }
}

/// Targets of [`Scenario::Idle`](crate::scenarios::Scenario::Idle).
pub(crate) const IDLE_MEMORY: Target = Target::at_most(50.0, Figure::IdleMegabytes);
/// Targets of [`Scenario::Idle`](crate::scenarios::Scenario::Idle).
pub(crate) const START_TIME: Target = Target::at_most(100.0, Figure::StartMillis);

/// Target of [`Scenario::FunctionApps`](crate::scenarios::Scenario::FunctionApps).
pub(crate) const COLD: Target = Target::at_most(2.0, Figure::ColdMillis);

/// Calls of code.
pub(crate) const FUNCTION: &[Target] = &[Target::at_least(0.35, Figure::ThroughputRatio)];
/// Calls of code beside code without end.
pub(crate) const NEIGHBOUR: &[Target] = &[Target::at_most(2.0, Figure::TailRatio)];
/// Reads.
pub(crate) const GET: &[Target] = &[
    Target::at_least(0.60, Figure::ThroughputRatio),
    Target::at_most(2.0, Figure::CpuRatio),
];
/// Queries.
pub(crate) const QUERY: &[Target] = &[Target::at_least(0.30, Figure::ThroughputRatio)];
/// Updates.
pub(crate) const UPDATE: &[Target] = &[
    Target::at_least(0.50, Figure::ThroughputRatio),
    Target::at_most(90.0, Figure::CpuMicros),
];
/// Inserts.
pub(crate) const INSERT: &[Target] = &[
    Target::at_least(0.50, Figure::ThroughputRatio),
    Target::at_most(110.0, Figure::CpuMicros),
];
/// Logins.
pub(crate) const LOGIN: &[Target] = &[Target::at_least(0.80, Figure::ThroughputRatio)];

/// Pages.
pub(crate) const PAGE: &[Target] = &[Target::at_least(0.60, Figure::ThroughputRatio)];
/// Confirmations of pages.
pub(crate) const CONFIRMED: &[Target] = &[Target::at_least(0.85, Figure::ThroughputRatio)];
/// Confirmations of objects.
pub(crate) const COPY_CONFIRMED: &[Target] = &[Target::at_least(0.90, Figure::ThroughputRatio)];
/// The filter.
pub(crate) const FILTER: &[Target] = &[Target::at_least(0.80, Figure::ThroughputRatio)];
/// Answers from an edge.
pub(crate) const EDGE_HIT: &[Target] = &[Target::at_least(0.85, Figure::ThroughputRatio)];
/// What has to be kept account of.
pub(crate) const KEPT: &[Target] = &[Target::at_most(1.05, Figure::CpuRatio)];
/// Random pages of the list read other pages of the file each time, the first page always the same.
pub(crate) const LIST: &[Target] = &[Target::at_least(0.70, Figure::ThroughputRatio)];
/// One's own objects.
pub(crate) const OWN: &[Target] = &[
    Target::at_least(0.50, Figure::ThroughputRatio),
    Target::at_most(2.0, Figure::CpuRatio),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_as_they_are_written_in_the_readme() {
        let texts: Vec<String> = GET.iter().map(|target| target.text()).collect();
        assert_eq!(texts, ["op/s ≥ 0.60×", "CPU ≤ 2.00×"]);
        assert_eq!(INSERT[1].text(), "CPU ≤ 110 µs");
    }

    #[test]
    fn bounds_include_their_value() {
        assert!(GET[0].is_met_by(0.6) && !GET[0].is_met_by(0.59));
        assert!(START_TIME.is_met_by(100.0) && !START_TIME.is_met_by(100.1));
    }
}
