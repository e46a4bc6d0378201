use super::{Args, FOUND_HERE, generate, run};
use collection_store::filter::Filter;
use oorandom::Rand64;

#[test]
fn both_forms_answer_alike_for_some_thousand_pairs() {
    let args = Args {
        pairs: 4_000,
        seed: 7,
        filter: None,
        mutants: false,
    };
    let outcome = run(&args);
    assert_eq!((outcome.passed, outcome.failed), (4_000, 0));
}

#[test]
fn most_filters_make_sense_and_some_documents_match() {
    let mut rng = Rand64::new(3);
    let (mut sensible, mut matching) = (0, 0);
    for _ in 0..500 {
        let Ok(filter) = Filter::compile(&generate::filter(&mut rng)) else {
            continue;
        };
        sensible += 1;
        let is_match = |id| {
            filter
                .matches(&generate::document(&mut rng, id))
                .unwrap_or(false)
        };
        matching += (0..20).map(is_match).filter(|yes| *yes).count();
    }
    assert!(sensible > 450, "{sensible} of 500 filters");
    assert!(
        matching > sensible,
        "{matching} matches of {sensible} filters"
    );
    assert!(!FOUND_HERE.is_empty());
}
