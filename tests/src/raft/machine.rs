//! The state machine of a node: a few registers, the last answer to each client, and a
//! hash over everything that was applied.
//!
//! ## Invariants
//! * The state is a function of the entries applied, in their order.
//! * A request is carried out once, however often it is in the log: what is sent again
//!   gets the answer of the first time, and what comes after a newer one of the same
//!   client is passed over.

use super::hash::mix;

#[cfg(test)]
mod tests;

/// Registers that clients use.
pub(super) const KEYS: u64 = 4;

/// What a client wants to have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Write { value: u64 },
    CompareAndSet { from: u64, to: u64 },
}

/// One request, as it lies in an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) client: u64,
    /// Counts the requests of a client.
    pub(super) number: u64,
    pub(super) key: u64,
    pub(super) command: Command,
    /// Names this try of it, for the judge.
    pub(super) attempt: u64,
}

const WORDS: usize = 7;

impl Request {
    /// Its bytes, with so many more behind.
    pub(super) fn encode(&self, padding: usize) -> Vec<u8> {
        let (kind, first, second) = match self.command {
            Command::Write { value } => (0, value, 0),
            Command::CompareAndSet { from, to } => (1, from, to),
        };
        let words = [
            self.client,
            self.number,
            self.key,
            kind,
            first,
            second,
            self.attempt,
        ];
        let mut bytes = Vec::with_capacity(words.len() * 8 + padding);
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(bytes.len() + padding, 0);
        bytes
    }

    /// From its bytes; `None` if they are none of ours.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(chunk.try_into().ok()?);
        }
        let [client, number, key, kind, first, second, attempt] = words;
        let command = match kind {
            0 => Command::Write { value: first },
            1 => Command::CompareAndSet {
                from: first,
                to: second,
            },
            _ => return None,
        };
        (bytes.len() >= WORDS * 8 && key < KEYS).then_some(Self {
            client,
            number,
            key,
            command,
            attempt,
        })
    }
}

/// Bytes that ask for nothing.
pub(super) fn filler(len: usize) -> Vec<u8> {
    vec![0xFF; len]
}

/// What a client was told of a request: what the register held before.
pub(super) type Found = u64;

/// Registers and sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// The newest entry in it.
    pub(super) applied: u64,
    values: [u64; KEYS as usize],
    /// By client: its newest request, and the answer.
    sessions: Vec<(u64, Found)>,
    /// Over all that was applied.
    pub(super) hash: u64,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            applied: 0,
            values: [0; KEYS as usize],
            sessions: Vec::new(),
            hash: 1,
        }
    }

    /// What a register holds.
    pub(super) fn read(&self, key: u64) -> u64 {
        self.values[key as usize]
    }

    /// What a client was told of its request, if that was its newest one.
    pub(super) fn answer(&self, client: u64, number: u64) -> Option<Found> {
        let session = self.sessions.get(client as usize)?;
        (session.0 == number).then_some(session.1)
    }

    /// Applies the next entry; `None` in place of a request is an entry without effect.
    /// The answer, unless it was passed over.
    pub(super) fn apply(&mut self, request: Option<Request>) -> Option<Found> {
        self.applied += 1;
        let answer = request.and_then(|request| self.carry_out(&request));
        self.hash = mix(self.hash, answer.map_or(u64::MAX, |found| found));
        for value in self.values {
            self.hash = mix(self.hash, value);
        }
        answer
    }

    fn carry_out(&mut self, request: &Request) -> Option<Found> {
        let client = request.client as usize;
        if self.sessions.len() <= client {
            self.sessions.resize(client + 1, (0, 0));
        }
        let (newest, answer) = self.sessions[client];
        if request.number <= newest {
            return (request.number == newest).then_some(answer);
        }
        let value = &mut self.values[request.key as usize];
        let found = *value;
        match request.command {
            Command::Write { value: written } => *value = written,
            Command::CompareAndSet { from, to } if from == found => *value = to,
            Command::CompareAndSet { .. } => {}
        }
        self.sessions[client] = (request.number, found);
        Some(found)
    }
}
