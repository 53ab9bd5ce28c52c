//! What it costs everybody together to remove one member, over the size of the group.
//!
//! In the original design each two members agreed on a key again whenever one had left: n(n - 1)/2 exchanges. Those are
//! computed from one session setup of Hermes, in time and in bytes; nobody would wait for half a million of them.

use std::{error::Error, path::Path, time::Duration};

use plotters::prelude::*;

use crate::{
    clock::Stopwatch,
    group::membership::Cost,
    hermes::{Initiator, Responder},
};

/// What all members spend together.
#[derive(Clone, Copy)]
pub struct Point {
    /// Members before.
    pub size: usize,
    /// Seconds of processor time.
    pub seconds: f64,
    /// Bytes to the relay.
    pub up: f64,
    /// Bytes from the relay, to all of them.
    pub down: f64,
}

/// One session setup, by both sides.
pub struct Exchange {
    /// Of both, from the opening of the fetched keys to the opening of the first message.
    pub time: Duration,
    /// The first message.
    pub up: usize,
    /// The fetched keys, and the first message.
    pub down: usize,
}

impl Exchange {
    /// Measures one.
    pub fn measure() -> Self {
        let (initiator, responder) = (Initiator::new(), Responder::new().again());
        let began = Stopwatch::start();
        let (_, first) = initiator.initiate(&responder.published(), b"hello");
        responder.respond(&first);
        let time = began.elapsed();
        Self { time, up: first.len(), down: responder.bundle_bytes() + first.len() }
    }
}

impl Point {
    /// One commit, which everybody follows who was a member before.
    pub fn of_commit(size: usize, author: f64, other: f64, commit: f64) -> Self {
        let others = size as f64 - 1.0;
        Self { size, seconds: (author + others * other) / 1e9, up: commit, down: commit * (others + 1.0) }
    }

    /// As many exchanges as there are pairs.
    pub fn of_exchanges(size: usize, exchange: &Exchange) -> Self {
        let pairs = (size * (size - 1) / 2) as f64;
        Self {
            size,
            seconds: pairs * exchange.time.as_secs_f64(),
            up: pairs * exchange.up as f64,
            down: pairs * exchange.down as f64,
        }
    }
}

/// The cost of a removal in nanoseconds and bytes: author, other, commit.
pub fn parts(cost: &Cost) -> (f64, f64, f64) {
    (cost.author.as_nanos() as f64, cost.other.as_nanos() as f64, cost.commit as f64)
}

/// A line of the plot.
pub struct Curve {
    /// As the legend calls it.
    pub name: &'static str,
    /// Its points.
    pub points: Vec<Point>,
}

/// Markdown of the curves.
pub fn table(curves: &[Curve]) -> String {
    let mut text = String::from(
        "| remove one of n | n | time of all | bytes up | bytes down, all |\n|---|---|---|---|---|\n",
    );
    for Curve { name, points } in curves {
        for Point { size, seconds, up, down } in points {
            text +=
                &format!("| {name} | {size} | {} | {} | {} |\n", time(*seconds), bytes(*up), bytes(*down));
        }
    }
    text
}

fn time(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        ..120.0 => format!("{seconds:.1} s"),
        _ => format!("{:.1} min", seconds / 60.0),
    }
}

/// A power of ten as the axis calls it.
fn seconds_label(seconds: f64) -> String {
    if seconds < 0.5 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.0} s") }
}

fn bytes_label(bytes: f64) -> String {
    match bytes {
        ..0.5e6 => format!("{:.0} kB", bytes / 1e3),
        ..0.5e9 => format!("{:.0} MB", bytes / 1e6),
        ..0.5e12 => format!("{:.0} GB", bytes / 1e9),
        _ => format!("{:.0} TB", bytes / 1e12),
    }
}

fn bytes(bytes: f64) -> String {
    match bytes {
        ..1e3 => format!("{bytes:.0} B"),
        ..1e6 => format!("{:.1} kB", bytes / 1e3),
        ..1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

const WIDTH: u32 = 1_080;
const HEIGHT: u32 = 500;
const INK: RGBColor = RGBColor(40, 40, 40);
const COLOURS: [RGBColor; 3] = [RGBColor(0, 95, 165), RGBColor(95, 165, 215), RGBColor(200, 80, 30)];

/// Draws the curves into an SVG, time and bytes side by side.
pub fn draw(file: &Path, curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(WIDTH / 2);
    panel(&left, "Processor time of all members", 1e-3..1e5, seconds_label, curves, |point| point.seconds)?;
    panel(&right, "Bytes through the relay, up and down", 1e3..1e12, bytes_label, curves, |point| {
        point.up + point.down
    })?;
    root.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    range: std::ops::Range<f64>,
    show: fn(f64) -> String,
    curves: &[Curve],
    value: fn(&Point) -> f64,
) -> Result<(), Box<dyn Error>> {
    let font = |size: u32| ("sans-serif", size).into_font().color(&INK);
    let mut chart = ChartBuilder::on(area)
        .caption(title, font(20))
        .margin(12)
        .margin_right(26)
        .x_label_area_size(52)
        .y_label_area_size(74)
        .build_cartesian_2d((2.0..1_000.0f64).log_scale(), range.log_scale())?;
    chart
        .configure_mesh()
        .x_desc("members of the group, one of whom is removed")
        .x_labels(4)
        .y_labels(8)
        .x_label_formatter(&|size| format!("{size:.0}"))
        .y_label_formatter(&|value| show(*value))
        .label_style(font(17))
        .axis_desc_style(font(17))
        .axis_style(INK)
        .bold_line_style(RGBColor(215, 215, 215))
        .light_line_style(RGBColor(240, 240, 240))
        .draw()?;
    for (Curve { name, points }, colour) in curves.iter().zip(COLOURS) {
        let places: Vec<_> = points.iter().map(|point| (point.size as f64, value(point))).collect();
        chart
            .draw_series(LineSeries::new(places.clone(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(places.into_iter().map(|place| Circle::new(place, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(font(17))
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_members_count() {
        let point = Point::of_commit(10, 5e9, 1e9, 100.0);
        assert_eq!((point.seconds, point.up, point.down), (14.0, 100.0, 1_000.0));
        let exchange = Exchange { time: Duration::from_secs(1), up: 10, down: 30 };
        let point = Point::of_exchanges(1_000, &exchange);
        assert_eq!((point.seconds, point.up, point.down), (499_500.0, 4_995_000.0, 14_985_000.0));
    }

    #[test]
    fn an_exchange_is_a_handshake_in_a_bucket_of_4096() {
        let exchange = Exchange::measure();
        assert_eq!(exchange.up, 4_096);
        assert!(exchange.down > 4_096 + 1_568 && exchange.time > Duration::ZERO);
    }

    #[test]
    fn the_plot_names_its_curves() {
        let points = vec![Point::of_commit(2, 1e6, 1e6, 1e3), Point::of_commit(1_000, 1e6, 1e6, 1e4)];
        let curves =
            [Curve { name: "one commit", points: points.clone() }, Curve { name: "the rest", points }];
        let file = std::env::temp_dir().join(format!("hermes-bench-{}.svg", std::process::id()));
        draw(&file, &curves).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(text.starts_with("<svg") && text.contains("one commit") && text.contains("the rest"));
        assert!(table(&curves).contains("| one commit | 2 | 2.0 ms | 1.0 kB | 2.0 kB |"));
    }
}
