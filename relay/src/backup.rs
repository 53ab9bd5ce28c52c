//! A relay in one file: its key, and every row of its store at one moment, while it goes on working.
//!
//! The file is a line that names it, frames, and the SHA-256 of all that. It depends on nothing of how the store lies on
//! the disk, so another version, or another kind of store, can read it. It holds what the store holds: nothing that
//! opens a message; but whoever has the relay's key can pass for the relay.

use std::{
    io::{self, Read, Write},
    mem,
};

use hermes_wire::{
    codec,
    prekey::{PrekeyEntry, PrekeyKind},
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{
    limits::BACKUP_FRAME_BYTES,
    store::{
        Mailbox, StoreError,
        fjall::{FjallStore, RawRow},
    },
};

/// The first line of a backup.
const MAGIC: &[u8] = b"Hermes relay backup 1\n";

/// Kinds of frames: a byte, four bytes of length (big-endian), and the rest.
mod kind {
    /// The relay's key, PEM.
    pub(super) const KEY: u8 = b'K';
    /// The name of the table that the rows after it belong to.
    pub(super) const TABLE: u8 = b'T';
    /// A row: two bytes of its key's length, its key, its value.
    pub(super) const ROW: u8 = b'R';
    /// The hash of everything before this frame. Nothing follows.
    pub(super) const END: u8 = b'E';
}

/// Why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It cannot be written, or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The store cannot be read, or filled.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// It is no backup, is cut off, or was changed.
    #[error("this is no whole backup of a relay: {0}")]
    Damaged(&'static str),
}

/// Writes a relay's key and rows. Gives the number of rows.
pub fn write(out: impl Write, key_pem: &str, store: &FjallStore) -> Result<u64, BackupError> {
    let mut out = Hashing { inner: out, hash: Sha256::new() };
    out.write_all(MAGIC)?;
    out.frame(kind::KEY, &[key_pem.as_bytes()])?;
    let (mut last, mut rows) = ("", 0);
    store.each_row(|table, key, value| {
        if mem::replace(&mut last, table) != table {
            out.frame(kind::TABLE, &[table.as_bytes()])?;
        }
        rows += 1;
        let length = u16::try_from(key.len()).map_err(|_| StoreError::Damaged { table })?;
        out.frame(kind::ROW, &[&length.to_be_bytes(), key, value])
    })?;
    let hash = out.hash.clone().finalize();
    out.frame(kind::END, &[&hash])?;
    out.flush()?;
    Ok(rows)
}

/// What is read of a backup, frame by frame. It is whole only if the last item was no error.
pub struct Backup<R> {
    input: Hashing<R>,
    table: String,
    ended: bool,
}

impl<R: Read> Backup<R> {
    /// Reads the beginning of a backup, and the relay's key (PEM) from it.
    pub fn open(input: R) -> Result<(Self, String), BackupError> {
        let mut input = Hashing { inner: input, hash: Sha256::new() };
        let mut magic = [0; MAGIC.len()];
        match input.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => return Err(BackupError::Damaged("it does not begin like one")),
        }
        let mut backup = Self { input, table: String::new(), ended: false };
        let (kind, pem) = backup.frame()?;
        let pem = String::from_utf8(pem).ok().filter(|_| kind == kind::KEY);
        Ok((backup, pem.ok_or(BackupError::Damaged("it has no key"))?))
    }

    fn next_row(&mut self) -> Result<Option<RawRow>, BackupError> {
        loop {
            let before = self.input.hash.clone();
            let (kind, payload) = self.frame()?;
            match kind {
                kind::TABLE => {
                    self.table = String::from_utf8(payload)
                        .map_err(|_| BackupError::Damaged("a table has no name"))?;
                }
                kind::ROW => {
                    let parts = payload.split_first_chunk().and_then(|(length, rest)| {
                        rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
                    });
                    let (key, value) = parts.ok_or(BackupError::Damaged("a row is too short"))?;
                    let (table, key, value) = (self.table.clone(), key.to_vec(), value.to_vec());
                    return Ok(Some(RawRow { table, key, value }));
                }
                kind::END => {
                    if payload != before.finalize().as_slice() {
                        return Err(BackupError::Damaged("its checksum is another"));
                    }
                    if self.input.inner.read(&mut [0])? != 0 {
                        return Err(BackupError::Damaged("something follows its end"));
                    }
                    return Ok(None);
                }
                _ => return Err(BackupError::Damaged("it has parts of an unknown kind")),
            }
        }
    }

    fn frame(&mut self) -> Result<(u8, Vec<u8>), BackupError> {
        let mut head = [0; 5];
        self.exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > BACKUP_FRAME_BYTES {
            return Err(BackupError::Damaged("a part of it is too long"));
        }
        let mut payload = vec![0; length];
        self.exact(&mut payload)?;
        Ok((kind, payload))
    }

    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::Damaged("it is cut off"),
            _ => error.into(),
        })
    }
}

impl<R: Read> Iterator for Backup<R> {
    type Item = Result<RawRow, BackupError>;

    /// The rows, in the order of the store. After an error there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.next_row().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

/// What becomes of a row when it is put back: one-time prekeys stay behind, as they may have been handed out since, and
/// each is for one use. Their owners bring new ones when they connect.
pub fn put_back(mut row: RawRow) -> Result<Option<RawRow>, StoreError> {
    match row.table.as_str() {
        "prekeys" => {
            let prekey: PrekeyEntry = decode(&row)?;
            Ok((!prekey.kind.is_one_time()).then_some(row))
        }
        "mailboxes" => {
            let mut mailbox: Mailbox = decode(&row)?;
            for (kind, count) in PrekeyKind::ALL.into_iter().zip(&mut mailbox.stock) {
                if kind.is_one_time() {
                    *count = 0;
                }
            }
            row.value = codec::encode(&mailbox);
            Ok(Some(row))
        }
        _ => Ok(Some(row)),
    }
}

fn decode<T: DeserializeOwned>(row: &RawRow) -> Result<T, StoreError> {
    codec::decode_tolerant(&row.value, BACKUP_FRAME_BYTES)
        .map_err(|_| StoreError::Backend(format!("a row of `{}` cannot be read", row.table)))
}

/// A reader or writer, and the hash of what went through it.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
}

impl<W: Write> Hashing<W> {
    fn frame(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), BackupError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).ok().filter(|length| *length as usize <= BACKUP_FRAME_BYTES);
        let length = length.ok_or(BackupError::Damaged("a row is too long"))?;
        self.write_all(&[kind])?;
        self.write_all(&length.to_be_bytes())?;
        Ok(parts.iter().try_for_each(|part| self.write_all(part))?)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hash.update(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}
