//! Lines of the output layer as cells of a screen.

use anstyle::{AnsiColor, Effects};
use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use super::super::steady::steady;
use crate::{output::Line, render::fold};

/// Whether there are colours. Bold and dim letters are on every terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Paint {
    Coloured,
    Plain,
}

impl Paint {
    /// Writes a line into a row of an area, as much of it as fits.
    pub(super) fn line(self, buffer: &mut Buffer, area: Rect, row: usize, line: &Line) {
        let area = area.intersection(buffer.area);
        let y = area.y.saturating_add(columns(row));
        let mut x = area.x;
        for (style, text) in line.pieces() {
            if y >= area.bottom() || x >= area.right() {
                return;
            }
            let room = usize::from(area.right() - x);
            (x, _) = buffer.set_stringn(x, y, steady(&text), room, self.style(style));
        }
    }

    /// Empties an area.
    pub(super) fn clear(self, buffer: &mut Buffer, area: Rect) {
        let area = area.intersection(buffer.area);
        for position in area.positions() {
            if let Some(cell) = buffer.cell_mut(position) {
                cell.reset();
            }
        }
    }

    fn style(self, style: anstyle::Style) -> Style {
        let mut modifier = Modifier::empty();
        let effects = style.get_effects();
        if effects.contains(Effects::BOLD) {
            modifier |= Modifier::BOLD;
        }
        if effects.contains(Effects::DIMMED) {
            modifier |= Modifier::DIM;
        }
        let painted = Style::new().add_modifier(modifier);
        match (self, style.get_fg_color()) {
            (Self::Coloured, Some(anstyle::Color::Ansi(AnsiColor::Red))) => painted.fg(Color::Red),
            (Self::Coloured, Some(anstyle::Color::Ansi(AnsiColor::Green))) => painted.fg(Color::Green),
            (Self::Coloured, Some(anstyle::Color::Ansi(AnsiColor::Yellow))) => painted.fg(Color::Yellow),
            _ => painted,
        }
    }
}

/// A number of columns or rows of a screen, none of which has more than fit the type.
pub(super) fn columns(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The beginning of a text that fits.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let text = steady(text);
    if fold::width(&text) <= columns {
        return text.into_owned();
    }
    let first = fold::fold(&text, Some(columns.saturating_sub(1).max(1))).swap_remove(0);
    format!("{first}…")
}
