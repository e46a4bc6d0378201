//! Whether the isolation checker and the harness of prepared transactions find
//! bugs. A planted one is there for the whole process, so this is a program of its own.

use cs_tests::{filters, indexes, isolation, prepare};

#[test]
fn every_planted_bug_of_transactions_and_filters_is_found() {
    for mutant in isolation::FOUND_HERE {
        let caught = isolation::hunt(mutant, 1, 100_000);
        assert!(caught.is_some(), "{mutant:?} in histories");
    }
    for mutant in prepare::FOUND_HERE {
        let caught = prepare::hunt(mutant, 1, 10);
        assert!(caught.is_some(), "{mutant:?} in prepared transactions");
    }
    for mutant in indexes::FOUND_HERE {
        let caught = indexes::hunt(mutant, 1, 2_000);
        assert!(caught.is_some(), "{mutant:?} in indexes");
    }
    for mutant in filters::FOUND_HERE {
        let caught = filters::hunt(mutant, 1, 1_000_000);
        assert!(caught.is_some(), "{mutant:?} in filters");
    }
}
