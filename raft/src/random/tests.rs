use super::*;

#[test]
fn nodes_and_starts_draw_differently_and_each_again_the_same() {
    let draw = |seed, id, incarnation| Random::new(seed, id, incarnation).draw();
    assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
    let all = [draw(1, 2, 3), draw(1, 3, 3), draw(1, 2, 4), draw(2, 2, 3)];
    assert!((1..4).all(|at| !all[..at].contains(&all[at])));
}

#[test]
fn what_is_drawn_is_below_the_limit_and_all_over_it() {
    let mut random = Random::new(1, 1, 1);
    let limit = Duration::from_micros(10);
    let mut seen = [0; 10];
    for _ in 0..1000 {
        seen[random.below(limit).as_micros() as usize] += 1;
    }
    assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    assert_eq!(random.below(Duration::ZERO), Duration::ZERO);
}
