//! Why one side ends a connection or a stream, as QUIC application error codes. The typed reason, where there is one,
//! was sent before in a frame; the codes are for whoever did not get to read it.

use quinn::VarInt;

/// Nothing is wrong.
pub const DONE: VarInt = VarInt::from_u32(0);
/// A frame was malformed or out of place.
pub const BAD_FRAME: VarInt = VarInt::from_u32(1);
/// Protocol and certificate do not fit each other.
pub const WRONG_PEER: VarInt = VarInt::from_u32(2);
/// A newer connection of the same mailbox took over.
pub const SUPERSEDED: VarInt = VarInt::from_u32(3);
/// The relay stops or restarts.
pub const DRAINING: VarInt = VarInt::from_u32(4);
/// Nothing was said for too long.
pub const TOO_SLOW: VarInt = VarInt::from_u32(5);
/// The request was refused for good.
pub const REFUSED: VarInt = VarInt::from_u32(6);
/// There is no place for one more who is no owner.
pub const NO_PLACE: VarInt = VarInt::from_u32(7);
