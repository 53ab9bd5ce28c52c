//! Whether the other end of a connection is still there.

use hermes_link::quinn::Connection;

/// Notices a relay that died without a word: while we wait for an answer, something has to arrive, if only QUIC's own
/// acknowledgements. QUIC itself would retransmit ever more slowly and give up after a minute.
pub(super) struct Liveness {
    connection: Connection,
    seen: u64,
}

impl Liveness {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { connection: connection.clone(), seen: connection.stats().udp_rx.datagrams }
    }

    /// Whether anything arrived since the last call.
    pub(super) fn heard(&mut self) -> bool {
        let now = self.connection.stats().udp_rx.datagrams;
        let heard = now != self.seen;
        self.seen = now;
        heard
    }
}
