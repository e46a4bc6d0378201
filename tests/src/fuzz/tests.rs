use super::*;

#[test]
fn every_target_takes_its_seeds_and_some_thousand_changes_of_them() {
    let args = Args {
        target: None,
        runs: 1_000,
        seed: 4,
        run: None,
        input: None,
        write_seeds: None,
    };
    let outcome = run(&args);
    assert_eq!(
        (outcome.passed, outcome.failed),
        (1_000 * TARGETS.len() as u64, 0)
    );
}

#[test]
fn there_are_seeds_and_each_input_is_a_function_of_its_number() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        let again = mutate::input(&seeds, 9, 77);
        assert_eq!(mutate::input(&seeds, 9, 77), again, "{}", target.name);
        assert_ne!(mutate::input(&seeds, 9, 78), again, "{}", target.name);
    }
}
