//! Letters of several parts, such as flags, which some terminals keep in as many cells.
//!
//! What is drawn over such a letter takes its first cell. The others look empty before and after, so nothing is written there,
//! and the terminal goes on to show the parts that it keeps in them.

use ratatui_core::{
    buffer::{Buffer, CellDiffOption},
    layout::Position,
};
use unicode_width::UnicodeWidthChar;

/// Cells behind the first one of such a letter on the screen.
#[derive(Debug, Default)]
pub(super) struct Seams(Vec<Position>);

impl Seams {
    /// Has the cells written that such letters had before, and takes down those of now.
    pub(super) fn sew(&mut self, buffer: &mut Buffer) {
        for position in self.0.drain(..) {
            // One that a wide letter covers is passed over with it.
            if let Some(cell) = buffer.cell_mut(position) {
                cell.diff_option = CellDiffOption::AlwaysUpdate;
            }
        }
        for position in buffer.area.positions() {
            let Some(cell) = buffer.cell(position) else { continue };
            let parts = parts(cell.symbol());
            self.0.extend((1..parts).map(|part| Position { x: position.x.saturating_add(part), ..position }));
        }
    }
}

/// Parts of a letter that can have columns of their own.
fn parts(letter: &str) -> u16 {
    if letter.len() < 2 {
        return 1;
    }
    let parts = letter.chars().filter(|c| c.width().is_some_and(|width| width > 0)).count();
    u16::try_from(parts).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use ratatui_core::layout::Rect;

    use super::*;

    /// Columns that are written when one row is followed by another.
    fn written(before: &str, after: &str) -> Vec<u16> {
        let mut seams = Seams::default();
        let mut rows = [before, after].map(|row| {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 1));
            buffer.set_string(0, 0, row, ratatui_core::style::Style::new());
            seams.sew(&mut buffer);
            buffer
        });
        let [before, after] = &mut rows;
        before.diff(after).into_iter().map(|(x, _, _)| x).collect()
    }

    #[test]
    fn nothing_of_a_flag_is_left_where_it_stood() {
        assert_eq!(written("a🇩🇪", "a"), [1, 2]);
        assert_eq!(written("a🇩🇪", "🇩🇪"), [0, 2]);
        assert_eq!(written("क्ष", ""), [0, 1]);
    }

    #[test]
    fn what_stays_and_what_is_whole_is_left_alone() {
        assert_eq!(written("a🇩🇪b", "a🇩🇪c"), [3]);
        assert_eq!(written("a日", "a"), [1]);
        assert_eq!(written("a🇩🇪", "a日"), [1]);
        assert_eq!(written("e\u{301}x", "e\u{301}"), [1]);
    }
}
