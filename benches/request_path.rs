//! How long each step of the request path takes: `cargo bench --bench request_path [PART OF A NAME]`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench fails by panicking")]

mod steps;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, mut take) in steps::of(|_| true) {
        criterion.bench_function(&name, |bencher| bencher.iter(&mut take));
    }
    criterion.final_summary();
}
