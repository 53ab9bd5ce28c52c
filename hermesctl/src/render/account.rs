//! Accounts, their connections, contacts.

use hermes_api::{
    AccountStatus, ConnectionState, Contact, ContactState, DaemonStatus, GuestStatus, KeyStatus, Restored,
    StoreState, StoreStatus, Trust, UnixMillis, VerifiedBy, limits::ONE_TIME_PREKEYS_LOW,
};
use jiff::tz::TimeZone;

use crate::{
    duration, limits,
    output::{BAD, DIM, GOOD, Line, NAME, WARN},
    render::{audit::counted, message::local_time},
};

/// How much of an account is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What changes from day to day, and what is amiss.
    Daily,
    /// Also what stays: who the account is, and how its keys are kept.
    All,
}

/// A silence that ends later has no end.
const FAR: std::time::Duration = std::time::Duration::from_secs(10 * 365 * 86_400);

/// Hex digits of a fingerprint that tell contacts apart at a glance. Not for checking who they are.
const FINGERPRINT_GLANCE: usize = 16;

/// The daemon and its accounts.
pub(crate) fn status(status: &DaemonStatus, detail: Detail, now: UnixMillis) -> Vec<Line> {
    let up = duration::short(status.started_at.before(now));
    let mut lines =
        vec![Line::new("hermesd ").plain(&status.version).plain(format!(", pid {}, up {up}", status.pid))];
    for account in &status.accounts {
        lines.extend(self::account(account, detail, now));
    }
    lines
}

fn account(account: &AccountStatus, shown: Detail, now: UnixMillis) -> Vec<Line> {
    if account.keys.as_ref().is_some_and(|keys| keys.locked) {
        return locked(account);
    }
    if is_closed(account) {
        return closed(account, now);
    }
    let mut lines = vec![
        headline(account, now),
        detail("unread", account.unread.to_string()),
        detail("outbox", format!("{} waiting", account.outbox)),
    ];
    if account.requests > 0 {
        lines.insert(2, detail("requests", format!("{}: hermesctl requests ls", account.requests)));
    }
    if let Some(reason) = &account.connection.reason {
        lines.insert(1, detail("reason", reason.message.clone()));
        if !reason.hint.is_empty() {
            lines.insert(2, hint(&reason.hint));
        }
    }
    lines.extend(account.dnd_until.map(|until| detail("dnd", dnd(until, now))));
    lines.extend(store(&account.store, now));
    if account.unreadable > 0 {
        lines.push(detail("unreadable", unreadable(account, now)));
    }
    if account.renewals > 0 {
        lines.push(detail("sessions", renewals(account, now)));
    }
    if account.missing > 0 {
        let missing = format!("{}: hermesctl audit", counted(account.missing, "message"));
        lines.push(Line::default().styled(DIM, format!("  {:<11}  ", "missing")).styled(BAD, missing));
    }
    lines.extend(account.guests.iter().flat_map(|other| guest(other, now)));
    if shown == Detail::All {
        lines.push(detail("fingerprint", account.fingerprint.clone()));
    }
    lines.extend(prekeys(account, shown, now));
    if shown == Detail::All {
        lines.extend(account.keys.as_ref().map(keys));
    }
    lines
}

fn locked(account: &AccountStatus) -> Vec<Line> {
    let headline = Line::default().styled(NAME, &account.name).plain("  ").styled(WARN, "locked");
    let mut lines = vec![headline.plain(": the relay keeps what arrives")];
    lines.push(hint(&format!("hermesctl unlock --account {}", account.name)));
    lines.extend(account.keys.as_ref().map(keys));
    lines
}

/// Whether its store does not open, so that nothing is known of it but why.
pub(crate) fn is_closed(account: &AccountStatus) -> bool {
    account.relay.is_empty()
}

fn closed(account: &AccountStatus, now: UnixMillis) -> Vec<Line> {
    let since = duration::short(account.connection.since.before(now));
    let headline = Line::default().styled(NAME, &account.name).plain("  ").styled(BAD, "does not open");
    let mut lines = vec![headline.plain(format!(", since {since}"))];
    if let Some(reason) = &account.connection.reason {
        lines.push(detail("reason", reason.message.clone()));
        if !reason.hint.is_empty() {
            lines.push(hint(&reason.hint));
        }
    }
    lines.extend(account.keys.as_ref().map(keys));
    lines
}

fn keys(keys: &KeyStatus) -> Line {
    detail("keys", format!("{}: {}", keys.kind, keys.protection))
}

/// Whether a silence goes on until it is ended.
pub(crate) fn is_endless(until: UnixMillis, now: UnixMillis) -> bool {
    now.before(until) > FAR
}

/// What did not come from a mailbox at another relay.
pub(crate) fn lost_at(guest: &GuestStatus) -> Option<String> {
    let unreadable =
        (guest.unreadable > 0).then(|| format!("{} unreadable", counted(guest.unreadable, "envelope")));
    let expired =
        (guest.expired > 0).then(|| format!("{} dropped by that relay", counted(guest.expired, "envelope")));
    let lost: Vec<_> = unreadable.into_iter().chain(expired).collect();
    (!lost.is_empty()).then(|| lost.join(", "))
}

/// A mailbox at another relay, and what keeps it from its relay.
fn guest(guest: &GuestStatus, now: UnixMillis) -> Vec<Line> {
    let (style, state) = connection(guest.connection.state);
    let line = Line::default().styled(DIM, format!("  {:<11}  ", "groups")).styled(style, state);
    let mut lines = vec![line.plain(format!(" {}", relay_host(&guest.relay)))];
    if let Some(reason) = &guest.connection.reason {
        lines.push(hint(&format!("{}; {}", reason.message, reason.hint)));
    }
    if let Some(lost) = lost_at(guest) {
        let ago = |last: UnixMillis| format!(" (last {} ago)", duration::short(last.before(now)));
        let last = guest.last_unreadable_at.map(ago);
        lines.push(hint(&format!("{lost}{}", last.unwrap_or_default())));
    }
    lines
}

/// Until when its user wants not to be disturbed.
fn dnd(until: UnixMillis, now: UnixMillis) -> String {
    match is_endless(until, now) {
        true => "on, until hermesctl dnd off".to_owned(),
        false => format!("until {}, or hermesctl dnd off", local_time(until, &TimeZone::system())),
    }
}

/// The stock of one-time prekeys, and what it means when it is low.
fn prekeys(account: &AccountStatus, shown: Detail, now: UnixMillis) -> Vec<Line> {
    let Some(curve) = account.one_time_prekeys else { return Vec::new() };
    // A daemon that is older than this program tells of one kind.
    let kem = account.one_time_kem_prekeys.unwrap_or(curve);
    let stock = match curve == kem {
        true => format!("{curve} one-time keys at the relay"),
        false => format!("{curve} one-time keys at the relay, {kem} for ML-KEM"),
    };
    let left = curve.min(kem);
    if left >= ONE_TIME_PREKEYS_LOW {
        return match shown {
            Detail::All => vec![detail("prekeys", stock)],
            Detail::Daily => Vec::new(),
        };
    }
    // A new store, or one that was put back, has just begun to give its keys to the relay.
    if account.connection.state == ConnectionState::Connected
        && account.connection.since.before(now) < limits::PREKEYS_UNDER_WAY
    {
        return vec![detail("prekeys", format!("{stock}; more are on their way"))];
    }
    let (style, meaning) = match left {
        0 => (BAD, "; first messages of new sessions are protected less"),
        _ => (WARN, "; more are needed"),
    };
    let hint = match account.connection.state {
        ConnectionState::Connected => {
            "hermesd uploads more by itself; if it stays so, ask the relay's operator"
        }
        _ => "hermesd uploads more once it is connected",
    };
    vec![
        Line::default().styled(DIM, format!("  {:<11}  ", "prekeys")).styled(style, stock).plain(meaning),
        Line::default().styled(DIM, "               → ").plain(hint),
    ]
}

/// What is the matter with the store. A good one says nothing.
fn store(store: &StoreStatus, now: UnixMillis) -> Vec<Line> {
    let ago = |at: UnixMillis| format!("{} ago", duration::short(at.before(now)));
    let mut lines = Vec::new();
    if let Some(at) = store.stopped_at {
        lines.push(detail(
            "store",
            format!(
                "another copy is running: this one is stopped, since {}",
                duration::short(at.before(now))
            ),
        ));
    }
    if store.state == StoreState::Recovering {
        lines.push(detail("store", "waits for the relay, to go on with this copy".to_owned()));
    }
    if let Some(at) = store.copy_seen_at {
        lines.push(detail("store", format!("another copy of this store was seen {}", ago(at))));
        if store.stopped_at.is_none() {
            lines.push(hint("remove that copy; hermesctl recover ends this notice"));
        }
    }
    if let Some(Restored { at, contacts, renewed }) = store.restored {
        let done = format!("sessions renewed with {renewed} of {contacts} contacts");
        lines.push(detail("store", format!("restored from an old copy {}, {done}", ago(at))));
        if store.state == StoreState::Restored && renewed == contacts {
            lines.push(hint("hermesctl recover ends this notice"));
        }
    }
    lines
}

fn hint(text: &str) -> Line {
    Line::default().styled(DIM, "               → ").plain(text)
}

/// How many could not be read, and what was wrong with the newest.
fn unreadable(account: &AccountStatus, now: UnixMillis) -> String {
    match &account.last_unreadable {
        Some(last) => {
            let ago = duration::short(last.at.before(now));
            format!("{} (last {ago} ago: {})", account.unreadable, last.cause)
        }
        None => account.unreadable.to_string(),
    }
}

/// How many sessions were renewed, and what was wrong with the last.
fn renewals(account: &AccountStatus, now: UnixMillis) -> String {
    match &account.last_renewal {
        Some(last) => {
            let ago = duration::short(last.at.before(now));
            format!("{} renewed (last {ago} ago, with {}: {})", account.renewals, last.contact, last.reason)
        }
        None => format!("{} renewed", account.renewals),
    }
}

fn detail(name: &str, value: String) -> Line {
    Line::default().styled(DIM, format!("  {name:<11}  ")).plain(value)
}

fn headline(account: &AccountStatus, now: UnixMillis) -> Line {
    let (style, state) = match account.store.state {
        StoreState::Stopped => (BAD, "stopped:"),
        _ => connection(account.connection.state),
    };
    let since = duration::short(account.connection.since.before(now));
    let line = Line::default().styled(NAME, &account.name).plain("  ").styled(style, state);
    line.plain(format!(" {}, since {since}", relay_host(&account.relay)))
}

/// The state in words that a relay's name can follow.
fn connection(state: ConnectionState) -> (anstyle::Style, &'static str) {
    match state {
        ConnectionState::Registering => (WARN, "registering at"),
        ConnectionState::Connected => (GOOD, "connected to"),
        ConnectionState::Connecting => (WARN, "connecting to"),
        ConnectionState::Offline => (WARN, "offline, trying again:"),
        ConnectionState::Refused => (BAD, "refused by"),
    }
}

/// `host:port` of a relay address: the pin says nothing to people.
pub(crate) fn relay_host(address: &str) -> &str {
    let host = address.strip_prefix("hermes://").unwrap_or(address);
    host.split('#').next().unwrap_or(host)
}

/// The columns of a list of accounts.
pub(crate) const ACCOUNT_HEADER: [&str; 5] = ["name", "state", "relay", "unread", "fingerprint"];

/// An account as a row under [`ACCOUNT_HEADER`].
pub(crate) fn row(account: &AccountStatus) -> Vec<String> {
    let state = match (account.keys.as_ref().is_some_and(|keys| keys.locked), account.connection.state) {
        (true, _) => "locked",
        _ if is_closed(account) => "does not open",
        (_, ConnectionState::Registering) => "registering",
        (_, ConnectionState::Connected) => "connected",
        (_, ConnectionState::Connecting) => "connecting",
        (_, ConnectionState::Offline) => "offline",
        (_, ConnectionState::Refused) => "refused",
    };
    let glance = account.fingerprint.chars().take(FINGERPRINT_GLANCE).collect();
    let relay = relay_host(&account.relay).to_owned();
    vec![account.name.clone(), state.to_owned(), relay, account.unread.to_string(), glance]
}

/// The columns of a list of contacts.
pub(crate) const CONTACT_HEADER: [&str; 5] = ["name", "state", "trust", "since", "fingerprint"];

/// A contact as a row under [`CONTACT_HEADER`].
pub(crate) fn contact(contact: &Contact, zone: &TimeZone) -> Vec<String> {
    let state = state(contact);
    let glance = contact.fingerprint.chars().take(FINGERPRINT_GLANCE).collect();
    vec![
        contact.name.clone(),
        state.to_owned(),
        trust(contact.trust, contact.verified_by),
        local_time(contact.since, zone),
        glance,
    ]
}

/// Of a contact whose relay takes nothing from here any more.
pub(crate) const REFUSES: &str = "refuses you";

/// Whether a contact can be written to, in a word.
pub(crate) fn state(contact: &Contact) -> &'static str {
    match contact.state {
        _ if contact.blocked_since.is_some() => "blocked",
        _ if contact.refused_since.is_some() => REFUSES,
        ContactState::Pending => "pending",
        ContactState::Asked => "asked",
        ContactState::Ready => "ready",
    }
}

/// The trust in a contact in words.
pub(crate) fn trust(trust: Trust, by: Option<VerifiedBy>) -> String {
    match (trust, by) {
        (Trust::Unverified, _) => "unverified".to_owned(),
        (Trust::Verified, Some(VerifiedBy::Invite)) => "verified by invite".to_owned(),
        (Trust::Verified, Some(VerifiedBy::Number)) => "verified by safety number".to_owned(),
        (Trust::Verified, Some(VerifiedBy::Other) | None) => "verified".to_owned(),
        (Trust::Changed, _) => "identity changed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hermes_api::{Connection, ErrorCode, Problem, SessionRenewal, Unreadable, V1};

    use super::*;

    fn offline() -> AccountStatus {
        AccountStatus {
            name: "alice".into(),
            fingerprint: "ab".repeat(32),
            mailbox: "cd".repeat(32),
            relay: "hermes://relay.example:4433#abc".into(),
            connection: Connection {
                state: ConnectionState::Offline,
                since: UnixMillis(0),
                reason: Some(Problem::new(ErrorCode::RelayUnreachable, "no answer", "check the network")),
            },
            guests: Vec::new(),
            caught_up: true,
            waiting: 0,
            unread: 3,
            requests: 0,
            dnd_until: None,
            outbox: 1,
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

    /// What a daemon of one account shows, after a minute.
    fn lines(account: AccountStatus) -> Vec<String> {
        let daemon = DaemonStatus {
            v: V1,
            version: "0.1.0".into(),
            pid: 7,
            started_at: UnixMillis(0),
            capabilities: Vec::new(),
            accounts: vec![account],
        };
        status(&daemon, Detail::All, UnixMillis(60_000)).iter().map(Line::text).collect()
    }

    #[test]
    fn a_locked_account_says_how_to_open_it() {
        let kind = hermes_api::KeyKind::Passphrase;
        let keys = KeyStatus { kind, protection: kind.protection().to_owned(), locked: true };
        let shown = lines(AccountStatus { keys: Some(keys), ..offline() });
        assert_eq!(shown[1], "alice  locked: the relay keeps what arrives");
        assert_eq!(shown[2].trim(), "→ hermesctl unlock --account alice");
        assert!(shown[3].contains("keys") && shown[3].contains("passphrase: protects"), "{shown:?}");
        assert_eq!(shown.len(), 4);
    }

    /// Its relay and its counts are in the store.
    #[test]
    fn of_an_account_that_does_not_open_nothing_is_claimed() {
        let connection = Connection {
            state: ConnectionState::Refused,
            since: UnixMillis(0),
            reason: Some(Problem::new(ErrorCode::Locked, "the command gives no passphrase", "run it")),
        };
        let account = AccountStatus { relay: String::new(), unread: 0, outbox: 0, connection, ..offline() };
        assert_eq!(row(&account)[1], "does not open");
        let shown = lines(account);
        assert_eq!(shown[1], "alice  does not open, since 1m");
        assert!(
            shown[2].ends_with("the command gives no passphrase") && shown[3].ends_with("→ run it"),
            "{shown:?}"
        );
        assert_eq!(shown.len(), 4);
    }

    #[test]
    fn status_says_why_an_account_is_not_connected() {
        let lines = lines(offline());
        assert_eq!(lines[0], "hermesd 0.1.0, pid 7, up 1m");
        assert_eq!(lines[1], "alice  offline, trying again: relay.example:4433, since 1m");
        assert!(lines[2].ends_with("no answer") && lines[3].ends_with("→ check the network"), "{lines:?}");
        assert!(
            !lines.iter().any(|line| line.contains("unreadable") || line.contains("prekeys")),
            "{lines:?}"
        );
    }

    #[test]
    fn status_says_which_session_was_renewed_and_why() {
        let reason = "no session with this contact opens it".into();
        let last = SessionRenewal { contact: "bob".into(), at: UnixMillis(0), reason };
        let account = AccountStatus { renewals: 2, last_renewal: Some(last), ..offline() };
        let expected =
            "  sessions     2 renewed (last 1m ago, with bob: no session with this contact opens it)";
        assert!(lines(account).contains(&expected.to_owned()));
    }

    #[test]
    fn status_warns_when_one_time_prekeys_run_out() {
        let shown = |curve, kem, state| {
            let connection = Connection { state, ..offline().connection };
            let one_time_kem_prekeys = Some(kem);
            lines(AccountStatus {
                one_time_prekeys: Some(curve),
                one_time_kem_prekeys,
                connection,
                ..offline()
            })
        };
        let enough = shown(100, 100, ConnectionState::Connected);
        assert_eq!(enough.last().unwrap(), "  prekeys      100 one-time keys at the relay");
        let low = shown(80, 24, ConnectionState::Offline);
        let [.., stock, hint] = &low[..] else { panic!("{low:?}") };
        assert_eq!(stock, "  prekeys      80 one-time keys at the relay, 24 for ML-KEM; more are needed");
        assert_eq!(hint, "               → hermesd uploads more once it is connected");
        let out = shown(0, 0, ConnectionState::Connected);
        let [.., stock, hint] = &out[..] else { panic!("{out:?}") };
        assert!(
            stock
                .ends_with("0 one-time keys at the relay; first messages of new sessions are protected less")
        );
        assert!(hint.contains("operator"), "{hint}");
    }

    #[test]
    fn status_names_the_command_that_says_what_is_missing() {
        let missing = |missing| lines(AccountStatus { missing, ..offline() });
        assert!(missing(1).contains(&"  missing      1 message: hermesctl audit".to_owned()));
        assert!(missing(3).contains(&"  missing      3 messages: hermesctl audit".to_owned()));
        assert!(!missing(0).iter().any(|line| line.contains("missing")));
        // A daemon that is older than this program does not say.
        let mut older = serde_json::to_value(offline()).unwrap();
        older.as_object_mut().unwrap().remove("missing");
        assert_eq!(serde_json::from_value::<AccountStatus>(older).unwrap().missing, 0);
    }

    #[test]
    fn status_says_what_was_wrong_with_the_last_unreadable_envelope() {
        let last = Unreadable { at: UnixMillis(0), cause: "its authentication failed".into() };
        let account = AccountStatus { unreadable: 2, last_unreadable: Some(last), ..offline() };
        assert!(
            lines(account).contains(&"  unreadable   2 (last 1m ago: its authentication failed)".to_owned())
        );
        // A daemon that is older than this program says nothing of the last one.
        let older = serde_json::to_value(AccountStatus { unreadable: 2, ..offline() }).unwrap();
        let mut older = older.as_object().unwrap().clone();
        older.remove("last_unreadable");
        let account = serde_json::from_value(older.into()).unwrap();
        assert!(lines(account).contains(&"  unreadable   2".to_owned()));
    }

    #[test]
    fn status_names_the_other_relays_where_there_are_groups() {
        let reason = Some(Problem::new(ErrorCode::RelayUnreachable, "no answer", "check the network"));
        let connection = Connection { state: ConnectionState::Offline, since: UnixMillis(0), reason };
        let relay = "hermes://other.example:4433#abc".to_owned();
        let (unreadable, expired, last_unreadable_at) = (1, 2, Some(UnixMillis(0)));
        let guest = GuestStatus { relay, connection, unreadable, expired, last_unreadable_at };
        let quiet = GuestStatus { unreadable: 0, expired: 0, last_unreadable_at: None, ..guest.clone() };
        assert_eq!(lost_at(&quiet), None);
        let lines = lines(AccountStatus { guests: vec![guest], ..offline() });
        let at = lines.iter().position(|line| line.starts_with("  groups ")).expect("a line");
        assert_eq!(lines[at], "  groups       offline, trying again: other.example:4433");
        assert_eq!(lines[at + 1].trim(), "→ no answer; check the network");
        let lost = "→ 1 envelope unreadable, 2 envelopes dropped by that relay (last 1m ago)";
        assert_eq!(lines[at + 2].trim(), lost);
    }

    #[test]
    fn status_says_what_is_the_matter_with_the_store() {
        let shown = |store: StoreStatus| lines(AccountStatus { store, ..offline() });
        assert!(!shown(StoreStatus::default()).iter().any(|line| line.contains("store")));
        let stopped = StoreStatus {
            state: StoreState::Stopped,
            stopped_at: Some(UnixMillis(0)),
            ..StoreStatus::default()
        };
        let lines = shown(stopped);
        assert_eq!(lines[1], "alice  stopped: relay.example:4433, since 1m");
        assert!(
            lines.contains(
                &"  store        another copy is running: this one is stopped, since 1m".to_owned()
            )
        );
        let half = Restored { at: UnixMillis(0), contacts: 5, renewed: 3 };
        let restored =
            StoreStatus { state: StoreState::Restored, restored: Some(half), ..StoreStatus::default() };
        let line = "  store        restored from an old copy 1m ago, sessions renewed with 3 of 5 contacts";
        assert!(shown(restored).contains(&line.to_owned()));
        let ends = "               → hermesctl recover ends this notice".to_owned();
        assert!(!shown(restored).contains(&ends), "there is something to wait for");
        let whole = StoreStatus { restored: Some(Restored { renewed: 5, ..half }), ..restored };
        assert!(shown(whole).contains(&ends));
        let seen = StoreStatus {
            state: StoreState::CopySeen,
            copy_seen_at: Some(UnixMillis(0)),
            ..StoreStatus::default()
        };
        assert!(
            shown(seen).contains(&"  store        another copy of this store was seen 1m ago".to_owned())
        );
        // A daemon that is older than this program says nothing of its store.
        let mut older = serde_json::to_value(offline()).unwrap();
        older.as_object_mut().unwrap().remove("store");
        let older: AccountStatus = serde_json::from_value(older).unwrap();
        assert_eq!(older.store, StoreStatus::default());
    }
}
