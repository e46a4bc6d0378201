//! Events and actions as numbers, for the hash of the trace: enough to tell two runs
//! apart at the first step that differs.

use cs_raft::{Action, Event, Message};

use super::hash::mix;

/// Of an event at a true time.
pub(super) fn of_event(place: usize, now: u64, event: &Event) -> u64 {
    let (kind, detail) = match event {
        Event::Receive { from, message } => (1, mix(from.0, of_message(message))),
        Event::Tick => (2, 0),
        Event::Propose { id, payloads } => (3, mix(id.0, payloads.len() as u64)),
        Event::Persisted { ticket } => (4, ticket.0),
        Event::PersistFailed { ticket, .. } => (5, ticket.0),
        Event::DiskStalled => (6, 0),
        Event::DiskHealthy => (7, 0),
        Event::Applied { index } => (8, index.0),
        Event::Fetched {
            session, entries, ..
        } => (9, mix(session.0, entries.len() as u64)),
        Event::SnapshotStored { id, .. } => (10, id.index.0),
        Event::SnapshotFailed { session, .. } => (11, session.0),
        Event::SnapshotSent { session, .. } => (12, session.0),
        Event::SnapshotSendFailed { session, .. } => (13, session.0),
        Event::Read { id, .. } => (14, id.0),
        Event::ChangeMembership { id, members } => (15, mix(id.0, members.len() as u64)),
        Event::Transfer { id, .. } => (16, id.0),
        Event::Compact { to } => (17, to.0),
    };
    mix(mix(now, kind << 8 | place as u64), detail)
}

/// Of an action.
pub(super) fn of_action(place: usize, action: &Action) -> u64 {
    let (kind, detail) = match action {
        Action::Send { to, message, after } => {
            let after = after.map_or(0, |ticket| ticket.0);
            (1, mix(mix(to.0, of_message(message)), after))
        }
        Action::Append { ticket, entries } => (2, mix(ticket.0, entries.len() as u64)),
        Action::SaveVote { ticket, vote } => (3, mix(ticket.0, vote.term.0)),
        Action::SupersedeTail { from } => (4, from.0),
        Action::Commit { index } => (5, index.0),
        Action::Answer { id, .. } => (6, id.0),
        Action::ReadReady { id, index } => (7, mix(id.0, index.0)),
        Action::StartSnapshot { to, session, .. } => (8, mix(to.0, session.0)),
        Action::InstallSnapshot { ticket, id, .. } => (9, mix(ticket.0, id.index.0)),
        Action::DropSnapshot { id } => (10, id.index.0),
        Action::Fetch { session, after, .. } => (11, mix(session.0, after.0)),
        Action::Role { role, term, .. } => (12, mix(*role as u64, term.0)),
    };
    mix(kind << 8 | place as u64, detail)
}

fn of_message(message: &Message) -> u64 {
    let detail = match message {
        Message::PreVote { last, .. } => last.index.0,
        Message::PreVoteAnswer { granted, .. } => 2 + u64::from(*granted),
        Message::Vote { last, .. } => mix(last.index.0, 4),
        Message::VoteAnswer { granted, .. } => 5 + u64::from(*granted),
        Message::Append {
            previous,
            entries,
            commit,
            ..
        } => mix(mix(previous.index.0, entries.len() as u64), commit.0),
        Message::AppendAnswer { session, .. } => mix(session.0, 7),
        Message::Heartbeat { token, commit, .. } => mix(token.0, commit.0),
        Message::HeartbeatAnswer { token, .. } => mix(token.0, 8),
        Message::SnapshotOffer { id, .. } => mix(id.index.0, 9),
        Message::SnapshotAnswer { session, .. } => mix(session.0, 10),
        Message::TimeoutNow { .. } => 11,
        Message::ReadIndex { round, .. } => mix(round.number, 12),
        Message::ReadIndexAnswer { round, index, .. } => {
            mix(round.number, index.map_or(0, |index| index.0))
        }
    };
    mix(message.term().0, detail)
}
