//! Every limit of the connection layer, with its unit and its reason.

use std::time::Duration;

/// How long a handshake may take. A relay that restarts is back within a retransmission of this window.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// Bytes of the frame by which a relay says which key it is.
pub const INTRODUCTION_BYTES: usize = 256;
/// Addresses of one relay name that are tried, so that a hostile resolver cannot keep a client busy.
pub const ADDRESSES: usize = 4;
/// First guess of the round trip, which sets the first retransmission (three times this). Lower than RFC 9002's 333 ms:
/// a client that knocks while its relay restarts is let in sooner, and the cost is one spare packet on slow paths.
pub const INITIAL_RTT: Duration = Duration::from_millis(100);
/// The client pings an idle connection this often: under the 30 s after which common NATs forget a UDP flow.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A connection without a packet for this long is dead: three lost pings.
pub const IDLE: Duration = Duration::from_secs(60);

/// Streams a client may have open towards a relay, each to another mailbox. quinn preallocates per allowed stream
/// (1,024 of them cost 75 KiB per connection), so few are allowed; the client closes idle ones.
pub const CLIENT_STREAMS: u32 = 16;
/// Streams a relay may have open towards a client: the one that delivers.
pub const RELAY_STREAMS: u32 = 1;

/// Bytes a relay holds per connection before its logic has read them, from a client that has proven something.
pub const RELAY_WINDOW: u32 = 512 * 1024;
/// The same from one that has proven nothing yet, of which there may be thousands that send and do not go on.
pub const RELAY_FIRST_WINDOW: u32 = 32 * 1024;
/// Bytes a relay holds per stream; above one largest frame, or a frame could never arrive whole.
pub const RELAY_STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes a relay holds per connection that the client has not confirmed, while it delivers or hands out a blob.
pub const RELAY_SEND_WINDOW: u64 = 1024 * 1024;
/// The same while it only answers. Who confirms nothing has it hold this, however many connections it has.
pub const RELAY_ANSWERS_WINDOW: u64 = 64 * 1024;
/// Bytes a client holds per connection: one full credit of deliveries and its framing.
pub const CLIENT_WINDOW: u32 = 2 * 1024 * 1024;
/// Bytes a client holds per connection that the relay has not confirmed.
pub const CLIENT_SEND_WINDOW: u64 = 1024 * 1024;

/// Handshakes a relay holds before it has looked at them; more are dropped, and clients retransmit.
pub const PENDING_INCOMING: usize = 1_024;
/// Bytes one unanswered handshake may send ahead.
pub const PENDING_INCOMING_BYTES: u64 = 16 * 1024;
/// Bytes all unanswered handshakes together may send ahead.
pub const PENDING_INCOMING_TOTAL_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes a frame writer gathers before a caller should flush it: about one UDP segmentation batch.
pub const WRITE_BATCH_BYTES: usize = 64 * 1024;
/// Bytes that a reader or a writer keeps allocated while nothing passes: a frame of the common sizes.
pub const IDLE_BUFFER_BYTES: usize = 1_024;
