//! What the daemon says of an account.

use hermes_api::{
    AccountStatus, Connection, ConnectionState, ErrorCode, GuestStatus, KeyKind, RelayClock, StoreState,
    limits::ONE_TIME_PREKEYS_LOW,
};

use super::{Check, Verdict};
use crate::{
    limits,
    render::account::{is_closed, lost_at, relay_host},
};

/// Whether the account is connected to its relay.
pub(super) const RELAY: &str = "relay";

pub(super) fn checks(account: &AccountStatus, clock: Option<RelayClock>) -> Vec<Check> {
    let guests = account.guests.iter().map(guest);
    let checks = [
        connection(account),
        pin(account),
        clock.map(self::clock),
        keys(account),
        prekeys(account),
        store(account),
        messages(account),
    ];
    checks.into_iter().flatten().chain(guests).map(|check| check.of(&account.name)).collect()
}

fn is_locked(account: &AccountStatus) -> bool {
    account.keys.as_ref().is_some_and(|keys| keys.locked)
}

fn reason(account: &AccountStatus) -> Option<ErrorCode> {
    account.connection.reason.as_ref().map(|reason| reason.code)
}

/// Whether nothing more is known than that the relay has not answered.
pub(super) fn is_unreachable(account: &AccountStatus) -> bool {
    !is_locked(account) && matches!(reason(account), None | Some(ErrorCode::RelayUnreachable))
}

/// Nothing where the relay's key has more to say.
fn connection(account: &AccountStatus) -> Option<Check> {
    let host = relay_host(&account.relay);
    let state = account.connection.state;
    if state == ConnectionState::Connected {
        return Some(Check::private(RELAY, Verdict::Ok, format!("connected to {host}"), "connected"));
    }
    if is_locked(account) {
        let check =
            Check::plain(RELAY, Verdict::Warn, "the account is locked, so messages wait at the relay");
        return Some(check.advise("hermesctl unlock"));
    }
    if reason(account) == Some(ErrorCode::RelayKeyMismatch) {
        return None;
    }
    let (message, hint, code) = match &account.connection.reason {
        Some(reason) => (reason.message.clone(), reason.hint.clone(), reason.code.as_str()),
        None => ("the connection is being made".to_owned(), String::new(), "no reason yet"),
    };
    if is_closed(account) {
        let check = Check::private("account", Verdict::Fail, message, format!("does not open: {code}"));
        return Some(check.advise(hint));
    }
    let fact = format!("not connected: {code}");
    // Right after the start nothing has failed yet.
    let verdict = match (state, &account.connection.reason) {
        (ConnectionState::Connecting | ConnectionState::Registering, None) => Verdict::Warn,
        _ => Verdict::Fail,
    };
    Some(Check::private(RELAY, verdict, format!("not connected to {host}: {message}"), fact).advise(hint))
}

/// A mailbox at another relay.
fn guest(guest: &GuestStatus) -> Check {
    let host = relay_host(&guest.relay);
    let Connection { state, reason, .. } = &guest.connection;
    match (state, reason) {
        (ConnectionState::Connected, _) => {
            let text = format!("connected to {host}, for groups there");
            match lost_at(guest) {
                None => Check::private("other relay", Verdict::Ok, text, "connected"),
                Some(lost) => {
                    let fact = format!("connected; {lost}");
                    Check::private("other relay", Verdict::Warn, format!("{text}; {lost}"), fact)
                }
            }
        }
        (_, None) => {
            let text = format!("the connection to {host} is being made, for groups there");
            Check::private("other relay", Verdict::Warn, text, "not connected: no reason yet")
        }
        (_, Some(reason)) => {
            let text = format!("not connected to {host}, for groups there: {}", reason.message);
            let fact = format!("not connected: {}", reason.code.as_str());
            Check::private("other relay", Verdict::Fail, text, fact).advise(reason.hint.clone())
        }
    }
}

/// What the relay proved.
fn pin(account: &AccountStatus) -> Option<Check> {
    match (account.connection.state, reason(account)) {
        (ConnectionState::Connected, _) => {
            Some(Check::plain("relay key", Verdict::Ok, "the relay proved the key that its address names"))
        }
        (_, Some(ErrorCode::RelayKeyMismatch)) => {
            let fact = "the relay has another key than its address names: it is not the one you were told of, or it \
                        lost its state";
            let text = format!("not connected to {}: {fact}", relay_host(&account.relay));
            let check = Check::private("relay key", Verdict::Fail, text, fact);
            Some(check.advise("ask its operator, over another channel, whether the key was changed"))
        }
        _ => None,
    }
}

/// Expiry of messages, invites and prekeys hangs on it.
fn clock(clock: RelayClock) -> Check {
    let ahead = i128::from(clock.local.0) - i128::from(clock.relay.0);
    let seconds = ahead.unsigned_abs() / 1000;
    let text = match seconds {
        0..2 => "this clock and the relay's agree".to_owned(),
        _ if ahead > 0 => format!("this clock is {seconds} s ahead of the relay's"),
        _ => format!("this clock is {seconds} s behind the relay's"),
    };
    let advice = "set the clock, for example with: timedatectl set-ntp true; or the relay's is wrong";
    match seconds {
        seconds if seconds < limits::CLOCK_WARN => Check::plain("clock", Verdict::Ok, text),
        seconds if seconds < limits::CLOCK_FAIL => Check::plain("clock", Verdict::Warn, text).advise(advice),
        _ => Check::plain("clock", Verdict::Fail, text).advise(advice),
    }
}

fn keys(account: &AccountStatus) -> Option<Check> {
    let keys = account.keys.as_ref()?;
    let check = |verdict| {
        let text = format!("kept as {}: {}", keys.kind, keys.protection);
        Check::private("keys", verdict, text, format!("kept as {}", keys.kind))
    };
    Some(match keys.kind {
        KeyKind::File => check(Verdict::Ok)
            .advise("if that is not enough: hermesctl keys change --to passphrase, or another kind"),
        _ => check(Verdict::Ok),
    })
}

fn prekeys(account: &AccountStatus) -> Option<Check> {
    let curve = account.one_time_prekeys?;
    let left = curve.min(account.one_time_kem_prekeys.unwrap_or(curve));
    let text = format!("{left} one-time keys at the relay");
    Some(match left {
        left if left >= ONE_TIME_PREKEYS_LOW => Check::plain("prekeys", Verdict::Ok, text),
        0 => Check::plain("prekeys", Verdict::Warn, format!("{text}: first messages are protected less"))
            .advise("hermesd uploads more once it is connected; if it stays so, ask the relay's operator"),
        _ => Check::plain("prekeys", Verdict::Ok, format!("{text}; more are on their way")),
    })
}

fn store(account: &AccountStatus) -> Option<Check> {
    let check = |verdict, text: &str| Some(Check::plain("store", verdict, text));
    let recover = "look at hermesctl status, then: hermesctl recover";
    match account.store.state {
        // An account that does not open says why in its connection.
        StoreState::Ok if account.fingerprint.is_empty() => None,
        // The relay has just said that another one is newer.
        StoreState::Ok if reason(account) == Some(ErrorCode::Superseded) => None,
        StoreState::Ok => check(Verdict::Ok, "the newest copy, as far as the relay knows"),
        StoreState::Restored => Some(
            Check::plain("store", Verdict::Warn, "put back from an old copy; sessions are renewed")
                .advise("hermesctl status says how far that is"),
        ),
        StoreState::CopySeen => {
            let check = Check::plain("store", Verdict::Warn, "another copy of it has connected");
            Some(check.advise("remove that copy, then: hermesctl recover"))
        }
        StoreState::Recovering => check(Verdict::Warn, "waits for the relay, to go on with this copy"),
        StoreState::Stopped => {
            let check = Check::plain(
                "store",
                Verdict::Fail,
                "another copy of it is at work, and this one is stopped",
            );
            Some(check.advise(recover))
        }
        StoreState::Other => check(Verdict::Warn, "in a state that this hermesctl is too old to know"),
    }
}

fn messages(account: &AccountStatus) -> Option<Check> {
    if account.missing == 0 {
        return None;
    }
    let text = format!("{} did not arrive", crate::render::audit::counted(account.missing, "message"));
    Some(Check::plain("messages", Verdict::Warn, text).advise("hermesctl audit says which"))
}
