//! Load: real clients against a real relay, and against brokers in the same run, in turn.

use std::path::PathBuf;

use anyhow::{Context, Result};

mod report;
mod scenario;
mod server;
mod wire;

use scenario::Scenario;
use server::{Server, System};

/// How much of everything, how often, and against which relay.
struct Options {
    rounds: usize,
    messages: usize,
    clients: u32,
    only: String,
    relay: PathBuf,
}

fn main() -> Result<()> {
    let options = options()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> Result<()> {
    anyhow::ensure!(options.relay.exists(), "no {}: build it first", options.relay.display());
    let (here, missing): (Vec<_>, Vec<_>) =
        System::ALL.into_iter().partition(|system| system.installed(&options.relay));
    for system in missing {
        println!("NOT INSTALLED, NOT MEASURED: {}", system.name());
    }
    // Beside the build, and not in a temporary directory that may be in memory.
    let parent = options.relay.parent().context("the relay has no directory")?;
    let mut table = report::Table::default();
    for scenario in scenarios(options) {
        for round in 0..options.rounds {
            // Each goes first in its turn.
            for turn in 0..here.len() {
                let system = here[(turn + round) % here.len()];
                let mut server = Server::start(system, &options.relay, parent).await?;
                match scenario.run(&mut server).await {
                    Ok(outcome) => table.add(&scenario, system, outcome),
                    Err(error) => eprintln!("{}, {}: {error:#}", scenario.name(), system.name()),
                }
            }
        }
        eprintln!("{}: done", scenario.name());
    }
    print!("{}", table.print(&here));
    Ok(())
}

fn scenarios(options: &Options) -> Vec<Scenario> {
    let all = options.messages;
    let scenarios = [
        Scenario::Pairs(10, all),
        Scenario::Pairs(100, all),
        Scenario::Fan(100, all / 200),
        Scenario::Fan(1000, all / 2000),
        Scenario::Store(all),
        Scenario::Drain(all),
        Scenario::Low((all / 50).min(2000)),
        Scenario::Idle(options.clients),
        Scenario::Storm(options.clients),
    ];
    scenarios.into_iter().filter(|scenario| scenario.name().contains(&options.only)).collect()
}

fn options() -> Result<Options> {
    let relay = PathBuf::from("../target/release/hermes-relay");
    let mut options = Options { rounds: 3, messages: 100_000, clients: 1_000, only: String::new(), relay };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--rounds" => options.rounds = value.parse::<usize>()?.clamp(1, 100),
            "--messages" => options.messages = value.parse::<usize>()?.clamp(2_000, 1_000_000),
            "--clients" => options.clients = value.parse::<u32>()?.clamp(1, 10_000),
            "--only" => options.only = value,
            "--relay" => options.relay = value.into(),
            _ => anyhow::bail!("options are --rounds, --messages, --clients, --only NAME and --relay FILE"),
        }
    }
    Ok(options)
}
