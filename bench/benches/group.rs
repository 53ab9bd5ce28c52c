//! Measures groups with three libraries in turn, round by round, and prints the tables; draws docs/removal-cost.svg.
//!
//! `cargo bench` measures; `cargo test --benches` runs small groups once. A word behind `--` picks works of messages by
//! name, and leaves out the rest unless it is `membership`.

mod measure;

use std::{collections::BTreeSet, path::Path, time::Duration};

use hermes_bench::group::{
    grow::Group,
    hermes::HermesMember,
    member::Member,
    membership::{self, Cost},
    messages,
    mls_rs::MlsRsMember,
    openmls::OpenMlsMember,
    removal::{self, Curve, Exchange, Point},
    report::Figures,
};
use measure::Bench;

/// Each work is measured so many times, so that a busy spell of the machine is one figure among them.
const ROUNDS: u32 = 3;
/// Sizes of the tables of messages.
const SIZES: [usize; 3] = [10, 100, 1_000];
/// Sizes of the tables of commits: a group of Hermes has at most a thousand members, and one more has to have room.
const ROOM: [usize; 3] = [10, 100, 998];
/// Sizes of the curve.
const CURVE: [usize; 9] = [2, 4, 10, 20, 50, 100, 200, 500, 1_000];
/// Repetitions of what is too long for criterion.
const REPETITIONS: usize = 5;

/// What is to be done.
struct Plan {
    measured: bool,
    messages: bool,
    membership: bool,
}

impl Plan {
    fn of_arguments() -> Self {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let measured = arguments.iter().any(|argument| argument == "--bench");
        let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
        let membership = filter.is_none_or(|filter| filter == "membership");
        Self { measured, messages: filter.is_none_or(|filter| filter != "membership"), membership }
    }
}

fn main() {
    let plan = Plan::of_arguments();
    if plan.messages {
        messages_of(if plan.measured { &SIZES } else { &[4, 10] });
    }
    if plan.membership && plan.measured {
        commits_of(true, &ROOM, &CURVE);
    } else if plan.membership {
        commits_of(false, &[6], &[2, 4, 10]);
    }
}

/// Messages care for no tree, so a fresh one will do.
fn messages_of(sizes: &[usize]) {
    let mut tasks = Vec::new();
    let mut bytes = Figures::default();
    for size in sizes.iter().copied() {
        let hermes = Group::<HermesMember>::fresh(size);
        let openmls = Group::<OpenMlsMember>::fresh(size);
        let mls_rs = Group::<MlsRsMember>::fresh(size);
        tasks.extend(messages::tasks(&hermes));
        tasks.extend(messages::tasks(&openmls));
        tasks.extend(messages::tasks(&mls_rs));
        tasks.extend(messages::bare_tasks(&hermes));
        tasks.extend(messages::bare_tasks(&mls_rs));
        count(&mut bytes, &hermes);
        count(&mut bytes, &openmls);
        count(&mut bytes, &mls_rs);
    }
    println!("\n{}\n{}", message_times(tasks), bytes.bytes(&message_goal));
}

fn commits_of(measured: bool, sizes: &[usize], curve: &[usize]) {
    let both: BTreeSet<usize> = sizes.iter().chain(curve).copied().collect();
    let both: Vec<_> = both.into_iter().collect();
    let openmls = Group::<OpenMlsMember>::filled(&both);
    let hermes: Vec<_> = openmls.iter().map(Group::to_hermes).collect();
    let mls_rs = Group::<MlsRsMember>::filled(&both);
    let filled: Vec<_> = hermes.iter().filter(|group| curve.contains(&group.size)).collect();
    let fresh: Vec<_> = curve.iter().map(|size| Group::fresh(*size)).collect();
    println!("\n{}", removal_curve(measured, &filled, &fresh));
    for ((hermes, openmls), mls_rs) in hermes.iter().zip(&openmls).zip(&mls_rs) {
        let size = hermes.size;
        if !sizes.contains(&size) {
            continue;
        }
        let mut costs = Costs::default();
        costs.measure("filled", hermes, openmls, mls_rs);
        costs.measure("fresh", &Group::fresh(size), &Group::fresh(size), &Group::fresh(size));
        println!("\n{}", costs.tables());
    }
}

fn message_times(mut tasks: Vec<messages::Task>) -> String {
    let mut bench = Bench::new("group", Duration::from_millis(200));
    let mut times = Figures::default();
    // The same work of all libraries next to each other.
    let mut names: Vec<String> = Vec::new();
    for task in &tasks {
        if !names.contains(&task.name) {
            names.push(task.name.clone());
        }
    }
    for round in 1..=ROUNDS {
        for name in &names {
            let mut sides: Vec<_> = tasks.iter_mut().filter(|task| task.name == *name).collect();
            let turn = round as usize % sides.len();
            sides.rotate_left(turn);
            for task in sides {
                if let Some(median) = bench.median(name, task.side, round, &mut task.work) {
                    times.add(name, task.side, median);
                }
            }
        }
    }
    format!("Messages. Medians of {ROUNDS} rounds.\n\n{}\n", times.times(&message_goal))
}

fn message_goal(row: &str) -> Option<f64> {
    let starts = |start| row.starts_with(start);
    if starts("encrypt and store, 64 B") {
        Some(15e3)
    } else if starts("decrypt and store, 64 B") {
        Some(30e3)
    } else if starts("stored by the author") {
        Some(128.0)
    } else if starts("64 B before padding") {
        Some(220.0)
    } else {
        None
    }
}

fn count<M: Member>(bytes: &mut Figures, group: &Group<M>) {
    let messages::Bytes { wire, stored } = messages::bytes(group);
    let mut add = |what: &str, value: usize| {
        bytes.add(&format!("{what}, n = {}", group.size), M::NAME, value as f64);
    };
    add("64 B on the wire", wire);
    add("64 B before padding", messages::unpadded(group));
    add("stored by the author of a message", stored);
}

/// Costs of commits, in the tables' rows.
#[derive(Default)]
struct Costs {
    times: Figures,
    bytes: Figures,
}

impl Costs {
    /// All libraries in turn, so that a busy spell of the machine meets all of them.
    fn measure(
        &mut self,
        tree: &str,
        hermes: &Group<HermesMember>,
        openmls: &Group<OpenMlsMember>,
        mls_rs: &Group<MlsRsMember>,
    ) {
        for _ in 0..REPETITIONS {
            self.round(tree, hermes);
            self.round(tree, openmls);
            self.round(tree, mls_rs);
        }
    }

    fn round<M: Member>(&mut self, tree: &str, group: &Group<M>) {
        self.note("add", tree, group, &membership::add(group));
        self.note("remove", tree, group, &membership::remove(group));
    }

    fn note<M>(&mut self, what: &str, tree: &str, group: &Group<M>, cost: &Cost)
    where
        M: Member,
    {
        let row = |part: &str| format!("{what} one, n = {}, {tree}: {part}", group.size);
        let mut time = |part, time: Duration| {
            self.times.add(&row(part), M::NAME, time.as_nanos() as f64);
        };
        time("its author", cost.author);
        time("another member", cost.other);
        if let Some(joiner) = cost.joiner {
            time("who joins", joiner);
        }
        let mut bytes = |part, bytes: usize| self.bytes.add(&row(part), M::NAME, bytes as f64);
        bytes("commit, up and to each member", cost.commit);
        if let Some(welcome) = cost.welcome {
            bytes("welcome, up and to who joins", welcome);
        }
        bytes("stored by another member", cost.stored);
    }

    fn tables(&self) -> String {
        let goal = |row: &str| row.starts_with("remove one, n = 998, filled: commit").then_some(40e3);
        format!(
            "Membership. Medians of {REPETITIONS}.\n\n{}\n{}",
            self.times.times(&|_| None),
            self.bytes.bytes(&goal)
        )
    }
}

/// The table; and the plot, if it was measured.
fn removal_curve(measured: bool, filled: &[&Group<HermesMember>], fresh: &[Group<HermesMember>]) -> String {
    let mut exchanges: Vec<_> = (0..3 * REPETITIONS).map(|_| Exchange::measure()).collect();
    exchanges.sort_by_key(|exchange| exchange.time);
    let exchange = exchanges.swap_remove(exchanges.len() / 2);
    let curves = [
        Curve {
            name: "Hermes, one commit, filled tree",
            points: filled.iter().map(|group| removal(group)).collect(),
        },
        Curve { name: "Hermes, one commit, fresh tree", points: fresh.iter().map(removal).collect() },
        Curve {
            name: "original design, n(n − 1)/2 exchanges",
            points: filled.iter().map(|group| Point::of_exchanges(group.size, &exchange)).collect(),
        },
    ];
    if measured {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/removal-cost.svg");
        removal::draw(&file, &curves).expect("drawn");
    }
    format!(
        "Removal. One exchange takes {:.0} µs, {} bytes up and {} down.\n\n{}",
        exchange.time.as_secs_f64() * 1e6,
        exchange.up,
        exchange.down,
        removal::table(&curves)
    )
}

fn removal(group: &Group<HermesMember>) -> Point {
    let mut figures = Figures::default();
    for _ in 0..REPETITIONS {
        let (author, other, commit) = removal::parts(&membership::remove(group));
        figures.add("author", HermesMember::NAME, author);
        figures.add("other", HermesMember::NAME, other);
        figures.add("commit", HermesMember::NAME, commit);
    }
    let median = |row| figures.median(row, HermesMember::NAME).unwrap_or(f64::NAN);
    Point::of_commit(group.size, median("author"), median("other"), median("commit"))
}
