//! What opening the store again must have left, and what is read of it: the first
//! reader of each round, and the last of all.
//!
//! ## What is promised
//! * Each prepared transaction is in doubt or decided, never both, never neither;
//!   one whose preparing was acknowledged is not forgotten, and a decision that was
//!   acknowledged is the one that is remembered.
//! * A crash takes back what was acknowledged `Async` only, and wholly.

use std::collections::HashSet;

use cs_kv::Decision;

use super::client::read_range;
use super::epoch::Round;
use super::history::{Key, Level, Number, Outcome, Step};
use super::keys;
use super::record::{Stage, State};
use crate::Verdict;
use crate::verdict::ensure;

/// Looks at everything; `decides` all that is in doubt first.
pub(super) fn settle(round: &Round<'_>, decides: bool) -> Verdict {
    let (record, store) = (round.record, round.store);
    let mut draft = record.begin("recovery".into(), Level::Serializable);
    settle_in_doubt(round)?;
    let doubtful: Vec<String> = record.lock().in_doubt.keys().cloned().collect();
    for (place, gid) in doubtful.iter().enumerate() {
        if !decides {
            break;
        }
        let decision = if place % 2 == 0 {
            Decision::Committed
        } else {
            Decision::RolledBack
        };
        round.carry_out(gid, decision)?;
    }
    if decides {
        draft = record.begin("the end".into(), Level::Serializable);
    }
    let snapshot = store.snapshot()?;
    let mut found = Vec::new();
    for (first, last) in keys::groups() {
        let Step::Range(_, _, of_group) = read_range(&snapshot, round, first, last)? else {
            continue;
        };
        let stats = snapshot.tree_stats(round.tree(first))?.unwrap_or_default();
        ensure(stats.count == of_group.len() as u64, || {
            let (count, there) = (stats.count, of_group.len());
            format!("{count} keys are counted, {there} are there")
        })?;
        found.extend(of_group);
    }
    let there: HashSet<Number> = found.iter().flat_map(|(_, list)| list).copied().collect();
    let mut state = record.lock();
    take_lost(&mut state, &there);
    draft.steps.push(Step::Range(0, Key::MAX, found));
    record.end_locked(&mut state, draft, Outcome::Committed);
    Ok(())
}

fn settle_in_doubt(round: &Round<'_>) -> Verdict {
    let store = round.store;
    let listed: HashSet<String> = store
        .list_prepared()?
        .into_iter()
        .map(|one| one.gid)
        .collect();
    let known = round.record.lock().in_doubt.clone();
    for gid in &listed {
        ensure(known.contains_key(gid), || {
            format!("'{gid}' is in doubt, which was decided or never prepared")
        })?;
    }
    for (gid, (draft, stage)) in known {
        let decision = store.decision(&gid)?.map(|decided| decided.decision);
        let outcome = match (listed.contains(&gid), decision, stage) {
            (true, None, _) => None,
            (false, None, Stage::Preparing) => Some(Outcome::Lost),
            (false, Some(found), Stage::Deciding(asked)) if found == asked => Some(match found {
                Decision::Committed => Outcome::Committed,
                Decision::RolledBack => Outcome::Aborted,
            }),
            (listed, decision, stage) => {
                return ensure(false, || {
                    format!("'{gid}' was {stage:?}; listed: {listed}, decided: {decision:?}")
                });
            }
        };
        let mut state = round.record.lock();
        match outcome {
            None => {
                state.in_doubt.insert(gid, (draft, Stage::Prepared));
            }
            Some(outcome) => {
                state.in_doubt.remove(&gid);
                round.record.end_locked(&mut state, draft, outcome);
            }
        }
    }
    Ok(())
}

/// Marks what a crash took back, as it may, and those who had only read of it.
fn take_lost(state: &mut State, there: &HashSet<Number>) {
    let mut lost: HashSet<Number> = HashSet::new();
    for (txn, is_async) in state.txns.iter_mut().zip(&state.is_async) {
        let is_heard_of = matches!(txn.outcome, Outcome::Committed | Outcome::Unknown);
        if *is_async && is_heard_of && txn.appends().any(|(_, number)| !there.contains(&number)) {
            lost.extend(txn.appends().map(|(_, number)| number));
            txn.outcome = Outcome::Lost;
        }
    }
    if lost.is_empty() {
        return;
    }
    for txn in &mut state.txns {
        let only_read = match txn.outcome {
            Outcome::Aborted => true,
            Outcome::Committed => txn.appends().next().is_none(),
            Outcome::Unknown | Outcome::Lost => false,
        };
        if only_read && txn.numbers_read().any(|number| lost.contains(&number)) {
            txn.outcome = Outcome::Lost;
        }
    }
}
