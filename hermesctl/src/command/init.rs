//! `hermesctl init`

use std::{fs::File, io::Read, path::Path};

use hermes_api::{
    AccountStatus, ConnectionState, CreateAccount, CreatedAccount, ErrorCode, Exit, KeyKind, Problem,
    RegistrationToken,
};

use super::keys;
use crate::{
    cli, input,
    input::Questions,
    invocation::Invocation,
    limits,
    output::{Format, GOOD, Line, NAME, WARN},
    render::account::relay_host,
    service::{self, Installed, Manager},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Init, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let passphrase = match args.keys {
        Some(KeyKind::Passphrase) => Some(keys::new_passphrase(invocation).await?),
        _ => None,
    };
    let mut request = CreateAccount {
        name: args.name.to_string(),
        relay: args.relay.trim().to_owned(),
        registration_token: token,
        keys: args.keys,
        passphrase,
        timeout_ms: u64::try_from(limits::HANDSHAKE.as_millis()).unwrap_or(u64::MAX),
    };
    let mut created = create(&request, invocation).await?;
    let wants_token = |created: &CreatedAccount| {
        refusal(&created.account).is_some_and(|reason| reason.code == ErrorCode::RegistrationRefused)
    };
    if wants_token(&created)
        && request.registration_token.is_none()
        && invocation.questions == Questions::Allowed
    {
        let host = relay_host(&request.relay);
        invocation
            .notes
            .say(&Line::new(format!("{host} takes new accounts only with a registration token.")));
        let answer = input::ask("Registration token:").await?;
        if !answer.is_empty() {
            request.registration_token = Some(RegistrationToken::new(answer));
            created = create(&request, invocation).await?;
        }
    }
    let exit = show(&created, &request, invocation)?;
    mention_service(invocation).await;
    Ok(exit)
}

/// A daemon in the background is gone after the next restart of the machine, until somebody types something.
async fn mention_service(invocation: &Invocation) {
    let text = invocation.output.format == Format::Text;
    if text && service::installed(&invocation.daemon.socket) == Installed::No && Manager::find().await.is_ok()
    {
        invocation.notes.say(&Line::new("To have systemd keep hermesd running: hermesctl daemon install"));
    }
}

/// The daemon takes the same request again for an account that the relay has not taken, so a daemon that died under it
/// does no harm.
async fn create(request: &CreateAccount, invocation: &Invocation) -> Result<CreatedAccount, Stop> {
    Ok(invocation.daemon.once(async |client| client.create_account(request).await).await?)
}

/// What stands in the way for good. A relay that does not answer may answer later.
fn refusal(account: &AccountStatus) -> Option<Problem> {
    let reason = account.connection.reason.clone();
    match account.connection.state {
        ConnectionState::Connected => None,
        ConnectionState::Refused => {
            Some(reason.unwrap_or_else(|| {
                Problem::new(ErrorCode::RelayRefused, "the relay refused the account", "")
            }))
        }
        _ => reason.filter(|reason| reason.code != ErrorCode::RelayUnreachable),
    }
}

fn show(
    created: &CreatedAccount,
    request: &CreateAccount,
    invocation: &mut Invocation,
) -> Result<Exit, Stop> {
    let account = &created.account;
    if let Some(reason) = refusal(account) {
        return Err(with_command(reason, request).into());
    }
    if invocation.output.format == Format::Json {
        invocation.output.json(created)?;
        return Ok(Exit::Ok);
    }
    let host = relay_host(&account.relay).to_owned();
    if account.connection.state == ConnectionState::Connected {
        let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &account.name);
        invocation.output.line(&line.plain(format!(" is registered at {host}")));
    } else {
        let line = Line::default().styled(WARN, "… ").styled(NAME, &account.name);
        invocation
            .output
            .line(&line.plain(format!(" is made; {host} has not answered yet, hermesd keeps trying")));
        if let Some(reason) = &account.connection.reason {
            invocation.notes.say(&Line::default().styled(WARN, "warning: ").plain(&reason.message));
        }
    }
    invocation.output.flush()?;
    // A name was enough this once; what counts from here on is worth a look, and is what others can be told.
    if !request.relay.contains('#') {
        let line = format!("By its certificate, {host} has this key, and no other is taken from here on:");
        invocation.notes.say(&Line::new(line));
        invocation.notes.say(&Line::new(format!("  {}", account.relay)));
    }
    let next = match account.connection.state {
        ConnectionState::Connected => "Next: hermesctl invite, or hermesctl accept 'LINK'",
        _ => "If the address is wrong: the same command with the right one. How it stands: hermesctl status",
    };
    invocation.notes.say(&Line::new(next));
    Ok(Exit::Ok)
}

/// The reason, with the command that may turn a no into a yes.
fn with_command(reason: Problem, request: &CreateAccount) -> Problem {
    match reason.code {
        ErrorCode::RegistrationRefused => {
            let CreateAccount { name, relay, .. } = request;
            let hint = format!(
                "ask its operator for a token (hermes-relay token new), then: hermesctl init --name {name} --relay '{relay}' --token-file FILE"
            );
            let message = match request.registration_token {
                Some(_) => "the relay does not know this registration token, or it is used up".to_owned(),
                None => reason.message,
            };
            Problem { hint, message, ..reason }
        }
        _ => reason,
    }
}

/// The token in a file.
pub(super) fn read_token(path: &Path) -> Result<RegistrationToken, Problem> {
    let failed = |what: String| {
        let message = format!("cannot use the token file {}: {what}", path.display());
        Problem::new(ErrorCode::Usage, message, "name a file that holds the token and nothing else")
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(limits::TOKEN_FILE_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        _ if text.len() > limits::TOKEN_FILE_BYTES => Err(failed("it is too large".to_owned())),
        token => Ok(RegistrationToken::new(token)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_holds_one_token() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("token");
        std::fs::write(&path, "  abc-123\n").unwrap();
        assert_eq!(read_token(&path).unwrap().expose(), "abc-123");
        for content in ["", "\n", &"x".repeat(limits::TOKEN_FILE_BYTES + 1)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read_token(&path).unwrap_err().code, ErrorCode::Usage);
        }
        assert!(read_token(&home.path().join("none")).is_err());
    }

    #[test]
    fn a_relay_that_wants_a_token_is_answered_with_the_command_to_type() {
        let request = CreateAccount {
            name: "alice".into(),
            relay: "hermes://h:1#p".into(),
            registration_token: None,
            keys: None,
            passphrase: None,
            timeout_ms: 0,
        };
        let reason = Problem::new(ErrorCode::RegistrationRefused, "no token", "");
        let problem = with_command(reason, &request);
        assert!(
            problem.hint.contains("--name alice --relay 'hermes://h:1#p' --token-file"),
            "{}",
            problem.hint
        );
        assert_eq!(problem.message, "no token");
    }

    #[test]
    fn a_token_that_the_relay_does_not_take_is_not_called_missing() {
        let request = CreateAccount {
            name: "alice".into(),
            relay: "hermes://h:1#p".into(),
            registration_token: Some(RegistrationToken::new("used-up")),
            keys: None,
            passphrase: None,
            timeout_ms: 0,
        };
        let problem = with_command(Problem::new(ErrorCode::RegistrationRefused, "no token", ""), &request);
        assert!(problem.message.contains("does not know this registration token"), "{}", problem.message);
    }
}
