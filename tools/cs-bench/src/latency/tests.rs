use super::*;

fn recorded(us: impl IntoIterator<Item = u64>) -> Latencies {
    let mut latencies = Latencies::new();
    for value in us {
        latencies.record(Duration::from_micros(value));
    }
    latencies
}

fn near(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= expected * 0.002
}

#[test]
fn merged_histograms_equal_one_that_saw_everything() {
    let mut merged = recorded(1..=400);
    merged.merge(&recorded(401..=1000));
    let whole = recorded(1..=1000);
    assert_eq!(merged.count(), 1000);
    assert_eq!(merged.summary(), whole.summary());
}

#[test]
fn percentiles_of_a_known_series_are_right() {
    let summary = recorded(1..=1000).summary();
    assert!(near(summary.p50, 500.0), "{summary:?}");
    assert!(near(summary.p99, 990.0), "{summary:?}");
    assert!(near(summary.p999, 999.0), "{summary:?}");
    assert!(near(summary.max, 1000.0), "{summary:?}");
}

#[test]
fn a_latency_beyond_the_range_is_counted_not_dropped() {
    let mut latencies = Latencies::new();
    latencies.record(Duration::from_secs(100_000));
    latencies.record(Duration::ZERO);
    assert_eq!(latencies.count(), 2);
    assert!(latencies.summary().max >= 600_000_000.0);
}

#[test]
fn no_latencies_are_all_zero() {
    let summary = Latencies::new().summary();
    assert_eq!(
        summary,
        Summary {
            p50: 0.0,
            p99: 0.0,
            p999: 0.0,
            max: 0.0
        }
    );
}
