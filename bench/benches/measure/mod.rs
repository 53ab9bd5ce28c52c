//! Criterion, and what it has written.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use criterion::{BenchmarkId, Criterion};

/// Criterion, and where it writes.
pub struct Bench {
    criterion: Criterion,
    output: PathBuf,
}

impl Bench {
    /// With the options of the command line; `name` is the bench's, and each measurement takes so long.
    pub fn new(name: &str, time: Duration) -> Self {
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion").join(name);
        // What an earlier run left would stand in for what this one does not measure.
        let _ = fs::remove_dir_all(&output);
        let criterion = Criterion::default()
            .output_directory(&output)
            .without_plots()
            .sample_size(20)
            .nresamples(1_000)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(time)
            .configure_from_args();
        Self { criterion, output }
    }

    /// Nanoseconds per iteration: the median, as criterion has estimated and written it. `None` if nothing was measured: a
    /// filter may have left it out, and a test runs it once.
    pub fn median(
        &mut self,
        name: &str,
        side: &str,
        round: u32,
        mut work: impl FnMut(u64) -> Duration,
    ) -> Option<f64> {
        let iterations = Cell::new(0);
        let mut group = self.criterion.benchmark_group(name);
        group.bench_function(BenchmarkId::new(side, round), |bencher| {
            bencher.iter_custom(|count| {
                iterations.set(iterations.get() + count);
                work(count)
            });
        });
        group.finish();
        let place = self.output.join(name).join(side).join(round.to_string());
        (iterations.get() > 1).then(|| read_median(&place))
    }
}

fn read_median(place: &Path) -> f64 {
    let file = place.join("new").join("estimates.json");
    let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let estimates: serde_json::Value = serde_json::from_slice(&text).expect("criterion writes JSON");
    estimates["median"]["point_estimate"].as_f64().expect("criterion estimates a median")
}
