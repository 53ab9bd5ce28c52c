//! Backups: written, checked, put back.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use hermes_link::credential::RelayIdentity;
use hermes_relay::{
    admin::{Answer, Order},
    backup::{self, Backup, BackupError},
};

use super::{Failure, open_state, operate::ask_running, print, print_json};
use crate::cli::Place;

/// Writes a backup: all of it under the name that was asked for, or nothing.
pub(super) fn write(place: &Place, path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::Exists { path: path.to_owned() });
    }
    let state = open_state(place)?;
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let written = match ask_running(&state, &Order::Backup)? {
        Some((Answer::Done, mut rest)) => io::copy(&mut rest, &mut file).map(drop).map_err(Failure::from),
        Some(_) => Err(Failure::Answer),
        None => {
            let identity = state.identity()?;
            let out = BufWriter::new(&file);
            let written = backup::write(out, &identity.to_pem(), &state.store()?);
            written.map(drop).map_err(|error| Failure::Backup { path: path.to_owned(), error })
        }
    };
    // What came over the socket is believed only when it is whole.
    let checked = written.and_then(|()| {
        file.flush()?;
        file.sync_all()?;
        count(&draft, path)
    });
    match checked {
        Ok(rows) => {
            fs::rename(&draft, path)?;
            say(place, path, rows, "holds the relay's key and")
        }
        Err(failure) => {
            // It is of no use, and the failure is what matters.
            let _ = fs::remove_file(&draft);
            Err(failure)
        }
    }
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
         when they connect.",
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
