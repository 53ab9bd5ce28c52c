//! What the program can be told to do.

mod backup;
mod certify;
mod operate;
mod run;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use hermes_link::server::ListenError;
use hermes_relay::{
    admin::Problem,
    backup::BackupError,
    certificate::CertificateFileError,
    clock,
    config::{Config, ConfigError},
    serve::StartError,
    state::{StateDirectory, StateError},
    store::{StoreError, TokenRow},
};
use hermes_wire::AddressError;

use crate::cli::{Command, NewToken, Place, TokenCommand};

pub use self::run::run;

/// Everything that ends the program, each with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}; see the documented keys and correct the file")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(
        "{address} is in use by another program; stop it, or choose another port with --listen ADDR:PORT"
    )]
    PortTaken { address: SocketAddr },
    #[error("cannot listen on {address}: {error}; choose another address with --listen ADDR:PORT")]
    Listen { address: SocketAddr, error: String },
    #[error(
        "cannot show metrics at {address}: {error}; choose another address for monitor in the configuration"
    )]
    Monitor { address: SocketAddr, error: io::Error },
    #[error("cannot take an operator's orders at {path}: {error}; choose a shorter or another --state-dir")]
    Socket { path: PathBuf, error: io::Error },
    #[error(
        "the public address is none that clients could use ({0}); correct public_address in the config file, or --public-address"
    )]
    PublicAddress(#[from] AddressError),
    #[error(
        "the certificate is not for {host}, the host in public_address; get one for it, or correct public_address"
    )]
    CertificateName { host: String },
    #[error(transparent)]
    Certificate(#[from] CertificateFileError),
    #[error(
        "the store failed: {0}; look at the disk (full? broken?), then start the relay again: nothing that it acknowledged is lost"
    )]
    Store(#[from] StoreError),
    #[error("cannot write a registration token: {0}; make the state directory writable")]
    Token(#[source] io::Error),
    #[error("{}", .0.message)]
    Order(Problem),
    #[error("the relay is not running; hermes-relay starts it")]
    NotRunning,
    #[error("the running relay gave an answer of another kind; it may be of another version")]
    Answer,
    #[error("the backup {path} is no good: {error}")]
    Backup { path: PathBuf, error: BackupError },
    #[error("{path} exists already; choose another name, or move it away")]
    Exists { path: PathBuf },
    #[error("there is a relay in {path} already; choose an empty --state-dir, or move that one away")]
    Occupied { path: PathBuf },
    #[error("{0} of the store does not fit; restore a backup: hermes-relay restore")]
    Findings(usize),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Carries out a command.
pub fn carry_out(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Token(TokenCommand::New(new)) => token_new(new),
        Command::Token(TokenCommand::Ls(place)) => operate::tokens(place),
        Command::Token(TokenCommand::Revoke { token, place }) => operate::revoke(place, token),
        Command::Mailbox(command) => operate::mailbox(command),
        Command::Status(place) => operate::status(place),
        Command::Drain(place) => operate::drain(place),
        Command::Verify { file: Some(file), place } => backup::verify(place, file),
        Command::Verify { file: None, place } => operate::verify(place),
        Command::Backup { file, place } => backup::write(place, file),
        Command::Restore { file, place } => backup::restore(place, file),
        Command::CheckConfig { file } => check_config(file),
    }
}

fn token_new(new: &NewToken) -> Result<(), Failure> {
    let state = open_state(&new.place)?;
    let token = issue(&state, new.uses, new.days)?;
    match new.place.json {
        true => print_json(serde_json::json!({ "token": token, "uses": new.uses })),
        false => print(&token),
    }
}

fn check_config(file: &Path) -> Result<(), Failure> {
    let config = Config::read(file)?;
    config.policy()?;
    let name = config.public_address.as_deref().map(crate::greeting::public_name).transpose()?;
    if let (Some(mut files), Some(name)) = (config.certificate_files()?, name)
        && let Some(certificate) = files.changed()
    {
        certify::usable(&certificate?, &name)?;
    }
    print(&format!("{}: this is a configuration that the relay can use", file.display()))
}

/// Where a relay is, or is to be.
fn open_state(place: &Place) -> Result<StateDirectory, StateError> {
    StateDirectory::open(state_path(place)?)
}

/// Where a relay is: an order never makes one.
fn existing_state(place: &Place) -> Result<StateDirectory, StateError> {
    StateDirectory::existing(state_path(place)?)
}

fn state_path(place: &Place) -> Result<PathBuf, StateError> {
    match &place.state_dir {
        Some(path) => Ok(path.clone()),
        None => StateDirectory::default_path(),
    }
}

fn issue(state: &StateDirectory, uses: u32, days: u32) -> Result<String, Failure> {
    let expiry = clock::now().after(Duration::from_secs(u64::from(days) * 86_400));
    state.tokens()?.issue(TokenRow { uses, expiry }).map_err(Failure::Token)
}

fn print(text: &str) -> Result<(), Failure> {
    // Whoever closed the pipe has seen enough.
    let _closed = writeln!(io::stdout(), "{text}");
    Ok(())
}

/// One line, versioned; it only ever grows.
fn print_json(mut value: serde_json::Value) -> Result<(), Failure> {
    if let Some(fields) = value.as_object_mut() {
        fields.remove("answer");
        fields.insert("v".to_owned(), 1.into());
    }
    print(&value.to_string())
}

impl Failure {
    fn start(error: StartError, address: SocketAddr) -> Self {
        match error {
            StartError::Listen(ListenError::Socket(error)) if error.kind() == io::ErrorKind::AddrInUse => {
                Self::PortTaken { address }
            }
            StartError::Listen(error) => Self::Listen { address, error: error.to_string() },
            StartError::Store(error) => Self::Store(error),
            StartError::Thread(error) => Self::Io(error),
        }
    }

    /// 2: how it was called; 3: its state cannot be used, or it does not run; 5: what was named is not there;
    /// 1: everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::PublicAddress(_)
            | Self::CertificateName { .. }
            | Self::Certificate(_) => ExitCode::from(2),
            Self::State(_) | Self::NotRunning => ExitCode::from(3),
            Self::Order(problem) if problem.absent => ExitCode::from(5),
            _ => ExitCode::FAILURE,
        }
    }
}
