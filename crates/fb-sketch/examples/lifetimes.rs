//! Hit ratios with learned lifetimes, beside those of lifetimes that know the next write.
//!
//! `cargo run -p fb-sketch --release --example lifetimes`

#[path = "../tests/it/workload/mod.rs"]
mod workload;

use std::io::Write;

use workload::{Workload, run};

fn main() -> std::io::Result<()> {
    let base = Workload::default();
    let rows = [
        ("default", base.clone()),
        (
            "other seed",
            Workload {
                seed: 2,
                ..base.clone()
            },
        ),
        (
            "5 % writes",
            Workload {
                writes_percent: 5.0,
                ..base.clone()
            },
        ),
        (
            "20 % writes",
            Workload {
                writes_percent: 20.0,
                ..base.clone()
            },
        ),
        (
            "flatter (Zipf 0.7)",
            Workload {
                zipf: 0.7,
                ..base.clone()
            },
        ),
        (
            "objects only",
            Workload {
                queries_percent: 0.0,
                ..base.clone()
            },
        ),
        (
            "slow (50/s)",
            Workload {
                per_second: 50.0,
                ..base.clone()
            },
        ),
        (
            "small filter, 5 % writes",
            Workload {
                max_bits: 14_600,
                writes_percent: 5.0,
                ..base.clone()
            },
        ),
        (
            "small filter, 20 % writes",
            Workload {
                max_bits: 14_600,
                writes_percent: 20.0,
                ..base
            },
        ),
    ];
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| workload | hits | oracle | share | true rates | objects | queries | in filter (mean, max, room) | mean TTL |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")?;
    for (name, workload) in rows {
        let informed = run(&Workload {
            knows_rates: true,
            ..workload.clone()
        });
        let outcome = run(&workload);
        let all = outcome.all();
        let percent =
            |hits: workload::Hits| format!("{:.1} / {:.1}", hits.ratio() * 100.0, hits.oracle_ratio() * 100.0);
        writeln!(
            out,
            "| {name} | {:.1} % | {:.1} % | {:.3} | {:.1} %, {:.0}, {} | {} | {} | {:.0}, {}, {} | {:.0} s |",
            all.ratio() * 100.0,
            all.oracle_ratio() * 100.0,
            all.ratio() / all.oracle_ratio(),
            informed.all().ratio() * 100.0,
            informed.mean_stale,
            informed.max_stale,
            percent(outcome.objects),
            percent(outcome.queries),
            outcome.mean_stale,
            outcome.max_stale,
            outcome.capacity,
            outcome.mean_ttl,
        )?;
    }
    Ok(())
}
