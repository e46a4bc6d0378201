//! One commit, as a feed shows it, and its effects one by one.

use std::sync::Arc;

use cs_base::{HybridTime, Index};

use super::position::ChangePosition;
use crate::effects::{Effect, Effects};
use crate::error::Result;

/// One commit, as a feed shows it.
#[derive(Clone, Debug)]
pub struct ChangeRecord {
    /// The place behind it: where to go on after it.
    pub position: ChangePosition,
    /// Index of the record before it: with `position`, the place before it.
    pub before: Index,
    /// Its place in the order of all commits.
    pub index: Index,
    /// Its time.
    pub time: HybridTime,
    pub(super) payload: Arc<[u8]>,
}

impl ChangeRecord {
    /// What it changed, in order. Trees of the store itself are among them.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn effects(&self) -> Result<Effects<'_>> {
        Effects::of(&self.payload)
    }

    /// The same, for whoever takes one now and one later.
    ///
    /// # Errors
    /// As [`effects`](Self::effects).
    pub fn one_by_one(&self) -> Result<RecordEffects> {
        let effects = self.effects()?;
        let (place, left) = effects.place(&self.payload);
        Ok(RecordEffects {
            payload: Arc::clone(&self.payload),
            place,
            left,
            next: 0,
        })
    }

    /// Bytes of what it changed.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// The place within it behind its first `ordinal` effects.
    #[must_use]
    pub fn position_at(&self, ordinal: u32) -> ChangePosition {
        ChangePosition {
            index: self.before,
            ordinal,
            ..self.position
        }
    }
}

/// The effects of one commit, one by one: see [`ChangeRecord::one_by_one`].
#[derive(Clone, Debug)]
pub struct RecordEffects {
    payload: Arc<[u8]>,
    place: usize,
    left: u32,
    next: u32,
}

/// An effect, and what is known of it besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotedEffect<'a> {
    /// Its place among those of its commit, from 0.
    pub ordinal: u32,
    /// The effect.
    pub effect: Effect<'a>,
    /// See [`Effects::was_absent`].
    pub was_absent: bool,
    /// See [`Effects::in_part`].
    pub in_part: bool,
}

impl RecordEffects {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// The record is damaged.
    #[expect(
        clippy::should_implement_trait,
        reason = "what it shows is its own, so it cannot be an iterator"
    )]
    pub fn next(&mut self) -> Result<Option<NotedEffect<'_>>> {
        let mut effects = Effects::at(&self.payload, self.place, self.left)?;
        let Some(effect) = effects.next() else {
            return Ok(None);
        };
        let effect = effect?;
        (self.place, self.left) = effects.place(&self.payload);
        let ordinal = self.next;
        self.next = self.next.saturating_add(1);
        Ok(Some(NotedEffect {
            ordinal,
            effect,
            was_absent: effects.was_absent(),
            in_part: effects.in_part(),
        }))
    }
}
