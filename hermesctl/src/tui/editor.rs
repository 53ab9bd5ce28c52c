//! The text being written. Knows nothing of the terminal but the columns of letters.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::steady::steady;
use crate::clean;

/// A text of several lines with a cursor between two graphemes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Editor {
    text: String,
    /// In bytes; at the boundary of a grapheme.
    cursor: usize,
}

/// Where the cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
}

impl Editor {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the text out.
    pub(super) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts another text in, with the cursor at its end.
    pub(super) fn set(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    /// Puts a text on lines of its own before what stands there.
    pub(super) fn put_before(&mut self, text: &str) {
        match self.text.is_empty() {
            true => self.set(text.to_owned()),
            false => self.set(format!("{text}\n{}", self.text)),
        }
    }

    /// Inserts text at the cursor unless the whole would have more than `most` bytes; says whether it did.
    pub(super) fn insert(&mut self, text: &str, most: usize) -> bool {
        if self.text.len() + text.len() > most {
            return false;
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        // It may have joined what stood before or behind it.
        while !self.is_boundary(self.cursor) {
            self.cursor += 1;
        }
        true
    }

    pub(super) fn go(&mut self, motion: Motion) {
        self.cursor = self.target(motion);
    }

    /// Deletes from the cursor to where `motion` would go.
    pub(super) fn delete(&mut self, motion: Motion) {
        let target = self.target(motion);
        let range = self.cursor.min(target)..self.cursor.max(target);
        self.cursor = range.start;
        self.text.replace_range(range, "");
    }

    /// Goes one row up in text of this width; says whether there was one.
    pub(super) fn up(&mut self, width: usize) -> bool {
        let (row, column) = self.cursor_at(width);
        row.checked_sub(1).is_some_and(|row| self.go_to(width, row, column))
    }

    /// Goes one row down.
    pub(super) fn down(&mut self, width: usize) -> bool {
        let (row, column) = self.cursor_at(width);
        self.go_to(width, row + 1, column)
    }

    /// The rows of the text in a column of this width: bytes of each, without the line break.
    pub(super) fn rows(&self, width: usize) -> Vec<Range<usize>> {
        let mut rows = Vec::new();
        let mut start = 0;
        let mut used = 0;
        for (at, grapheme) in self.text.grapheme_indices(true) {
            if is_break(grapheme) {
                rows.push(start..at);
                (start, used) = (at + grapheme.len(), 0);
                continue;
            }
            let columns = columns(grapheme);
            if used > 0 && used + columns > width {
                rows.push(start..at);
                (start, used) = (at, 0);
            }
            used += columns;
        }
        rows.push(start..self.text.len());
        // The cursor needs a place behind a full last row.
        if used >= width && self.cursor == self.text.len() {
            rows.push(self.text.len()..self.text.len());
        }
        rows
    }

    /// Row and column of the cursor.
    pub(super) fn cursor_at(&self, width: usize) -> (usize, usize) {
        let rows = self.rows(width);
        let row = rows.iter().rposition(|row| row.start <= self.cursor).unwrap_or(0);
        let before = rows.get(row).and_then(|row| self.text.get(row.start..self.cursor)).unwrap_or_default();
        (row, columns(before))
    }

    fn go_to(&mut self, width: usize, row: usize, column: usize) -> bool {
        let Some(range) = self.rows(width).get(row).cloned() else { return false };
        let mut used = 0;
        self.cursor = range.start;
        for (at, grapheme) in self.text[range.clone()].grapheme_indices(true) {
            used += columns(grapheme);
            if used > column {
                break;
            }
            self.cursor = range.start + at + grapheme.len();
        }
        true
    }

    fn target(&self, motion: Motion) -> usize {
        let (before, after) = self.text.split_at(self.cursor);
        match motion {
            Motion::Left => before.graphemes(true).next_back().map_or(0, |last| self.cursor - last.len()),
            Motion::Right => self.cursor + after.graphemes(true).next().map_or(0, str::len),
            Motion::WordLeft => {
                let word = before.trim_end().unicode_word_indices().next_back();
                word.map_or(0, |(at, _)| at)
            }
            Motion::WordRight => {
                let word = after.unicode_word_indices().next();
                word.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
            }
            Motion::LineStart => before.rfind('\n').map_or(0, |at| at + 1),
            Motion::LineEnd => after.find('\n').map_or(self.text.len(), |at| self.cursor + at),
        }
    }

    fn is_boundary(&self, at: usize) -> bool {
        at >= self.text.len() || self.text.grapheme_indices(true).any(|(boundary, _)| boundary == at)
    }
}

fn is_break(grapheme: &str) -> bool {
    matches!(grapheme, "\n" | "\r\n")
}

fn columns(text: &str) -> usize {
    steady(&clean::line(text)).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 1_000;

    fn editor(text: &str) -> Editor {
        let mut editor = Editor::default();
        assert!(editor.insert(text, ROOM));
        editor
    }

    fn rows(editor: &Editor, width: usize) -> Vec<&str> {
        editor.rows(width).into_iter().map(|row| &editor.text[row]).collect()
    }

    #[test]
    fn typing_deleting_and_moving_keep_to_whole_letters() {
        let mut editor = editor("a👩‍👩‍👧e\u{301}");
        editor.go(Motion::Left);
        editor.delete(Motion::Left);
        assert_eq!((editor.text(), editor.cursor), ("ae\u{301}", 1));
        editor.delete(Motion::Right);
        assert_eq!(editor.text(), "a");
        editor.delete(Motion::Right);
        editor.go(Motion::Right);
        assert_eq!((editor.text(), editor.cursor), ("a", 1));
    }

    #[test]
    fn words_and_lines() {
        let mut editor = editor("one two\nthree");
        editor.go(Motion::WordLeft);
        assert_eq!(editor.cursor, 8);
        editor.go(Motion::LineEnd);
        editor.go(Motion::LineStart);
        editor.go(Motion::Left);
        editor.delete(Motion::WordLeft);
        assert_eq!(editor.text(), "one \nthree");
        editor.delete(Motion::LineStart);
        assert_eq!(editor.text(), "\nthree");
        editor.go(Motion::WordRight);
        assert_eq!(editor.cursor, editor.text.len());
    }

    #[test]
    fn long_lines_go_on_in_the_next_row_and_the_cursor_finds_its_place() {
        let mut editor = editor("abcdef\n日本語");
        assert_eq!(rows(&editor, 4), ["abcd", "ef", "日本", "語"]);
        assert_eq!(editor.cursor_at(4), (3, 2));
        assert!(editor.up(4));
        assert_eq!(editor.cursor_at(4), (2, 2));
        assert!(editor.up(4) && editor.up(4) && !editor.up(4));
        assert_eq!(editor.cursor_at(4), (0, 2));
        assert!(editor.down(4));
        let full = self::editor("abcd");
        assert_eq!((rows(&full, 4), full.cursor_at(4)), (vec!["abcd", ""], (1, 0)));
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut editor = editor("ab");
        assert!(!editor.insert("cd", 3));
        assert!(editor.insert("c", 3));
        assert_eq!(editor.take(), "abc");
        assert!(editor.is_empty());
    }

    #[test]
    fn what_was_pasted_takes_the_columns_of_its_picture() {
        assert_eq!(editor("\u{1b}[").cursor_at(10), (0, 2));
    }

    #[test]
    fn a_mark_joins_the_letter_before_it() {
        let mut editor = editor("ex");
        editor.go(Motion::Left);
        editor.insert("\u{301}", ROOM);
        assert_eq!(editor.cursor, 3);
        editor.delete(Motion::Left);
        assert_eq!(editor.text(), "x");
    }
}
