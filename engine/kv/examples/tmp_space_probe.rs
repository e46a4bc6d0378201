#![allow(clippy::unwrap_used, missing_docs)]
use std::ops::ControlFlow;
use std::time::Instant;
use cs_kv::*;
fn dir_bytes(path: &std::path::Path) -> u64 { std::fs::read_dir(path).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum() }
fn main() {
    let path = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let _ = std::fs::remove_dir_all(&path);
    let mut o = StoreOptions::default(); o.auto_compact = None;
    let disk = cs_kv::io::uring::open_best(&path, true, Default::default(), cs_kv::io::sys::DirectIo::Auto).unwrap();
    let store = Store::open(disk, cs_kv::io::RealRuntime::new(), o).unwrap();
    let tree = store.new_tree_id();
    let mut b = Batch::new(); b.create_tree(tree); store.write(&b, &CommitOptions::default()).unwrap().wait().unwrap();
    let n = 1_000_000u64;
    let value = [7u8; 150];
    let t = Instant::now();
    let entries = (0..n).map(|i| { let mut k = [b'k'; 24]; k[16..].copy_from_slice(&i.to_be_bytes()); Ok::<_, Error>((k, value)) });
    let r = store.bulk_load(tree, entries, &BulkOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    println!("sorted {:?} {:?} dir {:.2}x", t.elapsed(), r, dir_bytes(&path) as f64 / 174e6);
    let t = Instant::now();
    let r = store.compact(&CompactOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    println!("compact {:?} {:?} dir {:.2}x", t.elapsed(), r, dir_bytes(&path) as f64 / 174e6);
    let tree = store.new_tree_id();
    let mut b = Batch::new(); b.create_tree(tree); store.write(&b, &CommitOptions::default()).unwrap().wait().unwrap();
    let t = Instant::now();
    let mut x = 1u64;
    for _ in 0..100 { let mut b = Batch::new(); for _ in 0..10_000 { x = x.wrapping_mul(6364136223846793005).wrapping_add(1); let mut k = vec![b'k'; 24]; k[16..].copy_from_slice(&(x>>8).to_be_bytes()); b.put(tree, k, value.to_vec(), Expect::Any);} store.write(&b, &CommitOptions::with_durability(Durability::Async)).unwrap().wait().unwrap(); }
    println!("random {:?} dir {:.2}x", t.elapsed(), dir_bytes(&path) as f64 / 348e6);
    let t = Instant::now();
    let r = store.compact(&CompactOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    println!("compact {:?} {:?} dir {:.2}x", t.elapsed(), r, dir_bytes(&path) as f64 / 348e6);
    println!("{:#?}", store.account(&mut |_, _| ControlFlow::Continue(())).unwrap());
}
