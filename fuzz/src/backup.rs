//! Backups as a user hands them in, and what is in one that a passphrase opens.

use hermes_engine::{
    ChangeSet,
    backup::{Cost, HEADER_BYTES, Header, Manifest, Opener, Restore, Sealer},
};
use hermes_wire::{Timestamp, codec};

const KEY: [u8; 32] = [5; 32];
const HEADER: Header = Header { cost: Cost { memory_kib: 8, passes: 1, lanes: 1 }, salt: [6; 16] };
/// The version of the store that knows no newer one.
const SCHEMA: u32 = 1;

/// The bytes as a file, and as what a file holds.
pub fn import(bytes: &[u8]) {
    if let Some((header, sealed)) = bytes.split_first_chunk::<HEADER_BYTES>()
        && let Ok(header) = Header::parse(header)
    {
        assert_eq!(bytes[..HEADER_BYTES], header.to_bytes());
        let _rows = open(&header, sealed).and_then(|text| restore(&text));
    }
    let sealed = seal(bytes);
    let text = open(&HEADER, &sealed[HEADER_BYTES..]).expect("what was sealed opens");
    assert_eq!(text, bytes);
    let _rows = restore(&text);
}

fn open(header: &Header, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut opener = Opener::begin(&KEY, header);
    let mut text = Vec::new();
    for piece in sealed.chunks(1_000) {
        text.extend_from_slice(&opener.take(piece).ok()?);
    }
    text.extend_from_slice(&opener.finish().ok()?);
    Some(text)
}

/// How many rows there are, the same whatever the pieces.
fn restore(text: &[u8]) -> Option<usize> {
    let rows = |at_once: usize| {
        let (mut restore, mut changes) = (Restore::default(), ChangeSet::default());
        for piece in text.chunks(at_once) {
            restore.take(piece, SCHEMA, &mut changes).ok()?;
        }
        restore.finish().ok()?;
        Some(changes.iter().count())
    };
    let whole = rows(usize::MAX);
    assert_eq!(rows(7), whole);
    whole
}

fn seal(text: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut sealer = Sealer::begin(&KEY, &HEADER, &mut file);
    sealer.write(text, &mut file);
    sealer.finish(&mut file);
    file
}

/// Rows, and a file of them.
pub fn seeds() -> Vec<super::seeds::Seed> {
    let manifest = Manifest { schema: SCHEMA, made: Timestamp(7), account: "alice".into() };
    let rows = [
        row("manifest", b"", &codec::encode(&manifest)),
        row("account", &[0], b"keys"),
        row("contact", &[1; 16], b"bob"),
        row("message", &[1; 24], &[b'x'; 300]),
    ]
    .concat();
    vec![("backup_import", "file", seal(&rows)), ("backup_import", "rows", rows)]
}

fn row(table: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
    let lengths = (table.len() as u8, (key.len() as u16).to_be_bytes(), (value.len() as u32).to_be_bytes());
    [&[lengths.0], table.as_bytes(), &lengths.1, key, &lengths.2, value].concat()
}
