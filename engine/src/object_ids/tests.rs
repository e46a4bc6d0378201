use std::collections::BTreeSet;
use std::time::Duration;

use cs_kv::io::SimRuntime;

use super::ObjectIds;

#[test]
fn ids_are_all_different_and_carry_the_time() {
    let runtime = SimRuntime::new(7);
    let ids = ObjectIds::new(runtime.clone());
    let first = ids.next();
    let all: BTreeSet<_> = (0..1000).map(|_| ids.next().bytes()).collect();
    assert_eq!(all.len(), 1000);
    runtime.advance(Duration::from_secs(10));
    let later = ids.next();
    assert_eq!(
        later.timestamp().timestamp_millis() - first.timestamp().timestamp_millis(),
        10_000
    );
}

#[test]
fn one_seed_gives_one_sequence() {
    let sequence = |seed| {
        let ids = ObjectIds::new(SimRuntime::new(seed));
        [ids.next(), ids.next()]
    };
    assert_eq!(sequence(1), sequence(1));
    assert_ne!(sequence(1), sequence(2));
}
