//! What a pairwise protocol does, whichever it is.

/// One end of a session. Steps are committed at once: what an end returns, it has already taken over.
pub trait End: Sized {
    /// A message as it travels.
    type Wire;

    /// Two ends that have both opened a message, so that nothing of the setup travels any more.
    fn settled() -> (Self, Self);

    /// Encrypts to bytes for the wire.
    fn seal(&mut self, text: &[u8]) -> Self::Wire;

    /// Takes the bytes apart and decrypts.
    fn open(&mut self, wire: &Self::Wire) -> Vec<u8>;

    /// What is to be written to disk after a step, before the store encrypts it.
    fn record(&self) -> Vec<u8>;

    /// Bytes on the wire.
    fn length(wire: &Self::Wire) -> usize;
}
