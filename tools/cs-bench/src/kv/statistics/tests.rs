use super::*;

fn subject(workload: &str) -> Subject {
    Subject {
        workload: workload.to_owned(),
        threads: 1,
        keys: 100,
    }
}

fn gathered(unit: Unit, turns: &[(&str, f64)]) -> Vec<Row> {
    let mut gathered = Gathered::default();
    for (engine, value) in turns {
        let mut figure = Measured::new("x", 1, unit, *value);
        figure.subject.keys = 100;
        gathered.add(engine, vec![figure]);
    }
    gathered.rows()
}

#[test]
fn the_median_is_the_middle_or_the_mean_of_the_two_in_it() {
    assert_eq!(median(&[]), 0.0);
    assert_eq!(median(&[7.0]), 7.0);
    assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
    assert_eq!(median(&[9.0, 1.0, 5.0, 6.0]), 5.5);
}

#[test]
fn turns_are_put_together_by_engine_and_subject() {
    let rows = gathered(
        Unit::PerS,
        &[("cs", 3.0), ("lmdb", 9.0), ("cs", 1.0), ("cs", 2.0)],
    );
    assert_eq!(engines(&rows), ["cs", "lmdb"]);
    assert_eq!(subjects(&rows), [subject("x")]);
    assert_eq!((rows[0].median, rows[0].min, rows[0].max), (2.0, 1.0, 3.0));
    assert_eq!(rows[0].values, [3.0, 1.0, 2.0]);
}

#[test]
fn a_ratio_is_that_of_turns_and_above_1_where_ours_is_better() {
    let turns = [
        ("cs", 4.0),
        ("lmdb", 2.0),
        ("redb", 1.0),
        ("cs", 40.0),
        ("lmdb", 10.0),
        ("redb", 20.0),
        ("cs", 4.0),
        ("lmdb", 8.0),
        ("redb", 4.0),
    ];
    let found = ratios(&gathered(Unit::PerS, &turns), |engine| engine == "cs");
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].to.as_str(), found[0].ratio), ("lmdb", 2.0));
    assert_eq!((found[0].min, found[0].max), (0.5, 4.0));
    assert!(found[0].best && !found[1].best);
    // Seconds and sizes: less is better.
    let found = ratios(&gathered(Unit::S, &turns), |engine| engine == "cs");
    assert_eq!(found[0].ratio, 0.5);
    assert!(!found[0].best && found[1].best);
}

#[test]
fn nothing_against_nothing_is_level() {
    assert_eq!(finite(f64::NAN), 1.0);
    assert!(finite(f64::INFINITY).is_finite());
}
