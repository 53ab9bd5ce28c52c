//! Messages in groups of several sizes: their time, and what is written and sent for each.

use std::{hint::black_box, time::Duration};

use crate::{
    clock::Stopwatch,
    group::{grow::Group, member::Member},
};

/// Takes iterations, returns their time.
pub type Work = Box<dyn FnMut(u64) -> Duration>;

/// One thing to do with one library.
pub struct Task {
    /// As the tables call it; the same for all libraries.
    pub name: String,
    /// The library.
    pub side: &'static str,
    /// What is measured.
    pub work: Work,
}

/// Bytes of one message.
pub struct Bytes {
    /// Of a text of 64 bytes.
    pub wire: usize,
    /// What its author stores.
    pub stored: usize,
}

/// Inputs made at a time while the clock stands still.
const BATCH: u64 = 64;

/// The name of encrypting so many bytes in a group of so many, with what is stored for it.
pub fn encrypting(bytes: usize, size: usize) -> String {
    format!("encrypt and store, {}, n = {size}", text(bytes))
}

/// The same for decrypting.
pub fn decrypting(bytes: usize, size: usize) -> String {
    format!("decrypt and store, {}, n = {size}", text(bytes))
}

fn text(bytes: usize) -> String {
    if bytes == 1_024 { "1 KiB".to_owned() } else { format!("{bytes} B") }
}

/// Everything that is measured in a group.
pub fn tasks<M: Member + 'static>(group: &Group<M>) -> Vec<Task> {
    let task = |name, work| Task { name, side: M::NAME, work };
    let size = group.size;
    vec![
        task(encrypting(64, size), encrypt::<M, 64>(group)),
        task(decrypting(64, size), decrypt::<M, 64>(group)),
        task(encrypting(1_024, size), encrypt::<M, 1_024>(group)),
        task(decrypting(1_024, size), decrypt::<M, 1_024>(group)),
    ]
}

/// Once more without what is stored, for libraries that do it apart.
pub fn bare_tasks<M: Member + 'static>(group: &Group<M>) -> Vec<Task> {
    let Group { mut creator, .. } = group.copy();
    let encrypt = move |iterations| {
        let began = Stopwatch::start();
        for _ in 0..iterations {
            black_box(creator.encrypt(black_box(&[7; 64])));
        }
        began.elapsed()
    };
    let decrypt = decrypt_with::<M, 64>(group, |_| ());
    let task = |name: String, work| Task { name, side: M::NAME, work };
    vec![
        task(format!("encrypt alone, 64 B, n = {}", group.size), Box::new(encrypt)),
        task(format!("decrypt alone, 64 B, n = {}", group.size), decrypt),
    ]
}

fn encrypt<M: Member + 'static, const N: usize>(group: &Group<M>) -> Work {
    let Group { mut creator, .. } = group.copy();
    Box::new(move |iterations| {
        let began = Stopwatch::start();
        for _ in 0..iterations {
            black_box(creator.encrypt(black_box(&[7; N])));
            creator.record();
        }
        began.elapsed()
    })
}

fn decrypt<M: Member + 'static, const N: usize>(group: &Group<M>) -> Work {
    decrypt_with::<M, N>(group, M::record)
}

fn decrypt_with<M: Member + 'static, const N: usize>(group: &Group<M>, record: fn(&mut M)) -> Work {
    let Group { mut creator, mut other, .. } = group.copy();
    Box::new(move |iterations| {
        let (mut time, mut left) = (Duration::ZERO, iterations);
        while left > 0 {
            let batch = left.min(BATCH);
            left -= batch;
            let messages: Vec<_> = (0..batch).map(|_| creator.encrypt(&[7; N])).collect();
            let began = Stopwatch::start();
            for message in &messages {
                black_box(other.decrypt(message));
                record(&mut other);
            }
            time += began.elapsed();
        }
        time
    })
}

/// Of a message of 64 bytes, after some others.
pub fn bytes<M: Member>(group: &Group<M>) -> Bytes {
    let Group { mut creator, .. } = group.copy();
    for _ in 0..10 {
        creator.encrypt(&[7; 64]);
        creator.record();
    }
    let mut wire = 0;
    let stored = creator.stored_by(|creator| {
        wire = creator.encrypt(&[7; 64]).len();
        creator.record();
    });
    Bytes { wire, stored }
}

/// Bytes of a message of 64 that are not padding: those that a longer text may take without a longer message are.
pub fn unpadded<M: Member>(group: &Group<M>) -> usize {
    let Group { mut creator, .. } = group.copy();
    let wire = creator.encrypt(&[7; 64]).len();
    let room = (0..).take_while(|more| creator.encrypt(&vec![7; 64 + more]).len() == wire).count() - 1;
    wire - room
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{hermes::HermesMember, mls_rs::MlsRsMember, openmls::OpenMlsMember};

    fn each_task_runs<M: Member + 'static>() {
        let group = Group::<M>::fresh(3);
        for mut task in tasks(&group).into_iter().chain(bare_tasks(&group)) {
            assert!((task.work)(3) > Duration::ZERO, "{}", task.name);
            assert!((task.work)(70) > Duration::ZERO, "{} again", task.name);
        }
    }

    #[test]
    fn each_task_runs_with_each_library() {
        each_task_runs::<HermesMember>();
        each_task_runs::<OpenMlsMember>();
        each_task_runs::<MlsRsMember>();
    }

    /// docs/protocol.md, section 15: 208 bytes for 64, and a row of 73 bytes.
    #[test]
    fn a_message_of_hermes_costs_what_the_layout_says() {
        for size in [2, 20] {
            let group = Group::<HermesMember>::fresh(size);
            let Bytes { wire, stored } = bytes(&group);
            assert_eq!((wire, unpadded(&group), stored), (256, 208, 73));
        }
    }

    /// mls-rs writes the group as a whole, OpenMLS what has to do with secrets of messages.
    #[test]
    fn what_the_others_store_grows_with_the_group() {
        let grows = |small: usize, large: usize| assert!(small < large, "{small} {large}");
        grows(
            bytes(&Group::<OpenMlsMember>::fresh(3)).stored,
            bytes(&Group::<OpenMlsMember>::fresh(40)).stored,
        );
        grows(bytes(&Group::<MlsRsMember>::fresh(3)).stored, bytes(&Group::<MlsRsMember>::fresh(40)).stored);
    }
}
