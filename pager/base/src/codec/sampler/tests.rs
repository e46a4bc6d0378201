use super::*;

/// Offers blocks of 1,000 bytes that become `packed`; how many were tried.
fn offer(sampler: &Sampler, blocks: u32, packed: usize) -> u32 {
    let tried = (0..blocks).filter(|_| {
        let is_tried = sampler.is_to_be_tried();
        if is_tried {
            sampler.record(1_000, packed);
        }
        is_tried
    });
    tried.count() as u32
}

#[test]
fn every_block_is_compressed_while_it_pays() {
    let sampler = Sampler::default();
    assert_eq!(offer(&sampler, 1_000, 800), 1_000, "just a fifth");
}

#[test]
fn where_it_does_not_pay_one_block_in_sixteen_is_tried() {
    let sampler = Sampler::default();
    assert_eq!(offer(&sampler, WINDOW, 801), WINDOW);
    assert_eq!(offer(&sampler, 100 * SAMPLE_EVERY, 801), 100);
    assert_eq!(offer(&sampler, SAMPLE_EVERY, 1_200), 1, "longer is no gain");
}

#[test]
fn a_window_that_pays_turns_it_on_again() {
    let sampler = Sampler::default();
    offer(&sampler, WINDOW, 1_000);
    assert_eq!(offer(&sampler, WINDOW * SAMPLE_EVERY, 100), WINDOW);
    assert_eq!(offer(&sampler, 100, 100), 100);
}

#[test]
fn one_odd_block_does_not_turn_the_answer() {
    let sampler = Sampler::default();
    for _ in 0..100 {
        assert_eq!(offer(&sampler, WINDOW - 1, 500), WINDOW - 1);
        assert_eq!(offer(&sampler, 1, 1_000), 1);
    }
}
