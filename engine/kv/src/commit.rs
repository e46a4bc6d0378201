//! A commit in its two halves: the plan, which may fail and changes nothing,
//! and the do, which must not fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cs_base::mutants::{Mutant, planted};
use cs_base::{Lsn, Term, TreeId};
use cs_pager::Pager;
use cs_wal::{Appended, Log, RecordHead, RecordKind, Reservation};

use crate::batch::{Batch, Change, Expect, Operation};
use crate::certify::{check_reads, check_reads_sealed, check_write};
use crate::core::Core;
use crate::effects::{Effect, EffectWriter};
use crate::error::{Error, Result};
use crate::evaluation::resolve;
use crate::feed::Recent;
use crate::in_flight::{InFlightRecord, Undo};
use crate::limits::{MAX_KEY, MAX_PART, MAX_RESULTS, MAX_TRANSACTION, MAX_VALUE};
use crate::options::{CommitOptions, Durability};
use crate::packing::{Packer, Payload};
use crate::prepared::decided_key;
use crate::recorder::Event;
use crate::root::{Root, is_system};
use crate::snapshot::Snapshot;
use crate::ticket::Ticket;
use crate::transaction::Footprint;
use crate::tree_root::{directory_key, system};
use crate::writer::Writer;

/// The term that a node on its own writes.
pub(crate) const OWN_TERM: Term = Term(1);
/// Flag of a part record: a run of parts begins with it.
pub(crate) const FIRST_PART: u8 = 2;
/// Flag of a transaction record: part records come before it and belong to it.
pub(crate) const HAS_PARTS: u8 = 1;

/// What is to be committed.
#[derive(Clone, Copy)]
pub(crate) struct Commit<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) options: &'a CommitOptions,
    /// What the transaction read; none for an auto-committed batch.
    pub(crate) basis: Option<Basis<'a>>,
    pub(crate) stage: Stage<'a>,
}

impl<'a> Commit<'a> {
    /// A batch that builds on nothing.
    pub(crate) fn of(batch: &'a Batch, options: &'a CommitOptions) -> Self {
        Self {
            batch,
            options,
            basis: None,
            stage: Stage::Whole,
        }
    }
}

/// What a commit is to the transaction that it belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Stage<'a> {
    /// All of it.
    Whole,
    /// It is prepared: the batch writes down these changes, which it must be
    /// possible to make later.
    Prepare { gid: &'a str, changes: &'a Batch },
    /// It writes to a tree of the store's own.
    Own,
    /// It was prepared, and is decided, or its decision was passed on.
    Decide { gid: &'a str },
}

/// What a transaction builds on, and so must still hold where it commits.
#[derive(Clone, Copy)]
pub(crate) struct Basis<'a> {
    /// The state that it read.
    pub(crate) snapshot: &'a Snapshot,
    /// What of it, where that is judged too.
    pub(crate) footprint: Option<&'a Footprint>,
    /// A newer state for which what was read was found to hold before the
    /// writer's lock was taken.
    pub(crate) certified: Option<&'a Root>,
}

impl Basis<'_> {
    /// The newest state for which what was read is known to hold.
    fn certified_to(&self) -> &Root {
        self.certified.unwrap_or_else(|| self.snapshot.root())
    }
}

/// What the plan found and set aside.
pub(crate) struct Planned {
    pub(crate) reservation: Option<Reservation>,
}

impl Core {
    /// Commits. Everything that can fail has failed before anything changed.
    pub(crate) fn commit(self: &Arc<Self>, commit: &Commit<'_>) -> Result<Ticket> {
        // 1. and 2. Encode, and make room.
        let mut payload = self.prepare(commit)?;
        // What was read is judged as far as it can be before the lock is taken.
        let published = match commit.basis {
            Some(Basis {
                snapshot,
                footprint: Some(footprint),
                ..
            }) => {
                let root = snapshot.root();
                let pinned = self.published();
                if let Err(error) = check_reads_sealed(&self.pager, root, pinned.root(), footprint)
                {
                    return self.visible_answer(Err(error));
                }
                Some(pinned)
            }
            _ => None,
        };
        let certified = published.as_ref().map(|pinned| pinned.root().as_ref());
        let commit = &Commit {
            basis: commit.basis.map(|basis| Basis { certified, ..basis }),
            ..*commit
        };
        // 3. Plan and do, under the writer's lock.
        let outcome = match self.plan_and_do(commit, &mut payload) {
            Err(error) if error.is_no_space() => {
                self.note(Event::NoSpace);
                self.make_space()?;
                self.plan_and_do(commit, &mut payload)
            }
            other => other,
        };
        self.finish_commit(outcome)
    }

    /// What comes before the writer's lock is taken.
    pub(crate) fn prepare(self: &Arc<Self>, commit: &Commit<'_>) -> Result<Payload> {
        self.check_writable()?;
        // 1. Encode, outside of any lock.
        let payload = self.encode_checked(commit)?;
        // 2. Make room in memory and in the log, if there is need.
        self.start_background()?;
        self.wait_for_room()?;
        self.relieve()?;
        Ok(payload)
    }

    /// What comes after it was given back.
    pub(crate) fn finish_commit(&self, outcome: Result<Ticket>) -> Result<Ticket> {
        let ticket = self.visible_answer(outcome)?;
        // 4. Whoever has to know of it.
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.after_append();
        Ok(ticket)
    }

    /// There is no space for a commit: gives back what can be.
    fn make_space(&self) -> Result<()> {
        if let Some(log) = &self.log {
            self.must(log.drop_spares().map_err(Into::into))?;
        }
        // Two checkpoints free what only the metas still need.
        self.checkpoint_now()?;
        self.checkpoint_now()
    }

    /// An error that was found on the appended root leaves only when that root
    /// is visible: it may speak of what a crash could still take back.
    pub(crate) fn visible_answer(&self, outcome: Result<Ticket>) -> Result<Ticket> {
        if let Err(error) = &outcome {
            match error {
                Error::Conflict { .. } | Error::Prepared { .. } => &self.counters.conflicts,
                _ => &self.counters.refusals,
            }
            .fetch_add(1, Ordering::Relaxed);
            self.note(Event::Refused(error.to_string()));
            let from_trees = matches!(
                error,
                Error::Conflict { .. }
                    | Error::Prepared { .. }
                    | Error::NameTaken { .. }
                    | Error::Expectation { .. }
                    | Error::Declined { .. }
                    | Error::AlreadyApplied { .. }
                    | Error::UnknownTree(_)
            );
            if from_trees && !planted(Mutant::RefusalBeforeVisible) {
                let needs = self.visibility.lock().needs();
                self.wait_durable(needs)?;
            }
        }
        outcome
    }

    /// The effects of a batch, as a record would have them.
    pub(crate) fn effects_of(&self, batch: &Batch) -> Result<Vec<u8>> {
        let options = CommitOptions::default();
        Ok(self.encode_checked(&Commit::of(batch, &options))?.effects)
    }

    fn encode_checked(&self, commit: &Commit<'_>) -> Result<Payload> {
        check_limits(commit)?;
        let payload = self.encode(commit);
        if payload.effects.len() > MAX_TRANSACTION {
            let found = payload.effects.len() as u64;
            return Err(too_large("transaction", found, MAX_TRANSACTION as u64));
        }
        Ok(payload)
    }

    /// What is to be logged and carried out, compressed as the options say.
    fn encode(&self, commit: &Commit<'_>) -> Payload {
        let (options, packing) = (&self.options.compression, &self.counters.packing);
        let mut packer = Packer::new(options, packing, self.pager.page_size());
        let effects = encode(commit, &mut packer);
        packer.finish(effects, self.log.is_some())
    }

    fn plan_and_do(self: &Arc<Self>, commit: &Commit<'_>, payload: &mut Payload) -> Result<Ticket> {
        let result = self.plan_and_do_locked(&mut self.lock_writer(), commit, payload);
        if result.is_err() {
            self.fail_waiters();
        }
        result
    }

    /// The same with the lock held: the caller tells those who wait if this
    /// made the database fail.
    pub(crate) fn plan_and_do_locked(
        self: &Arc<Self>,
        writer: &mut Writer,
        commit: &Commit<'_>,
        payload: &mut Payload,
    ) -> Result<Ticket> {
        let resolved;
        let mut commit = *commit;
        if commit.batch.needs_resolving() {
            resolved = resolve(&self.pager, writer, commit.batch)?;
            commit.batch = &resolved;
            if resolved.is_empty() && commit.options.session.is_none() {
                // Nothing is to be changed, and that too was judged on the
                // appended root: it is known when that is visible.
                let needs = self.visibility.lock().needs();
                let is_early = planted(Mutant::AnswerBeforeVisible);
                let needs = if is_early { Lsn::ZERO } else { needs };
                let index = writer.position.index;
                return Ok(Ticket::new(Arc::clone(self), index, needs));
            }
            *payload = self.encode_checked(&commit)?;
        }
        let commit = &commit;
        let planned = self.plan(writer, commit, payload);
        let result = match planned {
            Ok(planned) => {
                let done = self.execute(writer, commit, payload, planned);
                writer.broken |= done.is_err();
                self.must(done)
            }
            Err(error) => Err(error),
        };
        writer.shadow.end_plan();
        // Only what is sealed can be written early and leave memory.
        if result.is_ok() && writer.shadow.open_bytes(&self.pager) > self.most_open() {
            let begun = writer.begin_seal_partly(&self.pager);
            writer.broken |= begun.is_err();
            self.must(begun)?;
            writer.shadow.reclaim(&self.pager);
        }
        writer.adopt_some(&self.pager);
        result
    }

    /// Bytes of pages that may stay open: the more, the fewer are copied again
    /// after each sealing; but what one large transaction makes on top of them,
    /// and the dirty ones before them, must find room as well.
    fn most_open(&self) -> u64 {
        const LARGE: u64 = 128 << 20;
        let cache = self.options.cache_bytes;
        (cache / 4).max((cache / 2).saturating_sub(LARGE))
    }

    // ---- the plan ----

    fn plan(&self, writer: &mut Writer, commit: &Commit<'_>, payload: &Payload) -> Result<Planned> {
        let pager = &self.pager;
        // A commit that waited for the lock may find the database failed.
        self.check_writable()?;
        writer.begin_plan();
        for _ in &commit.batch.created {
            writer.plan_unknown();
        }
        self.plan_session(writer, commit)?;
        check_locks(pager, writer, commit)?;
        // With the lock held it is not ended any more before the plan is.
        commit
            .basis
            .map_or(Ok(()), |basis| basis.snapshot.check())?;
        plan_trees(pager, writer, commit)?;
        let mut last = None;
        for (position, operation) in commit.batch.operations.iter().enumerate() {
            if last.replace(operation.tree) != Some(operation.tree) {
                writer.plan_root(pager, operation.tree)?;
            }
            if operation.before.is_some() {
                writer.plan_unknown();
            }
            if commit.batch.created.contains(&operation.tree) {
                writer.plan_unknown();
                continue;
            }
            let there = writer.plan_key(pager, operation.tree, &operation.key)?;
            check_expectation(operation, position, there)?;
            if let (Some(basis), Stage::Whole) = (&commit.basis, commit.stage)
                && !planted(Mutant::SkipWriteCheck)
            {
                let root = basis.snapshot.root();
                check_write(pager, writer, root, operation.tree, &operation.key)?;
            }
        }
        if let Some(basis) = &commit.basis {
            if let Stage::Prepare { changes, .. } = commit.stage {
                check_changes(pager, writer, basis.snapshot.root(), changes)?;
            }
            if let Some(footprint) = basis.footprint {
                check_reads(pager, writer, basis.certified_to(), footprint)?;
            }
        }
        let (pages, run) =
            writer.pages_needed(pager, &payload.effects, Some(writer.shadow.planned_pages()))?;
        let only_removes = commit.batch.only_removes();
        writer.shadow.reserve(pager, pages, run, only_removes)?;
        let reservation = match &self.log {
            Some(log) => {
                let parts: Vec<usize> =
                    payload.logged().chunks(MAX_PART).map(<[u8]>::len).collect();
                Some(self.reserve_log(log, &parts)?)
            }
            None => None,
        };
        Ok(Planned { reservation })
    }

    /// Only want of space leaves everything as it was: any other failure was
    /// one of a write or a sync.
    pub(crate) fn reserve_log(&self, log: &Log, parts: &[usize]) -> Result<Reservation> {
        match log.reserve_run(parts).map_err(Error::from) {
            Err(error) if error.is_no_space() => Err(error),
            other => self.must(other),
        }
    }

    fn plan_session(&self, writer: &mut Writer, commit: &Commit<'_>) -> Result<()> {
        let Some(statement) = &commit.options.session else {
            return Ok(());
        };
        writer.plan_root(&self.pager, system::SESSIONS)?;
        writer.plan_path(&self.pager, system::SESSIONS, &statement.session)?;
        let stored = writer.get(&self.pager, system::SESSIONS, &statement.session)?;
        let Some((head, results)) = stored.as_deref().and_then(<[u8]>::split_first_chunk) else {
            return Ok(());
        };
        let number = u64::from_le_bytes(*head);
        if number >= statement.number {
            return Err(Error::AlreadyApplied {
                number,
                results: results.to_vec(),
            });
        }
        Ok(())
    }

    // ---- the do ----

    pub(crate) fn execute(
        self: &Arc<Self>,
        writer: &mut Writer,
        commit: &Commit<'_>,
        payload: &mut Payload,
        planned: Planned,
    ) -> Result<Ticket> {
        let usual = self.options.durability.unwrap_or_default();
        let level = commit.options.durability.unwrap_or(usual);
        let waits = level == Durability::Sync && self.log.is_some();
        // What is not visible at once must leave a way back to what is.
        let before = writer.position;
        writer.in_flight.settle(self.visible_index());
        let flies = waits || self.visibility.lock().needs() > Lsn::ZERO;
        let mut undo = flies.then(Undo::default);
        let bytes = payload.effects.len() as u64;
        // 1. The record.
        let end = self.append(writer, payload.logged(), planned.reservation);
        if self.feeds.any() {
            self.feeds.push(Recent {
                before: before.index,
                index: writer.position.index,
                term: writer.position.term,
                time: writer.position.time,
                end,
                payload: payload.effects.as_slice().into(),
            });
        }
        // 2. The pages.
        writer.apply(&self.pager, &payload.effects, undo.as_mut())?;
        if let Some(undo) = undo {
            writer.in_flight.push(InFlightRecord {
                before,
                index: writer.position.index,
                payload: std::mem::take(&mut payload.effects),
                undo,
            });
        }
        // 3. Who sees it when.
        let index = writer.position.index;
        self.note(Event::Committed {
            index,
            bytes,
            waits,
        });
        let needs = {
            let mut visibility = self.visibility.lock();
            let waits = waits && !planted(Mutant::VisibleBeforeDurable);
            let needs = visibility.appended(index, if waits { end } else { Lsn::ZERO });
            if needs == Lsn::ZERO {
                self.publish(&visibility, None);
            }
            needs
        };
        if needs == Lsn::ZERO {
            self.feeds.notify();
        }
        Ok(Ticket::new(Arc::clone(self), index, needs))
    }

    /// Appends the record, or its parts and it, and moves the appended position.
    fn append(&self, writer: &mut Writer, payload: &[u8], reservation: Option<Reservation>) -> Lsn {
        let time = writer.position.time.tick(self.runtime.unix_ms());
        let mut position = writer.position;
        let mut parts = payload.chunks(MAX_PART).peekable();
        let mut reservation = reservation;
        let has_parts = payload.len() > MAX_PART;
        let mut is_first = true;
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            position.index = position.index.next();
            position.time = if is_last {
                time.max(position.time.tick(0))
            } else {
                position.time.tick(0)
            };
            position.term = OWN_TERM;
            if let (Some(log), Some(space)) = (&self.log, &mut reservation) {
                let kind = if is_last {
                    RecordKind::Transaction
                } else {
                    RecordKind::Part
                };
                let flags = match (is_last, std::mem::take(&mut is_first)) {
                    (true, _) if has_parts => HAS_PARTS,
                    (false, true) => FIRST_PART,
                    _ => 0,
                };
                let head = RecordHead {
                    kind,
                    flags,
                    term: position.term,
                    index: position.index,
                    time: position.time,
                };
                let Appended { end, chain, .. } = log.append_next(space, head, &[part]);
                position.lsn = end;
                position.chain = chain;
                position.incarnation = log.incarnation();
            }
        }
        writer.position = position;
        position.lsn
    }
}

/// Checks what is made and dropped, so that carrying it out cannot fail. A drop
/// conflicts with nobody: it comes after whatever was committed before it.
fn plan_trees(pager: &Pager, writer: &mut Writer, commit: &Commit<'_>) -> Result<()> {
    let Batch {
        operations,
        created,
        dropped,
        telling: _,
    } = commit.batch;
    let twice = |trees: &[TreeId]| {
        let mut sorted = trees.to_vec();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    };
    if twice(created) || twice(dropped) {
        return Err(Error::Refused(
            "a tree is made or dropped twice in one commit",
        ));
    }
    if created.iter().chain(dropped).any(|&tree| is_system(tree)) {
        return Err(Error::Refused("a system tree cannot be made or dropped"));
    }
    let is_whole = matches!(commit.stage, Stage::Whole);
    let is_own = |operation: &Operation| match operation.tree {
        system::DIRECTORY | system::DROPPED | system::SESSIONS => true,
        system::PREPARED | system::DECIDED | system::SNAPSHOTS => is_whole,
        _ => false,
    };
    if operations.iter().any(is_own) {
        return Err(Error::Refused(
            "the trees of the store itself are not written to",
        ));
    }
    for &tree in created {
        writer.plan_root(pager, tree)?;
        if writer.tree(pager, tree)?.is_some() {
            return Err(Error::Refused("a tree is made under an id that is in use"));
        }
    }
    for &tree in dropped {
        writer.tree(pager, tree)?.ok_or(Error::UnknownTree(tree))?;
        writer.plan_root(pager, system::DROPPED)?;
        for holder in [system::DIRECTORY, system::DROPPED] {
            writer.plan_path(pager, holder, &directory_key(tree))?;
        }
    }
    Ok(())
}

pub(crate) fn too_large(what: &'static str, found: u64, limit: u64) -> Error {
    Error::TooLarge { what, found, limit }
}

fn check_limits(commit: &Commit<'_>) -> Result<()> {
    for operation in &commit.batch.operations {
        if operation.key.len() > MAX_KEY {
            return Err(too_large("key", operation.key.len() as u64, MAX_KEY as u64));
        }
        let value = operation.change.value_len();
        if value > MAX_VALUE {
            return Err(too_large("value", value as u64, MAX_VALUE as u64));
        }
    }
    if let Some(statement) = &commit.options.session
        && statement.results.len() > MAX_RESULTS
    {
        let found = statement.results.len() as u64;
        return Err(too_large("session results", found, MAX_RESULTS as u64));
    }
    Ok(())
}

/// The effects of a commit; large values are packed on the way.
fn encode(commit: &Commit<'_>, packer: &mut Packer<'_>) -> Vec<u8> {
    let batch = commit.batch;
    let before = |op: &Operation| {
        op.before
            .as_ref()
            .map_or(0, |value| 13 + op.key.len() + value.len())
    };
    let room = |op: &Operation| 13 + op.key.len() + op.change.value_len() + before(op);
    let bytes: usize = batch.operations.iter().map(room).sum();
    let mut writer = EffectWriter::with_capacity(bytes);
    for &tree in &batch.created {
        writer.push(Effect::CreateTree { tree });
    }
    for operation in &batch.operations {
        let (tree, key) = (operation.tree, operation.key.as_slice());
        if let Some(value) = &operation.before {
            writer.push(Effect::Before { tree, key, value });
        }
        match &operation.change {
            Change::Put(value) => packer.put(&mut writer, tree, key, value),
            Change::Delete => writer.push(Effect::Delete { tree, key }),
            // Encoded when it is known what it comes to.
            Change::Evaluate(_) => {}
        }
    }
    for &tree in &batch.dropped {
        writer.push(Effect::DropTree { tree });
    }
    if let Some(statement) = &commit.options.session {
        let mut value = statement.number.to_le_bytes().to_vec();
        value.extend_from_slice(&statement.results);
        let key = &statement.session;
        writer.push(Effect::Put {
            tree: system::SESSIONS,
            key,
            value: &value,
        });
    }
    writer.finish()
}

/// Refuses what a prepared transaction is in the way of.
fn check_locks(pager: &Pager, writer: &mut Writer, commit: &Commit<'_>) -> Result<()> {
    if let Stage::Prepare { gid, .. } = commit.stage
        && writer
            .get(pager, system::DECIDED, &decided_key(gid))?
            .is_some()
    {
        return Err(Error::NameTaken { gid: gid.into() });
    }
    let locks = writer.locks(pager)?;
    if locks.is_empty() || planted(Mutant::ForgetPreparedLocks) {
        return Ok(());
    }
    match commit.stage {
        Stage::Whole | Stage::Own => locks.check_batch(commit.batch, None),
        Stage::Decide { gid } => locks.check_batch(commit.batch, Some(gid)),
        Stage::Prepare { changes, .. } => {
            locks.check_batch(changes, None)?;
            let footprint = commit.basis.and_then(|basis| basis.footprint);
            footprint.map_or(Ok(()), |footprint| locks.check_reads(footprint))
        }
    }
}

/// What a prepared transaction will change must be as its snapshot had it, and
/// possible.
fn check_changes(
    pager: &Pager,
    writer: &mut Writer,
    snapshot: &Root,
    changes: &Batch,
) -> Result<()> {
    for operation in &changes.operations {
        if !changes.created.contains(&operation.tree) {
            check_write(pager, writer, snapshot, operation.tree, &operation.key)?;
        }
    }
    for &tree in &changes.dropped {
        writer.tree(pager, tree)?.ok_or(Error::UnknownTree(tree))?;
    }
    Ok(())
}

fn check_expectation(operation: &Operation, position: usize, there: bool) -> Result<()> {
    match operation.expect {
        Expect::Absent if there => Err(Error::Expectation {
            position,
            expected: "absent",
        }),
        Expect::Present if !there => Err(Error::Expectation {
            position,
            expected: "present",
        }),
        _ => Ok(()),
    }
}
