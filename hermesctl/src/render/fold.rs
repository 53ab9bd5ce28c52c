//! Long text in narrow columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::clean;

/// Columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    clean::line(text).width()
}

/// The lines of a text, cleaned. With a width, lines longer than it are broken, between words where there are some.
pub(crate) fn fold(text: &str, width: Option<usize>) -> Vec<String> {
    let mut folded = Vec::new();
    for line in text.lines() {
        let line = clean::line(line);
        match width {
            Some(width) => break_line(&line, width.max(1), &mut folded),
            None => folded.push(line.into_owned()),
        }
    }
    if folded.is_empty() {
        folded.push(String::new());
    }
    folded
}

fn break_line(line: &str, width: usize, folded: &mut Vec<String>) {
    let mut current = String::new();
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        // The space that ends a word may hang over the edge.
        let needed = word.trim_end_matches(' ').width();
        if used > 0 && used + needed > width {
            folded.push(std::mem::take(&mut current));
            used = 0;
        }
        for c in word.chars() {
            let columns = c.width().unwrap_or(0);
            // Marks and joiners have no width and stay with the letter before them.
            if used + columns > width && columns > 0 && c != ' ' {
                folded.push(std::mem::take(&mut current));
                used = 0;
            }
            current.push(c);
            used += columns;
        }
    }
    folded.push(current);
    folded.iter_mut().for_each(|line| line.truncate(line.trim_end_matches(' ').len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_between_words_and_only_long_words_inside() {
        assert_eq!(fold("aa bb cc", Some(5)), ["aa bb", "cc"]);
        assert_eq!(fold("abcdefgh ij", Some(3)), ["abc", "def", "gh", "ij"]);
        assert_eq!(fold("aa bb\ncc\r\ndd", None), ["aa bb", "cc", "dd"]);
        assert_eq!(fold("", Some(5)), [""]);
        assert_eq!(fold("a\n\nb", Some(5)), ["a", "", "b"]);
    }

    #[test]
    fn counts_columns_not_characters() {
        assert_eq!(fold("日本語", Some(4)), ["日本", "語"]);
        assert_eq!(fold("e\u{301}e\u{301}e\u{301}", Some(2)), ["e\u{301}e\u{301}", "e\u{301}"]);
        assert_eq!(width("日本\u{1b}"), 5);
    }

    #[test]
    fn no_line_is_wider_than_asked_and_nothing_is_lost() {
        let text = "the quick 日本語日本語 brown\tfox jumpsoveralazydog again";
        for columns in 2..30 {
            let folded = fold(text, Some(columns));
            assert!(folded.iter().all(|line| line.width() <= columns), "{columns}: {folded:?}");
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(letters(&folded.concat()), letters(text), "{columns}");
        }
    }
}
