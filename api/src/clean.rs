//! Text of others made harmless: no name, message or error can move a cursor, recolour the screen, ring, answer a
//! terminal query or turn a line around.
//!
//! What is taken out leaves a mark, because a reader should see that something was there.

use std::borrow::Cow;

/// What stands in for a character that has no picture of its own.
const MARK: char = '\u{FFFD}';

/// One line: control characters become their pictures, bidi controls and separators a mark, tabs spaces.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| substitute(c).is_none()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| substitute(c).unwrap_or(c)).collect())
}

/// What stands for a character that must not be shown as it is; nothing for all others.
pub fn substitute(c: char) -> Option<char> {
    match c {
        '\t' => Some(' '),
        '\u{0}'..='\u{1F}' => char::from_u32(0x2400 + u32::from(c)),
        '\u{7F}' => Some('\u{2421}'),
        // C1 controls: a terminal may take U+009B for ESC [.
        '\u{80}'..='\u{9F}' => Some(MARK),
        // Line and paragraph separators would fake a new line.
        '\u{2028}' | '\u{2029}' => Some(MARK),
        // Bidi embeddings, overrides and isolates (UAX #9): they reorder what stands after them.
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => Some(MARK),
        // Invisible annotation controls and the byte order mark: two names that differ only by them look the same.
        '\u{FFF9}'..='\u{FFFB}' | '\u{FEFF}' => Some(MARK),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\u{202e}txt.exe\u{2066}\r\n\tx\u{7f}\u{2028}\u{feff}";

    #[test]
    fn nothing_that_controls_a_terminal_is_left() {
        let clean = line(HOSTILE);
        assert!(!clean.chars().any(|c| c.is_control()), "{clean:?}");
        assert!(!clean.contains(['\u{202e}', '\u{2066}', '\u{2028}', '\u{feff}']), "{clean:?}");
        assert!(clean.starts_with("␛[31mred␛]0;title␇"), "{clean:?}");
        assert_eq!(line(&clean), clean, "cleaning is idempotent");
    }

    #[test]
    fn honest_text_of_all_scripts_is_untouched() {
        for text in ["naïve 日本語 שלום مرحبا", "👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "a\u{301}"]
        {
            assert!(matches!(line(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
