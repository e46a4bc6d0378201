use cs_io::memory::MemoryDisk;

use super::*;

/// Entries whose keys repeat, in no order.
fn entries(count: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut random = 7_u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        random >> 33
    };
    (0..count)
        .map(|number| {
            let key = (next() % (count / 2)).to_be_bytes().to_vec();
            (key, vec![number as u8; (next() % 600) as usize])
        })
        .collect()
}

fn sorted(
    disk: &Arc<MemoryDisk>,
    memory: usize,
    input: &[(Vec<u8>, Vec<u8>)],
) -> (Vec<Entry>, usize) {
    let mut sorter = Sorter::new(Arc::clone(disk) as Arc<dyn Disk>, memory);
    for (position, (key, value)) in (0..).zip(input) {
        sorter.push(key, value, position).unwrap();
    }
    let runs = sorter.spilled();
    let mut sorted = sorter.finish().unwrap();
    let mut all = Vec::new();
    while let Some(entry) = sorted.next().unwrap() {
        all.push(entry);
    }
    (all, runs)
}

#[test]
fn entries_come_out_by_key_and_then_as_they_came_with_and_without_a_file() {
    let input = entries(10_000);
    let mut expected: Vec<Entry> = (0..)
        .zip(&input)
        .map(|(position, (key, value))| Entry {
            key: key.clone(),
            position,
            value: value.clone(),
        })
        .collect();
    expected.sort();
    let disk = MemoryDisk::new();
    let (in_memory, runs) = sorted(&disk, 1 << 30, &input);
    assert_eq!((in_memory, runs), (expected.clone(), 0));
    let (spilled, runs) = sorted(&disk, 0, &input);
    assert!(spilled == expected && runs > 1, "{runs} runs");
    assert_eq!(
        disk.list().unwrap(),
        Vec::<String>::new(),
        "the file is gone"
    );
}

#[test]
fn more_runs_than_a_merge_takes_become_one_first() {
    let input = entries(2 * FAN_IN as u64 * 700);
    let disk = MemoryDisk::new();
    let mut sorter = Sorter::new(Arc::clone(&disk) as Arc<dyn Disk>, 0);
    for (position, (key, value)) in (0..).zip(&input) {
        sorter.push(key, value, position).unwrap();
    }
    let spill = sorter.spill.as_ref().unwrap();
    assert!(sorter.spilled() > FAN_IN, "{} runs", sorter.spilled());
    assert!(spill.runs.len() < FAN_IN && spill.runs[0].level == 1);
    let spilled = sorter.spilled();
    let mut sorted = sorter.finish().unwrap();
    assert!(sorted.runs() >= spilled, "what came from memory counts");
    let mut last = None;
    let mut count = 0;
    while let Some(entry) = sorted.next().unwrap() {
        let (key, value) = &input[entry.position as usize];
        assert!(entry.key == *key && entry.value == *value);
        assert!(last < Some((entry.key.clone(), entry.position)));
        last = Some((entry.key, entry.position));
        count += 1;
    }
    assert_eq!(count, input.len());
}

#[test]
fn a_damaged_temporary_file_is_an_error() {
    let disk = MemoryDisk::new();
    let mut sorter = Sorter::new(Arc::clone(&disk) as Arc<dyn Disk>, 0);
    for (position, (key, value)) in (0..).zip(&entries(20_000)) {
        sorter.push(key, value, position).unwrap();
    }
    let name = disk.list().unwrap().remove(0);
    let file = disk.open(&name, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, 2_000).unwrap();
    file.write_at(&[!byte[0]], 2_000).unwrap();
    let error = sorter.finish().map(drop).unwrap_err();
    assert!(error.is_corruption(), "{error}");
}

#[test]
fn what_a_crash_left_behind_is_removed_at_the_next_open_and_nothing_else() {
    let disk = MemoryDisk::new();
    for name in ["bulk-sort-0", "bulk-sort-7", "ballast"] {
        disk.open(name, OpenMode::Create).unwrap();
    }
    remove_leftovers(&*disk).unwrap();
    assert_eq!(disk.list().unwrap(), ["ballast"]);
}
