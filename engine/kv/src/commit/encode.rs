//! What a commit logs: its effects, checked against the limits.

use crate::batch::{Change, Operation};
use crate::effects::{Effect, EffectWriter};
use crate::error::{Error, Result};
use crate::limits::{MAX_KEY, MAX_RESULTS, MAX_VALUE};
use crate::packing::Packer;
use crate::tree_root::system;

use super::Commit;

pub(crate) fn too_large(what: &'static str, found: u64, limit: u64) -> Error {
    Error::TooLarge { what, found, limit }
}

pub(super) fn check_limits(commit: &Commit<'_>) -> Result<()> {
    for operation in &commit.batch.operations {
        if operation.key.len() > MAX_KEY {
            return Err(too_large("key", operation.key.len() as u64, MAX_KEY as u64));
        }
        let value = operation.change.value_len();
        if value > MAX_VALUE {
            return Err(too_large("value", value as u64, MAX_VALUE as u64));
        }
    }
    if let Some(statement) = &commit.options.session
        && statement.results.len() > MAX_RESULTS
    {
        let found = statement.results.len() as u64;
        return Err(too_large("session results", found, MAX_RESULTS as u64));
    }
    Ok(())
}

/// The effects of a commit; large values are packed on the way.
pub(super) fn encode(commit: &Commit<'_>, packer: &mut Packer<'_>) -> Vec<u8> {
    let batch = commit.batch;
    let before = |op: &Operation| {
        op.before
            .as_ref()
            .map_or(0, |value| 13 + op.key.len() + value.len())
    };
    let room = |op: &Operation| 13 + op.key.len() + op.change.value_len() + before(op);
    let bytes: usize = batch.operations.iter().map(room).sum();
    let mut writer = EffectWriter::with_capacity(bytes);
    for &tree in &batch.created {
        writer.push(Effect::CreateTree { tree });
    }
    for operation in &batch.operations {
        let (tree, key) = (operation.tree, operation.key.as_slice());
        if let Some(value) = &operation.before {
            writer.push(Effect::Before { tree, key, value });
        }
        match &operation.change {
            Change::Put(value) => packer.put(&mut writer, tree, key, value),
            Change::Delete => writer.push(Effect::Delete { tree, key }),
            // Encoded when it is known what it comes to.
            Change::Evaluate(_) => continue,
        }
        if operation.was_absent {
            writer.note_absent();
        } else if operation.in_part && matches!(operation.change, Change::Put(_)) {
            writer.note_in_part();
        }
    }
    for &tree in &batch.dropped {
        writer.push(Effect::DropTree { tree });
    }
    if let Some(statement) = &commit.options.session {
        let mut value = statement.number.to_le_bytes().to_vec();
        value.extend_from_slice(&statement.results);
        let key = &statement.session;
        writer.push(Effect::Put {
            tree: system::SESSIONS,
            key,
            value: &value,
        });
    }
    writer.finish()
}
