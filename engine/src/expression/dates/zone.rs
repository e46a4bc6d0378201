//! Time zones: names of the Olson database, which is built in, and offsets.
//!
//! A local time that a change of clocks skips or repeats is resolved as the
//! library that MongoDB uses does: with the offset before a gap, and in an
//! overlap with the first offset that a look at either side agrees on.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::civil;
use crate::error::Result;
use crate::expression::arguments::{coded, kind_name, text};
use crate::expression::environment::Environment;
use crate::expression::node::Node;

/// A time zone.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    Utc,
    /// Seconds east of Greenwich.
    Offset(i64),
    Named(TimeZone),
}

/// A date in a zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    /// Days and milliseconds as the clock there shows them.
    pub(super) days: i64,
    pub(super) rest_ms: i64,
    /// Seconds east of Greenwich.
    pub(super) offset: i64,
}

impl Zone {
    /// The zone of an operand; `None` where that is null, UTC where it is absent.
    pub(super) fn operand<'a>(
        node: &'a Node,
        environment: &mut Environment<'a>,
    ) -> Result<Option<Self>> {
        if node.is_absent() {
            return Ok(Some(Self::Utc));
        }
        let value = node.or_null(environment)?;
        if value.is_nullish() {
            return Ok(None);
        }
        match text(&value) {
            Some(name) => Self::find(name).map(Some),
            None => Err(coded(
                40517,
                format!(
                    "timezone must evaluate to a string, found {}",
                    kind_name(&value)
                ),
            )),
        }
    }

    fn find(name: &str) -> Result<Self> {
        if name == "UTC" {
            return Ok(Self::Utc);
        }
        if let Some(offset) = parse_offset(name) {
            return Ok(if offset == 0 {
                Self::Utc
            } else {
                Self::Offset(offset)
            });
        }
        let found = TimeZoneDatabase::bundled().get(name).ok();
        // The database takes names in any case; MongoDB does not.
        found
            .filter(|zone| zone.iana_name() == Some(name))
            .map(Self::Named)
            .ok_or_else(|| {
                coded(
                    40485,
                    format!("unrecognized time zone identifier: \"{name}\""),
                )
            })
    }

    pub(super) fn is_utc(&self) -> bool {
        matches!(self, Self::Utc)
    }

    /// Seconds east of Greenwich at a time, in seconds since 1970.
    pub(super) fn offset_at(&self, seconds: i64) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Offset(offset) => *offset,
            Self::Named(zone) => i64::from(zone.to_offset(timestamp(seconds)).seconds()),
        }
    }

    pub(super) fn to_local(&self, milliseconds: i64) -> Local {
        let offset = self.offset_at(milliseconds.div_euclid(1000));
        let (days, rest_ms) = civil::split(milliseconds.saturating_add(offset * 1000));
        Local {
            days,
            rest_ms,
            offset,
        }
    }

    /// The time at which the clock there shows so many seconds since 1970.
    pub(super) fn to_utc(&self, local: i64) -> i64 {
        let zone = match self {
            Self::Utc => return local,
            Self::Offset(offset) => return local - offset,
            Self::Named(zone) => zone,
        };
        let current = self.offset_at(local);
        let actual = self.offset_at(local - current);
        if current == actual {
            return local - current;
        }
        // The change of clocks at or before the second guess.
        let guess = timestamp(local - current);
        let after = guess
            .checked_add(jiff::SignedDuration::from_secs(1))
            .unwrap_or(guess);
        let change = zone.preceding(after).next();
        let is_in_change = change.is_some_and(|change| {
            let at = change.timestamp().as_second();
            let shown = local - actual;
            shown >= at + (current - actual) && shown < at
        });
        if is_in_change {
            local - current
        } else {
            local - actual
        }
    }
}

impl Local {
    pub(super) fn year_month_day(&self) -> (i64, i64, i64) {
        civil::from_days(self.days)
    }

    pub(super) fn hour(&self) -> i64 {
        self.rest_ms / 3_600_000
    }

    pub(super) fn minute(&self) -> i64 {
        self.rest_ms / 60_000 % 60
    }

    pub(super) fn second(&self) -> i64 {
        self.rest_ms / 1000 % 60
    }

    pub(super) fn millisecond(&self) -> i64 {
        self.rest_ms % 1000
    }
}

/// The nearest time that the library knows; its range is that of the years
/// -9999 to 9999, beyond which no clock changes.
fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// `+05`, `+0530` or `+05:30`, in seconds.
fn parse_offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let two = |digits: &[u8]| match digits {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
        }
        _ => None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (two(digits)?, 0),
        4 => (two(digits.get(..2)?)?, two(digits.get(2..)?)?),
        5 if digits.get(2) == Some(&b':') => (two(digits.get(..2)?)?, two(digits.get(3..)?)?),
        _ => return None,
    };
    Some(sign * (hours * 3600 + minutes * 60))
}
