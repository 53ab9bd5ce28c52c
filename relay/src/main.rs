//! `hermes-relay`: the relay as a program. It parses, starts, prints and stops; everything else is the library's.

mod greeting;

use std::{
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use hermes_link::server::ListenError;
use hermes_relay::{
    Registration, clock,
    config::{Config, ConfigError},
    serve::{Options, Server, StartError},
    state::{StateDirectory, StateError},
    store::{Store, StoreError, TokenRow},
};
use hermes_wire::AddressError;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::greeting::{Greeting, public_address};

/// Stores and forwards messages that it cannot read.
///
/// Without a command it runs the relay: the first start makes its key and its store, and prints its address.
#[derive(Parser)]
#[command(name = "hermes-relay", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Registration tokens, with which new accounts are made.
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Prints a new registration token, whether the relay runs or not.
    New(NewToken),
}

#[derive(Args)]
struct Place {
    /// Where the relay keeps its key and its store.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    place: Place,
    /// Where to listen (UDP); port 0 takes any free one [default: 0.0.0.0:4433].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// A TOML file with the relay's settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Who may make an account: token, open or closed [default: token].
    #[arg(long, value_name = "WHO", value_parser = registration)]
    registration: Option<Registration>,
}

#[derive(Args)]
struct NewToken {
    #[command(flatten)]
    place: Place,
    /// How many accounts it is good for.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
    /// How many days it is good for.
    #[arg(long, value_name = "DAYS", default_value_t = FIRST_TOKEN_DAYS)]
    days: u32,
}

/// A token that is not used within a month was lost.
const FIRST_TOKEN_DAYS: u32 = 30;

/// Everything that ends the program, each with what to do.
#[derive(Debug, thiserror::Error)]
enum Failure {
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
    #[error("public_address is no address that clients could use ({0}); correct it in the configuration")]
    PublicAddress(#[from] AddressError),
    #[error(
        "the store failed: {0}; look at the disk (full? broken?), then start the relay again: nothing that it acknowledged is lost"
    )]
    Store(#[from] StoreError),
    #[error("cannot write a registration token: {0}; make the state directory writable")]
    Token(#[source] io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter =
        EnvFilter::try_from_env("HERMES_LOG").unwrap_or_else(|_| EnvFilter::new("hermes_relay=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
    let done = match cli.command {
        Some(Command::Token(TokenCommand::New(new))) => token_new(&new),
        None => run(&cli.run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hermes-relay: {failure}");
            failure.exit_code()
        }
    }
}

fn token_new(new: &NewToken) -> Result<(), Failure> {
    let state = open_state(&new.place)?;
    let token = issue(&state, new.uses, new.days)?;
    let line = match new.place.json {
        true => serde_json::json!({ "v": 1, "token": token, "uses": new.uses }).to_string(),
        false => token,
    };
    // Whoever closed the pipe has seen enough.
    let _closed = writeln!(io::stdout(), "{line}");
    Ok(())
}

fn run(run: &Run) -> Result<(), Failure> {
    let config = configure(run)?;
    let policy = config.policy()?;
    let state = open_state(&run.place)?;
    let identity = state.identity()?;
    let store = state.store()?;
    let nobody_yet = store.mailbox_count()? == 0;
    let options =
        Options { listen: config.listen, connections: config.connections, policy, tokens: state.tokens()? };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server =
            Server::start(&identity, store, options).map_err(|error| Failure::start(error, config.listen))?;
        let listen = server.local_addr()?;
        let token = match config.registration {
            Registration::Token if nobody_yet => Some(issue(&state, 1, FIRST_TOKEN_DAYS)?),
            _ => None,
        };
        let (address, guessed) = public_address(&config, listen, identity.pin())?;
        let greeting = Greeting { address, guessed, listen, token };
        if run.place.json { greeting.print_json() } else { greeting.print() }?;
        serve_until_told(server).await
    })
}

async fn serve_until_told(server: Server) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tracing::info!("ready");
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: asked to terminate"),
        _ = interrupt.recv() => tracing::info!("stopping: interrupted"),
        () = server.failed() => tracing::error!("stopping: the store failed"),
    }
    server.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Flags win over the file, the file over the defaults.
fn configure(run: &Run) -> Result<Config, ConfigError> {
    let mut config = match &run.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    config.listen = run.listen.unwrap_or(config.listen);
    config.registration = run.registration.unwrap_or(config.registration);
    Ok(config)
}

fn open_state(place: &Place) -> Result<StateDirectory, StateError> {
    let path = match &place.state_dir {
        Some(path) => path.clone(),
        None => StateDirectory::default_path()?,
    };
    StateDirectory::open(path)
}

fn issue(state: &StateDirectory, uses: u32, days: u32) -> Result<String, Failure> {
    let expiry = clock::now().after(Duration::from_secs(u64::from(days) * 86_400));
    state.tokens()?.issue(TokenRow { uses, expiry }).map_err(Failure::Token)
}

fn registration(text: &str) -> Result<Registration, String> {
    match text {
        "token" => Ok(Registration::Token),
        "open" => Ok(Registration::Open),
        "closed" => Ok(Registration::Closed),
        _ => Err("say token, open or closed".to_owned()),
    }
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

    /// 2: how it was called; 3: its state cannot be used; 1: everything else.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::PublicAddress(_) => ExitCode::from(2),
            Self::State(StateError::Running { .. } | StateError::Store { .. } | StateError::Key { .. }) => {
                ExitCode::from(3)
            }
            _ => ExitCode::FAILURE,
        }
    }
}
