//! A commit in its two halves: the plan, which may fail and changes nothing,
//! and the do, which must not fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cs_base::mutants::{Mutant, planted};
use cs_base::{Lsn, Term};
use cs_wal::{Appended, RecordHead, RecordKind, Reservation};

use crate::batch::Batch;
use crate::certify::check_reads_sealed;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::evaluation::{resolve, results_of};
use crate::feed::Recent;
use crate::in_flight::{InFlightRecord, Undo};
use crate::limits::{MAX_PART, MAX_TRANSACTION};
use crate::options::{CommitOptions, Durability, SessionStatement};
use crate::packing::{Packer, Payload};
use crate::recorder::Event;
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::ticket::Ticket;
use crate::transaction::Footprint;
use crate::writer::Writer;

mod encode;
mod plan;

pub(crate) use encode::too_large;
use encode::{check_limits, encode};

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
        let (resolved, answered);
        let mut places = Vec::new();
        let mut commit = *commit;
        if !commit.batch.kept.is_empty() {
            plan::check_kept(&self.pager, writer, commit.batch)?;
        }
        if commit.batch.needs_resolving() {
            self.check_writable()?;
            // Whoever asks again hears what he was told, whatever is there by now.
            let session = self.plan_session(writer, &commit);
            let outcome = session.and_then(|()| resolve(&self.pager, writer, commit.batch));
            writer.shadow.end_plan();
            (resolved, places) = outcome?;
            if let Some(statement) = &commit.options.session
                && let Some(results) = results_of(commit.batch)
            {
                let mut options = commit.options.clone();
                options.session = Some(SessionStatement {
                    results,
                    ..statement.clone()
                });
                answered = options;
                commit.options = &answered;
            }
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
            // Whoever made the batch knows its own places.
            Err(Error::Expectation { position, expected }) => Err(Error::Expectation {
                position: places.get(position).copied().unwrap_or(position),
                expected,
            }),
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
    /// after each sealing; but what one large transaction makes on top of them
    /// must find room as well. Beyond three quarters of the cache a commit would
    /// wait for writes (`Pager::is_full`).
    fn most_open(&self) -> u64 {
        const LARGE: u64 = 128 << 20;
        let cache = self.options.cache_bytes;
        (cache / 4).max((cache / 4 * 3).saturating_sub(LARGE))
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
