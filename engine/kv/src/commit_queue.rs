//! Committers that come while another has the writer's lock: they leave their
//! batch, and whoever has the lock carries it out with its own.
//!
//! Without it a crowd of committers would queue up for the lock, each waking
//! the next, and then sleep once more for the sync. Here a follower sleeps once,
//! and is woken when its commit is durable, together with all of its round.
//!
//! ## Invariants
//! * A batch that was left is carried out exactly once, by whoever takes the
//!   round out of the queue with the writer's lock held, or by its owner.
//! * A follower listens before it looks, tries the lock after it has left its
//!   batch, and whoever gives the lock back looks into the queue after that: so
//!   there is always one of the two who sees the batch.
//! * Nobody waits for the log with the writer's lock held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use cs_base::{Index, Lsn};
use cs_io::EventCount;
use parking_lot::Mutex;

use crate::batch::Batch;
use crate::commit::Commit;
use crate::core::{Core, WriterGuard};
use crate::error::{Error, Result};
use crate::options::{CommitOptions, Durability};
use crate::packing::Payload;
use crate::ticket::Ticket;

/// A payload that is left for another: what takes longer is not put on
/// somebody else's shoulders.
const MAX_LEFT: usize = 16 * 1024;
/// Rounds that one leader carries out before it sees to its own commit.
const ROUNDS: usize = 4;

/// What somebody wants to commit.
#[derive(Debug)]
struct Work {
    batch: Batch,
    options: CommitOptions,
    payload: Payload,
}

/// Where a batch that was left stands.
#[derive(Debug)]
enum State {
    Left(Work),
    /// The leader is at it.
    Taken,
    /// Carried out: visible when the log is durable up to there.
    Done(Index, Lsn),
    Refused(Error),
    /// There was no room: its owner makes some, and tries again.
    GivenBack(Work),
}

/// A place for one batch.
#[derive(Debug)]
struct Slot {
    state: Mutex<State>,
}

/// What its owner finds there.
enum Look {
    Left,
    Taken,
    Done(Index, Lsn),
    Refused(Error),
    GivenBack(Work),
}

impl Slot {
    fn look(&self) -> Look {
        let mut state = self.state.lock();
        match &*state {
            State::Left(_) => return Look::Left,
            State::Taken => return Look::Taken,
            State::Done(index, needs) => return Look::Done(*index, *needs),
            State::Refused(_) | State::GivenBack(_) => {}
        }
        match std::mem::replace(&mut *state, State::Taken) {
            State::Refused(error) => Look::Refused(error),
            State::GivenBack(work) => Look::GivenBack(work),
            // Looked at just now, under the same lock.
            State::Left(_) | State::Taken | State::Done(..) => Look::Taken,
        }
    }
}

/// Those who are served together.
#[derive(Debug, Default)]
struct Round {
    event: EventCount,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct CommitQueue {
    open: Mutex<(Arc<Round>, Vec<Arc<Slot>>)>,
    /// How many are in it, for those who only look.
    len: AtomicUsize,
}

impl CommitQueue {
    fn leave(&self, work: Work) -> (Arc<Round>, Arc<Slot>) {
        let state = Mutex::new(State::Left(work));
        let slot = Arc::new(Slot { state });
        let mut open = self.open.lock();
        open.1.push(Arc::clone(&slot));
        self.len.store(open.1.len(), Ordering::SeqCst);
        (Arc::clone(&open.0), slot)
    }

    fn take(&self) -> (Arc<Round>, Vec<Arc<Slot>>) {
        let mut open = self.open.lock();
        self.len.store(0, Ordering::SeqCst);
        std::mem::take(&mut *open)
    }

    pub(crate) fn is_empty(&self) -> bool {
        // Asked after the lock was given back. Pairs with the one in
        // `EventCount::listen`: either we see what a follower has left, or it sees,
        // when it tries the lock after that, that the lock is free.
        fence(Ordering::SeqCst);
        self.len.load(Ordering::Relaxed) == 0
    }

    /// The lock is free again: one of those who left something takes it.
    pub(crate) fn wake_one(&self) {
        let round = {
            let open = self.open.lock();
            if open.1.is_empty() {
                return;
            }
            Arc::clone(&open.0)
        };
        round.event.notify_one();
    }
}

/// A leader that panics has poisoned the store: its followers hear of it.
struct ToldOnPanic<'a>(&'a Round);

impl Drop for ToldOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.event.notify_all();
        }
    }
}

/// What a leader came to with a round.
struct Served {
    round: Arc<Round>,
    commits: u64,
    /// Up to where the log must be durable for all of them.
    needs: Lsn,
    /// Somebody need not wait for the log.
    tell_now: bool,
}

impl Core {
    /// Commits and waits until that is visible: what a crowd of clients does.
    pub(crate) fn commit_and_wait(
        self: &Arc<Self>,
        batch: Batch,
        options: &CommitOptions,
    ) -> Result<Index> {
        let plain = |core: &Arc<Self>, batch: &Batch| {
            let ticket = core.commit(&Commit::of(batch, options))?;
            ticket.wait()?;
            Ok(ticket.index())
        };
        let level = options.durability.or(self.options.durability);
        let waits = level.unwrap_or_default() == Durability::Sync && self.log.is_some();
        if !waits || !self.runtime.may_block() {
            return plain(self, &batch);
        }
        let commit = Commit::of(&batch, options);
        let mut payload = self.prepare(&commit)?;
        if let Some(mut writer) = self.try_lock_writer() {
            let outcome = self.plan_and_do_locked(&mut writer, &commit, &mut payload);
            let needs = self.serve(writer);
            let own = outcome.as_ref().map_or(Lsn::ZERO, Ticket::needs);
            let is_no_space = outcome.as_ref().is_err_and(Error::is_no_space);
            let finished = (!is_no_space).then(|| self.finish_commit(outcome));
            // Also where the own batch was refused: the others' sync is its leader's.
            let durable = self.wait_durable(needs.max(own));
            let Some(finished) = finished else {
                return plain(self, &batch);
            };
            let ticket = finished?;
            durable?;
            return Ok(ticket.index());
        }
        if payload.effects.len() > MAX_LEFT {
            return plain(self, &batch);
        }
        let options = options.clone();
        let work = Work {
            batch,
            options,
            payload,
        };
        let (round, slot) = self.queue.leave(work);
        loop {
            let listener = round.event.listen();
            match slot.look() {
                Look::Left => {
                    self.check_writable()?;
                    if let Some(writer) = self.try_lock_writer() {
                        let needs = self.serve(writer);
                        self.wait_durable(needs)?;
                        continue;
                    }
                }
                Look::Taken => {
                    if let Some(reason) = self.poison_reason() {
                        return Err(Error::OutcomeUnknown(reason));
                    }
                }
                Look::Done(index, needs) => {
                    let durable = self.log.as_ref().map_or(Lsn::ZERO, |log| log.durable_lsn());
                    if durable >= needs || self.check_sound().is_err() {
                        self.wait_durable(needs)?;
                        return Ok(index);
                    }
                }
                Look::Refused(error) => {
                    return self.visible_answer(Err(error)).map(|ticket| ticket.index());
                }
                Look::GivenBack(work) => {
                    let ticket = self.commit(&Commit::of(&work.batch, &work.options))?;
                    ticket.wait()?;
                    return Ok(ticket.index());
                }
            }
            listener.wait();
        }
    }

    /// Carries out what others have left, and gives the lock back. Returns up to
    /// where the log must be durable for all of it: the caller sees to that.
    fn serve(self: &Arc<Self>, writer: WriterGuard<'_>) -> Lsn {
        let mut needs = Lsn::ZERO;
        let mut commits = 0;
        let mut writer = Some(writer);
        for _ in 0..ROUNDS {
            if self.queue.is_empty() {
                break;
            }
            // Somebody else may have the lock by now: he serves them.
            let Some(mut guard) = writer.take().or_else(|| self.try_lock_writer()) else {
                break;
            };
            guard.lead();
            let served = self.serve_round(&mut guard);
            drop(guard);
            commits += served.commits;
            needs = needs.max(served.needs);
            self.tell(served);
        }
        drop(writer);
        // Rounds enough, or somebody else had the lock: one of them goes on.
        if !self.queue.is_empty() {
            self.queue.wake_one();
        }
        if commits > 0 {
            self.counters.commits.fetch_add(commits, Ordering::Relaxed);
            self.after_append();
        }
        self.fail_waiters();
        needs
    }

    fn serve_round(self: &Arc<Self>, writer: &mut WriterGuard<'_>) -> Served {
        let (round, slots) = self.queue.take();
        let _told = ToldOnPanic(&round);
        let mut served = Served {
            round: Arc::clone(&round),
            commits: 0,
            needs: Lsn::ZERO,
            tell_now: false,
        };
        for slot in slots {
            let mut state = slot.state.lock();
            let State::Left(mut work) = std::mem::replace(&mut *state, State::Taken) else {
                continue;
            };
            drop(state);
            let commit = Commit::of(&work.batch, &work.options);
            let outcome = self.plan_and_do_locked(writer, &commit, &mut work.payload);
            *slot.state.lock() = match outcome {
                Ok(ticket) => {
                    served.commits += 1;
                    served.needs = served.needs.max(ticket.needs());
                    State::Done(ticket.index(), ticket.needs())
                }
                Err(error) => {
                    served.tell_now = true;
                    if error.is_no_space() {
                        State::GivenBack(work)
                    } else {
                        State::Refused(error)
                    }
                }
            };
        }
        served
    }

    /// Sees to it that those of a round hear of their commits.
    fn tell(&self, served: Served) {
        let Served {
            round,
            needs,
            tell_now,
            ..
        } = served;
        if tell_now {
            round.event.notify_all();
        }
        match &self.log {
            Some(log) if needs > Lsn::ZERO => {
                log.on_durable(needs, Box::new(move |_| round.event.notify_all()));
            }
            _ => round.event.notify_all(),
        }
    }
}
