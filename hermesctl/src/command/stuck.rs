//! Why what was said has not left, when that does not end by itself or was waited for in vain.

use hermes_api::{Connection, ConnectionState};

use crate::{
    invocation::Invocation,
    output::{DIM, Line, NAME, WARN},
};

/// Whether the command has waited for more than the own disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Yes,
    No,
}

/// Says what keeps the account from its relay. Being offline is everyday, unless somebody waits.
pub(super) async fn explain(account: &str, waited: Waited, invocation: &Invocation) {
    let Ok(status) = invocation.daemon.client.status().await else { return };
    let known = status.accounts.into_iter().find(|known| known.name == account);
    let connection = known.map(|known| known.connection);
    connection.iter().flat_map(|connection| lines(account, waited, connection)).for_each(|line| {
        invocation.notes.say(&line);
    });
}

fn lines(account: &str, waited: Waited, connection: &Connection) -> Vec<Line> {
    let Connection { state, reason: Some(reason), .. } = connection else { return Vec::new() };
    match (state, waited) {
        (ConnectionState::Refused, _) => {}
        (ConnectionState::Connected, _) | (_, Waited::No) => return Vec::new(),
        (_, Waited::Yes) => {}
    }
    let warning = Line::default().styled(WARN, "warning: ").styled(NAME, account);
    let mut lines = vec![warning.plain(format!(" is not connected: {}", reason.message))];
    if !reason.hint.is_empty() {
        lines.push(Line::default().styled(DIM, "  → ").plain(&reason.hint));
    }
    lines
}

#[cfg(test)]
mod tests {
    use hermes_api::{ErrorCode, Problem, UnixMillis};

    use super::*;

    #[test]
    fn what_does_not_end_by_itself_is_said() {
        let said = |state, waited| {
            let reason = Some(Problem::new(ErrorCode::Superseded, "another took over", "decide"));
            let connection = Connection { state, since: UnixMillis(0), reason };
            lines("alice", waited, &connection).iter().map(Line::text).collect::<Vec<_>>()
        };
        let both = ["warning: alice is not connected: another took over", "  → decide"];
        assert_eq!(said(ConnectionState::Refused, Waited::No), both);
        assert_eq!(said(ConnectionState::Offline, Waited::Yes), both);
        assert!(said(ConnectionState::Offline, Waited::No).is_empty());
        assert!(said(ConnectionState::Connected, Waited::Yes).is_empty());
    }
}
