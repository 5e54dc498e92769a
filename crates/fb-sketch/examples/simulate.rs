//! Runs the simulation of the guarantee for longer, with other seeds and scenes, or with a broken rule.
//!
//! `cargo run -p fb-sketch --release --example simulate -- [reads] [seed] [scene, mutant, or "mutants"]`

#[path = "../tests/it/sim/mod.rs"]
mod sim;

use std::io::Write;

use sim::{Config, Mutant, World};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).and_then(|n| n.parse().ok()).unwrap_or(default);
    let scenes = [
        ("default", Config::default()),
        ("sparse", Config::sparse()),
        ("far", Config::far()),
        ("askew", Config::askew()),
        ("slow_purges", Config::slow_purges()),
        ("unstable", Config::unstable()),
    ];
    let mutants = Mutant::ALL.iter().map(|mutant| (format!("{mutant:?}"), mutant.scene()));
    let all: Vec<(String, Config)> = scenes
        .into_iter()
        .map(|(name, config)| (name.to_owned(), config))
        .chain(mutants)
        .collect();
    let wanted = arguments.get(2).map_or("default", String::as_str);
    for (name, config) in all {
        if name == wanted || (wanted == "mutants" && config.mutant.is_some()) {
            let config = Config {
                reads: number(0, 10_000_000),
                seed: number(1, 1),
                ..config
            };
            let report = World::new(config).run();
            writeln!(std::io::stdout(), "{name}: {report:#?}")?;
        }
    }
    Ok(())
}
