//! Neither the relay's disk nor its memory nor anyone's log nor a daemon's database shows a text, a name or a key.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::skip::skipped_because;
use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use hermes_tests::world::{Account, World, memory};
use memchr::memmem;

/// Texts that stand nowhere else.
const TEXT: &str = "canary text: the password is blue giraffe 7731";
const LINES: &str = "canary line one\ncanary line two: überraschung\n";
/// Names that stand nowhere else.
const ALICE: &str = "canaryalice-wqzx";
const BOB: &str = "canarybob-vjkq";

#[test]
fn texts_names_and_keys_are_found_nowhere() {
    let world = World::with_everything_logged();
    let (alice, bob) = world.pair(ALICE, BOB);
    alice.send(BOB, TEXT);
    alice.ctl_with_input(&["send", BOB, "-"], LINES.as_bytes()).ok();
    bob.send(ALICE, TEXT);
    world.until("both have everything", || bob.unread().len() == 2 && alice.unread() == [TEXT]);
    // What fails is logged too, and must not be logged with what it was about.
    alice.ctl(&["send", "canarynobody", TEXT]).refused(5);
    bob.home.stop();
    alice.send(BOB, TEXT);
    world.until("it waits at the relay", || alice.status().is_some_and(|status| status.outbox == 0));
    let canaries = canaries(&[&alice, &bob]);

    let places = [world.relay.state(), alice.home.path(), bob.home.path()];
    assert_eq!(
        found(&canaries, &places.map(Path::to_owned), &[&alice, &bob]),
        Vec::<String>::new(),
        "while they run"
    );
    // As a core file of it would have it.
    let pid = world.relay.process().pid().expect("the relay runs");
    for (name, canary) in &canaries {
        match memory::count(pid, &[canary]) {
            Ok(found) => assert_eq!(found, 0, "{name} in the relay's memory"),
            Err(error) => {
                skipped_because("the relay's memory", &format!("it cannot be read here: {error}"));
                break;
            }
        }
    }
    world.relay.process().terminate();
    alice.home.stop();
    let places = [world.relay.state(), world.relay.log(), alice.home.path(), bob.home.path()];
    assert_eq!(
        found(&canaries, &places.map(Path::to_owned), &[&alice, &bob]),
        Vec::<String>::new(),
        "after they ended"
    );
}

#[test]
fn the_search_finds_what_is_planted() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let canaries = BTreeMap::from([("text".to_owned(), TEXT.as_bytes().to_vec())]);
    let noise = "x".repeat(5_000);
    let encoded = |skip: usize| BASE64_NOPAD.encode(format!("{}{TEXT}", &noise[..skip]).as_bytes());
    let planted = [
        ("raw", TEXT.to_owned()),
        ("hex", HEXLOWER.encode(TEXT.as_bytes())),
        ("upper", HEXLOWER.encode(TEXT.as_bytes()).to_uppercase()),
        ("base64-0", encoded(0)),
        ("base64-1", encoded(1)),
        ("base64-2", encoded(2)),
        ("base64url", BASE64URL_NOPAD.encode(TEXT.as_bytes())),
        ("debug", format!("{:?}", TEXT.as_bytes())),
        ("base32", BASE32_NOPAD.encode(TEXT.as_bytes())),
    ];
    for (name, text) in &planted {
        fs::write(directory.path().join(name), format!("{noise}{text}{noise}"))
            .expect("a file can be written");
    }
    fs::write(directory.path().join("clean"), noise).expect("a file can be written");
    let found = found(&canaries, &[directory.path().to_owned()], &[]);
    assert_eq!(found.len(), planted.len(), "{found:#?}");
}

/// What must not be found, with a name for each.
fn canaries(accounts: &[&Account]) -> BTreeMap<String, Vec<u8>> {
    let mut canaries = BTreeMap::from([
        ("text".to_owned(), TEXT.as_bytes().to_vec()),
        ("first line".to_owned(), b"canary line one".to_vec()),
        ("second line".to_owned(), "canary line two: überraschung".as_bytes().to_vec()),
        ("unknown name".to_owned(), b"canarynobody".to_vec()),
    ]);
    for account in accounts {
        canaries.insert(format!("name {}", account.name), account.name.clone().into_bytes());
        let file = fs::read_to_string(account.home.key_file(&account.name)).expect("there is a key file");
        let digits = file.split_whitespace().last().expect("a key file ends with digits");
        let key = HEXLOWER.decode(digits.as_bytes()).expect("the digits are hex");
        assert_eq!(key.len(), 32);
        canaries.insert(format!("key of {}", account.name), key);
    }
    canaries
}

/// Where which canary is found, in any of the forms that a program might write it in.
fn found(canaries: &BTreeMap<String, Vec<u8>>, places: &[PathBuf], accounts: &[&Account]) -> Vec<String> {
    let files: Vec<_> = places.iter().flat_map(|place| files(place)).collect();
    assert!(files.len() > accounts.len(), "nothing to search in {places:?}");
    let forms: Vec<_> = canaries.iter().flat_map(|(name, canary)| forms(name, canary)).collect();
    let key_files: Vec<_> = accounts.iter().map(|account| account.home.key_file(&account.name)).collect();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !key_files.contains(file)) {
        // A file that goes while we look, like a write-ahead log, is no leak.
        let content = fs::read(file).unwrap_or_default();
        let content_lower = content.to_ascii_lowercase();
        for (name, form, case) in &forms {
            let hay = match case {
                Case::Exact => &content,
                Case::Ignored => &content_lower,
            };
            if memmem::find(hay, form).is_some() {
                found.push(format!("{name} in {}", file.display()));
            }
        }
    }
    found.dedup();
    found
}

/// Whether upper and lower case are the same.
#[derive(Clone, Copy, Debug)]
enum Case {
    Exact,
    Ignored,
}

fn forms(name: &str, canary: &[u8]) -> Vec<(String, Vec<u8>, Case)> {
    let mut forms = vec![
        (format!("{name}, plain"), canary.to_ascii_lowercase(), Case::Ignored),
        (format!("{name}, hex"), HEXLOWER.encode(canary).into_bytes(), Case::Ignored),
        (
            format!("{name}, list of numbers"),
            format!("{canary:?}").trim_matches(['[', ']']).as_bytes().to_vec(),
            Case::Exact,
        ),
        (
            format!("{name}, base32"),
            BASE32_NOPAD.encode(whole_groups(canary, 5)).to_ascii_lowercase().into_bytes(),
            Case::Ignored,
        ),
    ];
    for skip in 0..3 {
        // What stands before it shifts the letters; whole groups of three bytes do not depend on their neighbours.
        let aligned = whole_groups(&canary[skip..], 3);
        for base64 in [BASE64_NOPAD, BASE64URL_NOPAD] {
            forms.push((format!("{name}, base64"), base64.encode(aligned).into_bytes(), Case::Exact));
        }
    }
    forms
}

fn whole_groups(bytes: &[u8], size: usize) -> &[u8] {
    &bytes[..bytes.len() / size * size]
}

fn files(place: &Path) -> Vec<PathBuf> {
    match fs::read_dir(place) {
        Ok(entries) => entries.flatten().flat_map(|entry| files(&entry.path())).collect(),
        Err(_) if place.is_file() => vec![place.to_owned()],
        Err(_) => Vec::new(),
    }
}
