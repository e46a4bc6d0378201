//! Applying, snapshots of the own state, compaction, and the way of snapshots to others.

use cs_raft::{Body, Event, Index, NodeId, Session};
use std::sync::Arc;

use crate::{Failure, Verdict};

use super::actions::place_of;
use super::clients::{Reply, Wish};
use super::disk::{Received, Write};
use super::machine::Request;
use super::plan::MILLISECOND;
use super::server::Fate;
use super::world::{What, World};

/// Entries applied at once.
const MAX_APPLIED: u64 = 200;

impl World {
    /// Applies some of what is committed.
    pub(super) fn apply(&mut self, place: usize) -> Verdict {
        let server = &mut self.servers[place];
        server.is_applying = false;
        if server.is_witness {
            return self.witness_compacts(place);
        }
        let end = server.commit.min(server.machine.applied + MAX_APPLIED);
        let begin = server.machine.applied;
        while server.machine.applied < end {
            let index = server.machine.applied + 1;
            let Some(entry) = server.log.get(index) else {
                return Err(Failure(format!(
                    "{} has to apply i{index}, which is gone",
                    server.id
                )));
            };
            let request = match &entry.body {
                Body::Data(payload) => Request::decode(&payload.0),
                Body::NoOp | Body::Membership(_) => None,
            };
            server.machine.apply(request);
            self.judge.applied(server.id, index, server.machine.hash)?;
        }
        if end == begin {
            return Ok(());
        }
        if end < server.commit {
            server.is_applying = true;
            let boot = server.boot;
            self.schedule
                .after(1 + self.plan.apply_delay / 4, What::Apply { place, boot });
        }
        self.answer_applied(place);
        self.feed(place, Event::Applied { index: Index(end) })?;
        self.checkpoint(place, self.plan.snapshot_every);
        Ok(())
    }

    /// Answers clients whose requests are applied by now.
    pub(super) fn answer_applied(&mut self, place: usize) {
        let applied = self.servers[place].machine.applied;
        let mut at = 0;
        while let Some((last, call)) = self.servers[place].committed.get(at).copied() {
            if last.index.0 > applied {
                at += 1;
                continue;
            }
            self.servers[place].committed.swap_remove(at);
            let Wish::Change(request) = call.wish else {
                continue;
            };
            let reply = match self.servers[place]
                .machine
                .answer(request.client, request.number)
            {
                Some(found) => Reply::Done(found),
                None => Reply::Unknown,
            };
            self.hits.acknowledged += u64::from(reply != Reply::Unknown);
            self.reply(place, call, reply);
        }
    }

    /// Begins a snapshot of the own state, if it is worth it: so many entries newer than
    /// the last one, and nothing in it that the disk could lose.
    pub(super) fn checkpoint(&mut self, place: usize, every: u64) {
        let server = &mut self.servers[place];
        let image = &server.disk.image;
        let newest = image
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.id.index.0);
        let is_durable = server
            .snapshot()
            .is_some_and(|snapshot| image.holds(snapshot.id));
        if server.is_checkpointing || server.machine.applied < newest + every.max(1) || !is_durable
        {
            return;
        }
        if let Some(snapshot) = server.snapshot() {
            server.is_checkpointing = true;
            self.write(place, None, Write::Checkpoint(Arc::new(snapshot)));
        }
    }

    /// The own snapshot is on disk: the log may go.
    pub(super) fn compact(&mut self, place: usize, upto: u64) -> Verdict {
        self.servers[place].is_checkpointing = false;
        let to = upto.saturating_sub(self.plan.snapshot_keeps);
        self.forget(place, to)
    }

    /// Forgets the log up to an index, on disk and in memory.
    fn forget(&mut self, place: usize, to: u64) -> Verdict {
        let server = &mut self.servers[place];
        let Some(node) = &server.node else {
            return Ok(());
        };
        let to = to.min(node.durable_index().0).min(node.applied_index().0);
        if to <= server.log.base().index.0 {
            return Ok(());
        }
        server.disk.image.log.compact(to);
        server.log.compact(to);
        self.hits.compactions += 1;
        self.feed(place, Event::Compact { to: Index(to) })
    }

    /// The log of a witness has no state behind it: what is committed may go.
    fn witness_compacts(&mut self, place: usize) -> Verdict {
        let server = &self.servers[place];
        let upto = server.commit.min(server.disk.image.log.last().index.0);
        let is_same =
            server.disk.image.log.at(upto).map(|at| at.0) == server.log.at(upto).map(|at| at.0);
        if is_same && upto >= server.log.base().index.0 + self.plan.snapshot_every {
            return self.forget(place, upto.saturating_sub(self.plan.snapshot_keeps));
        }
        Ok(())
    }

    /// Sends the state to a peer, over a connection that may break.
    pub(super) fn start_snapshot(
        &mut self,
        place: usize,
        to: NodeId,
        session: Session,
        at_least: u64,
    ) {
        self.hits.snapshots_sent += 1;
        let server = &self.servers[place];
        let boot = server.boot;
        let delay = self.dice.skewed(5 * MILLISECOND, self.plan.transfer_takes);
        let state = server
            .snapshot()
            .filter(|state| state.id.index.0 >= at_least);
        let peer = &self.servers[place_of(to)];
        let is_open = self.network.is_open(place, place_of(to)) && peer.fate == Fate::Up;
        let is_cut = !self.is_healed && self.dice.permille(self.plan.transfers_cut);
        let is_whole = is_open && !is_cut && state.is_some();
        // The fate of a cut one is not always known at once, or ever.
        if is_whole || self.is_healed || self.dice.coin() {
            self.schedule.after(
                delay,
                What::SnapshotLeft {
                    place,
                    boot,
                    to,
                    session,
                    is_whole,
                },
            );
        }
        self.hits.snapshots_cut += u64::from(is_cut);
        if let Some(state) = state.filter(|_| is_whole || (is_open && self.dice.coin())) {
            let snapshot = Arc::new(state);
            let received = Received {
                from: server.id,
                session,
                snapshot,
            };
            let (place, boot) = (place_of(to), peer.boot);
            self.schedule.after(
                delay,
                What::SnapshotComes {
                    place,
                    boot,
                    received,
                    is_whole,
                },
            );
        }
    }

    /// A snapshot is here, or broke off.
    pub(super) fn snapshot_comes(
        &mut self,
        place: usize,
        received: Received,
        is_whole: bool,
    ) -> Verdict {
        if is_whole {
            self.write(place, None, Write::Keep(received));
            return Ok(());
        }
        let Received { from, session, .. } = received;
        self.feed(place, Event::SnapshotFailed { from, session })
    }
}
