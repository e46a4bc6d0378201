//! Transactions of the log, put together from the parts of large ones.
//!
//! Invariant: a run counts only if none of its parts is missing.

use cs_base::Index;
use cs_kv::limits::MAX_TRANSACTION;
use cs_kv::{Effect, Effects, unpack_payload};
use cs_wal::{RecordHead, RecordKind};

/// Flag of a transaction: parts come before it. See the FORMAT.md of cs-kv.
const HAS_PARTS: u8 = 1;
/// Flag of a part: it is the first of its run.
const FIRST_PART: u8 = 2;

/// Takes records in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    bytes: Vec<u8>,
    /// Index of the last part; `None`: no run is open.
    last: Option<Index>,
}

impl Parts {
    /// The plain payload of a transaction, when its last record comes; or why
    /// there is none.
    pub(crate) fn push(
        &mut self,
        head: &RecordHead,
        payload: &[u8],
    ) -> Option<Result<Vec<u8>, String>> {
        match head.kind {
            RecordKind::Part => {
                let is_first = head.flags & FIRST_PART != 0;
                if is_first {
                    self.bytes.clear();
                }
                let fits = self.bytes.len() + payload.len() <= MAX_TRANSACTION;
                if fits && (is_first || self.continues(head.index)) {
                    self.bytes.extend_from_slice(payload);
                    self.last = Some(head.index);
                } else {
                    self.last = None;
                }
                None
            }
            RecordKind::Transaction if head.flags & HAS_PARTS != 0 => {
                let is_whole = self.continues(head.index);
                let mut whole = std::mem::take(&mut self.bytes);
                self.last = None;
                if !is_whole {
                    return Some(Err("parts of the transaction are missing".to_owned()));
                }
                whole.extend_from_slice(payload);
                Some(unpack(&whole))
            }
            RecordKind::Transaction => {
                self.bytes.clear();
                self.last = None;
                Some(unpack(payload))
            }
            _ => None,
        }
    }

    fn continues(&self, index: Index) -> bool {
        self.last.is_some_and(|last| last.next() == index)
    }
}

fn unpack(payload: &[u8]) -> Result<Vec<u8>, String> {
    let plain = unpack_payload(payload).map_err(|error| error.to_string())?;
    Ok(plain.into_owned())
}

/// Hands out the effects of a plain payload, in order.
///
/// # Errors
/// Why the rest cannot be read.
pub(crate) fn for_each_effect(
    payload: &[u8],
    mut each: impl FnMut(Effect<'_>),
) -> Result<(), String> {
    let effects = Effects::of(payload).map_err(|error| error.to_string())?;
    for effect in effects {
        each(effect.map_err(|error| error.to_string())?);
    }
    Ok(())
}
