//! `hermesctl backup` and `restore`

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use hermes_api::{
    BackUp, CreatedAccount, Download, ErrorCode, Exit, KeyKind, Passphrase, Problem, RestoreAccount,
    StoreState, V1,
};
use serde::Serialize;
use tokio::time::sleep;

use super::keys::{ask, new_passphrase};
use crate::{
    cli,
    input::Repeat,
    invocation::Invocation,
    limits,
    output::{Format, GOOD, Line, NAME, WARN},
    progress::Progress,
    stop::Stop,
};

/// What was made.
#[derive(Serialize)]
struct Made {
    v: V1,
    account: String,
    path: PathBuf,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_key: Option<Passphrase>,
}

pub(crate) async fn back_up(args: cli::Backup, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let path = args.file;
    if path.symlink_metadata().is_ok() {
        let what = format!("{} is there already", path.display());
        return Err(Problem::new(ErrorCode::Io, what, "choose another name, or move it away").into());
    }
    let passphrase = match args.recovery_key {
        true => None,
        false => Some(new_passphrase(invocation).await?),
    };
    let request = BackUp { passphrase };
    let backup =
        invocation.daemon.repeatable(async |client| client.back_up(&account, &request).await).await?;
    let made = write(backup, path, invocation).await?;
    show_made(&made, invocation)?;
    Ok(Exit::Ok)
}

/// Written beside and linked into place, so that it is whole or absent, and nothing is overwritten.
async fn write(mut backup: Download, path: PathBuf, invocation: &Invocation) -> Result<Made, Stop> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let draft = path.with_file_name(name);
    let failed = |error: io::Error| {
        let what = format!("cannot write {}: {error}", path.display());
        Problem::new(ErrorCode::Io, what, "choose another place")
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
    let mut file = file.map_err(failed)?;
    let draft = Draft(draft);
    let progress = invocation.notes.amount("backing up");
    let mut bytes = 0;
    while let Some(piece) = backup.next().await? {
        file.write_all(&piece).map_err(failed)?;
        bytes += piece.len() as u64;
        progress.reached(bytes);
    }
    file.sync_all().and_then(|()| settle(&draft.0, &path)).map_err(failed)?;
    Ok(Made { v: V1, account: backup.head.account, path, bytes, recovery_key: backup.head.recovery_key })
}

/// Unlike a rename, a link never takes the place of what appeared meanwhile; but sticks have file systems without links.
fn settle(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if path.symlink_metadata().is_err() => fs::rename(draft, path),
        other => other,
    }
}

/// Gone with whoever was writing it.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // What is left of it cannot be taken for a backup.
        let _ = fs::remove_file(&self.0);
    }
}

fn show_made(made: &Made, invocation: &mut Invocation) -> Result<(), Stop> {
    if invocation.output.format == Format::Json {
        return Ok(invocation.output.json(made)?);
    }
    let (path, size) = (made.path.display().to_string(), made.bytes.div_ceil(1024));
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &path);
    invocation.output.line(&line.plain(format!(" is a backup of {}, {size} KiB, encrypted", made.account)));
    if let Some(key) = &made.recovery_key {
        invocation.output.line(&Line::new("recovery key: ").styled(NAME, key.expose()));
        invocation.output.flush()?;
        let note = "Write it down: it is shown once, and without it the backup cannot be read.";
        invocation.notes.say(&Line::new(note));
    }
    invocation.output.flush()?;
    invocation.notes.say(&Line::new(format!("Restore it with: hermesctl restore {path} --name NAME")));
    Ok(())
}

pub(crate) async fn restore(args: cli::Restore, invocation: &mut Invocation) -> Result<Exit, Stop> {
    open(&args.file)?;
    let name = args.name.to_string();
    // Before anything is typed. The file goes once: it cannot be read from its middle.
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    if status.accounts.iter().any(|account| account.name == name) {
        let message = format!("an account named {name} exists already");
        let hint = "restore it under another name: --name NAME";
        return Err(Problem::new(ErrorCode::AccountExists, message, hint).into());
    }
    let mut questions = vec![("Passphrase or recovery key of the backup:", Repeat::No)];
    if args.keys == Some(KeyKind::Passphrase) {
        questions.push(("New passphrase of the account's keys:", Repeat::Yes));
    }
    let mut answers = ask(&questions, invocation).await?;
    let key_passphrase = answers.split_off(1).pop();
    let passphrase = answers.pop().unwrap_or_else(|| Passphrase::new(""));
    let request = RestoreAccount {
        name,
        passphrase,
        keys: args.keys,
        key_passphrase,
        timeout_ms: u64::try_from(limits::HANDSHAKE.as_millis()).unwrap_or(u64::MAX),
    };
    let file = open(&args.file)?;
    let progress = invocation.notes.progress("restoring");
    let same = file.try_clone().ok();
    let restored = followed(same, progress, invocation.daemon.client.restore(&request, file)).await?;
    show_restored(&restored, invocation)?;
    Ok(Exit::Ok)
}

/// Shows how far a file has been read while something is done with it: whoever reads it has the same place in it.
async fn followed<T>(mut file: Option<File>, progress: Progress, work: impl Future<Output = T>) -> T {
    let size = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len());
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(limits::LOOK) => {
                if let Some(Ok(at)) = file.as_mut().map(File::stream_position) {
                    progress.left(size.saturating_sub(at));
                }
            }
        }
    }
}

fn open(path: &Path) -> Result<File, Problem> {
    let failed = |what: String| {
        let message = format!("cannot read {}: {what}", path.display());
        Problem::new(ErrorCode::Io, message, "name a file that hermesctl backup made")
    };
    match path.metadata() {
        // A device or a pipe would never end, or never begin.
        Ok(metadata) if !metadata.is_file() => Err(failed("it is no file".to_owned())),
        Ok(_) => File::open(path).map_err(|error| failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn show_restored(restored: &CreatedAccount, invocation: &mut Invocation) -> Result<(), Stop> {
    if invocation.output.format == Format::Json {
        return Ok(invocation.output.json(restored)?);
    }
    let account = &restored.account;
    let line = match account.store.state {
        StoreState::Recovering => Line::default()
            .styled(WARN, "… ")
            .styled(NAME, &account.name)
            .plain(" is restored; it goes on as soon as the relay answers"),
        _ => Line::default().styled(GOOD, "✓ ").styled(NAME, &account.name).plain(" is restored"),
    };
    invocation.output.line(&line);
    invocation.output.flush()?;
    for note in [
        "Sessions begin anew with every contact, and admins add it to its groups again: hermesctl status",
        "The store that the backup was made of stops when it next connects.",
    ] {
        invocation.notes.say(&Line::new(note));
    }
    Ok(())
}
