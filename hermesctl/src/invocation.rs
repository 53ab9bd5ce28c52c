//! One run of the program: what its flags, variables and files add up to.

use hermes_api::{AccountStatus, Client, ErrorCode, Problem};
use hermes_config::{AccountName, Config, Paths, SocketPath};

use crate::{
    cli::Global,
    command::config::config_problem,
    daemon::{Autostart, Daemon},
    input::Questions,
    output::{Line, Notes, Output},
    stop::Stop,
};

/// Everything a command needs besides its own arguments.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) output: Output,
    pub(crate) notes: Notes,
    pub(crate) daemon: Daemon,
    pub(crate) questions: Questions,
    /// Whether standard input may be read, be it a terminal or not.
    pub(crate) input_allowed: bool,
    /// The account that the flags, the environment or the configuration name.
    named: Option<AccountName>,
}

/// What is known before any configuration is read: enough for the commands that must work with a wrong one.
#[derive(Debug)]
pub(crate) struct Basis {
    pub(crate) output: Output,
    pub(crate) notes: Notes,
    pub(crate) questions: Questions,
    pub(crate) paths: Paths,
    pub(crate) socket: SocketPath,
}

impl Basis {
    pub(crate) fn new(global: &Global, output: Output, notes: Notes) -> Result<Self, Problem> {
        let bad_config =
            |error: &dyn std::error::Error| Problem::new(ErrorCode::BadConfig, error.to_string(), "");
        let paths = Paths::from_environment().map_err(|error| bad_config(&error))?;
        let socket = match &global.socket {
            Some(path) => SocketPath::new(path),
            None => paths.socket(),
        };
        let socket = socket.map_err(|error| bad_config(&error))?;
        Ok(Self { output, notes, questions: Questions::new(global.no_input), paths, socket })
    }

    /// A client of the daemon; it starts none.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.socket.as_path())
    }
}

impl Invocation {
    pub(crate) fn new(global: &Global, basis: Basis) -> Result<Self, Problem> {
        let config = Config::load(&basis.paths).map_err(|error| config_problem(&error))?;
        let client = basis.client();
        let Basis { output, notes, questions, paths, socket } = basis;
        let autostart = match config.daemon.autostart && !global.no_autostart {
            true => Autostart::On,
            false => Autostart::Off,
        };
        notes.detail(&Line::new(format!("daemon at {socket}")));
        Ok(Self {
            daemon: Daemon {
                client,
                socket,
                log: paths.log_file(),
                lock: paths.daemon_lock(),
                autostart,
                notes,
            },
            questions,
            input_allowed: !global.no_input,
            named: global.account.clone().or(config.default_account),
            output,
            notes,
        })
    }

    /// The account to use: the one that was named, else the only one there is.
    pub(crate) async fn account(&self) -> Result<String, Stop> {
        let account = match &self.named {
            Some(name) => name.to_string(),
            None => {
                let status = self.daemon.repeatable(async |client| client.status().await).await?;
                only_account(&status.accounts)?
            }
        };
        self.notes.detail(&Line::new(format!("account {account}")));
        Ok(account)
    }
}

fn only_account(accounts: &[AccountStatus]) -> Result<String, Problem> {
    match accounts {
        [] => Err(Problem::new(
            ErrorCode::NoAccount,
            "there is no account yet",
            "make one: hermesctl init --name NAME --relay ADDRESS",
        )),
        [only] => Ok(only.name.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|account| account.name.as_str()).collect();
            Err(Problem::new(
                ErrorCode::AccountAmbiguous,
                format!("there are several accounts: {}", names.join(", ")),
                "name one with --account or HERMES_ACCOUNT, or set default_account in config.toml",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use hermes_api::{Connection, ConnectionState, StoreStatus, UnixMillis};

    use super::*;

    fn account(name: &str) -> AccountStatus {
        let connection = Connection { state: ConnectionState::Connected, since: UnixMillis(0), reason: None };
        AccountStatus {
            name: name.into(),
            fingerprint: String::new(),
            mailbox: String::new(),
            relay: String::new(),
            connection,
            guests: Vec::new(),
            caught_up: true,
            waiting: 0,
            unread: 0,
            requests: 0,
            dnd_until: None,
            outbox: 0,
            unreadable: 0,
            last_unreadable: None,
            renewals: 0,
            last_renewal: None,
            missing: 0,
            one_time_prekeys: None,
            one_time_kem_prekeys: None,
            store: StoreStatus::default(),
            keys: None,
        }
    }

    #[test]
    fn one_account_needs_no_name_and_several_are_listed() {
        assert_eq!(only_account(&[account("alice")]).unwrap(), "alice");
        assert!(only_account(&[]).unwrap_err().hint.contains("hermesctl init"));
        let problem = only_account(&[account("alice"), account("bot")]).unwrap_err();
        assert_eq!(problem.code, ErrorCode::AccountAmbiguous);
        assert!(problem.message.contains("alice, bot"));
    }
}
