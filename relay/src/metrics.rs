//! What a running relay counts, for Prometheus. No label names a mailbox, a channel, a token or an address.

use std::time::Duration;

use hermes_wire::Refusal;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::relay::{Outcome, Request};

/// Upper bounds of the buckets of a commit's time, in seconds.
const COMMIT_SECONDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
/// Upper bounds of the buckets of a commit's requests.
const COMMIT_REQUESTS: [f64; 7] = [0.0, 1.0, 4.0, 16.0, 32.0, 64.0, 128.0];
/// Upper bounds of the buckets of a commit's acknowledgements, for which nobody waits.
const COMMIT_ACKS: [f64; 5] = [0.0, 4.0, 16.0, 64.0, 256.0];

/// The counters. Clones count together.
#[derive(Clone)]
pub(crate) struct Metrics {
    requests: Family<Decided, Counter>,
    envelopes: Counter,
    commit_seconds: Histogram,
    commit_requests: Histogram,
    commit_acks: Histogram,
    /// Mailboxes there are.
    pub(crate) mailboxes: Gauge,
    /// Channels there are.
    pub(crate) channels: Gauge,
    /// Connections that found no place.
    pub(crate) turned_away: Counter,
    /// Connections that had to prove their address first.
    pub(crate) retried: Counter,
    /// Connections that never became one.
    pub(crate) broken_handshakes: Counter,
    /// When the certificate ends that newcomers are shown, if they are shown one.
    certificate_end: Family<Unlabelled, Gauge>,
}

/// A family with this has one metric at most, and none until it is set.
type Unlabelled = [(&'static str, &'static str); 0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    request: Kind,
    outcome: Reason,
}

/// Kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "these are the labels' values")]
pub(crate) enum Kind {
    register,
    prekeys,
    revoke,
    claim,
    ack,
    open,
    deposit,
    ephemeral,
    fetch,
    create,
    post,
    commit,
    blob,
    operator,
    sweep,
}

/// How requests end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "these are the labels' values")]
enum Reason {
    done,
    no_entry,
    token_expired,
    invite_used,
    too_large,
    mailbox_full,
    rate_limited,
    id_conflict,
    store_unavailable,
    draining,
    superseded,
    version,
    bad_frame,
    registration_refused,
    busy,
    stale_epoch,
    epoch_ahead,
    roster_mismatch,
    no_blob,
    blobs_full,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            envelopes: Counter::default(),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            commit_requests: Histogram::new(COMMIT_REQUESTS),
            commit_acks: Histogram::new(COMMIT_ACKS),
            mailboxes: Gauge::default(),
            channels: Gauge::default(),
            turned_away: Counter::default(),
            retried: Counter::default(),
            broken_handshakes: Counter::default(),
            certificate_end: Family::default(),
        }
    }
}

impl Metrics {
    /// Makes the counters known under their names.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("requests", "Requests decided, by kind and outcome", self.requests.clone());
        registry.register("envelopes_stored", "Envelopes and copies stored", self.envelopes.clone());
        registry.register_with_unit(
            "commit",
            "Time of one durable commit",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        let requests = "Requests in one commit for which somebody waits";
        registry.register("commit_requests", requests, self.commit_requests.clone());
        registry.register("commit_acks", "Acknowledgements in one commit", self.commit_acks.clone());
        registry.register(
            "connections_turned_away",
            "Connections for which there was no place",
            self.turned_away.clone(),
        );
        registry.register(
            "connections_retried",
            "Connections that had to prove their address first",
            self.retried.clone(),
        );
        registry.register("mailboxes", "Mailboxes", self.mailboxes.clone());
        registry.register("channels", "Channels", self.channels.clone());
        registry.register_with_unit(
            "certificate_not_after",
            "End of the certificate that newcomers are shown, since the Unix epoch",
            Unit::Seconds,
            self.certificate_end.clone(),
        );
        registry.register("handshakes_failed", "Handshakes that failed", self.broken_handshakes.clone());
    }

    /// Notes how many mailboxes and channels there are.
    pub(crate) fn sized(&self, (mailboxes, channels): (u64, u64)) {
        self.mailboxes.set(i64::try_from(mailboxes).unwrap_or(i64::MAX));
        self.channels.set(i64::try_from(channels).unwrap_or(i64::MAX));
    }

    /// Notes until when the certificate is good that newcomers are shown.
    pub(crate) fn certified(&self, end: Option<Duration>) {
        match end.and_then(|end| i64::try_from(end.as_secs()).ok()) {
            Some(end) => drop(self.certificate_end.get_or_create(&[]).set(end)),
            None => self.certificate_end.clear(),
        }
    }

    /// When it ends, since the Unix epoch.
    pub(crate) fn certificate_end(&self) -> Option<Duration> {
        let end = self.certificate_end.get(&[])?.get();
        Some(Duration::from_secs(end.unsigned_abs()))
    }

    /// Counts a turn in which something was committed, and how much was decided in it.
    pub(crate) fn committed(&self, took: Duration, requests: usize, acks: usize) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.commit_requests.observe(requests as f64);
        self.commit_acks.observe(acks as f64);
    }

    /// Counts what was decided.
    pub(crate) fn decided(&self, decided: &[(Kind, &Outcome)]) {
        for (request, outcome) in decided {
            match outcome {
                Outcome::Deposited(answers) => {
                    let stored = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
                    self.envelopes.inc_by(stored as u64);
                    for (_, answer) in answers {
                        self.count(*request, answer.as_ref().err());
                    }
                }
                Outcome::Posted { reached, .. } => {
                    self.envelopes.inc_by(reached.len() as u64);
                    self.count(*request, None);
                }
                Outcome::Refused(refusal) => self.count(*request, Some(refusal)),
                _ => self.count(*request, None),
            }
        }
    }

    fn count(&self, request: Kind, refusal: Option<&Refusal>) {
        let outcome = refusal.map_or(Reason::done, Reason::of);
        self.requests.get_or_create(&Decided { request, outcome }).inc();
    }
}

impl Kind {
    pub(crate) fn of(request: &Request) -> Self {
        match request {
            Request::Register { .. } => Self::register,
            Request::PutPrekeys { .. } | Request::DropPrekeys { .. } => Self::prekeys,
            Request::Revoke { .. } => Self::revoke,
            Request::Claim { .. } => Self::claim,
            Request::Ack { .. } => Self::ack,
            Request::Open(_) => Self::open,
            Request::Deposit { .. } => Self::deposit,
            Request::Ephemeral { .. } => Self::ephemeral,
            Request::FetchPrekeys { .. } => Self::fetch,
            Request::Create { .. } => Self::create,
            Request::Post { .. } => Self::post,
            Request::Commit { .. } => Self::commit,
            Request::PutBlob { .. } => Self::blob,
            Request::AddToken { .. } | Request::RevokeToken(_) | Request::CloseMailbox { .. } => {
                Self::operator
            }
            Request::Sweep => Self::sweep,
        }
    }
}

impl Reason {
    fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::NoEntry => Self::no_entry,
            Refusal::TokenExpired => Self::token_expired,
            Refusal::InviteUsed => Self::invite_used,
            Refusal::TooLarge { .. } => Self::too_large,
            Refusal::MailboxFull { .. } => Self::mailbox_full,
            Refusal::RateLimited { .. } => Self::rate_limited,
            Refusal::IdConflict => Self::id_conflict,
            Refusal::StoreUnavailable { .. } => Self::store_unavailable,
            Refusal::Draining { .. } => Self::draining,
            Refusal::Superseded { .. } => Self::superseded,
            Refusal::Version { .. } => Self::version,
            Refusal::BadFrame => Self::bad_frame,
            Refusal::RegistrationRefused => Self::registration_refused,
            Refusal::StaleEpoch { .. } => Self::stale_epoch,
            Refusal::Busy { .. } => Self::busy,
            Refusal::EpochAhead { .. } => Self::epoch_ahead,
            Refusal::RosterMismatch => Self::roster_mismatch,
            Refusal::NoBlob => Self::no_blob,
            Refusal::BlobsFull { .. } => Self::blobs_full,
        }
    }
}
