//! Replays the corpus of every fuzz target, and small mutations of it, with the ordinary toolchain.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::targets::{self, TARGETS, seeds};
use rand::{Rng, RngExt};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Mutations of each file.
const MUTATIONS: usize = 500;
/// Mutations of each file of actions, every one of which is a world with sessions of its own.
const WORLDS: usize = 12;
/// Mutations of what takes a store or a file each time; what is done to a group's body is tried on a welcome and a commit, with
/// the whole tree.
const STORES: usize = 40;
/// Mutations of a request, before and after which the whole store is compared.
const REQUESTS: usize = 100;
/// A corpus file is committed; what fuzzing finds is cut down to this first.
const FILE_BYTES: usize = 16 * 1024;

#[test]
fn nothing_in_the_corpus_panics() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        for bytes in corpus.values() {
            target(bytes);
        }
    }
}

#[test]
fn no_mutation_of_the_corpus_panics() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        let all: Vec<_> = corpus.values().collect();
        for bytes in &all {
            let mutations = match name {
                "session_actions" => WORLDS,
                "group_body" | "relay_ops" | "store_record" | "config" => STORES,
                "relay_request" => REQUESTS,
                _ => MUTATIONS,
            };
            for _ in 0..mutations {
                let other = all[rng.random_range(0..all.len())];
                target(&mutated(bytes, other, &mut rng));
            }
        }
    }
}

/// A seed that does nothing finds nothing.
#[test]
fn the_worlds_of_the_corpus_see_what_can_come_of_a_delivery() {
    let worlds = seeds::all().into_iter().filter(|(target, ..)| *target == "session_actions");
    let seen: BTreeMap<_, _> = worlds.flat_map(|(_, _, bytes)| targets::play(&bytes)).collect();
    for outcome in ["opened", "Duplicate", "TooOld", "Forged", "NotForThisSession", "ephemeral opened"] {
        assert!(seen.contains_key(outcome), "{outcome}: {seen:?}");
    }
}

#[test]
fn the_corpus_has_every_real_value() {
    for (target, name, bytes) in seeds::all() {
        assert!(TARGETS.iter().any(|(known, _)| *known == target), "{target} is no target");
        let found = fs::read(directory(target).join(name)).unwrap_or_default();
        assert!(
            found == bytes,
            "{target}/{name} is not what it is today; write the corpus again (see write_corpus)"
        );
    }
}

/// `cargo test -p hermes-tests --test project -- --ignored write_corpus`, after a change of format.
#[test]
#[ignore = "writes the corpus of real values and a few broken ones"]
fn write_corpus() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for (target, name, bytes) in seeds::all() {
        assert!(bytes.len() <= FILE_BYTES, "{target}/{name} is too large to commit");
        let directory = directory(target);
        fs::create_dir_all(&directory).expect("the corpus' directory can be made");
        fs::write(directory.join(name), &bytes).expect("a corpus file can be written");
        let broken = mutated(&bytes, &bytes, &mut rng);
        fs::write(directory.join(format!("{name}.broken")), broken).expect("a corpus file can be written");
    }
}

fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn corpus(target: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let files =
        fs::read_dir(directory(target)).unwrap_or_else(|error| panic!("{target} has no corpus: {error}"));
    files
        .map(|file| file.expect("a corpus file").path())
        .map(|path| (path.clone(), fs::read(path).expect("a corpus file can be read")))
        .collect()
}

/// One to four small damages: bits, lengths, repetitions, a piece of another value.
fn mutated(bytes: &[u8], other: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        let piece = at..bytes.len().min(at + rng.random_range(0..64));
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(piece)),
            2 => {
                let piece = bytes[piece].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                let from = rng.random_range(0..=other.len());
                bytes.splice(at..at, other[from..].iter().take(64).copied());
            }
            4 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            _ => rng.fill_bytes(&mut bytes[piece]),
        }
    }
    bytes
}
