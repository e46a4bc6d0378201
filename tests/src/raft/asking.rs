//! The way between clients and servers: a network of its own, which loses and delays.

use cs_raft::{Consistency, Event, Payload};

use crate::Verdict;

use super::clients::{Call, Next, Reply, Wish};
use super::machine::filler;
use super::plan::MILLISECOND;
use super::server::{Fate, Waiter};
use super::world::{What, World};

impl World {
    pub(super) fn think(&mut self, client: usize) {
        if self.is_quiet || self.clients.is_busy(client) {
            return;
        }
        let now = self.schedule.now();
        let call = self.clients.think(&mut self.dice, now, client);
        self.send(0, call);
    }

    pub(super) fn follow(&mut self, client: usize, next: Next) {
        match next {
            Next::Wait => {}
            Next::Think { after } => self.schedule.after(after + 1, What::Think { client }),
            Next::Send { after, call } => self.send(after, call),
        }
    }

    /// A client sends a try to a server, over a network of its own.
    fn send(&mut self, after: u64, call: Call) {
        let servers: Vec<usize> = (0..self.servers.len())
            .filter(|place| self.servers[*place].fate != Fate::Lost)
            .collect();
        let place = self.clients.place(&mut self.dice, &call, &servers);
        self.schedule
            .after(after + self.clients.patience(), What::Patience { call });
        if self.is_healed || !self.dice.permille(self.plan.weather.lost / 3) {
            let delay = self.dice.between(100, 2 * MILLISECOND);
            self.schedule
                .after(after + delay, What::Ask { place, call });
        }
    }

    /// A server answers a client.
    pub(super) fn reply(&mut self, from: usize, call: Call, reply: Reply) {
        if self.is_healed || !self.dice.permille(self.plan.weather.lost / 3) {
            let delay = self.dice.between(100, 2 * MILLISECOND);
            self.schedule
                .after(delay, What::Reply { call, from, reply });
        }
    }

    /// A try of a client arrives.
    pub(super) fn ask(&mut self, place: usize, call: Call) -> Verdict {
        let server = &mut self.servers[place];
        match call.wish {
            Wish::Read { key } => {
                let began = self.judge.acknowledged;
                let id = server.request(Waiter::Read { call, key, began });
                let consistency = if self.plan.leases && self.dice.coin() {
                    Consistency::Lease
                } else {
                    Consistency::Linearizable
                };
                self.servers[place].asked = Some(id);
                let done = self.feed(place, Event::Read { id, consistency });
                self.servers[place].asked = None;
                done
            }
            Wish::Change(mut request) => {
                let attempt = self.judge.new_try();
                request.attempt = attempt;
                let id = server.request(Waiter::Change { call, attempt });
                let padding = self.dice.below(self.plan.padding + 1) as usize;
                let mut payloads = Vec::new();
                for _ in 0..self.dice.below(8).saturating_sub(5) {
                    payloads.push(Payload::new(filler(padding)));
                }
                payloads.push(Payload::new(request.encode(padding)));
                self.feed(place, Event::Propose { id, payloads })
            }
        }
    }
}
