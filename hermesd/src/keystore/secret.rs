//! Where a secret that opens a store's key comes from, when nobody types it.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
};

use data_encoding::HEXLOWER;
use hermes_api::Passphrase;
use hermes_config::AccountName;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    limits::{PASSPHRASE_BYTES, SECRET_PROGRAM},
    passphrase::Salt,
};

/// Names the directory that systemd puts credentials into (systemd.exec, LoadCredential).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// The program that reaches the Secret Service of the desktop (GNOME Keyring, KWallet, KeePassXC). A client of our own
/// would bring a D-Bus library into the process that holds the keys, for one call at each start.
pub(super) const SECRET_TOOL: &str = "secret-tool";
/// Stands in the command of the configuration for the account's name.
const ACCOUNT: &str = "{account}";

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The configuration names no command.
    #[error(
        "no command gives the passphrase; set keys.passphrase_command in config.toml and restart hermesd"
    )]
    NoCommand,
    /// The service manager gave no credential.
    #[error(
        "there is no credential named {0}; start hermesd by systemd with LoadCredential={0}:FILE in its unit"
    )]
    NoCredential(String),
    /// The keyring does not have it.
    #[error("the keyring has no key for the account {0}; unlock the keyring of the session it was made in")]
    NotInKeyring(AccountName),
    /// The keyring cannot be reached.
    #[error("{program}, which reaches the keyring, does not run: {reason}; install it (libsecret-tools)")]
    KeyringProgram {
        /// Its name.
        program: String,
        /// What is wrong.
        reason: String,
    },
    /// It is reached, and keeps nothing.
    #[error(
        "the keyring does not keep what it is given; start and unlock one in this session (GNOME Keyring, KWallet, \
         KeePassXC), or choose another kind"
    )]
    KeyringKeepsNothing,
    /// A program does not work.
    #[error("{program} gives no passphrase: {reason}; run it by hand and see")]
    Program {
        /// Its name.
        program: String,
        /// What is wrong.
        reason: String,
    },
    /// A file does not work.
    #[error("cannot read the credential {path}: {source}; check the unit of hermesd")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the configured command prints.
pub(super) fn of_command(command: &[String], account: &AccountName) -> Result<Passphrase, SecretError> {
    let [program, arguments @ ..] = command else { return Err(SecretError::NoCommand) };
    let arguments = arguments.iter().map(|argument| argument.replace(ACCOUNT, account.as_str()));
    let failed = |reason| SecretError::Program { program: program.clone(), reason };
    let (status, output) = run(program, arguments, None).map_err(failed)?;
    match status.success() {
        true => {
            text(output).ok_or_else(|| failed("what it prints is empty, too long, or no text".to_owned()))
        }
        false => Err(failed(format!("it ended with {status}"))),
    }
}

/// What the service manager keeps for this service.
pub(super) fn of_credential(account: &AccountName) -> Result<Passphrase, SecretError> {
    let name = format!("hermes-{account}");
    let missing = || SecretError::NoCredential(name.clone());
    let directory = env::var_os(CREDENTIALS).filter(|directory| !directory.is_empty()).ok_or_else(missing)?;
    let path = PathBuf::from(directory).join(&name);
    let failed = |source| SecretError::Io { path: path.clone(), source };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(failed(error)),
    };
    let output = read(file).map_err(failed)?;
    text(output).ok_or_else(|| failed(io::Error::other("it is empty, too long, or no text")))
}

/// What the keyring has for this account and this salt.
pub(super) fn of_keyring(tool: &str, account: &AccountName, salt: &Salt) -> Result<Passphrase, SecretError> {
    let (status, output) = keyring(tool, "lookup", &[], account, salt, None)?;
    let found = status.success().then(|| text(output)).flatten();
    found.ok_or_else(|| SecretError::NotInKeyring(account.clone()))
}

/// Has the keyring keep `secret`. The salt is part of its name, so that the secret that is still in use stays.
pub(super) fn into_keyring(
    tool: &str,
    account: &AccountName,
    salt: &Salt,
    secret: &Passphrase,
) -> Result<(), SecretError> {
    let label = format!("--label=Hermes account {account}");
    let (status, _) = keyring(tool, "store", &[&label], account, salt, Some(secret))?;
    match status.success() && of_keyring(tool, account, salt).is_ok_and(|kept| kept == *secret) {
        true => Ok(()),
        false => Err(SecretError::KeyringKeepsNothing),
    }
}

/// Has the keyring forget a secret that opens nothing any more.
pub(super) fn out_of_keyring(tool: &str, account: &AccountName, salt: &Salt) -> Result<(), SecretError> {
    keyring(tool, "clear", &[], account, salt, None).map(drop)
}

fn keyring(
    tool: &str,
    verb: &str,
    options: &[&str],
    account: &AccountName,
    salt: &Salt,
    stdin: Option<&Passphrase>,
) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), SecretError> {
    let salt = HEXLOWER.encode(salt);
    let attributes = ["application", "hermes", "account", account.as_str(), "salt", &salt];
    let arguments = [&[verb], options, &attributes].concat();
    run(tool, arguments.into_iter().map(str::to_owned), stdin)
        .map_err(|reason| SecretError::KeyringProgram { program: tool.to_owned(), reason })
}

/// Runs a program to its end and returns what it printed. A secret goes in by a pipe: arguments are seen by everyone.
fn run(
    program: &str,
    arguments: impl Iterator<Item = String>,
    stdin: Option<&Passphrase>,
) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), String> {
    let mut child = Command::new(OsStr::new(program))
        .args(arguments)
        .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let (Some(secret), Some(mut pipe)) = (stdin, child.stdin.take()) {
        // One that does not read it says so by its status.
        let _ = pipe.write_all(secret.expose().as_bytes());
    }
    let output = within_time(&mut child);
    // One that is done has ended already; one that is not is given up.
    let _ = output.is_err().then(|| child.kill());
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok((status, output?))
}

/// A program may wait for a person, but not for ever: the account's start waits for it.
fn within_time(child: &mut Child) -> Result<Zeroizing<Vec<u8>>, String> {
    let stdout = child.stdout.take().ok_or("it has no output")?;
    let (done, output) = mpsc::channel();
    // The pipe ends with the program, and the thread with the pipe.
    thread::spawn(move || drop(done.send(read(stdout))));
    match output.recv_timeout(SECRET_PROGRAM) {
        Ok(output) => output.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not end within {} s", SECRET_PROGRAM.as_secs())),
    }
}

/// One byte more than a passphrase and its newline may have, so that more is seen.
fn read(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = PASSPHRASE_BYTES + 2;
    // Room for all of it: growing would leave copies behind.
    let mut output = Zeroizing::new(Vec::with_capacity(limit));
    source.take(limit as u64).read_to_end(&mut output)?;
    Ok(output)
}

/// The passphrase without the newline that a program or an editor puts behind it.
fn text(mut output: Zeroizing<Vec<u8>>) -> Option<Passphrase> {
    if output.last() == Some(&b'\n') {
        output.pop();
    }
    if output.is_empty() || output.len() > PASSPHRASE_BYTES {
        return None;
    }
    match String::from_utf8(std::mem::take(&mut *output)) {
        Ok(text) => Some(Passphrase::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &[&str]) -> Result<Passphrase, SecretError> {
        let line: Vec<String> = line.iter().map(ToString::to_string).collect();
        of_command(&line, &"alice".parse().unwrap())
    }

    #[test]
    fn a_command_gives_its_output_without_the_newline() {
        assert_eq!(command(&["echo", "of {account}"]).unwrap().expose(), "of alice");
        assert_eq!(command(&["printf", "a b"]).unwrap().expose(), "a b");
        assert!(matches!(command(&[]), Err(SecretError::NoCommand)));
        for bad in [
            &["false"][..],
            &["true"],
            &["/nonexistent/program"],
            &["printf", "\\377"],
            &["head", "-c", "100000", "/dev/zero"],
            &["sh", "-c", "echo secret; exit 3"],
        ] {
            let error = command(bad).unwrap_err();
            assert!(matches!(&error, SecretError::Program { .. }), "{bad:?}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
