//! Many accounts of real daemons at one real relay for a long time, while all of these are killed now and then.
//!
//! Accounts come in circles of ten: a hub, who has the nine others as contacts and makes a group with them. They write to
//! each other and to the group, read, and react; whatever a daemon accepted is on a ledger. Every few seconds the relay
//! or a daemon is killed, or asked to end, and started again; in the second half a daemon alone, for a relay that has just
//! started holds little, and nothing can be said of what it holds in the long run. In the end every log must say what the ledger says, in its
//! order and once, all queues must be empty, nothing of it may stand on the relay's disk or in a log, and memory and
//! descriptors must have stayed what they were.
//!
//! Deliberately absent: what is said of time. How fast it goes is for `bench/`.

mod check;
mod crowd;
mod measure;
mod traffic;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Runtime;

use self::{
    crowd::{Crowd, PATIENCE},
    measure::Course,
    traffic::Ledger,
};
use crate::world::wait::until_within;

/// How large, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Accounts, in circles of ten.
    pub clients: usize,
    /// How long they write.
    pub duration: Duration,
    /// Between two faults.
    pub fault_every: Duration,
    /// What all of them do in a second, at most.
    pub actions_per_second: u32,
    /// Decides who does what, and who is killed.
    pub seed: u64,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Report {
    /// Texts that were accepted, to contacts and to groups.
    pub texts: u64,
    /// Texts that arrived: one to a group counts at each member.
    pub arrived: u64,
    /// How often the relay, and a daemon, was killed or asked to end.
    pub faults: (u32, u32),
    /// What the programs held while it went on.
    pub course: Course,
}

/// Runs it to its end. Panics with what is wrong.
pub fn run(plan: &Plan) -> Report {
    let runtime = Runtime::new().expect("a runtime can be made");
    let crowd = Arc::new(Crowd::settle(plan.clients, &runtime));
    let _ends = Ends(Arc::clone(&crowd));
    let ledger = Arc::new(Ledger::new(&crowd));
    let stop = Arc::new(AtomicBool::new(false));
    let writers = traffic::start(&runtime, plan, &crowd, &ledger, &stop);

    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut course = Course::default();
    let mut faults = (0, 0);
    let begun = Instant::now();
    let mut next_fault = plan.fault_every;
    while begun.elapsed() < plan.duration {
        // It paces the load and the looks at it; nothing is waited for.
        thread::sleep(LOOK_EVERY.min(plan.fault_every));
        course.look(begun.elapsed(), &crowd);
        if begun.elapsed() >= next_fault {
            let relay_too = begun.elapsed() < plan.duration / 2;
            strike(&crowd, relay_too, &mut rng, &mut faults);
            // From here on: a start that takes long is no reason for faults without a pause.
            next_fault = begun.elapsed() + plan.fault_every;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.join().is_ok(), "a writer gave up");
    }
    let arrived = check::everything(&runtime, &crowd, &ledger);
    course.look(begun.elapsed(), &crowd);
    Report { texts: ledger.total(), arrived, faults, course }
}

/// Ends all programs with the run, also when it fails: the writers hold the crowd longer.
struct Ends(Arc<Crowd>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.homes.iter().for_each(|home| home.kill());
        self.0.relay.process().kill();
    }
}

/// Between two looks at memory and descriptors.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Ends one program, in the way of a crash or of an upgrade, and starts it again.
fn strike(crowd: &Crowd, relay_too: bool, rng: &mut ChaCha8Rng, faults: &mut (u32, u32)) {
    let polite = rng.random_bool(0.3);
    if rng.random_bool(0.25) && relay_too {
        faults.0 += 1;
        match polite {
            true => crowd.relay.drain_and_restart(),
            false => crowd.relay.restart(),
        }
    } else {
        faults.1 += 1;
        let home = &crowd.homes[rng.random_range(0..crowd.homes.len())];
        match polite {
            true => home.stop(),
            false => home.kill(),
        }
        home.daemon().start();
        until_within(PATIENCE, "the daemon answers", || home.answers());
    }
}
