//! What is missing.

use axum::extract::{Path, State};
use hermes_api::{
    Audit, AuditQuery, ChatAudit, Finding, Gap, Neighbour, ReceivedAudit, SentAudit, Sighting, Unconfirmed,
    UnreadableCount, V1,
};
use hermes_engine::{
    FindingKind, UnreadableCause,
    query::{self, Beside},
};

use super::{
    Daemon,
    messages::no_contact,
    reply::{Document, Filter, Refused, Reply},
    show::{self, time},
};

pub(super) async fn audit(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Filter(asked): Filter<AuditQuery>,
) -> Reply<Audit> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let chat = asked.chat.clone();
    let found = account.query(move |view| query::audit(view, chat.as_deref())).await?;
    // Only a chat that was named can be absent.
    match found {
        Some(found) => Ok(Document(document(found))),
        None => Err(no_contact(&account, asked.chat.as_deref().unwrap_or_default()).await),
    }
}

fn document(audit: query::Audit) -> Audit {
    let chats: Vec<_> = audit.chats.into_iter().map(chat).collect();
    let whole = |chat: &ChatAudit| chat.received.missing == 0 && chat.received.findings.is_empty();
    let (expired, unreadable): (Vec<_>, Vec<_>) =
        audit.unreadable.into_iter().partition(|count| count.cause == UnreadableCause::Expired);
    Audit {
        v: V1,
        complete: chats.iter().all(whole),
        chats,
        unreadable: unreadable.into_iter().map(self::unreadable).collect(),
        expired: expired.iter().map(|count| count.envelopes).fold(0, u64::saturating_add),
    }
}

fn chat(chat: query::ChatAudit) -> ChatAudit {
    let query::ChatAudit { name, member, received, sent, unreadable } = chat;
    let findings = received.findings.iter().map(|found| finding(found, &name)).collect();
    ChatAudit {
        received: ReceivedAudit {
            messages: received.messages,
            through: received.through,
            highest: received.highest,
            missing: received.missing,
            gaps: received.gaps.into_iter().map(gap).collect(),
            unlisted: received.unlisted,
            refused: received.refused,
            findings,
        },
        sent: SentAudit {
            messages: sent.messages,
            unconfirmed: sent
                .unconfirmed
                .into_iter()
                .map(|waits| Unconfirmed {
                    reference: waits.reference.to_string(),
                    relayed_at: time(waits.relayed),
                })
                .collect(),
        },
        unreadable: unreadable.into_iter().map(self::unreadable).collect(),
        member: member.map(show::person),
        chat: name,
    }
}

fn gap(gap: query::GapView) -> Gap {
    Gap {
        first: gap.first,
        last: gap.last,
        previous: gap.before.map(neighbour),
        next: neighbour(gap.after),
        while_blocked: gap.while_blocked,
    }
}

fn neighbour(beside: Beside) -> Neighbour {
    Neighbour {
        reference: beside.reference.to_string(),
        sent_at: time(beside.sent),
        received_at: time(beside.stored),
    }
}

fn finding(finding: &hermes_engine::Finding, chat: &str) -> Finding {
    let sighting = |seen: hermes_engine::Sighting| Sighting {
        reference: seen.reference(chat).to_string(),
        received_at: time(seen.at),
    };
    Finding {
        kind: match finding.kind {
            FindingKind::HistoryMismatch => hermes_api::FindingKind::HistoryMismatch,
            FindingKind::NumberRepeated => hermes_api::FindingKind::NumberRepeated,
            FindingKind::NumberImplausible => hermes_api::FindingKind::NumberImplausible,
            FindingKind::Unnumbered => hermes_api::FindingKind::Unnumbered,
        },
        text: finding.kind.to_string(),
        count: finding.count,
        first: sighting(finding.first),
        last: sighting(finding.last),
    }
}

fn unreadable(count: query::UnreadableCount) -> UnreadableCount {
    UnreadableCount {
        cause: count.cause.to_string(),
        envelopes: count.envelopes,
        first_at: time(count.first),
        last_at: time(count.last),
    }
}
