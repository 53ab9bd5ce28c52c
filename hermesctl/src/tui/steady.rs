//! Letters of which every terminal says that they have as many columns as this program thinks.
//!
//! Terminals disagree about emoji that are put together: one draws a family as one picture of two columns, another as three
//! of six, which reach over the end of the row and into what stands beside it. Whoever writes them could draw where only this
//! program does.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks on one letter. No script has more of them on top of each other; terminals that have no room for all put the rest
/// elsewhere.
const MARKS: usize = 4;

/// The text with such emoji taken apart, and without marks beyond [`MARKS`].
pub(super) fn steady(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || text.graphemes(true).all(is_steady) {
        return Cow::Borrowed(text);
    }
    let mut steady = String::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        match is_steady(grapheme) {
            true => steady.push_str(grapheme),
            false if is_put_together(grapheme) => {
                steady.extend(grapheme.chars().filter(|c| stands_alone(*c)))
            }
            false => {
                let mut marks = 0;
                steady.extend(grapheme.chars().filter(|c| {
                    marks += usize::from(is_mark(*c));
                    marks <= MARKS || !is_mark(*c)
                }));
            }
        }
    }
    Cow::Owned(steady)
}

fn is_steady(grapheme: &str) -> bool {
    if grapheme.len() < 3 {
        return true;
    }
    !is_put_together(grapheme) && grapheme.chars().filter(|c| is_mark(*c)).count() <= MARKS
}

/// Whether it is one picture out of several, or out of a letter, for some terminals only.
fn is_put_together(grapheme: &str) -> bool {
    let joins = |c| matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}') || is_skin_tone(c);
    let apart: usize = grapheme.chars().filter_map(UnicodeWidthChar::width).sum();
    grapheme.chars().skip(1).any(joins) && grapheme.width() != apart
}

fn stands_alone(c: char) -> bool {
    c.width().is_some_and(|width| width > 0) && !is_skin_tone(c)
}

fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

fn is_mark(c: char) -> bool {
    c.width() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_disagree_about_is_taken_apart() {
        for (text, steady) in
            [("a family: 👩‍👩‍👧.", "a family: 👩👩👧."), ("👍🏽", "👍"), ("❤️ ☎️ 1️⃣", "❤ ☎ 1"), ("🏳️‍🌈", "🏳🌈")]
        {
            assert_eq!(super::steady(text), steady);
        }
    }

    #[test]
    fn letters_of_all_scripts_stay() {
        for text in ["naïve", "e\u{301}", "日本語", "שָׁלוֹם", "ส้้ม", "한국어", "क्षत्रिय", "🇩🇪", "👍", "x\r\ny"]
        {
            assert!(matches!(steady(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn a_letter_has_few_marks() {
        let zalgo = format!("e{}x", "\u{301}".repeat(100));
        assert_eq!(steady(&zalgo), "e\u{301}\u{301}\u{301}\u{301}x");
    }

    #[test]
    fn all_columns_add_up() {
        for text in ["👩‍👩‍👧👍🏽❤️ e\u{301}", "日本🏴󠁧󠁢󠁥󠁮󠁧󠁿🏳️‍🌈", "क्षत्रिय 1️⃣"]
        {
            let steady = steady(text);
            let apart: usize = steady.graphemes(true).map(UnicodeWidthStr::width).sum();
            assert_eq!(steady.width(), apart, "{text}");
        }
    }
}
