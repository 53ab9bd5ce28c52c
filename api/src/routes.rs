//! The routes. `{account}` and `{chat}` are percent-encoded path segments; the constants are in the form that axum takes.

/// `GET`: [`crate::DaemonStatus`].
pub const STATUS: &str = "/v1/status";
/// `GET`: [`crate::Diagnosis`].
pub const DIAGNOSIS: &str = "/v1/diagnosis";
/// `GET`: [`crate::ConfigInForce`].
pub const CONFIG: &str = "/v1/config";
/// `POST` without a body: the daemon reads its configuration again; [`crate::ConfigInForce`].
pub const CONFIG_RELOAD: &str = "/v1/config/reload";
/// `GET`: this API's description, OpenAPI 3.1.
pub const OPENAPI: &str = "/v1/openapi.json";
/// `POST` [`crate::CreateAccount`]: [`crate::CreatedAccount`].
pub const ACCOUNTS: &str = "/v1/accounts";
/// `POST` [`crate::RemoveAccount`]: [`crate::RemovedAccount`].
pub const REMOVE_ACCOUNT: &str = "/v1/accounts/{account}/remove";
/// `GET`: [`crate::Profile`]. `POST` [`crate::SetProfile`]: [`crate::Profile`].
pub const PROFILE: &str = "/v1/accounts/{account}/profile";
/// `POST` [`crate::CreateInvite`]: [`crate::CreatedInvite`].
pub const INVITES: &str = "/v1/accounts/{account}/invites";
/// `POST` [`crate::AcceptInvite`]: [`crate::AcceptedInvite`].
pub const ACCEPT: &str = "/v1/accounts/{account}/accept";
/// `GET`: [`crate::Requests`].
pub const REQUESTS: &str = "/v1/accounts/{account}/requests";
/// `POST` [`crate::CloseRequests`]: [`crate::ClosedRequests`].
pub const REQUESTS_CLOSE: &str = "/v1/accounts/{account}/requests/close";
/// `POST` [`crate::AcceptRequest`]: [`crate::ContactDetails`].
pub const REQUEST_ACCEPT: &str = "/v1/accounts/{account}/requests/{request}/accept";
/// `POST` without a body: [`crate::RejectedRequest`].
pub const REQUEST_REJECT: &str = "/v1/accounts/{account}/requests/{request}/reject";
/// `GET`: [`crate::Contacts`].
pub const CONTACTS: &str = "/v1/accounts/{account}/contacts";
/// `GET`: [`crate::Peers`].
pub const PEERS: &str = "/v1/accounts/{account}/peers";
/// `POST` [`crate::PingContact`]: [`crate::Pong`].
pub const PING: &str = "/v1/accounts/{account}/contacts/{contact}/ping";
/// `GET`: [`crate::ContactDetails`].
pub const CONTACT: &str = "/v1/accounts/{account}/contacts/{contact}";
/// `POST` [`crate::VerifyContact`]: [`crate::ContactDetails`].
pub const VERIFY: &str = "/v1/accounts/{account}/contacts/{contact}/verify";
/// `POST` without a body: [`crate::ContactDetails`].
pub const UNVERIFY: &str = "/v1/accounts/{account}/contacts/{contact}/unverify";
/// `POST` without a body: [`crate::ContactDetails`].
pub const ACCEPT_KEY: &str = "/v1/accounts/{account}/contacts/{contact}/accept-key";
/// `POST` without a body: [`crate::ContactDetails`].
pub const REFUSE_KEY: &str = "/v1/accounts/{account}/contacts/{contact}/refuse-key";
/// `POST` [`crate::RenameContact`]: [`crate::ContactDetails`].
pub const RENAME: &str = "/v1/accounts/{account}/contacts/{contact}/rename";
/// `POST` without a body: [`crate::ContactDetails`].
pub const BLOCK: &str = "/v1/accounts/{account}/contacts/{contact}/block";
/// `POST` without a body: [`crate::ContactDetails`].
pub const UNBLOCK: &str = "/v1/accounts/{account}/contacts/{contact}/unblock";
/// `POST` [`crate::RemoveContact`]: [`crate::RemovedContact`].
pub const REMOVE: &str = "/v1/accounts/{account}/contacts/{contact}/remove";
/// `POST` [`crate::SetKeyPolicy`]: [`crate::ContactDetails`].
pub const KEY_POLICY: &str = "/v1/accounts/{account}/contacts/{contact}/key-policy";
/// `GET`: [`crate::Chats`].
pub const CHATS: &str = "/v1/accounts/{account}/chats";
/// `GET`: [`crate::ChatSettings`].
pub const CHAT: &str = "/v1/accounts/{account}/chats/{chat}";
/// `POST` [`crate::MuteChat`]: [`crate::ChatSettings`].
pub const MUTE: &str = "/v1/accounts/{account}/chats/{chat}/mute";
/// `POST` without a body: [`crate::ChatSettings`].
pub const ARCHIVE: &str = "/v1/accounts/{account}/chats/{chat}/archive";
/// `POST` without a body: [`crate::ChatSettings`].
pub const UNARCHIVE: &str = "/v1/accounts/{account}/chats/{chat}/unarchive";
/// `POST` [`crate::SetDnd`]: [`crate::Dnd`].
pub const DND: &str = "/v1/accounts/{account}/dnd";
/// `GET` with [`crate::SearchQuery`]: [`crate::SearchPage`].
pub const SEARCH: &str = "/v1/accounts/{account}/search";
/// `GET` with [`crate::OutboxQuery`]: [`crate::Outbox`].
pub const OUTBOX: &str = "/v1/accounts/{account}/outbox";
/// `POST` without a body: [`crate::Outbox`], once every connection has been told to try at once.
pub const OUTBOX_RETRY: &str = "/v1/accounts/{account}/outbox/retry";
/// `POST` [`crate::SetTtl`]: [`crate::ChatSettings`].
pub const TTL: &str = "/v1/accounts/{account}/chats/{chat}/ttl";
/// `GET`: [`crate::Groups`]. `POST` [`crate::CreateGroup`]: [`crate::GroupDetails`].
pub const GROUPS: &str = "/v1/accounts/{account}/groups";
/// `GET`: [`crate::GroupDetails`].
pub const GROUP: &str = "/v1/accounts/{account}/groups/{group}";
/// `POST` [`crate::AddMembers`]: [`crate::GroupDetails`].
pub const GROUP_ADD: &str = "/v1/accounts/{account}/groups/{group}/add";
/// `POST` [`crate::ChangeMembers`]: [`crate::GroupDetails`].
pub const GROUP_REMOVE: &str = "/v1/accounts/{account}/groups/{group}/remove";
/// `POST` [`crate::RenameGroup`]: [`crate::GroupDetails`].
pub const GROUP_RENAME: &str = "/v1/accounts/{account}/groups/{group}/rename";
/// `POST` [`crate::SetRole`]: [`crate::GroupDetails`].
pub const GROUP_ROLE: &str = "/v1/accounts/{account}/groups/{group}/role";
/// `POST` without a body: [`crate::Forgotten`].
pub const GROUP_FORGET: &str = "/v1/accounts/{account}/groups/{group}/forget";
/// `POST` [`crate::LeaveGroup`]: [`crate::GroupDetails`].
pub const GROUP_LEAVE: &str = "/v1/accounts/{account}/groups/{group}/leave";
/// `POST` [`crate::SendMessage`] with [`crate::WaitQuery`]: [`crate::SentMessages`].
pub const MESSAGES: &str = "/v1/accounts/{account}/messages";
/// `POST` [`crate::RebuildGroup`]: [`crate::GroupDetails`].
pub const GROUP_REBUILD: &str = "/v1/accounts/{account}/groups/{group}/rebuild";
/// `GET` with [`crate::WaitQuery`]: [`crate::MessageDetails`]. The message is named by its reference, by its id, or
/// as `@last`, the one that arrived last.
pub const MESSAGE: &str = "/v1/accounts/{account}/messages/{message}";
/// `POST` [`crate::React`]: [`crate::MessageChanged`].
pub const REACT: &str = "/v1/accounts/{account}/messages/{message}/react";
/// `POST` [`crate::EditMessage`]: [`crate::MessageChanged`].
pub const EDIT: &str = "/v1/accounts/{account}/messages/{message}/edit";
/// `POST` without a body: [`crate::MessageChanged`].
pub const UNSEND: &str = "/v1/accounts/{account}/messages/{message}/unsend";
/// `POST` without a body: [`crate::MessageChanged`].
pub const CANCEL: &str = "/v1/accounts/{account}/messages/{message}/cancel";
/// `GET` with [`crate::InboxQuery`]: [`crate::MessagePage`].
pub const INBOX: &str = "/v1/accounts/{account}/inbox";
/// `POST` [`crate::ReadMessages`]: [`crate::ReadReceipt`].
pub const READ: &str = "/v1/accounts/{account}/read";
/// `GET` with [`crate::LogQuery`]: [`crate::MessagePage`].
pub const LOG: &str = "/v1/accounts/{account}/log/{chat}";
/// `GET` with [`crate::AuditQuery`]: [`crate::Audit`].
pub const AUDIT: &str = "/v1/accounts/{account}/audit";
/// `GET` with [`crate::EventQuery`]: server-sent events, each an [`crate::EventFrame`]. The reply's head is sent once the
/// listener is in place, so what happens after it is not missed.
pub const EVENTS: &str = "/v1/accounts/{account}/events";
/// `POST` [`crate::BackUp`]: [`crate::BackupHead`] in a line, and behind it the file.
pub const BACKUP: &str = "/v1/accounts/{account}/backup";
/// `POST` [`crate::RestoreAccount`] in a line, and behind it the file: [`crate::CreatedAccount`].
pub const RESTORE: &str = "/v1/restore";
/// `POST` without a body: [`crate::KeysChanged`].
pub const LOCK: &str = "/v1/accounts/{account}/lock";
/// `POST` [`crate::Unlock`]: [`crate::KeysChanged`].
pub const UNLOCK: &str = "/v1/accounts/{account}/unlock";
/// `POST` [`crate::ChangeKeys`]: [`crate::KeysChanged`].
pub const KEYS: &str = "/v1/accounts/{account}/keys";
/// `POST` [`crate::AckEvents`]: [`crate::ConsumerState`].
pub const EVENTS_ACK: &str = "/v1/accounts/{account}/events/ack";
/// `GET`: [`crate::Consumers`].
pub const CONSUMERS: &str = "/v1/accounts/{account}/events/consumers";
/// `POST` [`crate::ForgetConsumer`]: [`crate::ConsumerState`], as it stood.
pub const FORGET_CONSUMER: &str = "/v1/accounts/{account}/events/forget";
/// `POST` [`crate::Recover`]: [`crate::Recovered`].
pub const RECOVER: &str = "/v1/accounts/{account}/recover";
/// `POST` without a body: [`crate::Shutdown`]. The process ends after the reply.
pub const SHUTDOWN: &str = "/v1/shutdown";

/// The header under whose key a `POST` is carried out once, however often it is repeated: the answer is the first one.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The header of every answer that says of which build of this API the daemon is: [`crate::BUILD`].
pub const BUILD: &str = "hermes-build";

/// Fills the segments of a route, in order, and appends a query of what is given.
pub(crate) fn fill(route: &str, segments: &[&str], query: &[(&str, Option<String>)]) -> String {
    let mut path = String::new();
    let mut segments = segments.iter();
    for part in route.split('/').skip(1) {
        path.push('/');
        match part.starts_with('{') {
            true => encode(segments.next().copied().unwrap_or_default(), &mut path),
            false => path.push_str(part),
        }
    }
    let given = query.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (index, (name, value)) in given.enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        encode(value, &mut path);
    }
    path
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, section 2.3.
fn encode(text: &str, out: &mut String) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Dots too: a segment of only dots would be a step up in the path.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        let path = fill(LOG, &["alice", "../a/b?c#d é"], &[("limit", Some("5".into())), ("before", None)]);
        assert_eq!(path, "/v1/accounts/alice/log/%2E%2E%2Fa%2Fb%3Fc%23d%20%C3%A9?limit=5");
    }

    #[test]
    fn a_query_has_only_what_is_given() {
        let query = [("from", None), ("limit", Some("1".into())), ("after", Some("a&b".into()))];
        assert_eq!(fill(INBOX, &["a"], &query), "/v1/accounts/a/inbox?limit=1&after=a%26b");
    }
}
