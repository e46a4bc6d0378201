//! The ceiling: a lock, a buffer, a thread that writes what has gathered and
//! wakes those concerned. For one writer: a write after the other.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use cs_io::sys::{SysDisk, SysOptions};
use cs_io::{AlignedBuf, Disk, File, OpenMode, StableBytes};

use super::writers::{Measured, RECORD, cpu_us};

/// Name of its row, the first.
pub(crate) const NAME: &str = "ceiling: log thread, direct dsync";

const FILE_BYTES: u64 = 32 << 20;
const BLOCK: usize = 4096;
/// Header and padding that a record of the log has.
const FRAME: usize = 72;

/// The used front of a buffer.
#[derive(Debug)]
struct Used(AlignedBuf, usize);

impl StableBytes for Used {
    fn stable_bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

#[derive(Default)]
struct Gathering {
    used: usize,
    bytes: Vec<u8>,
    waiting: Vec<(u64, Thread)>,
    tickets: u64,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    gathering: Mutex<Gathering>,
    arrival: Condvar,
    durable: AtomicU64,
    groups: AtomicU64,
}

pub(crate) fn run(directory: &Path, writers: usize, time: Duration) -> std::io::Result<Measured> {
    let disk = SysDisk::open(directory, SysOptions::default())?;
    let file = disk.open("ceiling", OpenMode::Create)?;
    let zeroes = AlignedBuf::zeroed(1 << 20);
    for at in (0..FILE_BYTES).step_by(zeroes.len()) {
        file.write_at(&zeroes, at)?;
    }
    file.sync()?;
    if writers == 1 {
        return alone(file.as_ref(), time);
    }
    let shared = Shared::default();
    shared.gathering.lock().unwrap().bytes = vec![0; writers * (RECORD + FRAME) + BLOCK];
    let over = AtomicBool::new(false);
    let (start, cpu_before) = (Instant::now(), cpu_us());
    let records: u64 = thread::scope(|scope| {
        let log = scope.spawn(|| serve(&shared, file.as_ref(), writers));
        let all: Vec<_> = (0..writers)
            .map(|_| scope.spawn(|| write(&shared, &over)))
            .collect();
        thread::sleep(time);
        over.store(true, Ordering::Relaxed);
        let records = all.into_iter().map(|writer| writer.join().unwrap()).sum();
        shared.gathering.lock().unwrap().stop = true;
        shared.arrival.notify_one();
        log.join().unwrap();
        records
    });
    let groups = shared.groups.load(Ordering::Relaxed).max(1);
    Ok(Measured {
        per_s: records as f64 / start.elapsed().as_secs_f64(),
        records_per_group: records as f64 / groups as f64,
        cpu_us_per_record: (cpu_us() - cpu_before) / records as f64,
    })
}

fn alone(file: &dyn File, time: Duration) -> std::io::Result<Measured> {
    let bytes = Arc::new(AlignedBuf::zeroed(BLOCK));
    let (start, cpu_before) = (Instant::now(), cpu_us());
    let mut records = 0_u64;
    while start.elapsed() < time {
        file.write_durable(bytes.clone(), records * BLOCK as u64 % FILE_BYTES)?;
        records += 1;
    }
    Ok(Measured {
        per_s: records as f64 / start.elapsed().as_secs_f64(),
        records_per_group: 1.0,
        cpu_us_per_record: (cpu_us() - cpu_before) / records as f64,
    })
}

fn write(shared: &Shared, over: &AtomicBool) -> u64 {
    let record = [0x5A; RECORD + FRAME];
    let mut records = 0;
    while !over.load(Ordering::Relaxed) {
        let (ticket, first) = {
            let mut gathering = shared.gathering.lock().unwrap();
            let at = gathering.used;
            gathering.bytes[at..at + record.len()].copy_from_slice(&record);
            gathering.used += record.len();
            gathering.tickets += 1;
            let ticket = gathering.tickets;
            gathering.waiting.push((ticket, thread::current()));
            (ticket, gathering.waiting.len() == 1)
        };
        if first {
            shared.arrival.notify_one();
        }
        while shared.durable.load(Ordering::Acquire) < ticket {
            thread::park();
        }
        records += 1;
    }
    records
}

fn serve(shared: &Shared, file: &dyn File, writers: usize) {
    let size = writers * (RECORD + FRAME) + BLOCK;
    let mut spare = Arc::new(Used(AlignedBuf::zeroed(size), 0));
    let mut offset = 0;
    let mut waiting = Vec::new();
    loop {
        let used = {
            let mut gathering = shared.gathering.lock().unwrap();
            while gathering.used == 0 && !gathering.stop {
                gathering = shared.arrival.wait(gathering).unwrap();
            }
            if gathering.used == 0 {
                return;
            }
            let used = std::mem::take(&mut gathering.used);
            let buf = Arc::get_mut(&mut spare).unwrap();
            buf.0[..used].copy_from_slice(&gathering.bytes[..used]);
            buf.1 = used.next_multiple_of(BLOCK);
            std::mem::swap(&mut waiting, &mut gathering.waiting);
            used
        };
        file.write_durable(spare.clone(), offset).unwrap();
        offset += used.next_multiple_of(BLOCK) as u64;
        if offset + size as u64 + BLOCK as u64 > FILE_BYTES {
            offset = 0;
        }
        shared.groups.fetch_add(1, Ordering::Relaxed);
        let last = waiting.last().map_or(0, |(ticket, _)| *ticket);
        shared.durable.store(last, Ordering::Release);
        for (_, thread) in waiting.drain(..) {
            thread.unpark();
        }
    }
}
