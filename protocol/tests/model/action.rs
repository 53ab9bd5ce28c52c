//! What can happen, as four bytes each: any bytes are actions, and a shorter list is a smaller world.

use std::time::Duration;

use super::Who;

/// One step of a world. Numbers pick one of what is there, modulo how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Starts one more session.
    Initiate { by: Who },
    /// Seals a text, of `length` bytes and a few.
    Seal { by: Who, session: u8, length: u16 },
    /// Seals many texts, most of which are lost.
    Storm { by: Who, session: u8, count: u16 },
    /// Seals an ephemeral text.
    Hint { by: Who, session: u8 },
    /// Delivers an envelope.
    Deliver { to: Who, which: u8 },
    /// Delivers an envelope that will come again.
    Duplicate { to: Who, which: u8 },
    /// Loses an envelope.
    Lose { to: Who, which: u8 },
    /// Delivers a changed copy of an envelope.
    Damage { to: Who, which: u8, damage: Damage },
    /// Delivers an envelope to who sealed it.
    Reflect { to: Who, which: u8 },
    /// Keeps a copy of everything that one side has.
    Snapshot { of: Who },
    /// Puts such a copy back.
    Restore { of: Who, which: u8 },
    /// Lets time pass.
    Wait(Duration),
}

/// What becomes of an envelope's bytes on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit changes.
    Flip { at: u16 },
    /// The end is missing.
    Cut { at: u16 },
    /// Some bytes more.
    Grow,
    /// The end is another envelope's, from a boundary of the layout on.
    Splice { other: u8, boundary: u8 },
}

/// Bytes of one action.
pub const ACTION_BYTES: usize = 4;

const HOUR: Duration = Duration::from_secs(3_600);

impl Action {
    /// The first byte's highest bit is the side, the rest the kind, in proportion to its use.
    pub fn from_bytes([kind, a, b, c]: [u8; ACTION_BYTES]) -> Self {
        let side = if kind & 0x80 == 0 { Who::Alice } else { Who::Bob };
        let wide = u16::from_be_bytes([b, c]);
        match kind & 0x7f {
            0..32 => Self::Seal { by: side, session: a, length: wide % 1_500 },
            32..35 => Self::Storm { by: side, session: a, count: storm(b) },
            35..42 => Self::Hint { by: side, session: a },
            42..82 => Self::Deliver { to: side, which: a },
            82..88 => Self::Duplicate { to: side, which: a },
            88..92 => Self::Lose { to: side, which: a },
            92..97 => Self::Damage { to: side, which: a, damage: Damage::Flip { at: wide } },
            97..99 => Self::Damage { to: side, which: a, damage: Damage::Cut { at: wide } },
            99 => Self::Damage { to: side, which: a, damage: Damage::Grow },
            100..105 => Self::Damage { to: side, which: a, damage: Damage::Splice { other: b, boundary: c } },
            105..108 => Self::Reflect { to: side, which: a },
            108..113 => Self::Initiate { by: side },
            113..118 => Self::Snapshot { of: side },
            118..122 => Self::Restore { of: side, which: a },
            _ => Self::Wait(HOUR * [1, 25, 120, 37 * 24 + 1][usize::from(a % 4)]),
        }
    }

    /// The actions in a string of bytes; a remainder is none.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.as_chunks().0.iter().copied().map(Self::from_bytes)
    }
}

/// Mostly short, and now and then beyond what a chain keeps.
fn storm(byte: u8) -> u16 {
    match byte {
        0..192 => 2 + u16::from(byte) % 32,
        192..240 => 600,
        _ => 1_100,
    }
}
