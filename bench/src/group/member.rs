//! What a member of a group does, whichever library does it.

/// A commit as it travels.
pub struct Commit {
    /// For everybody who was a member before.
    pub body: Vec<u8>,
    /// For everybody who is added: one for all of them, with the tree in it.
    pub welcome: Option<Vec<u8>>,
}

/// A member with what it stores. Steps are committed at once: what a step gives to store is stored when it returns.
pub trait Member: Sized {
    /// Somebody with a key package out.
    type Newcomer;

    /// As the tables call the library.
    const NAME: &'static str;

    /// The creator of a group, alone in it.
    fn found() -> Self;

    /// Draws a key package under a name of its own.
    fn newcomer(number: usize) -> Self::Newcomer;

    /// The same member once more. May take long: no clock runs meanwhile.
    fn copy(&self) -> Self;

    /// Prepares a commit that adds them, and stores what has to be stored before it leaves.
    fn add(&mut self, newcomers: &[Self::Newcomer]) -> Commit;

    /// Prepares a commit that removes the member at this leaf.
    fn remove(&mut self, leaf: u32) -> Commit;

    /// Prepares a commit that renews the own leaf and its path.
    fn update(&mut self) -> Commit;

    /// The own commit was accepted.
    fn merge(&mut self);

    /// Another member's commit was.
    fn follow(&mut self, commit: &[u8]);

    /// Joins with the key package that was drawn.
    fn join(newcomer: &Self::Newcomer, welcome: &[u8]) -> Self;

    /// Encrypts to bytes for the wire.
    fn encrypt(&mut self, text: &[u8]) -> Vec<u8>;

    /// Decrypts another member's message.
    fn decrypt(&mut self, message: &[u8]) -> Vec<u8>;

    /// What has to be stored after a message, where the library has not stored it by itself.
    fn record(&mut self);

    /// Bytes of values that a step has stored. May take long.
    fn stored_by(&mut self, step: impl FnOnce(&mut Self)) -> usize;
}
