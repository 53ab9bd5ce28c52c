//! Shows that the check can fail, and that it does not always.

use std::hint::black_box;

use subtle::ConstantTimeEq;

use crate::taint::{public, secret};

const GUESS: [u8; 32] = [7; 32];

fn key() -> [u8; 32] {
    let mut key = [7; 32];
    secret(&mut key);
    key
}

pub fn early_exit() {
    // As slices of a length that the compiler does not know, which it cannot turn into one comparison.
    let (key, guess) = (key(), black_box(&GUESS[..]));
    black_box(black_box(&key[..]) == guess);
}

pub fn lookup() {
    let [first, ..] = key();
    black_box(black_box(&[1_u8; 256])[usize::from(first)]);
}

pub fn constant_time() {
    let verdict = key().ct_eq(&GUESS);
    // A verdict is what a comparison is for.
    public(&verdict);
    assert!(bool::from(verdict));
}
