//! Clients: one request after the other each, sent again when no answer comes, and given
//! up after a few tries. What they saw is the history that is judged at the end.
//!
//! ## Invariants
//! * Every value is written by one request only.
//! * A request that is sent again keeps its number, so it is carried out once.
//! * A request is done when an answer to any of its tries came. One that was given up
//!   stays open for ever.

use crate::linearizable::{Action, Operation};

use super::dice::Dice;
use super::machine::{Command, Found, KEYS, Request};
use super::plan::{MILLISECOND, Plan, SECOND};

/// Tries of one request.
const TRIES: u32 = 5;
/// How long a client waits for an answer.
const PATIENCE: u64 = 2 * SECOND;

/// What a node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Read { key: u64 },
    Change(Request),
}

/// One try of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) client: usize,
    /// Its place in the history.
    pub(super) operation: usize,
    pub(super) attempt: u32,
    pub(super) wish: Wish,
}

/// What a node says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// This was in the register.
    Done(Found),
    /// Ask this node, if it is known; nothing was done by this try.
    Elsewhere(Option<usize>),
    /// Nobody knows what will come of this try.
    Unknown,
}

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Sends this, after a delay, to the place that it believes in.
    Send { after: u64, call: Call },
    /// Thinks of something new after a delay.
    Think { after: u64 },
    /// Goes on waiting.
    Wait,
}

#[derive(Debug)]
struct Client {
    number: u64,
    current: Option<Call>,
    leader: Option<usize>,
}

/// All clients of a run.
#[derive(Debug)]
pub(super) struct Clients {
    clients: Vec<Client>,
    /// What they saw.
    pub(super) history: Vec<Operation>,
    last_value: u64,
    /// By key: a value that somebody saw lately.
    seen: [u64; KEYS as usize],
    thinks: u64,
    reads: u64,
    compares: u64,
    /// Requests that were answered.
    pub(super) reads_done: u64,
    pub(super) changes_done: u64,
}

impl Clients {
    pub(super) fn new(plan: &Plan) -> Self {
        let client = |_| Client {
            number: 0,
            current: None,
            leader: None,
        };
        Self {
            clients: (0..plan.clients).map(client).collect(),
            history: Vec::new(),
            last_value: 0,
            seen: [0; KEYS as usize],
            thinks: plan.thinks,
            reads: plan.reads,
            compares: plan.compares,
            reads_done: 0,
            changes_done: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether a client waits for an answer.
    pub(super) fn is_busy(&self, client: usize) -> bool {
        self.clients[client].current.is_some()
    }

    /// From now on they hurry, and read as often as they write.
    pub(super) fn hurry(&mut self) {
        self.thinks = 20 * MILLISECOND;
        self.reads = 500;
    }

    /// A client thinks of a request.
    pub(super) fn think(&mut self, dice: &mut Dice, now: u64, client: usize) -> Call {
        let key = dice.below(KEYS);
        let (wish, action) = if dice.permille(self.reads) {
            (Wish::Read { key }, Action::Read(None))
        } else {
            self.last_value += 1;
            let value = self.last_value;
            self.clients[client].number += 1;
            let (command, action) = if dice.permille(self.compares) {
                let from = self.seen[key as usize];
                let (to, found) = (value, None);
                let action = Action::CompareAndSet { from, to, found };
                (Command::CompareAndSet { from, to }, action)
            } else {
                (Command::Write { value }, Action::Write(value))
            };
            let request = Request {
                client: client as u64,
                number: self.clients[client].number,
                key,
                command,
                attempt: 0,
            };
            (Wish::Change(request), action)
        };
        self.history.push(Operation {
            key,
            action,
            called: now,
            returned: None,
        });
        let call = Call {
            client,
            operation: self.history.len() - 1,
            attempt: 0,
            wish,
        };
        self.clients[client].current = Some(call);
        call
    }

    /// Where a client sends a request: to the leader it heard of, else anywhere.
    pub(super) fn place(&self, dice: &mut Dice, call: &Call, places: &[usize]) -> usize {
        let known = self.clients[call.client].leader;
        // Whoever only reads may ask anybody.
        let asks_anybody = matches!(call.wish, Wish::Read { .. }) && dice.permille(300);
        let known = known.filter(|_| !asks_anybody);
        known.or_else(|| dice.pick(places)).unwrap_or(0)
    }

    /// How long a client waits for an answer to one try.
    pub(super) fn patience(&self) -> u64 {
        PATIENCE
    }

    /// A node has answered.
    pub(super) fn hear(
        &mut self,
        dice: &mut Dice,
        now: u64,
        (of, from): (Call, usize),
        reply: Reply,
    ) -> Next {
        let Some(current) = self.clients[of.client].current else {
            return Next::Wait;
        };
        if current.operation != of.operation {
            return Next::Wait;
        }
        match reply {
            Reply::Done(found) => {
                self.clients[of.client].leader = Some(from);
                self.clients[of.client].current = None;
                self.done(now, of, found);
                Next::Think {
                    after: dice.below(self.thinks),
                }
            }
            _ if current.attempt != of.attempt => Next::Wait,
            Reply::Elsewhere(leader) => {
                self.clients[of.client].leader = leader.filter(|leader| *leader != from);
                let after = 5 * MILLISECOND + dice.below(50 * MILLISECOND);
                self.again(of.client, after, current, 0)
            }
            Reply::Unknown => {
                self.clients[of.client].leader = None;
                self.again(of.client, 10 * MILLISECOND, current, 1)
            }
        }
    }

    /// No answer came to a try.
    pub(super) fn lose_patience(&mut self, of: Call) -> Next {
        match self.clients[of.client].current {
            Some(current) if current == of => {
                self.clients[of.client].leader = None;
                self.again(of.client, 0, current, 1)
            }
            _ => Next::Wait,
        }
    }

    /// Another try, or an end of them. Tries that did nothing do not count, but time does:
    /// each is a new one for those who wait.
    fn again(&mut self, client: usize, after: u64, call: Call, costs: u32) -> Next {
        const SHIFT: u32 = 8;
        let tries = (call.attempt >> SHIFT) + costs;
        let turns = (call.attempt & ((1 << SHIFT) - 1)) + 1;
        if tries >= TRIES || turns >> SHIFT != 0 {
            self.clients[client].current = None;
            return Next::Think { after: self.thinks };
        }
        let attempt = (tries << SHIFT) | turns;
        let call = Call { attempt, ..call };
        self.clients[client].current = Some(call);
        Next::Send { after, call }
    }

    fn done(&mut self, now: u64, call: Call, found: Found) {
        let operation = &mut self.history[call.operation];
        operation.returned = Some(now);
        self.seen[operation.key as usize] = match &mut operation.action {
            Action::Read(seen) => {
                self.reads_done += 1;
                *seen = Some(found);
                found
            }
            Action::Write(value) => {
                self.changes_done += 1;
                *value
            }
            Action::CompareAndSet {
                from,
                to,
                found: seen,
            } => {
                self.changes_done += 1;
                *seen = Some(found);
                if found == *from { *to } else { found }
            }
        };
    }
}
