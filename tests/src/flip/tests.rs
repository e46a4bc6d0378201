use super::*;

#[test]
fn an_undamaged_database_is_whole_and_needs_little_memory() {
    for sample in sample::all(3).unwrap() {
        let nothing = mutation::Mutation {
            file: "data.cs".to_owned(),
            region: mutation::Region::Pages,
            // Cut to the length that it has.
            damage: mutation::Damage::Cut {
                len: sample.files["data.cs"].len(),
            },
        };
        let name = sample.name;
        for number in [0, 1] {
            let case = mutation::Case {
                number,
                sample: sample.clone(),
                mutation: nothing.clone(),
            };
            let (verdict, why) = look::judge(&case);
            assert_eq!(verdict, Verdict::Harmless, "{name}: {why}");
        }
    }
}

#[test]
fn a_case_is_the_same_whenever_it_is_drawn() {
    let few = mutation::Cases::sampled(sample::all(5).unwrap(), 5, 10);
    let many = mutation::Cases::sampled(sample::all(5).unwrap(), 5, 1_000);
    for number in 0..10 {
        assert_eq!(few.get(number).mutation, many.get(number).mutation);
    }
}

#[test]
fn only_the_last_group_of_an_unsealed_database_may_be_lost() {
    let states: Vec<usize> = sample::all(1)
        .unwrap()
        .iter()
        .map(|sample| sample.states.len())
        .collect();
    assert_eq!(states, [3, 1, 1, 3]);
}
