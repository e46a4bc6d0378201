//! What a driver does: it keeps the contract of the core, and asks the judge at each step.

use cs_raft::{
    Action, AppendOutcome, Body, Entry, Event, LogId, Membership, Message, NodeId, Outcome,
    Readiness, RequestId, Role, SnapshotOutcome, Term, Ticket,
};
use std::sync::Arc;

use crate::verdict::ensure;
use crate::{Failure, Verdict};

use super::clients::Reply;
use super::disk::{Ended, Received, Snapshot, Write};
use super::ledger::Ledger;
use super::plan::MILLISECOND;
use super::server::Waiter;
use super::world::{What, World};

/// The place of a node.
pub(super) fn place_of(id: NodeId) -> usize {
    id.0 as usize - 1
}

impl World {
    /// Does one thing that a node wants.
    pub(super) fn perform(&mut self, place: usize, action: Action) -> Verdict {
        match action {
            Action::Send { to, message, after } => {
                self.rule_of_sending(place, to, &message)?;
                let server = &mut self.servers[place];
                match after.filter(|ticket| server.open.contains(ticket)) {
                    Some(ticket) => server.held.push((ticket, to, message)),
                    None => self.release(place, to, message)?,
                }
                Ok(())
            }
            Action::Append { ticket, entries } => self.append(place, ticket, entries),
            Action::SaveVote { ticket, vote } => {
                self.write(place, Some(ticket), Write::Vote(vote));
                Ok(())
            }
            Action::SupersedeTail { from } => {
                let server = &mut self.servers[place];
                self.judge
                    .superseded(server.id, server.term(), &server.log, from.0)?;
                let known = server.commit;
                ensure(from.0 > known, || {
                    format!(
                        "{} supersedes {from}, it knows that i{known} is committed",
                        server.id
                    )
                })?;
                self.hits.superseded += 1;
                server.log.supersede(from.0);
                let first = server.supersedes.map_or(from.0, |first| first.min(from.0));
                server.supersedes = Some(first);
                Ok(())
            }
            Action::Commit { index } => self.commit(place, index.0),
            Action::Answer { id, outcome } => self.answer(place, id, &outcome),
            Action::ReadReady { id, index } => {
                let server = &mut self.servers[place];
                match server.waiting.remove(&id) {
                    Some(Waiter::Read { call, key, began }) => {
                        self.judge
                            .reads(server.id, began, index.0, server.machine.applied)?;
                        if server.asked == Some(id) {
                            let term = server.leads.unwrap_or_default();
                            self.judge.reads_at_once(server.id, Term(term))?;
                            self.hits.reads_at_once += 1;
                        }
                        let found = server.machine.read(key);
                        self.reply(place, call, Reply::Done(found));
                        Ok(())
                    }
                    other => Err(Failure(format!(
                        "{} has {id} ready to read, which is {other:?}",
                        server.id
                    ))),
                }
            }
            Action::StartSnapshot {
                to,
                session,
                at_least,
            } => {
                self.start_snapshot(place, to, session, at_least.0);
                Ok(())
            }
            Action::InstallSnapshot {
                ticket,
                id,
                membership,
            } => self.install(place, ticket, id, membership),
            Action::DropSnapshot { id } => {
                self.servers[place]
                    .stored
                    .retain(|received| received.snapshot.id != id);
                Ok(())
            }
            Action::Fetch {
                to,
                session,
                after,
                max_bytes,
            } => {
                let boot = self.servers[place].boot;
                let delay = self.dice.skewed(50, 20 * MILLISECOND);
                self.hits.fetches += 1;
                self.schedule.after(
                    delay,
                    What::Fetch {
                        place,
                        boot,
                        to,
                        session,
                        after,
                        max_bytes,
                    },
                );
                Ok(())
            }
            Action::Role {
                role,
                term,
                readiness,
                ..
            } => {
                let server = &mut self.servers[place];
                server.leads = (role == Role::Leader).then_some(term.0);
                server.is_ready = readiness == Readiness::Ready;
                ensure(role == Role::Follower || !server.is_witness, || {
                    format!("{} is a witness and stands", server.id)
                })?;
                if role == Role::Leader {
                    self.judge.leads(server.id, term, &server.log)?;
                    self.hits.leaders += u64::from(readiness == Readiness::AwaitingCommit);
                }
                if readiness == Readiness::Ready {
                    self.judge
                        .ready(server.id, term, &server.log, server.machine.applied)?;
                }
                Ok(())
            }
        }
    }

    /// A message leaves; everything it promises must be on disk.
    fn release(&mut self, place: usize, to: NodeId, message: Message) -> Verdict {
        let now = self.schedule.now();
        let server = &self.servers[place];
        let image = &server.disk.image;
        let acknowledged = match &message {
            Message::VoteAnswer {
                term,
                granted: true,
            } => {
                self.judge.votes(server.id, *term, to, image)?;
                None
            }
            Message::AppendAnswer {
                outcome: AppendOutcome::Matched { upto },
                ..
            }
            | Message::SnapshotAnswer {
                outcome: SnapshotOutcome::Stored { upto },
                ..
            } => Some(*upto),
            _ => None,
        };
        // One of an older term may speak of entries that are no more; nobody counts it.
        let is_current = || {
            server
                .node
                .as_ref()
                .is_some_and(|node| node.status().term == message.term())
        };
        if let Some(upto) = acknowledged.filter(|_| is_current()) {
            self.judge
                .acknowledges(server.id, upto.0, &server.log, image)?;
        }
        self.hits.messages += 1;
        let from = server.id;
        let schedule = &mut self.schedule;
        let ends = (place, place_of(to));
        self.network.send(
            &mut self.dice,
            now,
            ends,
            message,
            |delay, from_place, to, message| {
                let from = if from_place == place {
                    from
                } else {
                    NodeId(from_place as u64 + 1)
                };
                schedule.after(delay, What::Deliver { to, from, message });
            },
        );
        Ok(())
    }

    fn append(&mut self, place: usize, ticket: Ticket, entries: Vec<Entry>) -> Verdict {
        let is_leader = self.servers[place].leads.is_some();
        for entry in &entries {
            if is_leader {
                self.rule_of_leading(place, entry)?;
            }
            let server = &mut self.servers[place];
            let before = server.log.membership().1.clone();
            let Some(chain) = server.log.push(entry.clone()) else {
                return Err(Failure(format!(
                    "{} appends {} after {}",
                    server.id,
                    entry.id,
                    server.log.last()
                )));
            };
            self.judge.appended(server.id, entry, chain)?;
            if is_leader && matches!(entry.body, Body::Membership(_)) {
                self.hits.memberships += 1;
                server.has_changed = true;
                self.judge.changes(server.id, &server.log, &before)?;
            }
        }
        let supersedes = self.servers[place].supersedes.take();
        self.write(
            place,
            Some(ticket),
            Write::Log {
                supersedes,
                entries,
            },
        );
        Ok(())
    }

    /// Begins a write.
    pub(super) fn write(&mut self, place: usize, ticket: Option<Ticket>, write: Write) {
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        server.open.extend(ticket);
        let (number, delay) = server.disk.begin(&mut self.dice, now, ticket, write);
        let boot = server.boot;
        self.schedule.after(
            delay,
            What::WriteEnds {
                place,
                boot,
                number,
            },
        );
    }

    pub(super) fn write_ends(&mut self, place: usize, boot: u64, number: u64) -> Verdict {
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        if let Err(later) = server.disk.may_end(now) {
            self.schedule.after(
                later,
                What::WriteEnds {
                    place,
                    boot,
                    number,
                },
            );
            return Ok(());
        }
        for ended in server.disk.end(number) {
            if self.servers[place].boot != boot || self.servers[place].node.is_none() {
                return Ok(());
            }
            match ended {
                Ended::Durable(ticket) => self.durable(place, ticket)?,
                Ended::Failed(ticket) => {
                    self.hits.failed_writes += 1;
                    self.servers[place].held.retain(|held| held.0 != ticket);
                    let reason = "simulated".into();
                    self.feed(place, Event::PersistFailed { ticket, reason })?;
                    // Somebody looks after it some time later.
                    let after = self.dice.skewed(10 * MILLISECOND, 4000 * MILLISECOND);
                    self.schedule.after(after, What::CrashAt { place, boot });
                }
                Ended::Checkpointed { upto } => self.compact(place, upto)?,
                Ended::Stored(received) => {
                    let Received {
                        from,
                        session,
                        snapshot,
                    } = received.clone();
                    self.servers[place].stored.push(received);
                    let (id, membership) = (snapshot.id, Membership::clone(&snapshot.membership));
                    self.feed(
                        place,
                        Event::SnapshotStored {
                            from,
                            session,
                            id,
                            membership,
                        },
                    )?;
                }
            }
        }
        self.watch_disk(place)
    }

    fn durable(&mut self, place: usize, ticket: Ticket) -> Verdict {
        let server = &mut self.servers[place];
        server.open.retain(|open| *open != ticket);
        let mut ready = Vec::new();
        server.held.retain_mut(|(after, to, message)| {
            let is_ready = *after == ticket;
            if is_ready {
                ready.push((*to, message.clone()));
            }
            !is_ready
        });
        for (to, message) in ready {
            self.release(place, to, message)?;
        }
        self.feed(place, Event::Persisted { ticket })
    }

    /// Tells the node when its disk does not answer, and when it does again.
    pub(super) fn watch_disk(&mut self, place: usize) -> Verdict {
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        let is_stalled = server
            .disk
            .oldest()
            .is_some_and(|begun| begun + 2 * self.plan.election_timeout < now);
        if is_stalled == server.is_stalled {
            return Ok(());
        }
        server.is_stalled = is_stalled;
        self.hits.stalls += u64::from(is_stalled);
        self.feed(
            place,
            if is_stalled {
                Event::DiskStalled
            } else {
                Event::DiskHealthy
            },
        )
    }

    /// The node may know of a new commit after an event, before any of its actions.
    pub(super) fn look_at_commit(&mut self, place: usize) -> Verdict {
        let server = &self.servers[place];
        let Some(node) = &server.node else {
            return Ok(());
        };
        let index = node.commit_index().0;
        if index == server.known {
            return Ok(());
        }
        match server.leads {
            Some(term) => {
                let leader = (server.id, Term(term));
                let image = |id: NodeId| {
                    let server = self.servers.get(place_of(id));
                    server.map(|server| &server.disk.image)
                };
                let log = &server.log;
                let unsettled = self.judge.leader_commits(leader, log, index, image)?;
                self.servers[place].unsettled = unsettled;
            }
            None => self.judge.is_committed(server.id, index)?,
        }
        self.servers[place].known = index;
        Ok(())
    }

    /// What was committed by a membership that came into force in the same event.
    pub(super) fn settle(&mut self, place: usize) -> Verdict {
        let Some(unsettled) = self.servers[place].unsettled.take() else {
            return Ok(());
        };
        let server = &self.servers[place];
        self.judge
            .settles(server.id, &server.log, &unsettled, |id| {
                let server = self.servers.get(place_of(id));
                server.map(|server| &server.disk.image)
            })
    }

    fn commit(&mut self, place: usize, index: u64) -> Verdict {
        let server = &self.servers[place];
        self.judge.commits(server.id, &server.log, index)?;
        let server = &mut self.servers[place];
        if index < server.commit {
            return Err(Failure(format!(
                "{} commits i{index} after i{}",
                server.id, server.commit
            )));
        }
        server.commit = index;
        if !server.is_applying {
            server.is_applying = true;
            let boot = server.boot;
            let delay = self.dice.skewed(1, self.plan.apply_delay);
            self.schedule.after(delay, What::Apply { place, boot });
        }
        Ok(())
    }

    fn answer(&mut self, place: usize, id: RequestId, outcome: &Outcome) -> Verdict {
        let server = &mut self.servers[place];
        let node = server.id;
        let Some(waiter) = server.waiting.remove(&id) else {
            return Err(Failure(format!(
                "{node} answers {id}, which waits for nothing: {outcome}"
            )));
        };
        let elsewhere = match outcome {
            Outcome::NotLeader { leader } => Some(leader.map(place_of)),
            Outcome::Superseded | Outcome::Refused(_) => Some(None),
            Outcome::Committed { .. } | Outcome::Transferred { .. } | Outcome::Unknown => None,
        };
        self.hits.count(outcome);
        match (waiter, outcome) {
            (Waiter::Change { call, attempt }, Outcome::Committed { last }) => {
                server.told.push((attempt, *last));
                server.committed.push((*last, call));
                self.answer_applied(place);
            }
            (Waiter::Change { call, attempt }, _) => match elsewhere {
                Some(leader) => {
                    self.judge.tells_dead(node, attempt)?;
                    self.reply(place, call, Reply::Elsewhere(leader));
                }
                None => self.reply(place, call, Reply::Unknown),
            },
            (Waiter::Read { call, .. }, _) => {
                let leader = elsewhere.flatten();
                self.reply(place, call, Reply::Elsewhere(leader));
            }
            (Waiter::Operator | Waiter::Transfer, _) => {}
        }
        Ok(())
    }

    /// Takes the state of somebody else in place of the own one.
    fn install(
        &mut self,
        place: usize,
        ticket: Ticket,
        id: LogId,
        membership: Arc<Membership>,
    ) -> Verdict {
        let server = &mut self.servers[place];
        let Some(chain) = self.judge.chain_of(id) else {
            return Err(Failure(format!(
                "{} installs a snapshot at {id}, which is not committed",
                server.id
            )));
        };
        let stored = server
            .stored
            .iter()
            .position(|received| received.snapshot.id == id);
        let snapshot = match stored {
            Some(stored) => server.stored.swap_remove(stored).snapshot,
            None if server.is_witness => Arc::new(Snapshot {
                id,
                chain,
                membership: membership.clone(),
                machine: None,
            }),
            None => {
                return Err(Failure(format!(
                    "{} installs a snapshot at {id} that it does not have",
                    server.id
                )));
            }
        };
        let is_right = *snapshot.membership == *membership && snapshot.chain == chain;
        ensure(is_right, || {
            format!(
                "{} installs {id} with another membership than it has, or another past",
                server.id
            )
        })?;
        if server.log.last().index > id.index {
            self.judge
                .superseded(server.id, server.term(), &server.log, id.index.0 + 1)?;
        }
        server.log = Ledger::behind(id, chain, membership);
        if let Some(machine) = &snapshot.machine {
            server.machine = machine.clone();
        }
        server.supersedes = None;
        server.commit = server.commit.max(id.index.0);
        self.hits.installed += 1;
        self.answer_applied(place);
        self.write(place, Some(ticket), Write::Install(snapshot));
        Ok(())
    }
}
