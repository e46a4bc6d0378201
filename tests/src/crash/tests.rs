use super::*;

#[test]
fn a_few_hundred_states_are_as_promised() {
    assert_eq!(
        explore(3, 300).outcome,
        Outcome {
            passed: 300,
            failed: 0
        }
    );
}

#[test]
fn a_transaction_of_many_parts_is_there_wholly_or_not_at_all() {
    assert_eq!(
        parts::explore(5, 60),
        Outcome {
            passed: 60,
            failed: 0
        }
    );
}

/// What `cs-torture crash` asks of its states is asked here of lives alone.
#[test]
fn sixty_lives_meet_every_part_of_the_store() {
    let mut hits = Hits::default();
    for seed in 0..60 {
        for phase in life::live(seed, &mut hits).unwrap() {
            // A state amid each piece of long work.
            for span in &phase.spans {
                hits.state_at(span.events.start, &phase.spans, phase.packs());
            }
        }
    }
    // Whoever follows after a crash is asked of states alone.
    assert_eq!(hits.missing(), ["states followed on"], "{hits}");
}

#[test]
fn a_run_is_the_same_whatever_runs_before_and_beside_it() {
    let hashes = |seed| {
        let phases = life::live(seed, &mut Hits::default()).unwrap();
        phases
            .iter()
            .map(|phase| phase.journal.hash())
            .collect::<Vec<_>>()
    };
    let forward: Vec<_> = (0..60).map(hashes).collect();
    let (mut backward, mut beside) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| backward.extend((0..60).rev().map(hashes)));
        scope.spawn(|| beside.extend((0..60).map(hashes)));
    });
    backward.reverse();
    for seed in 0..60 {
        assert_eq!(forward[seed], backward[seed], "seed {seed}");
        assert_eq!(forward[seed], beside[seed], "seed {seed}");
    }
}
