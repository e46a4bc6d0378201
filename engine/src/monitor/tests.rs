use bson::doc;

use super::figures::{BUCKETS, percentile};
use super::*;
use crate::Database;

fn sample(seconds: u64, fast: u64, slow: u64, failures: u64, memory: u64) -> Sample {
    let mut buckets = [0; BUCKETS];
    buckets[0] = fast;
    buckets[15] = slow;
    Sample {
        now: Duration::from_secs(seconds),
        buckets,
        failures,
        memory,
    }
}

fn kinds(told: &[Alert]) -> Vec<(AlertKind, bool)> {
    told.iter()
        .map(|alert| (alert.kind, alert.is_raised))
        .collect()
}

#[test]
fn a_threshold_is_raised_once_and_cleared_once() {
    let mut alerts = Alerts::new(Thresholds::new().memory(10));
    let mut look = |memory| kinds(&alerts.look(sample(1, 0, 0, 0, memory)));
    assert_eq!(look(10), []);
    assert_eq!(look(11), [(AlertKind::Memory, true)]);
    assert_eq!(look(12), []);
    assert_eq!(look(10), [(AlertKind::Memory, false)]);
    assert_eq!(look(9), []);
}

#[test]
fn latency_is_judged_by_what_happened_since_the_last_look() {
    let mut alerts = Alerts::new(Thresholds::new().latency(Duration::from_millis(500)));
    let mut look = |seconds, fast, slow| kinds(&alerts.look(sample(seconds, fast, slow, 0, 0)));
    assert_eq!(
        look(1, 1000, 1000),
        [],
        "nothing is known of the time before the first look"
    );
    assert_eq!(look(2, 1099, 1001), [], "one in a hundred may");
    assert_eq!(look(3, 1147, 1003), [(AlertKind::Latency, true)]);
    assert_eq!(look(4, 1247, 1003), [(AlertKind::Latency, false)]);
    assert_eq!(look(5, 1247, 1004), [], "one operation says nothing");
}

#[test]
fn throughput_and_failures_are_rates() {
    let thresholds = Thresholds::new().throughput(100).error_percent(5);
    let mut alerts = Alerts::new(thresholds);
    let mut look =
        |seconds, all, failures| kinds(&alerts.look(sample(seconds, all, 0, failures, 0)));
    assert_eq!(look(0, 0, 0), []);
    assert_eq!(look(10, 1000, 50), [], "100 a second and 5 % are not above");
    let both = [(AlertKind::Throughput, true), (AlertKind::ErrorRate, true)];
    assert_eq!(look(20, 2010, 111), both);
    assert_eq!(look(20, 9999, 9999), [], "no time has passed");
    let both = [
        (AlertKind::Throughput, false),
        (AlertKind::ErrorRate, false),
    ];
    assert_eq!(look(30, 2110, 111), both);
}

#[test]
fn percentiles_are_rounded_up_to_their_bucket() {
    let mut counts = [0; BUCKETS];
    assert_eq!(percentile(&counts, 99), Duration::ZERO);
    counts[2] = 99;
    counts[6] = 1;
    assert_eq!(percentile(&counts, 99), Duration::from_micros(50));
    assert_eq!(percentile(&counts, 100), Duration::from_millis(1));
    counts[BUCKETS - 1] = 1000;
    assert_eq!(percentile(&counts, 99), Duration::MAX);
}

#[test]
fn a_time_falls_into_the_bucket_that_ends_with_it() {
    let histogram = Histogram::default();
    for micros in [0, 10, 11, 10_000_000, 10_000_001, u64::MAX / 4] {
        histogram.record(Duration::from_micros(micros));
    }
    let counts = histogram.counts();
    assert_eq!((counts[0], counts[1], counts[18], counts[19]), (2, 1, 1, 2));
}

#[test]
fn the_text_is_prometheus_own() {
    let registry = Registry::default();
    let labels = [("who", "a\"b\\c\nd")];
    registry.gauge("b_now", "how \\ much", &labels).set(-3);
    let times = registry.histogram("a_seconds", "times", &[("kind", "x")]);
    times.record(Duration::from_micros(20));
    times.record(Duration::from_millis(1500));
    let text = registry.text();
    assert!(text.starts_with("# HELP a_seconds times\n# TYPE a_seconds histogram\n"));
    for line in [
        "a_seconds_bucket{kind=\"x\",le=\"0.00001\"} 0",
        "a_seconds_bucket{kind=\"x\",le=\"0.000025\"} 1",
        "a_seconds_bucket{kind=\"x\",le=\"2.5\"} 2",
        "a_seconds_bucket{kind=\"x\",le=\"10\"} 2",
        "a_seconds_bucket{kind=\"x\",le=\"+Inf\"} 2",
        "a_seconds_sum{kind=\"x\"} 1.50002",
        "a_seconds_count{kind=\"x\"} 2",
        "# HELP b_now how \\\\ much",
        "b_now{who=\"a\\\"b\\\\c\\nd\"} -3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn a_family_keeps_its_kind_and_a_bounded_number_of_series() {
    let registry = Registry::default();
    registry.counter("x_total", "help", &[]).add(1);
    registry.gauge("x_total", "help", &[("a", "b")]).set(7);
    assert_eq!(registry.text().lines().count(), 3, "{}", registry.text());
    for number in 0..2 * MAX_SERIES {
        registry
            .counter("y_total", "help", &[("n", &number.to_string())])
            .add(1);
    }
    assert_eq!(registry.text().lines().count(), 3 + 2 + MAX_SERIES);
    registry.counter("x_total", "help", &[]).add(1);
    assert!(
        registry.text().contains("x_total 2\n"),
        "the same name is the same number"
    );
}

#[test]
fn operations_are_timed_when_somebody_wants_to_know() {
    let database = Database::open_in_memory().unwrap();
    let people = database.collection("people");
    people.insert_one(doc! { "_id": 1 }).unwrap();
    let inserts = "cs_operation_seconds_count{operation=\"insert\"}";
    let count = |text: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(inserts)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(count(&database.metrics_text().unwrap()), 0);
    database.monitor().start();
    people.insert_one(doc! { "_id": 2 }).unwrap();
    people.insert_one(doc! { "_id": 2 }).unwrap_err();
    let text = database.metrics_text().unwrap();
    assert_eq!(count(&text), 2);
    assert!(
        text.contains("cs_operation_failures_total{operation=\"insert\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("\ncs_documents 2\n") && text.contains("\ncs_commits_total "),
        "{text}"
    );
}

#[test]
fn thresholds_of_the_program_judge_what_it_recorded() {
    let database = Database::open_in_memory().unwrap();
    let monitor = database.monitor();
    monitor.set_thresholds(Thresholds::new().error_percent(50).of_program(), |_| {});
    assert!(monitor.check(Duration::from_secs(1), 0).is_empty());
    for _ in 0..MIN_FAILURES {
        database
            .collection("none")
            .insert_one(doc! { "_id": [1] })
            .unwrap_err();
    }
    assert!(
        monitor.check(Duration::from_secs(2), 0).is_empty(),
        "the engine is not asked"
    );
    for _ in 0..MIN_FAILURES {
        monitor.record(Duration::from_millis(1), true);
    }
    assert_eq!(
        kinds(&monitor.check(Duration::from_secs(3), 0)),
        [(AlertKind::ErrorRate, true)]
    );
}

const MIN_FAILURES: u64 = 20;
