use super::*;

const STAT: &str = "cpu  100 10 40 800 20 5 5 20 7 0\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n";
const OWN: &str = "42 (a name) with) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20\n";

#[test]
fn ticks_are_read_from_the_texts_of_the_system() {
    let ticks = ticks(STAT, OWN).unwrap();
    assert_eq!(ticks.all, 1000);
    assert_eq!(ticks.busy, 180);
    assert_eq!(ticks.ours, 42);
    assert_eq!(ticks.processors, 2);
    assert_eq!(super::ticks("nothing", OWN), None);
}

#[test]
fn our_own_work_is_not_that_of_others() {
    let before = ticks(STAT, OWN).unwrap();
    let later = |busy, ours| Ticks {
        all: before.all + 40,
        busy: before.busy + busy,
        ours: before.ours + ours,
        processors: 2,
    };
    assert_eq!(share_of_others(before, later(20, 20)), 0.0);
    assert_eq!(share_of_others(before, later(30, 10)), 1.0);
}
