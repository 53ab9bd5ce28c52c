//! Running the relay.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use hermes_relay::{
    Registration,
    config::{Config, ConfigError},
    serve::{Options, Server},
    store::Store,
};
use hermes_wire::RelayName;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    Failure,
    certify::{Certifier, Found},
    issue, open_state,
};
use crate::{
    cli::{FIRST_TOKEN_DAYS, Run},
    greeting::{Greeting, public_address},
};

/// What operators have ordered has this long to end when the relay stops.
const LAST_ORDERS: Duration = Duration::from_secs(1);

/// Starts the relay, says where it is, and serves until it is told to stop.
pub fn run(run: &Run) -> Result<(), Failure> {
    let config = configure(run)?;
    let policy = config.policy()?;
    let files = config.certificate_files()?;
    let state = open_state(&run.place)?;
    let identity = Arc::new(state.identity()?);
    let store = state.store()?;
    let nobody_yet = store.mailbox_count()? == 0;
    let options =
        Options { listen: config.listen, connections: config.connections, policy, tokens: state.tokens()? };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served: Result<_, Failure> = runtime.block_on(async {
        // Before anybody hears that it is there: what nobody listens for ends the process at once.
        let signals = Signals::listen()?;
        let server =
            Server::start(&identity, store, options).map_err(|error| Failure::start(error, config.listen))?;
        let monitor = config.monitor.map(|address| monitor(&server, address)).transpose()?;
        let listen = server.local_addr()?;
        let token = match config.registration {
            Registration::Token if nobody_yet => Some(issue(&state, 1, FIRST_TOKEN_DAYS)?),
            _ => None,
        };
        let (address, guessed) = public_address(&config, listen, identity.pin())?;
        let name = RelayName::new(address.host(), address.port())?;
        let mut certifier = files.map(|files| Certifier::new(files, name.clone(), identity.clone()));
        if let Some(certifier) = &mut certifier {
            // Before anybody hears of the name.
            certifier.begin(&server).await;
        }
        let name = certifier.is_some().then_some(name);
        let socket = state.admin_socket();
        let orders = server
            .take_orders(socket.clone(), &address, identity)
            .map_err(|error| Failure::Socket { path: socket, error })?;
        let monitor = monitor.as_ref().map(|monitor| monitor.local_addr());
        let greeting = Greeting { address, name, guessed, listen, monitor, token };
        if run.place.json { greeting.print_json() } else { greeting.print() }?;
        notify(NotifyState::Ready);
        let served = serve_until_told(server, certifier, signals).await;
        Ok((served, orders.close()))
    });
    // A backup or a look at the whole store that is under way is not waited for.
    runtime.shutdown_timeout(LAST_ORDERS);
    let (served, until_end) = served?;
    // Only now do those hear who wait for the end.
    drop(until_end);
    served
}

fn monitor(server: &Server, address: SocketAddr) -> Result<hermes_relay::Monitor, Failure> {
    server.monitor(address).map_err(|error| Failure::Monitor { address, error })
}

/// Waits until the certificate's files were looked at; for ever when there are none.
async fn found(certifier: &mut Option<Certifier>) -> Found {
    match certifier {
        Some(certifier) => certifier.found().await,
        None => std::future::pending().await,
    }
}

/// What the system and the terminal tell a relay.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn serve_until_told(
    server: Server,
    mut certifier: Option<Certifier>,
    mut signals: Signals,
) -> Result<(), Failure> {
    tracing::info!("ready");
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => tracing::info!("stopping: asked to terminate"),
            _ = signals.interrupt.recv() => tracing::info!("stopping: interrupted"),
            () = server.told_to_stop() => tracing::info!("stopping: the operator said so"),
            () = server.failed() => tracing::error!("stopping: the store failed"),
            // Of one in a terminal it says that the terminal is gone, of any other that files are to be read again.
            _ = signals.hangup.recv() => match io::stdin().is_terminal() {
                true => tracing::info!("stopping: the terminal is closed"),
                false => {
                    match &mut certifier {
                        Some(certifier) => certifier.look(),
                        None => tracing::info!("there is no certificate whose files could be read again"),
                    }
                    continue;
                }
            },
            found = found(&mut certifier) => {
                if let Some(certifier) = &certifier {
                    certifier.show(found, &server);
                }
                continue;
            }
        }
        break;
    }
    notify(NotifyState::Stopping);
    server.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Tells systemd, if that started the relay.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// Flags win over the file, the file over the defaults.
fn configure(run: &Run) -> Result<Config, ConfigError> {
    let mut config = match &run.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    config.public_address = run.public_address.clone().or(config.public_address);
    config.listen = run.listen.unwrap_or(config.listen);
    config.registration = run.registration.unwrap_or(config.registration);
    Ok(config)
}
