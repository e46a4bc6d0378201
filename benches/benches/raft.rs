//! Proposals through a cluster of three nodes in memory, without I/O: what the
//! core itself costs, and how many bytes it allocates for each.
//!
//! `cargo bench -p cs-benches --bench raft`
//!
//! A disk that is done at once, a network that loses nothing: each round
//! proposes so many payloads of 100 bytes one by one, and lets messages go
//! until all have their answers and all nodes have applied them. The bytes are
//! those of everything that the three nodes and their messages allocate, freed
//! again or not; the payload itself is made once.
#![allow(unsafe_code, reason = "an allocator cannot be had without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cs_raft::{
    Action, Config, Event, Index, Membership, Node, NodeId, Payload, RequestId, Restored, Role,
    Time,
};

/// Bytes of a payload.
const PAYLOAD: usize = 100;
/// Proposals that wait at the same time.
const IN_FLIGHT: [u64; 3] = [1, 64, 1024];
/// The log is compacted when it is this much longer.
const COMPACT_EVERY: u64 = 10_000;
/// Rounds over which allocated bytes are counted.
const COUNTED_ROUNDS: u64 = 200;

/// The system's allocator, with a sum of what was asked of it.
struct Counting(AtomicU64);

// SAFETY: everything is the system's allocator's; the count touches no memory
// that is handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(AtomicU64::new(0));

/// Three nodes, and what is under way between them.
struct Cluster {
    nodes: Vec<Node>,
    events: VecDeque<(usize, Event)>,
    payload: Payload,
    now: Time,
    requests: u64,
    waiting: u64,
    applied: [u64; 3],
    compacted: u64,
}

impl Cluster {
    /// Node 1 leads.
    fn new() -> Self {
        let membership = Membership::of_voters([1, 2, 3].map(NodeId));
        let node = |id| {
            let config = Config::new(NodeId(id), id);
            let founding = Restored::founding(membership.clone());
            Node::new(config, founding, Time(0)).expect("the defaults fit")
        };
        let mut cluster = Self {
            nodes: (1..=3).map(node).collect(),
            events: VecDeque::new(),
            payload: Payload::new([7; PAYLOAD]),
            now: Time(0),
            requests: 0,
            waiting: 0,
            applied: [0; 3],
            compacted: 0,
        };
        // Only node 1 hears that time passes, so it is the one that stands.
        while cluster.nodes[0].status().role != Role::Leader {
            cluster.now = cluster.now + Duration::from_millis(100);
            cluster.events.push_back((0, Event::Tick));
            cluster.pump();
        }
        cluster
    }

    /// Everything that was caused by an event, to its end.
    fn pump(&mut self) {
        while let Some((to, event)) = self.events.pop_front() {
            self.nodes[to]
                .on(self.now, event)
                .expect("the event is possible");
            while let Some(action) = self.nodes[to].take() {
                self.act(to, action);
            }
        }
    }

    fn act(&mut self, at: usize, action: Action) {
        match action {
            // The disk is done at once: what waits for it may leave.
            Action::Send { to, message, .. } => {
                let from = NodeId(at as u64 + 1);
                let event = Event::Receive { from, message };
                self.events.push_back((to.0 as usize - 1, event));
            }
            Action::Append { ticket, .. } | Action::SaveVote { ticket, .. } => {
                self.events.push_back((at, Event::Persisted { ticket }));
            }
            Action::Commit { index } => {
                self.applied[at] = index.0;
                self.events.push_back((at, Event::Applied { index }));
            }
            Action::Answer { .. } => self.waiting -= 1,
            _ => {}
        }
    }

    /// So many proposals one by one, until all are answered and applied by all.
    fn round(&mut self, proposals: u64) {
        for _ in 0..proposals {
            self.requests += 1;
            self.waiting += 1;
            let (id, payloads) = (RequestId(self.requests), vec![self.payload.clone()]);
            self.events.push_back((0, Event::Propose { id, payloads }));
        }
        self.pump();
        assert_eq!(self.waiting, 0, "every proposal was answered");
        // The followers hear of the last commit with the next heartbeat.
        while self.applied != [self.applied[0]; 3] {
            self.now = self.now + Duration::from_millis(50);
            self.events.push_back((0, Event::Tick));
            self.pump();
        }
        if self.applied[0] >= self.compacted + COMPACT_EVERY {
            self.compacted = self.applied[0];
            let to = Index(self.compacted);
            self.events
                .extend((0..3).map(|node| (node, Event::Compact { to })));
            self.pump();
        }
    }
}

fn proposals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("raft_proposals");
    for in_flight in IN_FLIGHT {
        let mut cluster = Cluster::new();
        cluster.round(in_flight);
        let before = ALLOCATOR.0.load(Ordering::Relaxed);
        (0..COUNTED_ROUNDS).for_each(|_| cluster.round(in_flight));
        let bytes = ALLOCATOR.0.load(Ordering::Relaxed) - before;
        let each = bytes / (COUNTED_ROUNDS * in_flight);
        println!("{in_flight} in flight: {each} bytes allocated per proposal");
        group.throughput(Throughput::Elements(in_flight));
        let id = BenchmarkId::from_parameter(in_flight);
        group.bench_function(id, |bencher| bencher.iter(|| cluster.round(in_flight)));
    }
    group.finish();
}

criterion_group!(benches, proposals);
criterion_main!(benches);
