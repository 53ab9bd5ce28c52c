//! Time that passes only while nobody works.
//!
//! Programs have threads: those that commit, and those that read a store. tokio's paused clock knows nothing of them and
//! would let a minute pass while a disk writes. So it is not allowed to advance by itself; a thread looks whether every
//! thread of the world sleeps, and only then a moment passes. That a moment passes too early, because a look at twelve
//! threads takes a while, is no more than a slow machine.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::OsString,
    fs::{self, File},
    os::unix::fs::FileExt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::Builder,
    sync::Notify,
    task::spawn_blocking,
    time::{Instant, advance},
};

use super::Network;

/// The shortest moment, which is what tokio's timers know.
const LEAST: Duration = Duration::from_millis(1);
/// A packet that arrives so soon is waited for at once: no timer of a protocol minds it.
const SOON: Duration = Duration::from_millis(20);
/// The longest, while nothing has been sent for a while.
const MOST: Duration = Duration::from_millis(500);
/// How long to wait before the next look at threads that work.
const LOOK: Duration = Duration::from_micros(50);
/// Threads of stores and relays whose names are their own.
const SHARED: [&str; 2] = ["committer", "fjall:worker"];

/// Runs a world in a runtime of its own, whose clock starts with it. `name` tells its threads from those of other worlds:
/// at most 15 bytes, and nobody else's.
pub fn run<T: Send, W: Future<Output = T>>(
    name: &str,
    network: impl FnOnce() -> Network + Send,
    world: impl FnOnce(Network) -> W + Send,
) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .thread_name(name)
        .build()
        .expect("a runtime can be built");
    thread::scope(|scope| {
        let keep_time = || {
            runtime.block_on(async {
                // A clock does not advance by itself while something blocks.
                let (_hold, held) = mpsc::channel::<()>();
                spawn_blocking(move || held.recv());
                let network = network();
                let pacer = Pacer::start(name);
                let mut world = pin!(world(network.clone()));
                tokio::select! {
                    biased;
                    outcome = &mut world => outcome,
                    never = pacer.pace(&network) => match never {},
                }
            })
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, keep_time);
        match thread.expect("a thread can be started").join() {
            Ok(outcome) => outcome,
            Err(cause) => std::panic::resume_unwind(cause),
        }
    })
}

/// What looks at the threads, and lets a moment pass when all of them sleep.
struct Pacer {
    still: Arc<Notify>,
    passed: mpsc::SyncSender<()>,
    over: Arc<AtomicBool>,
}

impl Pacer {
    fn start(name: &str) -> Self {
        let (still, over) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (passed, passes) = mpsc::sync_channel(1);
        let (tell, ended, mut threads) = (still.clone(), over.clone(), Threads::new(name));
        let look = move || {
            while !ended.load(Ordering::Relaxed) {
                match threads.all_sleep() {
                    true => {
                        tell.notify_one();
                        if passes.recv().is_err() {
                            return;
                        }
                    }
                    false => thread::sleep(LOOK),
                }
            }
        };
        thread::Builder::new().name("pacer".to_owned()).spawn(look).expect("a thread can be started");
        Self { still, passed, over }
    }

    async fn pace(&self, network: &Network) -> std::convert::Infallible {
        let (mut moment, mut sent) = (LEAST, 0);
        loop {
            self.still.notified().await;
            let sent_now = network.counts().sent;
            moment = if sent_now == sent { (moment * 2).min(MOST) } else { LEAST };
            sent = sent_now;
            let until_next = network.next_arrival().map(|at| at.saturating_duration_since(Instant::now()));
            advance(until_next.map_or(moment, |next| next.clamp(LEAST, moment.max(SOON)))).await;
            // An error means that the world is over.
            let _ = self.passed.send(());
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The threads of one world, as the system shows them.
struct Threads {
    world: String,
    /// Of each thread seen so far, its file; none when it is somebody else's.
    seen: BTreeMap<OsString, Option<File>>,
}

impl Threads {
    fn new(world: &str) -> Self {
        Self { world: world.to_owned(), seen: BTreeMap::new() }
    }

    /// Whether every one of them waits for something.
    fn all_sleep(&mut self) -> bool {
        // Those that are known first: it is the cheaper question, and mostly answers it.
        self.known_sleep() && !self.found_more()
    }

    fn known_sleep(&mut self) -> bool {
        let mut all = true;
        self.seen.retain(|_, file| {
            let Some(file) = file else { return true };
            match state(file) {
                Some((_, asleep)) => {
                    all &= asleep;
                    true
                }
                // It has ended.
                None => false,
            }
        });
        all
    }

    /// Looks for threads that were not there before.
    fn found_more(&mut self) -> bool {
        let Ok(tasks) = fs::read_dir("/proc/self/task") else { return false };
        let mut found = false;
        for task in tasks.flatten() {
            let Entry::Vacant(place) = self.seen.entry(task.file_name()) else { continue };
            let Ok(file) = File::open(task.path().join("stat")) else { continue };
            let Some((name, _)) = state(&file) else { continue };
            let ours = name == self.world || SHARED.contains(&name.as_str());
            found |= ours;
            place.insert(ours.then_some(file));
        }
        found
    }
}

/// The name of a thread, and whether it sleeps; nothing when it has ended.
fn state(file: &File) -> Option<(String, bool)> {
    let mut text = [0; 64];
    let length = file.read_at(&mut text, 0).ok()?;
    parse(&String::from_utf8_lossy(&text[..length]))
}

/// Reads `tid (name) state …`.
fn parse(stat: &str) -> Option<(String, bool)> {
    let (start, rest) = stat.split_once(") ")?;
    let (_, name) = start.split_once('(')?;
    Some((name.to_owned(), rest.starts_with('S')))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_a_thread_that_waits_sleeps() {
        assert_eq!(parse("12 (link-1) S 1 2"), Some(("link-1".to_owned(), true)));
        assert_eq!(parse("12 (link-1) R 1 2"), Some(("link-1".to_owned(), false)));
        assert_eq!(parse("12 (fjall:worker) D 1 2"), Some(("fjall:worker".to_owned(), false)));
        assert_eq!(parse(""), None);
    }
}
