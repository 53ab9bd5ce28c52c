//! Backups: what of an account is worth keeping elsewhere, and the file that holds it.
//!
//! A backup has the account's keys, its contacts, its history and its settings. It never has a session, a chain, a prekey
//! secret or a key of a group's epoch: a store that is made from it begins anew with everyone, as one does that was put
//! back from an old copy (`claim.rs`), and its first act is to take the place of the store it was made from. So
//! the backup is made of the rows as they would stand after such a loss.
//!
//! The file is a container (`container.rs`) around rows, one behind the other: the length of the table's name in one byte, the name;
//! the length of the key in two, the key; the length of the value in four, the value; numbers big-endian. The first one
//! is of no table: it is the [`Manifest`]. The container says where the end is.

mod container;

use std::ops::ControlFlow;

use hermes_wire::{InstanceId, Timestamp, codec};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::container::{Cost, HEADER_BYTES, Header, Opener, SALT_BYTES, Sealer};
use crate::{
    account,
    changes::{ChangeSet, Overlay},
    claim::ClaimsRecord,
    guest::{GuestRecord, GuestTally, GuestTallyKey},
    limits::{self, BACKUP_KEY_BYTES, BACKUP_ROW_BYTES},
    row::{ContactRecord, FetchPurpose, StoreStanding},
    rows::{AccountKey, ClaimsKey, StoreResult},
    step::Engine,
    store::{Order, Range, Table, Value, View},
    turn::Turn,
};

/// The name that the manifest has in place of a table's.
const MANIFEST: &str = "manifest";
/// Bytes of a table's name.
const TABLE_BYTES: usize = 64;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the store that its rows are of. A newer one has rows that nobody here can read.
    pub schema: u32,
    /// When it was made.
    pub made: Timestamp,
    /// The account's label.
    pub account: String,
}

/// Why a file gives no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// It begins like nothing of ours.
    #[error("it is no backup of Hermes")]
    NotABackup,
    /// A later version made it.
    #[error("a newer version of Hermes made it")]
    Newer,
    /// The key does not open it, or it was changed, or its end is missing. Which of these is not told apart.
    #[error("the passphrase is another one, or the file is damaged")]
    Closed,
    /// Opened, it is no account's rows.
    #[error("what it holds is damaged")]
    Malformed,
}

/// Reads an account's portable rows, and hands the bytes of a backup to `write`, piece by piece, until it breaks.
/// Nothing in the store changes.
pub fn rows<V: View>(
    view: &V,
    manifest: &Manifest,
    now: Timestamp,
    rng: &mut dyn CryptoRng,
    write: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> StoreResult<(), V> {
    let changes = Engine::load(view)?.consider(view, now, rng, |turn| turn.leave_behind())?;
    let portable = Overlay { base: view, changes: &changes };
    let manifest = Zeroizing::new(codec::encode(manifest));
    if write(&row(MANIFEST, &[], &manifest)).is_break() {
        return Ok(());
    }
    for table in Table::ALL.into_iter().filter(|table| table.is_portable()) {
        let mut stopped = false;
        portable
            .scan(table, &Range::all(), Order::Ascending, &mut |key, value| {
                let flow = write(&row(table.name(), key, &value));
                stopped = flow.is_break();
                flow
            })
            .map_err(crate::rows::ReadError::Store)?;
        if stopped {
            return Ok(());
        }
    }
    Ok(())
}

impl<V: View> Turn<'_, V> {
    /// Does to the rows what being put back from an old copy does, before it has happened.
    fn leave_behind(&mut self) -> StoreResult<(), V> {
        self.lose_groups()?;
        self.forget_group_secrets()?;
        self.lose_request_sessions()?;
        let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
        for (chat, _) in self.scan::<ContactRecord>(&Range::all(), limit)? {
            // What has not left waits for the next session.
            self.withdraw_from(chat, 0)?;
            self.take_back_key_packages(chat)?;
            let Some(contact) = self.get::<ContactRecord>(&chat)? else { continue };
            self.put(&chat, &contact.without_sessions());
        }
        for (guest, record) in self.scan::<GuestRecord>(&Range::all(), limits::GUESTS)? {
            let record = record.left_behind(self.rng);
            self.put(&guest, &record);
            if let Some(tally) = self.get::<GuestTally>(&GuestTallyKey(guest))? {
                self.put(&GuestTallyKey(guest), &tally.left_behind());
            }
        }
        let mut account = account::record(self.view)?;
        account.instance = InstanceId::random(self.rng);
        account.registration_token = None;
        self.put(&AccountKey, &account);
        let claims = ClaimsRecord::draw(self.rng);
        self.put(&ClaimsKey, &claims);
        self.counters.outbox = 0;
        self.counters.early = 0;
        // What is restored from it takes the place of the store that it was made from.
        self.counters.standing = StoreStanding::TakingOver;
        Ok(())
    }
}

impl ContactRecord {
    /// The contact as somebody has it who knows it and has no session with it.
    fn without_sessions(mut self) -> Self {
        self.active = None;
        self.retired.clear();
        // An invite that was to be used can still be.
        self.fetching.take_if(|fetching| !matches!(fetching.purpose, FetchPurpose::Pair(_)));
        self.unopened.clear();
        self.told.clear();
        self.renewal.begun.clear();
        self.renewal.wanted = None;
        self.resend = None;
        self
    }
}

/// Puts an account together from the bytes of a backup, opened, in whatever pieces they come.
#[derive(Default)]
pub struct Restore {
    /// The beginning of a row whose end has not come.
    rest: Zeroizing<Vec<u8>>,
    manifest: Option<Manifest>,
}

impl Restore {
    /// Takes the next bytes; the rows that they complete are added to `changes`, for a store that is empty otherwise.
    pub fn take(
        &mut self,
        bytes: &[u8],
        newest_schema: u32,
        changes: &mut ChangeSet,
    ) -> Result<(), BackupError> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut left = rest.as_slice();
        while let Some((table, key, value)) = next(&mut left)? {
            match (&self.manifest, table) {
                (None, MANIFEST) => self.manifest = Some(manifest(value, newest_schema)?),
                (None, _) => return Err(BackupError::Malformed),
                (Some(_), table) => {
                    let known = |known: &Table| known.is_portable() && known.name() == table;
                    let table = Table::ALL.into_iter().find(known).ok_or(BackupError::Malformed)?;
                    changes.put(table, key.to_vec(), Value::new(value.to_vec()));
                }
            }
        }
        self.rest = Zeroizing::new(left.to_vec());
        Ok(())
    }

    /// What the backup says of itself, once its beginning is here.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// All bytes were taken.
    pub fn finish(self) -> Result<Manifest, BackupError> {
        match self.manifest {
            Some(manifest) if self.rest.is_empty() => Ok(manifest),
            _ => Err(BackupError::Malformed),
        }
    }
}

fn manifest(value: &[u8], newest_schema: u32) -> Result<Manifest, BackupError> {
    let manifest: Manifest = codec::decode(value, BACKUP_ROW_BYTES).map_err(|_| BackupError::Malformed)?;
    if manifest.schema > newest_schema { Err(BackupError::Newer) } else { Ok(manifest) }
}

/// A row's bytes.
fn row(table: &str, key: &[u8], value: &[u8]) -> Zeroizing<Vec<u8>> {
    // All of them fit: names of tables, keys and records have limits of their own.
    let (name, keys) = (u8::try_from(table.len()), u16::try_from(key.len()));
    let values = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let mut row = Zeroizing::new(Vec::with_capacity(7 + table.len() + key.len() + value.len()));
    row.push(name.unwrap_or(u8::MAX));
    row.extend_from_slice(table.as_bytes());
    row.extend_from_slice(&keys.unwrap_or(u16::MAX).to_be_bytes());
    row.extend_from_slice(key);
    row.extend_from_slice(&values.to_be_bytes());
    row.extend_from_slice(value);
    row
}

type Parsed<'a> = (&'a str, &'a [u8], &'a [u8]);

/// The next row, if all of it is here. A length is believed only up to its limit, so that nobody waits for more.
fn next<'a>(bytes: &mut &'a [u8]) -> Result<Option<Parsed<'a>>, BackupError> {
    let Some(([name], rest)) = bytes.split_first_chunk::<1>() else { return Ok(None) };
    let Some((name, rest)) = part(rest, usize::from(*name), TABLE_BYTES)? else { return Ok(None) };
    let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    let Some((key, rest)) = part(rest, length, BACKUP_KEY_BYTES)? else { return Ok(None) };
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BackupError::Malformed)?;
    let Some((value, rest)) = part(rest, length, BACKUP_ROW_BYTES)? else { return Ok(None) };
    *bytes = rest;
    let name = str::from_utf8(name).map_err(|_| BackupError::Malformed)?;
    Ok(Some((name, key, value)))
}

/// Something of this length and what is behind it, if all of it is here.
type Part<'a> = Option<(&'a [u8], &'a [u8])>;

fn part(bytes: &[u8], length: usize, most: usize) -> Result<Part<'_>, BackupError> {
    if length > most { Err(BackupError::Malformed) } else { Ok(bytes.split_at_checked(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        let manifest = Manifest { schema: 1, made: Timestamp(5), account: "alice".into() };
        let rows = [
            row(MANIFEST, &[], &codec::encode(&manifest)),
            row("contact", b"key", b"value"),
            row("message", &[], &[]),
        ];
        rows.iter().flat_map(|row| row.to_vec()).collect()
    }

    fn take(pieces: &[&[u8]], schema: u32) -> Result<(Manifest, usize), BackupError> {
        let (mut restore, mut changes) = (Restore::default(), ChangeSet::default());
        for piece in pieces {
            restore.take(piece, schema, &mut changes)?;
        }
        Ok((restore.finish()?, changes.iter().count()))
    }

    #[test]
    fn rows_come_out_as_they_went_in_whatever_the_pieces() {
        let all = bytes();
        for cut in 0..all.len() {
            let (before, after) = all.split_at(cut);
            let (manifest, rows) = take(&[before, after], 1).unwrap();
            assert_eq!((manifest.account.as_str(), rows), ("alice", 2));
            // Without its end it is no backup, unless it ends where a row does.
            let whole = take(&[before], 1).is_ok();
            assert_eq!(
                whole,
                cut != 0 && matches!(next(&mut &before[..]), Ok(Some(_))) && ends_a_row(before)
            );
        }
    }

    fn ends_a_row(mut bytes: &[u8]) -> bool {
        while let Ok(Some(_)) = next(&mut bytes) {}
        bytes.is_empty()
    }

    #[test]
    fn what_does_not_belong_there_is_refused() {
        let all = bytes();
        assert_eq!(take(&[&all], 0), Err(BackupError::Newer));
        for foreign in ["session", "prekey", "mls", "manifest", "none"] {
            let more = [&all[..], &row(foreign, b"k", b"v")].concat();
            assert_eq!(take(&[&more], 1), Err(BackupError::Malformed), "{foreign}");
        }
        assert_eq!(take(&[&row("contact", b"k", b"v")], 1), Err(BackupError::Malformed));
        // A length without end does not have everything read into memory.
        let endless = [&all[..], &[7], b"contact", &[0, 1], b"k", &[0xff; 4]].concat();
        assert_eq!(take(&[&endless], 1), Err(BackupError::Malformed));
    }
}
