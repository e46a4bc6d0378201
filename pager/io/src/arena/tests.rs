use super::*;

const SLOT: usize = 8192;

#[test]
fn slots_do_not_overlap_and_are_aligned() {
    let arena = PageArena::new(SLOT, 1 << 22);
    let count: usize = if cfg!(miri) { 20 } else { 400 };
    let mut pages: Vec<PageBuf> = (0..count).map(|_| arena.zeroed()).collect();
    for (number, page) in pages.iter_mut().enumerate() {
        assert!(page.as_ptr().addr().is_multiple_of(BLOCK_SIZE));
        page.fill(number as u8);
    }
    for (number, page) in pages.iter().enumerate() {
        assert!(page.iter().all(|&byte| byte == number as u8), "{number}");
    }
}

#[test]
fn an_empty_arena_takes_nothing_and_a_small_one_little() {
    let arena = PageArena::new(SLOT, 256 << 20);
    assert_eq!(arena.stats().arena_bytes, 0);
    let page = arena.take();
    assert_eq!(arena.stats().arena_bytes, 64 * 1024);
    drop(page);
    let pages: Vec<PageBuf> = (0..128).map(|_| arena.take()).collect();
    let stats = arena.stats();
    assert_eq!(stats.used_bytes, 1 << 20);
    assert!(stats.arena_bytes <= (1 << 20) + (1 << 18), "{stats:?}");
    drop(pages);
    assert_eq!(arena.stats().used_bytes, 0);
    assert_eq!(arena.stats().peak_bytes, 1 << 20);
}

#[test]
fn what_was_given_back_is_used_again_first() {
    let arena = PageArena::new(SLOT, 1 << 20);
    let first = arena.take();
    let address = first.as_ptr().addr();
    drop(first);
    let mut again = arena.take();
    assert_eq!(again.as_ptr().addr(), address);
    again.fill(7);
    drop(again);
    assert!(arena.zeroed().iter().all(|&byte| byte == 0));
    let copied = arena.copy_of(&[9; SLOT]);
    assert!(copied.iter().all(|&byte| byte == 9));
}

#[test]
fn the_limit_is_passed_counted_and_only_for_as_long_as_need_be() {
    let arena = PageArena::new(SLOT, 10 * SLOT as u64);
    let within: Vec<PageBuf> = (0..10).map(|_| arena.take()).collect();
    assert!(arena.is_full());
    assert_eq!(arena.stats().arena_bytes, 10 * SLOT as u64);
    let mut beyond = [arena.take(), arena.zeroed()];
    beyond[0].fill(1);
    let stats = arena.stats();
    assert_eq!(stats.exceeded, 2);
    assert_eq!(stats.arena_bytes, 12 * SLOT as u64);
    drop(beyond);
    let stats = arena.stats();
    assert_eq!(stats.arena_bytes, 10 * SLOT as u64, "given to the system");
    drop(within);
    assert!(!arena.is_full());
}

#[test]
fn slots_outlive_the_arena_and_cross_threads() {
    let arena = PageArena::new(SLOT, 1 << 22);
    let rounds = if cfg!(miri) { 5 } else { 2_000 };
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let arena = &arena;
            scope.spawn(move || {
                let mut kept: Vec<PageBuf> = Vec::new();
                for round in 0..rounds {
                    let mut page = arena.take();
                    page.fill(thread);
                    kept.push(page);
                    if round % 3 == 0 {
                        let page = kept.swap_remove(round % kept.len());
                        assert!(page.iter().all(|&byte| byte == thread));
                    }
                    kept.truncate(50);
                }
            });
        }
    });
    let mut page = arena.zeroed();
    assert_eq!(arena.stats().used_bytes, SLOT as u64);
    drop(arena);
    page.fill(3);
    assert!(
        std::thread::spawn(move || page[SLOT - 1] == 3)
            .join()
            .unwrap()
    );
}

#[test]
#[cfg_attr(miri, ignore = "tens of megabytes")]
fn a_large_arena_is_cut_from_few_regions_and_its_slots_stay_aligned() {
    const LARGE: usize = 65_536;
    let arena = PageArena::new(LARGE, 64 << 20);
    let pages: Vec<PageBuf> = (0..400).map(|_| arena.take()).collect();
    let regions = arena.0.state.lock().regions.len();
    assert!(regions < 40, "{regions} regions for 400 slots");
    let stats = arena.stats();
    assert_eq!(stats.exceeded, 0);
    assert!(stats.arena_bytes <= (32 << 20) + (32 << 18), "{stats:?}");
    for page in &pages {
        assert!(page.as_ptr().addr().is_multiple_of(BLOCK_SIZE));
    }
    let shown = format!("{arena:?} {:?}", pages[0]);
    assert!(shown.contains("used_bytes: 26214400"), "{shown}");
    assert!(shown.ends_with("PageBuf(65536 bytes)"), "{shown}");
}

#[test]
fn a_slot_larger_than_the_first_region_is_memory_of_its_own() {
    let arena = PageArena::new(128 * 1024, 1 << 20);
    let page = arena.zeroed();
    assert_eq!(arena.stats().exceeded, 1);
    assert_eq!(arena.stats().arena_bytes, 128 * 1024);
    drop(page);
    assert_eq!(arena.stats().arena_bytes, 0);
}
