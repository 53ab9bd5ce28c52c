//! The file around a backup's rows: a header, then pieces of 64 KiB, each sealed for its place.
//!
//! The header is 16 bytes that say what this is, three numbers of four bytes (KiB of memory, passes and lanes of
//! Argon2id) and a salt; the shell makes the key of them. The pieces are STREAM (Hoang, Reyhanitabar, Rogaway, Vizár,
//! "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015) over XChaCha20-Poly1305: the nonce is
//! the number of the piece and whether it is the last, so that none can be left out, moved or added. The salt makes the
//! key one of this file alone. Every piece is bound to the header.

use hermes_protocol::aead::{self, TAG_BYTES, XNONCE_BYTES};
use zeroize::Zeroizing;

use super::BackupError;
use crate::limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES};

/// What every backup begins with. Another version is another number.
const MAGIC: &[u8; 16] = b"hermes-backup-1\n";
/// The same without the version.
const FAMILY: &[u8] = b"hermes-backup-";
/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
/// Bytes of a header.
pub const HEADER_BYTES: usize = MAGIC.len() + 12 + SALT_BYTES;
/// Bytes of a piece before it is sealed; only the last one has fewer.
const PIECE_BYTES: usize = 64 * 1024;

/// What a guess of the passphrase costs (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes in it.
    pub lanes: u32,
}

/// How the key of a file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What a guess costs.
    pub cost: Cost,
    /// Drawn for this file.
    pub salt: [u8; SALT_BYTES],
}

impl Header {
    /// The bytes in front of a file.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let numbers = [memory_kib, passes, lanes].map(u32::to_be_bytes).concat();
        let mut bytes = [0; HEADER_BYTES];
        let all = MAGIC.iter().chain(&numbers).chain(&self.salt);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Reads the bytes in front of a file. A cost without measure is refused: whoever made the file must not have all
    /// memory of who tries to open it.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, BackupError> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(if bytes.starts_with(FAMILY) { BackupError::Newer } else { BackupError::NotABackup });
        };
        let (numbers, salt) = rest.split_last_chunk::<SALT_BYTES>().ok_or(BackupError::NotABackup)?;
        let mut numbers = numbers.as_chunks::<4>().0.iter().map(|number| u32::from_be_bytes(*number));
        let mut number = || numbers.next().ok_or(BackupError::NotABackup);
        let cost = Cost { memory_kib: number()?, passes: number()?, lanes: number()? };
        let within = cost.memory_kib <= ARGON2_MEMORY_KIB
            && cost.passes <= ARGON2_PASSES
            && cost.lanes <= ARGON2_LANES;
        if within { Ok(Self { cost, salt: *salt }) } else { Err(BackupError::Malformed) }
    }
}

/// The key of one file, and the place it has come to.
struct Pieces {
    key: Zeroizing<[u8; 32]>,
    header: [u8; HEADER_BYTES],
    number: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Inner,
    Last,
}

impl Pieces {
    fn new(key: &[u8; 32], header: &Header) -> Self {
        Self { key: Zeroizing::new(*key), header: header.to_bytes(), number: 0 }
    }

    fn nonce(&mut self, piece: Piece) -> [u8; XNONCE_BYTES] {
        let mut nonce = [0; XNONCE_BYTES];
        let place = self.number.to_be_bytes().into_iter().chain([u8::from(piece == Piece::Last)]);
        nonce.iter_mut().rev().zip(place.rev()).for_each(|(to, from)| *to = from);
        self.number = self.number.saturating_add(1);
        nonce
    }

    fn seal(&mut self, piece: Piece, text: &mut [u8]) -> [u8; TAG_BYTES] {
        let nonce = self.nonce(piece);
        aead::seal_x_detached(&self.key, &nonce, &self.header, text)
    }

    fn open(&mut self, piece: Piece, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        let (text, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(BackupError::Closed)?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = self.nonce(piece);
        aead::open_x_detached(&self.key, &nonce, &self.header, &mut text, tag)
            .map_err(|_| BackupError::Closed)?;
        Ok(text)
    }
}

/// Makes the file, piece by piece.
pub struct Sealer {
    pieces: Pieces,
    text: Zeroizing<Vec<u8>>,
}

impl Sealer {
    /// Begins a file; `out` gets its header. The key must be of this header alone.
    pub fn begin(key: &[u8; 32], header: &Header, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&header.to_bytes());
        Self { pieces: Pieces::new(key, header), text: Zeroizing::new(Vec::with_capacity(2 * PIECE_BYTES)) }
    }

    /// Adds `bytes`; `out` gets the pieces that are full.
    pub fn write(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            // Emptied when more comes, not when it is full: the last piece must be known to be the last.
            if self.text.len() == PIECE_BYTES {
                self.flush(Piece::Inner, out);
            }
            let room = PIECE_BYTES.saturating_sub(self.text.len()).min(bytes.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.text.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Ends the file.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.flush(Piece::Last, out);
    }

    fn flush(&mut self, piece: Piece, out: &mut Vec<u8>) {
        let tag = self.pieces.seal(piece, &mut self.text);
        out.extend_from_slice(&self.text);
        out.extend_from_slice(&tag);
        self.text.clear();
    }
}

/// Opens a file, in whatever pieces its bytes come.
pub struct Opener {
    pieces: Pieces,
    sealed: Vec<u8>,
}

impl Opener {
    /// Begins behind the header.
    pub fn begin(key: &[u8; 32], header: &Header) -> Self {
        Self { pieces: Pieces::new(key, header), sealed: Vec::new() }
    }

    /// Takes the next bytes of the file, and gives the text that they complete. Nothing of a piece is given before all of
    /// it is known to be genuine; only [`Opener::finish`] knows that the file is.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        self.sealed.extend_from_slice(bytes);
        let mut text = Zeroizing::new(Vec::new());
        let sealed = std::mem::take(&mut self.sealed);
        let mut left = sealed.as_slice();
        // A piece with something behind it is not the last.
        while left.len() > PIECE_BYTES + TAG_BYTES {
            let (piece, rest) = left.split_at_checked(PIECE_BYTES + TAG_BYTES).unwrap_or((left, &[]));
            text.extend_from_slice(&self.pieces.open(Piece::Inner, piece)?);
            left = rest;
        }
        self.sealed = left.to_vec();
        Ok(text)
    }

    /// The file ends here.
    pub fn finish(mut self) -> Result<Zeroizing<Vec<u8>>, BackupError> {
        self.pieces.open(Piece::Last, &self.sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { cost: Cost { memory_kib: 8, passes: 1, lanes: 1 }, salt: [7; 16] };

    fn seal(text: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut sealer = Sealer::begin(&[1; 32], &HEADER, &mut file);
        for piece in text.chunks(10_000) {
            sealer.write(piece, &mut file);
        }
        sealer.finish(&mut file);
        file
    }

    fn open(key: u8, file: &[u8], at_once: usize) -> Result<Vec<u8>, BackupError> {
        let (header, rest) = file.split_first_chunk().ok_or(BackupError::NotABackup)?;
        let mut opener = Opener::begin(&[key; 32], &Header::parse(header)?);
        let mut text = Vec::new();
        for bytes in rest.chunks(at_once) {
            text.extend_from_slice(&opener.take(bytes)?);
        }
        text.extend_from_slice(&opener.finish()?);
        Ok(text)
    }

    #[test]
    fn every_length_comes_back_in_whatever_pieces() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let text: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let file = seal(&text);
            for at_once in [1_000, PIECE_BYTES + TAG_BYTES, usize::MAX] {
                assert_eq!(open(1, &file, at_once).unwrap(), text, "{length}");
            }
            assert_eq!(open(2, &file, 1_000), Err(BackupError::Closed));
        }
    }

    #[test]
    fn nothing_can_be_changed_left_out_moved_or_added() {
        const WHOLE: usize = PIECE_BYTES + TAG_BYTES;
        let file = seal(&vec![3; 2 * PIECE_BYTES + 5]);
        let (header, pieces) = file.split_at(HEADER_BYTES);
        let [first, second, last] = [&pieces[..WHOLE], &pieces[WHOLE..2 * WHOLE], &pieces[2 * WHOLE..]];
        let without_last = [header, first, second].concat();
        let without_first = [header, second, last].concat();
        let moved = [header, second, first, last].concat();
        let added = [&file, &[0][..]].concat();
        for bad in [without_last, without_first, moved, added, [header, last].concat(), header.to_vec()] {
            assert_eq!(open(1, &bad, 1_000), Err(BackupError::Closed));
        }
        for at in [HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + WHOLE, file.len() - 1] {
            let mut bad = file.clone();
            bad[at] ^= 1;
            assert_eq!(open(1, &bad, 1_000), Err(BackupError::Closed), "{at}");
        }
        for cut in [HEADER_BYTES + 1, file.len() - 1] {
            assert_eq!(open(1, &file[..cut], 1_000), Err(BackupError::Closed));
        }
    }

    #[test]
    fn a_header_of_another_kind_or_without_measure_is_refused() {
        assert_eq!(Header::parse(&HEADER.to_bytes()), Ok(HEADER));
        assert_eq!(Header::parse(&[0; HEADER_BYTES]), Err(BackupError::NotABackup));
        let mut newer = HEADER.to_bytes();
        newer[14] = b'2';
        assert_eq!(Header::parse(&newer), Err(BackupError::Newer));
        for at in [16, 20, 24] {
            let mut bomb = HEADER.to_bytes();
            bomb[at] = 0xff;
            assert_eq!(Header::parse(&bomb), Err(BackupError::Malformed));
        }
    }
}
