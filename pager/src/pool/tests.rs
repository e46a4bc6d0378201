mod ahead;
mod map;

use cs_base::{Incarnation, TreeId};
use cs_io::OpenMode;
use cs_io::memory::MemoryDisk;

use super::*;
use crate::{PageIdentity, PagerOptions, create, open};

/// Symptom: after a crash of the process a page that the newest meta reaches
/// was not on disk. Cause: an early write took its pages before it entered the
/// list of early writes; a checkpoint in between passed over the pages, found
/// the list empty, and synced before they were written. Cure: the list is
/// locked first, for both.
#[test]
fn an_early_write_takes_no_page_before_a_checkpoint_can_see_it() {
    let disk = MemoryDisk::new();
    create(&*disk, FileId(1), 4096, Incarnation(0)).unwrap();
    let options = PagerOptions {
        cache_bytes: 1 << 20,
        read_path: ReadPath::Pool,
        verify: |_, _| Ok(()),
    };
    let mut opened = open(&*disk, options, OpenMode::ReadWrite).unwrap();
    let leaf = PageIdentity {
        kind: PageKind::Leaf,
        level: 0,
        tree: TreeId(16),
    };
    let pages: Vec<PageRef> = (0..8)
        .map(|_| opened.shadow.allocate(&opened.pager, leaf))
        .collect();
    opened.shadow.seal(&opened.pager);
    let pager = &opened.pager;
    std::thread::scope(|scope| {
        // A checkpoint looks at the list.
        let list = pager.early.lock();
        let writer = scope.spawn(|| pager.write_back(8, true).unwrap());
        // As good as certain to be long enough for the writer to come to the list.
        (0..20_000).for_each(|_| std::thread::yield_now());
        let claimed: Vec<_> = pages.iter().filter_map(|&at| pager.claim(at)).collect();
        assert_eq!(claimed.len(), pages.len(), "the checkpoint writes them all");
        drop(list);
        assert_eq!(writer.join().unwrap(), 0, "nothing is left to write early");
        for frame in claimed {
            let batch = pager.start_batch(vec![frame]);
            pager.finish_batch(batch).unwrap();
        }
    });
    assert_eq!(pager.stats().dirty_bytes, 0);
}
