use std::sync::Arc;
use std::time::Duration;

use cs_base::{Index, TreeId};
use cs_io::memory::MemoryDisk;
use cs_io::sim::{CrashKind, Rng, SimDisk, SimOptions};
use cs_io::{Disk, RealRuntime, SimRuntime};

use super::ring::RING_BYTES;
use super::{ChangeFeed, ChangePosition};
use crate::batch::{Batch, Expect};
use crate::effects::Effect;
use crate::error::Error;
use crate::evaluation::{Declined, Evaluate, Outcome};
use crate::options::{CommitOptions, Durability, KeepChanges, StoreOptions};
use crate::store::Store;

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.log.segment_bytes_min = 64 << 10;
    options.log.segment_bytes_max = 256 << 10;
    options.auto_compact = None;
    options
}

fn open_with(disk: &Arc<MemoryDisk>, options: StoreOptions) -> Store {
    let disk: Arc<dyn Disk> = disk.clone();
    Store::open(disk, RealRuntime::new(), options).unwrap()
}

fn fresh(options: StoreOptions) -> (Arc<MemoryDisk>, Store, TreeId) {
    let disk = MemoryDisk::new();
    let store = open_with(&disk, options);
    let mut batch = Batch::new();
    let tree = store.new_tree_id();
    batch.create_tree(tree);
    store
        .write(&batch, &CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    (disk, store, tree)
}

/// One commit, of a number and some bytes.
fn put(store: &Store, tree: TreeId, number: u32, len: usize) -> Index {
    let mut batch = Batch::new();
    let value = [&number.to_be_bytes()[..], &vec![7; len]].concat();
    batch.put(tree, b"k".to_vec(), value, Expect::Any);
    let ticket = store.write(&batch, &CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
    ticket.index()
}

/// The numbers of all commits that it shows now.
fn numbers(feed: &mut ChangeFeed) -> Vec<u32> {
    let mut list = Vec::new();
    let mut last = Index(0);
    while let Some(change) = feed.next().unwrap() {
        assert!(change.index > last);
        last = change.index;
        assert_eq!(change.position, feed.position());
        for effect in change.effects().unwrap() {
            if let Effect::Put { value, .. } = effect.unwrap() {
                list.push(u32::from_be_bytes(value[..4].try_into().unwrap()));
            }
        }
    }
    list
}

#[test]
fn a_feed_shows_each_commit_once_and_in_order() {
    let (_, store, tree) = fresh(options());
    put(&store, tree, 0, 10);
    let mut feed = store.changes().unwrap();
    for number in 1..=20 {
        put(&store, tree, number, 10);
    }
    assert_eq!(numbers(&mut feed), (1..=20).collect::<Vec<_>>());
    assert_eq!(numbers(&mut feed), []);
    put(&store, tree, 21, 10);
    assert_eq!(numbers(&mut feed), [21]);
}

#[test]
fn one_that_falls_behind_reads_the_log_and_then_memory_again() {
    let (_, store, tree) = fresh(options());
    let mut feed = store.changes().unwrap();
    let most = (RING_BYTES / 20_000) as u32 + 50;
    for number in 0..most {
        put(&store, tree, number, 20_000);
        if number % 40 == 0 {
            store.checkpoint().unwrap();
        }
    }
    assert_eq!(numbers(&mut feed), (0..most).collect::<Vec<_>>());
    put(&store, tree, most, 10);
    assert_eq!(numbers(&mut feed), [most]);
    drop(feed);
    store.checkpoint().unwrap();
    store.checkpoint().unwrap();
    let space = store.space().unwrap();
    assert!(
        space.log_bytes - space.log_spare_bytes < 2 << 20,
        "nothing is kept for nobody: {space:?}"
    );
}

#[test]
fn one_that_keeps_more_than_it_may_is_told_that_changes_are_lost() {
    let mut options = options();
    options.feed_log_bytes = 1 << 20;
    let (_, store, tree) = fresh(options);
    let mut feed = store.changes().unwrap();
    for number in 0..400 {
        put(&store, tree, number, 20_000);
        if number % 40 == 0 {
            store.checkpoint().unwrap();
        }
    }
    let lost = feed.next().unwrap_err();
    assert!(matches!(lost, Error::ChangesLost(_)), "{lost}");
    let again = store.changes_after(&feed.position()).unwrap_err();
    assert!(again.to_string().contains("not kept any more"), "{again}");
}

#[test]
fn a_place_is_good_after_a_restart_as_long_as_the_log_is_kept() {
    let mut options = options();
    options.keep_changes = Some(KeepChanges {
        max_bytes: 2 << 20,
        max_age: Duration::from_secs(3600),
    });
    let (disk, store, tree) = fresh(options.clone());
    let feed = store.changes().unwrap();
    let token = feed.position().to_string();
    drop(feed);
    for number in 0..40 {
        put(&store, tree, number, 20_000);
        store.checkpoint().unwrap();
    }
    store.close().unwrap();
    drop(store);
    let store = open_with(&disk, options);
    put(&store, tree, 40, 10);
    let place: ChangePosition = token.parse().unwrap();
    let mut feed = store.changes_after(&place).unwrap();
    assert_eq!(numbers(&mut feed), (0..=40).collect::<Vec<_>>());
    drop(feed);
    for number in 0..100 {
        put(&store, tree, number, 20_000);
        store.checkpoint().unwrap();
    }
    assert!(store.changes_after(&place).is_err(), "beyond what is kept");
    let space = store.space().unwrap();
    assert!(space.log_bytes < 4 << 20, "{space:?}");
}

#[test]
fn a_place_that_means_nothing_here_is_refused() {
    let (_, store, _) = fresh(options());
    let (_, other, _) = fresh(options());
    let place = other.changes().unwrap().position();
    let refused = store.changes_after(&place).unwrap_err().to_string();
    assert!(refused.contains("another database"), "{refused}");
    let own = store.changes().unwrap().position();
    let ahead = ChangePosition {
        index: Index(own.index.0 + 1),
        ..own
    };
    let refused = store.changes_after(&ahead).unwrap_err().to_string();
    assert!(refused.contains("was lost"), "{refused}");
    for text in ["", "1-2-3", "1-2-3-4-5", "x-1-1-1", "1-1-1-100000000"] {
        assert!(text.parse::<ChangePosition>().is_err(), "{text}");
    }
    assert_eq!(own.to_string().parse::<ChangePosition>().unwrap(), own);
}

#[test]
fn what_is_not_durable_is_not_shown() {
    let (_, store, tree) = fresh(options());
    let mut feed = store.changes().unwrap();
    let mut batch = Batch::new();
    batch.put(tree, b"k".to_vec(), vec![0; 4], Expect::Any);
    let memory = CommitOptions::with_durability(Durability::Memory);
    store.write(&batch, &memory).unwrap().wait().unwrap();
    assert!(
        store.snapshot().unwrap().get(tree, b"k").unwrap().is_some(),
        "visible"
    );
    assert!(feed.next().unwrap().is_none(), "and not shown");
    store.flush().unwrap();
    assert_eq!(numbers(&mut feed), [0]);
}

#[test]
fn a_feed_begins_behind_nothing_that_a_crash_takes_back() {
    let disk = SimDisk::new(1, SimOptions::default());
    let store = Store::open(disk.clone(), SimRuntime::new(1), options()).unwrap();
    let mut batch = Batch::new();
    batch.create_tree(store.new_tree_id());
    let memory = CommitOptions::with_durability(Durability::Memory);
    store.write(&batch, &memory).unwrap().wait().unwrap();
    let begun = store.changes().unwrap().position();
    let image = disk.crash(&mut Rng::new(1), CrashKind::Machine);
    let disk = SimDisk::from_image(&image, 1, SimOptions::default());
    let store = Store::open(disk, SimRuntime::new(1), options()).unwrap();
    assert_eq!(store.snapshot().unwrap().index(), begun.index);
    assert!(store.changes_after(&begun).is_ok());
}

#[test]
fn large_transactions_and_compressed_ones_are_shown_whole() {
    let mut options = options();
    options.compression = crate::CompressionOptions::of(crate::Compression::Lz4);
    options.keep_changes = Some(KeepChanges {
        max_bytes: 1 << 30,
        max_age: Duration::from_secs(3600),
    });
    let (_, store, tree) = fresh(options);
    let mut feed = store.changes().unwrap();
    let start = feed.position();
    let mut txn = store.begin().unwrap();
    for number in 0..3_u32 {
        let value: Vec<u8> = (0..2_500_000_u32)
            .flat_map(|n| (n.wrapping_mul(n ^ number)).to_le_bytes())
            .collect();
        let value = [&number.to_be_bytes()[..], &value].concat();
        txn.put(tree, vec![number as u8], value).unwrap();
    }
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    let all = |feed: &mut ChangeFeed| {
        let change = feed.next().unwrap().unwrap();
        let lens = change
            .effects()
            .unwrap()
            .map(|effect| match effect.unwrap() {
                Effect::Put { value, .. } => value.len(),
                Effect::PutPacked { block, .. } => {
                    cs_base::codec::inspect(block).unwrap().plain_len
                }
                other => panic!("{other:?}"),
            });
        assert_eq!(lens.collect::<Vec<_>>(), [10_000_004; 3]);
        assert!(feed.next().unwrap().is_none());
    };
    all(&mut feed);
    // The same from the log, in parts.
    drop(feed);
    let mut feed = store.changes_after(&start).unwrap();
    all(&mut feed);
}

#[derive(Debug)]
struct Append;

impl Evaluate for Append {
    fn evaluate(&self, current: Option<&[u8]>) -> Result<Outcome, Declined> {
        Ok(Outcome::Put([current.unwrap_or_default(), b"+"].concat()))
    }
}

#[test]
fn the_record_tells_what_was_replaced_where_that_is_wanted() {
    let (_, store, tree) = fresh(options());
    let mut feed = store.changes().unwrap();
    let mut shown = || {
        let mut list = Vec::new();
        while let Some(change) = feed.next().unwrap() {
            for effect in change.effects().unwrap() {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                list.push(match effect.unwrap() {
                    Effect::Before { key, value, .. } => format!("{}<{}", text(key), text(value)),
                    Effect::Put { key, value, .. } => format!("{}={}", text(key), text(value)),
                    Effect::Delete { key, .. } => format!("{}-", text(key)),
                    other => format!("{other:?}"),
                });
            }
        }
        list.join(" ")
    };
    let mut batch = Batch::new();
    batch.tell_before(tree);
    batch.put(tree, b"a".to_vec(), b"1".to_vec(), Expect::Any);
    batch.evaluate(tree, b"a".to_vec(), Arc::new(Append));
    store
        .write_and_wait(batch, &CommitOptions::default())
        .unwrap();
    assert_eq!(shown(), "a=1 a<1 a=1+");
    let mut txn = store.begin().unwrap();
    txn.tell_before(tree).unwrap();
    txn.put(tree, b"a".to_vec(), b"2".to_vec()).unwrap();
    txn.put(tree, b"b".to_vec(), b"1".to_vec()).unwrap();
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(shown(), "a<1+ a=2 b=1");
    let mut txn = store.begin().unwrap();
    txn.tell_before(tree).unwrap();
    txn.delete(tree, b"a".to_vec()).unwrap();
    txn.prepare("g", &[]).unwrap();
    store
        .commit_prepared("g", &CommitOptions::default())
        .unwrap();
    assert!(shown().ends_with("a<2 a-"));
    assert_eq!(store.snapshot().unwrap().get(tree, b"a").unwrap(), None);
    assert!(store.check().unwrap().findings.is_empty());
}

#[test]
fn a_store_without_a_log_is_followed_as_long_as_the_feed_keeps_up() {
    let mut options = options();
    options.durability = Some(Durability::Memory);
    let (_, store, tree) = fresh(options);
    let mut feed = store.changes().unwrap();
    for number in 0..5 {
        put(&store, tree, number, 10);
    }
    assert_eq!(numbers(&mut feed), [0, 1, 2, 3, 4]);
    for number in 0..5 {
        put(&store, tree, number, RING_BYTES / 2);
    }
    assert!(matches!(feed.next(), Err(Error::ChangesLost(_))));
}

#[test]
fn followers_beside_a_crowd_miss_nothing_and_wait_for_what_comes() {
    let (_, store, tree) = fresh(options());
    let feeds: Vec<_> = (0..3).map(|_| store.changes().unwrap()).collect();
    std::thread::scope(|scope| {
        for mut feed in feeds {
            scope.spawn(move || {
                let mut seen = Vec::new();
                while seen.len() < 2000 {
                    feed.wait(Duration::from_secs(60)).unwrap();
                    seen.extend(numbers(&mut feed));
                }
                // Each writer's numbers come in the order in which it wrote them.
                for writer in 0..4 {
                    let own: Vec<u32> = seen.iter().copied().filter(|n| n % 4 == writer).collect();
                    assert_eq!(own.len(), 500);
                    assert!(own.is_sorted());
                }
            });
        }
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..500 {
                    put(store, tree, round * 4 + writer, 100);
                }
            });
        }
    });
}

/// Each key that was put (`+` where it was not there before, `~` where it was
/// changed in part) or deleted (`-`).
fn noted(feed: &mut ChangeFeed) -> Vec<String> {
    let mut list = Vec::new();
    while let Some(change) = feed.next().unwrap() {
        let mut effects = change.one_by_one().unwrap();
        let mut count = 0;
        while let Some(noted) = effects.next().unwrap() {
            assert_eq!(noted.ordinal, count);
            count += 1;
            let (key, sign) = match noted.effect {
                Effect::Put { key, .. } | Effect::PutPacked { key, .. } => (key, '+'),
                Effect::Delete { key, .. } => (key, '-'),
                _ => continue,
            };
            let sign = match (noted.was_absent, noted.in_part) {
                (true, in_part) => {
                    assert!(!in_part);
                    sign
                }
                (false, true) => '~',
                (false, false) => '=',
            };
            list.push(format!("{}{sign}", String::from_utf8_lossy(key)));
        }
        assert_eq!(change.effects().unwrap().count(), count as usize);
    }
    list
}

#[test]
fn a_feed_tells_whether_a_key_was_there_whoever_wrote_it() {
    let (disk, store, tree) = fresh(options());
    let start = store.changes().unwrap().position();
    let options_of = CommitOptions::default();
    let mut batch = Batch::new();
    batch.put(tree, b"a".to_vec(), vec![1], Expect::Absent);
    batch.put(tree, b"b".to_vec(), vec![1], Expect::Absent);
    store.write_and_wait(batch, &options_of).unwrap();
    let mut batch = Batch::new();
    batch.put(tree, b"a".to_vec(), vec![2], Expect::Present);
    batch.evaluate(tree, b"c".to_vec(), Arc::new(Append));
    batch.evaluate(tree, b"c".to_vec(), Arc::new(Append));
    store.write_and_wait(batch, &options_of).unwrap();
    let mut txn = store.begin().unwrap();
    for key in [b"b", b"d", b"e"] {
        txn.put(tree, key.to_vec(), vec![3]).unwrap();
    }
    txn.delete(tree, b"a".to_vec()).unwrap();
    txn.delete(tree, b"e".to_vec()).unwrap();
    txn.commit(&options_of).unwrap().wait().unwrap();
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"b".to_vec(), vec![4]).unwrap();
    txn.put(tree, b"f".to_vec(), vec![4]).unwrap();
    txn.prepare("gid", &[]).unwrap();
    store.commit_prepared("gid", &options_of).unwrap();
    let mut batch = Batch::new();
    for key in [b"g", b"b"] {
        batch.evaluate(tree, key.to_vec(), Arc::new(Append));
        batch.note_in_part();
    }
    store.write_and_wait(batch, &options_of).unwrap();
    let mut txn = store.begin().unwrap();
    for key in [b"b", b"d", b"h"] {
        txn.put_in_part(tree, key.to_vec(), vec![3]).unwrap();
    }
    txn.put(tree, b"f".to_vec(), vec![3]).unwrap();
    txn.put_in_part(tree, b"f".to_vec(), vec![4]).unwrap();
    txn.prepare("gid in part", &[]).unwrap();
    store.commit_prepared("gid in part", &options_of).unwrap();
    let expected = ["a+", "b+", "a=", "c+", "c=", "a=", "b=", "d+", "e-"];
    let told = |store: &Store| {
        let mut feed = store.changes_after(&start).unwrap();
        let mut list = noted(&mut feed);
        list.retain(|line| line.len() == 2);
        list
    };
    let all = [
        &expected[..],
        &["b=", "f+", "g+", "b~", "b~", "d~", "f=", "h+"],
    ]
    .concat();
    assert_eq!(told(&store), all);
    drop(store);
    let store = open_with(&disk, options());
    assert_eq!(told(&store), all);
}
