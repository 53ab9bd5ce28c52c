//! Kill -9 of anything at any moment: nothing that was accepted is lost, nothing is there twice, order holds.
//!
//! Two writers send to each other through the command line, which is itself killed now and then and run again with
//! the same idempotency key. Meanwhile the relay and both daemons are killed at random moments and started again.
//! `HERMES_KILL_ROUNDS` sets the number of kills of a process, `HERMES_KILL_SEED` repeats a run's choices.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::writer::{Finally, Writer, check_both_sides, random_below, setting};
use hermes_tests::world::World;
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Kills of a relay or a daemon when nothing else is asked for.
const ROUNDS: usize = 20;
/// A kill comes at most this long after everyone made progress.
const KILL_WITHIN: Duration = Duration::from_millis(200);
/// After a kill, one time in so many the restarted process is killed again before it is up.
const KILLED_AGAIN_ONE_IN: u32 = 4;

#[test]
fn nothing_is_lost_and_nothing_is_there_twice() {
    let rounds = setting("HERMES_KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("HERMES_KILL_SEED").unwrap_or_else(rand::random::<u64>);
    println!("{rounds} rounds; repeat with HERMES_KILL_ROUNDS={rounds} HERMES_KILL_SEED={seed}");
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let done = AtomicBool::new(false);
    let (from_alice, from_bob) = (Writer::new(&alice, "bob"), Writer::new(&bob, "alice"));

    thread::scope(|scope| {
        scope.spawn(|| from_alice.write(seed ^ 1, &done));
        scope.spawn(|| from_bob.write(seed ^ 2, &done));
        let ended = Finally(&done);
        kill_at_random(&world, [&from_alice, &from_bob], rounds, seed);
        drop(ended);
    });

    check_both_sides(&from_alice, &bob);
    check_both_sides(&from_bob, &alice);
    let runs = [&from_alice, &from_bob].map(|writer| writer.runs.load(Ordering::Relaxed));
    let texts = [&from_alice, &from_bob].map(Writer::accepted);
    println!(
        "{rounds} kills, {} messages accepted in {} runs of hermesctl",
        texts[0] + texts[1],
        runs[0] + runs[1]
    );
}

fn kill_at_random(world: &World, writers: [&Writer; 2], rounds: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for round in 0..rounds {
        let before = writers.map(Writer::accepted);
        world.until(&format!("both writers get on in round {round}"), || {
            writers.iter().zip(before).all(|(writer, before)| writer.accepted() > before)
        });
        let victim = match writers.get(rng.random_range(0..3)) {
            Some(writer) => writer.account.home.daemon(),
            None => world.relay.process(),
        };
        loop {
            thread::sleep(random_below(KILL_WITHIN, &mut rng));
            victim.kill();
            victim.start();
            if !rng.random_ratio(1, KILLED_AGAIN_ONE_IN) {
                break;
            }
        }
    }
}
