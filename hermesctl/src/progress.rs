//! A bar on standard error where a person waits; nothing where none does.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How it looks: a word, the bar, and numbers. 80 columns hold it.
const LOOK: &str = "{msg} {bar:30} {human_pos} of {human_len}, {eta} left";

/// How an amount looks.
const AMOUNT: &str = "{msg} {bytes}";

/// Something of which it is known how much there is. Gone from the screen when dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar under these words, or nothing to see when nobody watches.
    pub(super) fn new(what: &'static str, watched: Watched) -> Self {
        let target = match watched {
            Watched::Yes => ProgressDrawTarget::stderr(),
            Watched::No => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target).with_message(what);
        // A template that does not parse would be seen at the first look at it.
        Self(
            bar.with_style(
                ProgressStyle::with_template(LOOK).unwrap_or_else(|_| ProgressStyle::default_bar()),
            ),
        )
    }

    /// Something of which it is not known how much there is: bytes that have come so far.
    pub(super) fn amount(what: &'static str, watched: Watched) -> Self {
        let target = match watched {
            Watched::Yes => ProgressDrawTarget::stderr(),
            Watched::No => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target).with_message(what);
        Self(bar.with_style(
            ProgressStyle::with_template(AMOUNT).unwrap_or_else(|_| ProgressStyle::default_spinner()),
        ))
    }

    /// So much has come.
    pub(crate) fn reached(&self, amount: u64) {
        self.0.set_position(amount);
    }

    /// So much is left. The whole is the most that was ever left.
    pub(crate) fn left(&self, left: u64) {
        let whole = self.0.length().unwrap_or_default().max(left);
        self.0.set_length(whole);
        self.0.set_position(whole - left);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Whether somebody looks at standard error. That it is a terminal is found out by the bar itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    Yes,
    No,
}
