use super::*;

const SEED: u64 = 3;

/// What a database holds in which each writer came so far.
fn contents(reached: [u64; WRITERS as usize]) -> Contents {
    let mut oracle = Oracle::new(Kind::Pairs, SEED);
    for (writer, &reached) in (0..).zip(&reached) {
        oracle.advance(writer, reached);
    }
    let shared: u64 = reached.iter().map(|reached| reached / SHARED_EVERY).sum();
    // Nobody has added anything: then it is not there.
    if shared > 0 {
        let value = shared.to_be_bytes().to_vec();
        oracle.model.insert((0, SHARED_KEY.to_vec()), value);
    }
    oracle.model
}

fn acknowledged(numbers: [u64; WRITERS as usize]) -> BTreeMap<u8, u64> {
    (0..).zip(numbers).collect()
}

#[test]
fn what_was_acknowledged_and_a_few_that_were_under_way_are_accepted() {
    let mut oracle = Oracle::new(Kind::Pairs, SEED);
    oracle
        .compare(&contents([9, 8, 8, 9]), &acknowledged([9, 8, 8, 9]))
        .unwrap();
    // The same again without any acknowledgement: the base was taken.
    oracle
        .compare(&contents([9, 8, 8, 9]), &acknowledged([0; 4]))
        .unwrap();
    // Writer 0 has one under way at most, writer 2 three.
    oracle
        .compare(&contents([10, 8, 11, 9]), &acknowledged([0; 4]))
        .unwrap();
}

#[test]
fn a_lost_acknowledgement_is_found() {
    let lost = Oracle::new(Kind::Pairs, SEED)
        .compare(&contents([9, 8, 7, 9]), &acknowledged([9, 8, 8, 9]));
    assert!(lost.unwrap_err().0.starts_with("writer 2: "));
}

#[test]
fn what_was_seen_once_may_not_be_taken_back() {
    let mut oracle = Oracle::new(Kind::Pairs, SEED);
    oracle
        .compare(&contents([1, 1, 3, 1]), &acknowledged([0; 4]))
        .unwrap();
    assert!(
        oracle
            .compare(&contents([1, 1, 2, 1]), &acknowledged([0; 4]))
            .is_err()
    );
}

#[test]
fn more_than_was_under_way_is_found() {
    assert!(
        Oracle::new(Kind::Pairs, SEED)
            .compare(&contents([2, 0, 0, 0]), &acknowledged([0; 4]))
            .is_err()
    );
}

/// Each single difference: an entry missing, another value, one too many.
#[test]
fn half_a_transaction_is_found() {
    let reached = [9, 8, 8, 9];
    let whole = contents(reached);
    for place in whole.keys() {
        let mut without = whole.clone();
        without.remove(place);
        assert!(
            Oracle::new(Kind::Pairs, SEED)
                .compare(&without, &acknowledged(reached))
                .is_err(),
            "{place:?}"
        );
        let mut other = whole.clone();
        other.entry(place.clone()).or_default().push(0);
        assert!(
            Oracle::new(Kind::Pairs, SEED)
                .compare(&other, &acknowledged(reached))
                .is_err(),
            "{place:?}"
        );
    }
    let mut more = whole;
    more.insert((1, b"stray".to_vec()), Vec::new());
    let found = Oracle::new(Kind::Pairs, SEED)
        .compare(&more, &acknowledged(reached))
        .unwrap_err();
    assert_eq!(found.0, "tree 1, stray: nobody wrote it");
}

/// The documents of writers that came so far.
fn documents(reached: [u64; WRITERS as usize]) -> Contents {
    let mut oracle = Oracle::new(Kind::Documents, SEED);
    for (writer, &reached) in (0..).zip(&reached) {
        oracle.advance(writer, reached);
    }
    oracle.model
}

#[test]
fn documents_are_followed_to_the_furthest_state_that_fits() {
    let mut oracle = Oracle::new(Kind::Documents, SEED);
    let found = documents([9, 8, 7, 16]);
    oracle
        .compare(&found, &acknowledged([9, 6, 6, 16]))
        .unwrap();
    assert_eq!(documents(oracle.reached), found);
    let lost = oracle.compare(&documents([9, 8, 7, 6]), &acknowledged([0; 4]));
    assert!(lost.unwrap_err().0.starts_with("writer 3, operations"));
}

#[test]
fn some_of_the_documents_that_came_together_are_not_enough() {
    let mut found = documents([6; 4]);
    let key = b"writer-1/batch-6/1".to_vec();
    found.remove(&(0, key)).expect("they came");
    let half = Oracle::new(Kind::Documents, SEED).compare(&found, &acknowledged([4; 4]));
    assert!(half.unwrap_err().0.starts_with("writer 1, operations"));
}
