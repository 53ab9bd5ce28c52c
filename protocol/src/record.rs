//! Records: the fixed layouts in which secrets rest inside the sealed store. A version byte, then big-endian fields.
//!
//! They are written into one buffer of the right size, because a growing buffer would leave copies of keys behind.

use zeroize::Zeroizing;

/// Why stored bytes are no record. The store is sealed, so this is a newer program's record or a broken disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer program.
    #[error("record version {0} is newer than this program")]
    Version(u8),
    /// Too short, too long, or a field out of range.
    #[error("damaged record")]
    Malformed,
}

/// The layout of every record in this crate.
const VERSION: u8 = 1;

pub(crate) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// `capacity` in bytes, without the version.
    pub fn new(capacity: usize) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + capacity));
        bytes.push(VERSION);
        Self(bytes)
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut reader = Self(bytes);
        match reader.u8()? {
            VERSION => Ok(reader),
            0 => Err(RecordError::Malformed),
            version => Err(RecordError::Version(version)),
        }
    }

    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], RecordError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(RecordError::Malformed)?;
        self.0 = rest;
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8, RecordError> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub fn u32(&mut self) -> Result<u32, RecordError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    pub fn u64(&mut self) -> Result<u64, RecordError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    pub fn finish(self) -> Result<(), RecordError> {
        if self.0.is_empty() { Ok(()) } else { Err(RecordError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_of_this_version_a_newer_one_or_damaged() {
        assert_eq!(Reader::new(&Writer::new(0).finish()).err(), None);
        assert_eq!(Reader::new(&[2]).err(), Some(RecordError::Version(2)));
        assert_eq!(Reader::new(&[0]).err(), Some(RecordError::Malformed), "no program wrote that");
        assert_eq!(Reader::new(&[]).err(), Some(RecordError::Malformed));
    }

    /// A buffer that grows leaves a copy of its keys behind.
    #[test]
    fn the_version_has_room_in_the_buffer() {
        let record = Writer::new(4).u32(1).finish();
        assert_eq!((record.len(), record.capacity()), (5, 5));
    }
}
