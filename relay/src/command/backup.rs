//! Backups: written, checked, put back.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read},
    path::Path,
};

use hermes_link::credential::RelayIdentity;
use hermes_relay::{
    admin::{Answer, Order},
    backup::{self, Backup, BackupError},
};
use tempfile::Builder;

use super::{Failure, existing_state, open_state, operate::ask_running, print, print_json};
use crate::cli::Place;

/// How the name of a backup begins that is being written; one that was interrupted is left under such a name.
const DRAFT_PREFIX: &str = ".hermes-relay-backup-";

/// Writes a backup: all of it under the name that was asked for, or nothing.
pub(super) fn write(place: &Place, path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::Exists { path: path.to_owned() });
    }
    let state = existing_state(place)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Under a name that nobody can foresee, for its owner alone, and gone unless it is kept.
    let mut draft = Builder::new().prefix(DRAFT_PREFIX).tempfile_in(directory)?;
    match ask_running(&state, &Order::Backup)? {
        Some((Answer::Done, mut rest)) => drop(io::copy(&mut rest, &mut draft)?),
        Some(_) => return Err(Failure::Answer),
        None => {
            let (identity, store) = (state.identity()?, state.store()?);
            let written = backup::write(BufWriter::new(&mut draft), &identity.to_pem(), &store);
            written.map_err(|error| Failure::Backup { path: path.to_owned(), error })?;
        }
    }
    draft.as_file().sync_all()?;
    // What came over the socket is believed only when it is whole.
    let rows = count(draft.path(), path)?;
    draft.persist_noclobber(path).map_err(|failed| match failed.error.kind() {
        io::ErrorKind::AlreadyExists => Failure::Exists { path: path.to_owned() },
        _ => Failure::Io(failed.error),
    })?;
    File::open(directory)?.sync_all()?;
    say(place, path, rows, "holds the relay's key and")
}

/// Reads a backup to its end.
pub(super) fn verify(place: &Place, path: &Path) -> Result<(), Failure> {
    let rows = count(path, path)?;
    say(place, path, rows, "is whole:")
}

/// Makes a relay of a backup, in a state directory that has none.
pub(super) fn restore(place: &Place, path: &Path) -> Result<(), Failure> {
    let no_good = |error| Failure::Backup { path: path.to_owned(), error };
    // Twice through the file: nothing is written before all of it is known to be good.
    let rows = count(path, path)?;
    let state = open_state(place)?;
    if state.is_occupied() {
        return Err(Failure::Occupied { path: state.path().to_owned() });
    }
    let (backup, pem) = Backup::open(open(path)?).map_err(no_good)?;
    let identity =
        RelayIdentity::from_pem(&pem).map_err(|_| no_good(BackupError::Damaged("its key cannot be used")))?;
    let kept = backup.filter_map(|row| row.and_then(|row| Ok(backup::put_back(row)?)).transpose());
    state.restoring_store()?.fill(kept).map_err(no_good)?;
    state.restored(&identity)?;
    say(place, path, rows, "is put back:")?;
    if place.json {
        return Ok(());
    }
    print(
        "Start the relay as before. What it took after the backup was made is gone; accounts bring new one-time keys \
         when they connect. Tokens that were revoked and mailboxes that were deleted since are good again: look at \
         hermes-relay token ls.",
    )
}

fn open(path: &Path) -> Result<impl Read, Failure> {
    let file = File::open(path);
    let file = file.map_err(|error| Failure::Backup { path: path.to_owned(), error: error.into() })?;
    Ok(BufReader::new(file))
}

/// How many rows a whole backup has. `name` is what it is called in an error.
fn count(path: &Path, name: &Path) -> Result<u64, Failure> {
    let no_good = |error| Failure::Backup { path: name.to_owned(), error };
    let (mut backup, _) = Backup::open(open(path)?).map_err(no_good)?;
    backup.try_fold(0, |rows, row| row.map(|_| rows + 1)).map_err(no_good)
}

fn say(place: &Place, path: &Path, rows: u64, what: &str) -> Result<(), Failure> {
    match place.json {
        true => print_json(serde_json::json!({ "file": path, "rows": rows })),
        false => print(&format!("{} {what} {rows} rows", path.display())),
    }
}
