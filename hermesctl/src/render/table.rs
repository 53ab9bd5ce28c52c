//! Rows of cells as columns of a terminal.

use crate::{
    output::{DIM, Line, NAME},
    render::fold,
};

/// Columns between two cells.
const GAP: usize = 2;
/// No column becomes narrower than this; a terminal that has no room for that breaks the lines itself.
const LEAST: usize = 4;

/// The lines of a table as wide as it has to be, or as there is room for: then cells go on in the next line, between
/// words as long as that helps. The first column is what a row is called.
pub(crate) fn lines(header: &[&str], rows: &[Vec<String>], room: usize) -> Vec<Line> {
    let widths = widths(header, rows, room);
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let mut lines = row(&header, &widths, |_| DIM);
    for cells in rows {
        lines.extend(row(cells, &widths, |column| if column == 0 { NAME } else { anstyle::Style::new() }));
    }
    lines
}

fn row(cells: &[String], widths: &[usize], style: impl Fn(usize) -> anstyle::Style) -> Vec<Line> {
    let folded = cells.iter().zip(widths).map(|(cell, width)| fold::fold(cell, Some(*width)));
    let folded: Vec<Vec<String>> = folded.collect();
    let height = folded.iter().map(Vec::len).max().unwrap_or(0);
    let line = |at: usize| {
        let mut line = Line::default();
        // Nothing follows the last cell of a line, not even spaces.
        let last = folded.iter().rposition(|cell| cell.get(at).is_some_and(|text| !text.is_empty()));
        for (column, cell) in folded.iter().enumerate().take(last.map_or(0, |last| last + 1)) {
            let text = cell.get(at).map(String::as_str).unwrap_or_default();
            line = line.styled(style(column), text);
            if Some(column) != last {
                let gap = widths[column].saturating_sub(fold::width(text)) + GAP;
                line = line.plain(" ".repeat(gap));
            }
        }
        line
    };
    (0..height).map(line).collect()
}

/// As wide as the widest cell asks for; where that is too much, the widest column gives first: words stay whole as long as
/// possible, and the first column to the end.
fn widths(header: &[&str], rows: &[Vec<String>], room: usize) -> Vec<usize> {
    let cells = |column: usize| {
        let head = header.get(column).copied();
        head.into_iter().chain(rows.iter().filter_map(move |row| row.get(column).map(String::as_str)))
    };
    let widest = |column, measure: fn(&str) -> usize| cells(column).map(measure).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..header.len()).map(|column| widest(column, fold::width)).collect();
    let words: Vec<usize> = (0..header.len()).map(|column| widest(column, longest_word)).collect();
    let least = vec![LEAST; header.len()];
    let mut over = (widths.iter().sum::<usize>() + GAP * header.len().saturating_sub(1)).saturating_sub(room);
    for (columns, least) in [(0, &words), (1, &least), (0, &least)] {
        while over > 0 {
            let wide = (columns..widths.len()).filter(|column| widths[*column] > least[*column]);
            let Some(column) = wide.max_by_key(|column| widths[*column]) else { break };
            widths[column] -= 1;
            over -= 1;
        }
    }
    widths
}

fn longest_word(text: &str) -> usize {
    text.split(' ').map(fold::width).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 3] = ["name", "trust", "since"];

    fn table(name: &str, room: usize) -> Vec<String> {
        let row = |name: &str| {
            vec![name.to_owned(), "verified by invite".to_owned(), "2026-11-28 03:42".to_owned()]
        };
        lines(&HEADER, &[row("bob"), row(name)], room).iter().map(Line::text).collect()
    }

    #[test]
    fn a_table_is_as_wide_as_it_has_to_be() {
        assert_eq!(
            table("carol", 80),
            [
                "name   trust               since",
                "bob    verified by invite  2026-11-28 03:42",
                "carol  verified by invite  2026-11-28 03:42",
            ]
        );
    }

    #[test]
    fn where_there_is_little_room_words_and_names_stay_whole() {
        assert_eq!(
            table("a-name-that-is-rather-long", 54)[1..],
            [
                "bob                         verified by   2026-11-28",
                "                            invite        03:42",
                "a-name-that-is-rather-long  verified by   2026-11-28",
                "                            invite        03:42",
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_there_is_room() {
        for room in 20..80 {
            let lines = table("名前-with-日本語-and-more", room);
            assert!(lines.iter().all(|line| fold::width(line) <= room), "{room}: {lines:#?}");
        }
    }
}
