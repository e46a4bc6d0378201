//! Cycles of dependencies, from the worst kind to the mildest.
//!
//! Snapshot isolation allows a cycle only with two anti-dependencies next to
//! each other. To look for one without, each transaction stands for two states:
//! the way here ended with an anti-dependency, or not; from the former no other
//! goes on. A strongly connected component (Tarjan, *Depth-First Search and Linear
//! Graph Algorithms*, 1972) of more than one state has a cycle; of these the one
//! with the fewest anti-dependencies, then the shortest, is told.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::checker::{Anomaly, Inferred, Kind};
use super::graph::{Edge, Graph, Reason};

/// States of a component from which the best cycle is looked for: all, unless
/// something is very wrong.
const STARTS: usize = 100;
/// Cycles told of one history.
const TOLD: usize = 5;

/// Anti-dependencies, and edges.
type Cost = (usize, usize);
/// Edges with where they begin, each where the one before it ends.
type Cycle = Vec<(usize, Edge)>;

/// Finds the worst kind of cycle that there is; milder ones may follow from it.
pub(super) fn find(inferred: &Inferred<'_>, graph: &Graph, found: &mut Vec<Anomaly>) {
    let all = |_: Reason| true;
    let no_time = |reason: Reason| reason != Reason::Time;
    let writes = |reason: Reason| matches!(reason, Reason::Write(_));
    let depends = |reason: Reason| no_time(reason) && !reason.is_anti();
    let stages: [(&dyn Fn(Reason) -> bool, bool); 4] = [
        (&writes, false),
        (&depends, false),
        (&no_time, true),
        (&all, true),
    ];
    for (wanted, apart) in stages {
        tell(inferred, graph, wanted, apart, found);
        if !found.is_empty() {
            return;
        }
    }
    let serializable = Graph::of_serializable(inferred);
    tell(inferred, &serializable, &no_time, false, found);
    if found.is_empty() {
        tell(inferred, &serializable, &all, false, found);
    }
}

/// One cycle of each component; with `apart`, of those in which no two
/// anti-dependencies are next to each other.
fn tell(
    inferred: &Inferred<'_>,
    graph: &Graph,
    wanted: &dyn Fn(Reason) -> bool,
    apart: bool,
    found: &mut Vec<Anomaly>,
) {
    let states = States::of(graph, wanted, apart);
    for component in components(&states.edges) {
        if let Some(cycle) = states.best_cycle(&component)
            && found.len() < TOLD
        {
            found.push(describe(inferred, &cycle, apart));
        }
    }
}

/// Transactions, each twice if it matters how one came there.
struct States {
    edges: Vec<Vec<Edge>>,
    /// Of the graph, before they were doubled.
    nodes: usize,
}

impl States {
    fn of(graph: &Graph, wanted: &dyn Fn(Reason) -> bool, apart: bool) -> Self {
        let nodes = graph.edges.len();
        let mut edges = vec![Vec::new(); if apart { 2 * nodes } else { nodes }];
        for (from, outgoing) in graph.edges.iter().enumerate() {
            for edge in outgoing.iter().filter(|edge| wanted(edge.reason)) {
                if !apart {
                    edges[from].push(*edge);
                } else if edge.reason.is_anti() {
                    let to = edge.to + nodes;
                    edges[from].push(Edge { to, ..*edge });
                } else {
                    edges[from].push(*edge);
                    edges[from + nodes].push(*edge);
                }
            }
        }
        Self { edges, nodes }
    }

    /// The cycle within a component that has the fewest anti-dependencies, then edges.
    fn best_cycle(&self, component: &[usize]) -> Option<Cycle> {
        let inside: HashSet<usize> = component.iter().copied().collect();
        let starts = component.iter().take(STARTS);
        let cycles = starts.filter_map(|&start| self.cycle_from(start, &inside));
        let (_, cycle) = cycles.min_by_key(|(cost, _)| *cost)?;
        let node = |state: usize| state % self.nodes;
        let plain = |(from, edge): (usize, Edge)| {
            let to = node(edge.to);
            (node(from), Edge { to, ..edge })
        };
        Some(cycle.into_iter().map(plain).collect())
    }

    fn cycle_from(&self, start: usize, inside: &HashSet<usize>) -> Option<(Cost, Cycle)> {
        let mut queue = BinaryHeap::from([Reverse(((0, 0), start))]);
        let mut best: HashMap<usize, Cost> = HashMap::new();
        let mut came: HashMap<usize, (usize, Edge)> = HashMap::new();
        while let Some(Reverse((cost, state))) = queue.pop() {
            if state == start && cost.1 > 0 {
                let mut cycle = Vec::new();
                let mut at = start;
                while let Some(&(from, edge)) = came.get(&at) {
                    cycle.push((from, edge));
                    at = from;
                    if at == start {
                        break;
                    }
                }
                cycle.reverse();
                return Some((cost, cycle));
            }
            for edge in &self.edges[state] {
                let next = (cost.0 + usize::from(edge.reason.is_anti()), cost.1 + 1);
                let is_better = best.get(&edge.to).is_none_or(|known| next < *known);
                if inside.contains(&edge.to) && is_better {
                    best.insert(edge.to, next);
                    came.insert(edge.to, (state, *edge));
                    queue.push(Reverse((next, edge.to)));
                }
            }
        }
        None
    }
}

fn describe(inferred: &Inferred<'_>, cycle: &[(usize, Edge)], apart: bool) -> Anomaly {
    let txns = inferred.txns;
    let count = |wanted: &dyn Fn(Reason) -> bool| {
        let reasons = cycle.iter().map(|(_, edge)| edge.reason);
        reasons.filter(|reason| wanted(*reason)).count()
    };
    let antis = count(&|reason| reason.is_anti());
    let kind = if !apart && antis > 0 {
        if count(&|reason| matches!(reason, Reason::Anti(_, true))) > 0 {
            Kind::G2Predicate
        } else {
            Kind::G2Item
        }
    } else if count(&|reason| reason == Reason::Time) > 0 {
        Kind::StaleRead
    } else if antis > 1 {
        Kind::LongFork
    } else if antis == 1 {
        match cycle {
            [(_, one), (_, other)]
                if matches!(one.reason, Reason::Read(_))
                    || matches!(other.reason, Reason::Read(_)) =>
            {
                Kind::FracturedRead
            }
            _ => Kind::GSingle,
        }
    } else if count(&|reason| matches!(reason, Reason::Read(_))) > 0 {
        Kind::G1c
    } else {
        Kind::G0
    };
    let mut text = String::new();
    let mut members = Vec::new();
    // Begun at a transaction, so that nodes of time lie inside.
    let first = cycle.iter().position(|(from, _)| *from < txns.len());
    for place in 0..cycle.len() {
        let (from, edge) = cycle[(place + first.unwrap_or(0)) % cycle.len()];
        if from < txns.len() {
            members.push(from);
            text.push_str(&format!("\n  T{from} = {}", txns[from]));
        }
        if edge.to < txns.len() {
            let why = match edge.reason {
                Reason::Write(key) => format!("appended to key {key} right before"),
                Reason::Read(key) => format!("appended to key {key} what was read by"),
                Reason::Anti(key, _) => format!("read key {key} without what was appended by"),
                Reason::Time => "was answered before there began".into(),
            };
            text.push_str(&format!("\n    {why} T{}", edge.to));
        }
    }
    Anomaly {
        kind,
        text,
        txns: members,
    }
}

/// The strongly connected components of more than one node.
fn components(edges: &[Vec<Edge>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut order = vec![UNSEEN; edges.len()];
    let mut low = vec![0; edges.len()];
    let mut on_stack = vec![false; edges.len()];
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..edges.len() {
        if order[root] != UNSEEN {
            continue;
        }
        // Node and which of its edges is next: the call stack of the recursion.
        let mut calls = vec![(root, 0)];
        while let Some((node, edge)) = calls.last_mut() {
            let node = *node;
            if *edge == 0 {
                order[node] = next;
                low[node] = next;
                next += 1;
                stack.push(node);
                on_stack[node] = true;
            }
            if let Some(Edge { to, .. }) = edges[node].get(*edge) {
                *edge += 1;
                if order[*to] == UNSEEN {
                    calls.push((*to, 0));
                } else if on_stack[*to] {
                    low[node] = low[node].min(order[*to]);
                }
                continue;
            }
            calls.pop();
            if let Some(&(caller, _)) = calls.last() {
                low[caller] = low[caller].min(low[node]);
            }
            if low[node] == order[node] {
                let mut component = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack[member] = false;
                    component.push(member);
                    if member == node {
                        break;
                    }
                }
                if component.len() > 1 {
                    found.push(component);
                }
            }
        }
    }
    found
}
