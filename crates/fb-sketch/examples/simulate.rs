//! Runs the simulation of the guarantee for longer, with other seeds, or with a broken rule.
//!
//! `cargo run -p fb-sketch --release --example simulate -- [reads] [seed] [mutant]`

#[path = "../tests/it/sim/mod.rs"]
mod sim;

use std::io::Write;

use sim::{Config, Mutant, World};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).and_then(|n| n.parse().ok()).unwrap_or(default);
    let mutants: Vec<Option<Mutant>> = match arguments.get(2).map(String::as_str) {
        None => vec![None],
        Some("all") => Mutant::ALL.iter().copied().map(Some).collect(),
        Some(name) => Mutant::ALL
            .iter()
            .copied()
            .filter(|mutant| format!("{mutant:?}") == name)
            .map(Some)
            .collect(),
    };
    for mutant in mutants {
        let scene = mutant.map_or_else(Config::default, Mutant::scene);
        let config = Config {
            reads: number(0, 10_000_000),
            seed: number(1, 1),
            ..scene
        };
        let report = World::new(config).run();
        writeln!(std::io::stdout(), "{mutant:?}: {report:#?}")?;
    }
    Ok(())
}
