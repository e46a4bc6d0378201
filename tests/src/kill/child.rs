//! The process that writes until it is killed.
//!
//! ## Invariants
//! * An acknowledgement goes out only after its ticket was waited for, or
//!   after a flush or a checkpoint that covers it.
//! * Without a log nothing is acknowledged but by a checkpoint, the trees included.
//! * It never ends by itself but on an error, which it reports, or when
//!   nobody reads its pipe any more.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::exit;

use cs_base::TreeId;
use cs_base::mutants::{Mutant, plant};
use cs_io::RealRuntime;
use cs_kv::{Batch, CommitOptions, Durability, Expect, Store, Ticket};

use super::disks::open_disk;
use super::documents;
use super::frames::Frame;
use super::plan::{
    Changes, Kind, SHARED_EVERY, SHARED_KEY, TREES, WRITERS, changes, compacts, counter_key, depth,
    level, options,
};

pub(super) type Made<T> = Result<T, Box<dyn Error>>;

/// Writer 0 asks for a checkpoint each so many transactions, beside those that
/// the log's growth brings; more often where there is no log.
const CHECKPOINT_EVERY: u64 = 24;
const CHECKPOINT_EVERY_WITHOUT_LOG: u64 = 8;
/// Writer 1 flushes each so many transactions.
const FLUSH_EVERY: u64 = 17;

/// What to write, and where.
#[derive(Debug)]
pub(super) struct Orders<'a> {
    pub(super) kind: Kind,
    pub(super) seed: u64,
    pub(super) cycle: u64,
    pub(super) directory: &'a Path,
    pub(super) mutant: Option<Mutant>,
    /// How far each writer came before; only documents need to be told.
    pub(super) reached: &'a [u64],
}

/// See the module's text.
pub(super) fn run(orders: &Orders<'_>) -> ! {
    plant(orders.mutant);
    // Not through `io::stdout`, which buffers lines.
    let pipe = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let Ok(pipe) = pipe else { exit(2) };
    let written = match orders.kind {
        Kind::Documents => documents::write_for_ever(orders, &pipe),
        Kind::Pairs | Kind::WithoutLog => write_for_ever(orders, &pipe),
    };
    if let Err(error) = written {
        // Where the pipe is gone, so is whoever would read this.
        let _ = Frame::Broken(error.to_string()).send(&pipe);
    }
    exit(3)
}

fn write_for_ever(orders: &Orders<'_>, pipe: &File) -> Made<()> {
    let (kind, seed) = (orders.kind, orders.seed);
    let disk = open_disk(orders.directory, orders.cycle)?;
    let store = Store::open(disk, RealRuntime::new(), options(kind, orders.cycle))?;
    let trees = trees(&store)?;
    if kind == Kind::WithoutLog {
        store.checkpoint()?;
    }
    Frame::Ready.send(pipe)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    let writer = Writer {
                        kind,
                        seed,
                        id: writer,
                        store,
                        trees,
                        pipe,
                    };
                    // One that fails ends the process: the others would go on for ever.
                    if let Err(error) = writer.run() {
                        let _ = Frame::Broken(format!("writer {}: {error}", writer.id)).send(pipe);
                    }
                    exit(3)
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
    });
    Ok(())
}

/// The trees, made if this is the first time.
fn trees(store: &Store) -> Made<[TreeId; TREES]> {
    let found: Vec<TreeId> = store
        .snapshot()?
        .trees()?
        .into_iter()
        .map(|(tree, _)| tree)
        .collect();
    if let Ok(trees) = found.as_slice().try_into() {
        return Ok(trees);
    }
    if !found.is_empty() {
        return Err(format!("expected {TREES} trees or none, found {}", found.len()).into());
    }
    let mut batch = Batch::new();
    let trees = [(); TREES].map(|()| store.new_tree_id());
    trees.iter().for_each(|&tree| batch.create_tree(tree));
    store.write(&batch, &CommitOptions::default())?.wait()?;
    Ok(trees)
}

struct Writer<'a> {
    kind: Kind,
    seed: u64,
    id: u8,
    store: &'a Store,
    trees: [TreeId; TREES],
    pipe: &'a File,
}

impl Writer<'_> {
    fn run(&self) -> Made<()> {
        let mut under_way: VecDeque<(u64, Ticket)> = VecDeque::new();
        let mut number = self.stored_counter()?;
        loop {
            number += 1;
            let ticket = self.commit(number)?;
            under_way.push_back((number, ticket));
            if under_way.len() as u64 >= depth(self.id)
                && let Some((oldest, ticket)) = under_way.pop_front()
            {
                ticket.wait()?;
                self.tell(oldest, level(self.kind, oldest) == Durability::Sync)?;
                self.look(oldest)?;
            }
            self.save(number)?;
        }
    }

    fn tell(&self, number: u64, is_durable: bool) -> Made<()> {
        let writer = self.id;
        let frame = if is_durable {
            Frame::Done { writer, number }
        } else {
            Frame::Seen { writer, number }
        };
        Ok(frame.send(self.pipe)?)
    }

    /// Now and then everything so far is made durable, whatever it asked for.
    fn save(&self, number: u64) -> Made<()> {
        if let Some(options) = compacts(self.id, number) {
            self.store
                .compact(&options, &mut |_| ControlFlow::Continue(()))?;
        }
        let checkpoint_every = match self.kind {
            Kind::WithoutLog => CHECKPOINT_EVERY_WITHOUT_LOG,
            _ => CHECKPOINT_EVERY,
        };
        if self.id == 0 && number.is_multiple_of(checkpoint_every) {
            self.store.checkpoint()?;
        } else if self.id == 1
            && number.is_multiple_of(FLUSH_EVERY)
            && self.kind != Kind::WithoutLog
        {
            self.store.flush()?;
        } else {
            return Ok(());
        }
        self.tell(number, true)
    }

    fn commit(&self, number: u64) -> Made<Ticket> {
        let changes = changes(self.kind, self.seed, self.id, number);
        let options = self.options(number);
        if number.is_multiple_of(SHARED_EVERY) {
            loop {
                match self.commit_after_reading(&changes, &options) {
                    Err(error) if error.is_retryable() => {}
                    other => return Ok(other?),
                }
            }
        }
        let mut batch = Batch::new();
        for ((tree, key), value) in changes {
            match value {
                Some(value) => batch.put(self.trees[tree], key, value, Expect::Any),
                None => batch.delete(self.trees[tree], key, Expect::Any),
            }
        }
        Ok(self.store.write(&batch, &options)?)
    }

    fn options(&self, number: u64) -> CommitOptions {
        match self.kind {
            Kind::WithoutLog => CommitOptions::default(),
            kind => CommitOptions::with_durability(level(kind, number)),
        }
    }

    /// The changes and one more on the shared number, which somebody else may
    /// have changed first.
    fn commit_after_reading(
        &self,
        changes: &Changes,
        options: &CommitOptions,
    ) -> cs_kv::Result<Ticket> {
        let mut txn = self.store.begin()?;
        let shared = number_in(txn.get(self.trees[0], SHARED_KEY)?);
        txn.put(
            self.trees[0],
            SHARED_KEY.to_vec(),
            (shared + 1).to_be_bytes().to_vec(),
        )?;
        for ((tree, key), value) in changes {
            match value {
                Some(value) => txn.put(self.trees[*tree], key.clone(), value.clone())?,
                None => txn.delete(self.trees[*tree], key.clone())?,
            }
        }
        txn.commit(options)
    }

    fn stored_counter(&self) -> Made<u64> {
        let snapshot = self.store.snapshot()?;
        Ok(number_in(
            snapshot.get(self.trees[0], &counter_key(self.id))?,
        ))
    }

    /// What was acknowledged is visible to everybody.
    fn look(&self, acknowledged: u64) -> Made<()> {
        let seen = self.stored_counter()?;
        if seen < acknowledged {
            return Err(format!("{acknowledged} was acknowledged, {seen} is visible").into());
        }
        Ok(())
    }
}

/// A stored number; 0 if there is none.
pub(super) fn number_in(value: Option<Vec<u8>>) -> u64 {
    value
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}
