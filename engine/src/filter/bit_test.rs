//! `$bitsAllSet`, `$bitsAllClear`, `$bitsAnySet`, `$bitsAnyClear`.
//!
//! A number is asked as the int64 that it is exactly, its sign going on for
//! ever; other numbers satisfy nothing. Bytes are asked from the first byte's
//! lowest bit on, with zeroes behind the last.

use crate::values::{Kind, Number, RawValue};

/// Which bits are asked for, and what they must be.
#[derive(Clone, Debug)]
pub(super) struct BitTest {
    /// The value that bits are looked for with.
    want_set: bool,
    /// Whether all of them must have it, or one.
    all: bool,
    /// The bits, ascending.
    positions: Box<[u32]>,
    /// The bits of an int64 that they stand for.
    mask: u64,
}

impl BitTest {
    pub(super) fn new(want_set: bool, all: bool, mut positions: Vec<u32>) -> Self {
        positions.sort_unstable();
        positions.dedup();
        let mask = positions
            .iter()
            .fold(0, |mask, position| mask | 1 << (*position).min(63));
        Self {
            want_set,
            all,
            positions: positions.into(),
            mask,
        }
    }

    /// The bits that are one, counted from the first byte's lowest.
    pub(super) fn positions_of(bytes: &[u8]) -> Vec<u32> {
        let ones = |(at, byte): (usize, &u8)| {
            let byte = *byte;
            let base = u32::try_from(at * 8).unwrap_or(u32::MAX);
            (0..8)
                .filter(move |bit| byte >> bit & 1 == 1)
                .map(move |bit| base.saturating_add(bit))
        };
        bytes.iter().enumerate().flat_map(ones).collect()
    }

    pub(super) fn accepts(&self, value: RawValue<'_>) -> bool {
        if let Some(number) = value.integer() {
            return self.accepts_integer(number);
        }
        if value.kind() == Kind::Binary {
            return value
                .binary()
                .is_some_and(|(_, bytes)| self.accepts_bytes(bytes));
        }
        let number = value.number().and_then(Number::to_i64);
        number.is_some_and(|number| self.accepts_integer(number))
    }

    fn accepts_integer(&self, number: i64) -> bool {
        let bits = u64::from_le_bytes(number.to_le_bytes());
        let right = if self.want_set { bits } else { !bits } & self.mask;
        if self.all {
            right == self.mask
        } else {
            right != 0
        }
    }

    fn accepts_bytes(&self, bytes: &[u8]) -> bool {
        let mut is_right = self.positions.iter().map(|position| {
            let byte = bytes.get(*position as usize / 8).copied();
            (byte.unwrap_or(0) >> (position % 8) & 1 == 1) == self.want_set
        });
        if self.all {
            is_right.all(|right| right)
        } else {
            is_right.any(|right| right)
        }
    }
}

#[cfg(test)]
mod tests;
