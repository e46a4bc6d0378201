use super::*;

#[test]
fn a_time_goes_to_clients_and_back() {
    let mut time = HybridTime::ZERO.tick(1_763_665_200_123);
    for _ in 0..3 {
        assert_eq!(hybrid_time(timestamp(time)), time);
        time = time.tick(0);
    }
}

#[test]
fn a_later_commit_has_a_later_timestamp() {
    let first = HybridTime::ZERO.tick(1_999);
    let times = [first, first.tick(0), first.tick(2_000), first.tick(3_001)];
    let told = times.map(timestamp);
    let pairs = told.map(|time| (time.time, time.increment));
    assert!(pairs.windows(2).all(|pair| pair[0] < pair[1]), "{pairs:?}");
}

#[test]
fn a_time_that_is_no_commits_comes_before_what_is_later() {
    let asked = Timestamp {
        time: 5,
        increment: 0,
    };
    assert_eq!(hybrid_time(asked), HybridTime::ZERO.tick(5_000));
}
