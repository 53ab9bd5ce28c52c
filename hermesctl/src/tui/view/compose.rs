//! What is being written, under a rule.

use ratatui_core::{buffer::Buffer, layout::Position};

use super::{
    super::model::{Focus, Model, Purpose},
    paint::{self, Paint},
};
use crate::output::{DIM, Line, NAME, WARN};

/// Says where the cursor stands.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, paint: Paint) -> Option<Position> {
    let places = &model.places;
    let open = model.open.as_ref().filter(|_| !places.text.is_empty())?;
    let rule = "─".repeat(places.rule.width.into());
    paint.line(buffer, places.rule, 0, &Line::default().styled(DIM, rule));
    paint.line(buffer, places.purpose, 0, &purpose(&open.draft.purpose));
    paint.line(buffer, places.prompt, 0, &Line::default().styled(NAME, "> "));
    let text = &open.draft.text;
    let (width, height) = (usize::from(places.text.width), usize::from(places.text.height));
    let (row, column) = text.cursor_at(width);
    let first = (row + 1).saturating_sub(height);
    if text.is_empty() {
        let words = format!("write to {}", open.chat);
        paint.line(buffer, places.text, 0, &Line::default().styled(DIM, words));
    }
    for (at, range) in text.rows(width).into_iter().skip(first).take(height).enumerate() {
        paint.line(buffer, places.text, at, &Line::new(&text.text()[range]));
    }
    (model.focus == Focus::Text).then(|| {
        let column = paint::columns(column).min(places.text.width.saturating_sub(1));
        Position::new(places.text.x + column, places.text.y + paint::columns(row - first))
    })
}

fn purpose(purpose: &Purpose) -> Line {
    match purpose {
        Purpose::New => Line::default(),
        Purpose::Reply(target) => {
            Line::default().styled(DIM, format!("↪ {} “{}”", target.reference, target.words))
        }
        Purpose::Edit { target, .. } => Line::default()
            .styled(WARN, format!("edit {}", target.reference))
            .styled(DIM, format!(" “{}”  Esc leaves it as it is", target.words)),
    }
}
