# `just check` runs exactly what CI runs.

default:
    @just --list

# Everything that has to pass before a change lands.
check:
    .ci/run

# The quick half of it.
test:
    cargo test --workspace

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Licences, advisories, duplicate versions (needs cargo-deny).
deny:
    cargo deny check
    cargo deny --manifest-path bench/Cargo.toml --config deny.toml check

# Simulation with more seeds: just sim 10000
sim seeds="500":
    HERMES_SIM_SEEDS={{seeds}} cargo test --release --workspace --test simulation pairs -- --nocapture

# A group of so many clients in one process, and what each step took: just group-size 250
group-size members:
    HERMES_GROUP_SIZE={{members}} cargo test --release --workspace --test simulation group_size -- --nocapture

# Storms of faults on two engines: just storm 1000
storm seeds="100":
    HERMES_STORM_SEEDS={{seeds}} cargo test --release --workspace --test engine after_any_storm

# Kills at random moments: just kill 100
kill rounds="20":
    HERMES_KILL_ROUNDS={{rounds}} cargo test --release --workspace --test system kill -- --nocapture

# A relay's rules and store, killed so many times after up to so many commits, and read meanwhile: just kept 60 3000
kept kills="20" commits="1000":
    HERMES_KEPT_KILLS={{kills}} HERMES_KEPT_COMMITS={{commits}} cargo test --workspace --test relay kept

# A disk that fills up so many times, with a little more room each time: just full-disk 40
full-disk levels="40":
    HERMES_DISK_LEVELS={{levels}} cargo test --workspace --test system full_disk -- --nocapture

# Mutations of an account's store, and a daemon started on every hundredth as many: just corruptions 50000
corruptions mutations="1000":
    HERMES_CORRUPTIONS={{mutations}} cargo test --workspace --bin hermesd store::corruption -- --nocapture
    HERMES_FLIPS=$(( ({{mutations}} + 99) / 100 )) cargo test --workspace --test system a_store_with_one_damage -- --nocapture

# Daemons and a relay over the real QUIC, on a network that loses and spoils packets: just link-sim 500, HERMES_SEED=7 just link-sim
link-sim seeds="100":
    HERMES_LINK_SEEDS={{seeds}} cargo test --workspace --bin hermesd link::simulation -- --nocapture

# Power cuts of the disks of a relay and two daemons, at random moments: just power-cuts 200 (needs root)
power-cuts cuts="50":
    HERMES_POWER_CUTS={{cuts}} cargo test --workspace --test system power -- --nocapture

# One system call after the other at which a daemon or the relay is killed, or its disk fails once: just crash-matrix, or every
# fifth call with just crash-matrix 5 (needs strace)
crash-matrix stride="1":
    HERMES_TRAP_STRIDE={{stride}} cargo test --workspace --test system traps -- --nocapture

# Messages each way over a road that loses, repeats, holds up and slows down packets: just road 500
road texts="100":
    HERMES_ROAD_TEXTS={{texts}} cargo test --workspace --test system bad_road -- --nocapture

# Accounts of real daemons that write for so many seconds while all is killed now and then: just soak 2000 600
soak clients="200" seconds="120":
    HERMES_SOAK_CLIENTS={{clients}} HERMES_SOAK_SECONDS={{seconds}} HERMES_SOAK_RATE={{clients}} cargo test --release --workspace --test system soak -- --nocapture

# Branches and addresses that depend on secrets (needs valgrind).
constant-time:
    constant-time/check

# Every state of the models of delivery and of a channel.
models:
    cd models && cargo test -- --nocapture

# Attacks on the models of handshake and ratchet (needs verifpal; ten minutes).
formal *claims:
    docs/models/check {{claims}}

# Requests that nobody thought of against the local API and its description (needs python3; installs Schemathesis from PyPI).
schemathesis *args:
    tests/schemathesis/run {{args}}

# Which lines the tests run, programs that they start included: just coverage, just coverage --lib --bins (installs LLVM's tools
# from PyPI where the toolchain has none)
coverage *args:
    tests/coverage/run {{args}}

# Whether two builds of the release programs in two directories give the same bytes.
reproducible:
    tests/reproducible/run

# The daemon as a service of a real systemd, in namespaces (needs root and systemd).
systemd:
    tests/systemd/run

# Fuzz one target for a while: just fuzz frame_decode 600 (needs cargo-fuzz)
fuzz target seconds="60":
    mkdir -p fuzz/found/{{target}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} fuzz/found/{{target}} fuzz/corpus/{{target}} -- -max_total_time={{seconds}}

# Pairs beside Olm, groups beside OpenMLS and mls-rs, as tables of ratios: just bench, just bench setup
bench filter="":
    cd bench && cargo bench -- --quiet {{filter}}

# Real clients against a real relay, and against the brokers that are installed: just load --only pairs --rounds 5
load *args:
    cargo build --release -p hermes-relay
    cd bench && cargo run --release -p hermes-load -- {{args}}

# That the benches build and do what they say, without measuring.
bench-check:
    cd bench && cargo fmt --all --check
    cd bench && cargo clippy --workspace --all-targets -- -D warnings
    cd bench && cargo test --all-targets

# What the programs are made of, as CycloneDX: a file beside each package's Cargo.toml (needs cargo-cyclonedx).
sbom:
    cargo cyclonedx --format json --describe binaries

# The large figures, one after the other: most of a day on two cores, and root for disks.
nightly: deny models constant-time formal sbom
    just sim 100000
    just storm 1000
    just link-sim 2000
    just kill 10000
    just kept 200 3000
    just power-cuts 2000
    just full-disk 40
    just corruptions 50000
    just crash-matrix 5
    just road 500
    just soak 2000 1800
    for target in $(ls fuzz/corpus); do just fuzz $target 600; done
    just coverage
    just reproducible
    just mutants

# Does a test notice when the code is wrong? just mutants --file protocol/src/kdf.rs (needs cargo-mutants)
mutants *args:
    -cargo mutants --package hermes-protocol --cargo-arg=--lib {{args}}
    cargo mutants --package hermes-protocol --iterate {{args}}

# A relay and two daemons on this machine, talking.
demo:
    cargo build --release
    ./target/release/hermesctl demo
