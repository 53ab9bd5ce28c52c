//! `hermesctl export`

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use hermes_api::{ErrorCode, Exit, LogQuery, MessagePage, Problem, V1, limits::PAGE_MESSAGES};
use serde::Serialize;

use crate::{
    cli,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME, WARN},
    render::audit::counted,
    stop::Stop,
};

/// What was written.
#[derive(Serialize)]
struct Exported {
    v: V1,
    directory: PathBuf,
    chats: Vec<ExportedChat>,
}

#[derive(Serialize)]
struct ExportedChat {
    chat: String,
    file: String,
    messages: u64,
}

pub(crate) async fn run(args: cli::Export, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let directory = args.output.unwrap_or_else(|| PathBuf::from(format!("hermes-export-{account}")));
    let contacts = invocation.daemon.repeatable(async |client| client.contacts(&account).await).await?;
    let groups = invocation.daemon.repeatable(async |client| client.groups(&account).await).await?;
    let names = contacts.contacts.into_iter().map(|contact| contact.name);
    let names = names.chain(groups.groups.into_iter().map(|group| group.name));
    make(&directory).map_err(|error| failed(&directory, &error))?;
    let warning = "everything is written as plain text: whoever can read the directory reads the messages";
    invocation.notes.say(&Line::default().styled(WARN, "warning: ").plain(warning));

    let mut exported = Exported { v: V1, directory, chats: Vec::new() };
    for (number, chat) in names.enumerate() {
        // The number keeps names apart that differ only in what a file's name cannot say.
        let file = format!("{:03}-{}.jsonl", number + 1, file_name(&chat));
        let path = exported.directory.join(&file);
        let messages = export(&chat, &account, &path, invocation).await?;
        exported.chats.push(ExportedChat { chat, file, messages });
    }
    if invocation.output.format == Format::Json {
        invocation.output.json(&exported)?;
        return Ok(Exit::Ok);
    }
    for chat in &exported.chats {
        let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &chat.chat);
        let what = format!(": {} in {}", counted(chat.messages, "message"), chat.file);
        invocation.output.line(&line.plain(what));
    }
    let directory = exported.directory.display().to_string();
    invocation
        .notes
        .say(&Line::new(format!("{} in {directory}", counted(exported.chats.len() as u64, "chat"))));
    Ok(Exit::Ok)
}

/// One chat, the oldest message first, one a line. Pages are looked up from the newest back, and then written from the
/// oldest on, so that a long history need not fit into memory.
async fn export(chat: &str, account: &str, path: &Path, invocation: &Invocation) -> Result<u64, Stop> {
    let fetch = async |before: Option<String>| -> Result<MessagePage, Stop> {
        let query = LogQuery { limit: Some(PAGE_MESSAGES), before, after: None };
        Ok(invocation.daemon.repeatable(async |client| client.log(account, chat, &query).await).await?)
    };
    let progress = invocation.notes.progress("exporting");
    // Kept, because the newest page will be another one when messages arrive meanwhile.
    let newest = fetch(None).await?;
    let mut ends = Vec::new();
    let mut more = newest.more;
    let mut first = newest.messages.first().map(|message| message.id.clone());
    while let Some(end) = first.take().filter(|_| more) {
        let page = fetch(Some(end.clone())).await?;
        (first, more) = (page.messages.first().map(|message| message.id.clone()), page.more);
        ends.push(end);
    }
    let file = create(path).map_err(|error| failed(path, &error))?;
    let mut file = BufWriter::new(file);
    let mut messages = 0;
    let mut left = (ends.len() as u64 + 1) * u64::from(PAGE_MESSAGES);
    while let Some(end) = ends.pop() {
        progress.left(left);
        left = left.saturating_sub(u64::from(PAGE_MESSAGES));
        messages += write(&mut file, &fetch(Some(end)).await?).map_err(|error| failed(path, &error))?;
    }
    messages += write(&mut file, &newest).map_err(|error| failed(path, &error))?;
    let done = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
    done.map_err(|error| failed(path, &error))?;
    Ok(messages)
}

fn write(file: &mut impl Write, page: &MessagePage) -> io::Result<u64> {
    for message in &page.messages {
        serde_json::to_writer(&mut *file, message)?;
        file.write_all(b"\n")?;
    }
    Ok(page.messages.len() as u64)
}

/// For nobody else to look into. One that is there has to be empty: nothing is overwritten.
fn make(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    match fs::read_dir(directory)?.next() {
        None => Ok(()),
        Some(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not empty")),
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A chat's name as a part of a file's: names of others must not lead anywhere.
fn file_name(chat: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    chat.chars().map(|c| if plain(c) { c } else { '_' }).take(64).collect()
}

fn failed(path: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot write {}: {error}", path.display());
    Problem::new(ErrorCode::Io, message, "choose another directory with -o DIR, new or empty")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn names_stay_in_the_directory() {
        assert_eq!(file_name("../../etc/passwd"), "______etc_passwd");
        assert_eq!(file_name("böb-1 \u{1b}[2J"), "böb-1___2J");
        assert_eq!(file_name(&"x".repeat(1_000)).len(), 64);
    }

    #[test]
    fn only_its_owner_can_look_and_nothing_is_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("export");
        make(&directory).unwrap();
        make(&directory).unwrap();
        create(&directory.join("a.jsonl")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&directory.join("a.jsonl"))), (0o700, 0o600));
        assert!(make(&directory).is_err() && create(&directory.join("a.jsonl")).is_err());
    }
}
