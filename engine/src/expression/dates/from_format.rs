//! Dates in text of a given format.

use super::civil;
use super::free::{Parsed, checked_day, month_of, offset_of, to_number};

/// What may follow a `%` besides another one.
pub(super) const SPECIFIERS: &[u8] = b"bBdGHjLmMSuVYzZ";

#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_weekday: Option<i64>,
    hour: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    millisecond: Option<i64>,
    offset: Option<i64>,
}

/// What `text` says, if it is of the format, which was validated.
pub(super) fn parse(text: &str, format: &str) -> Option<Parsed> {
    let mut rest = text.as_bytes();
    let mut parts = Parts::default();
    let mut format = format.bytes();
    while let Some(byte) = format.next() {
        if byte == b'%' {
            rest = parts.read(format.next()?, rest)?;
        } else {
            rest = rest.strip_prefix(&[byte])?;
        }
    }
    rest.is_empty().then(|| parts.finish())?
}

/// Up to so many digits.
fn number<'t>(
    place: &mut Option<i64>,
    rest: &'t [u8],
    least: usize,
    most: usize,
) -> Option<&'t [u8]> {
    let len = rest
        .iter()
        .take(most)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if len < least {
        return None;
    }
    let (digits, rest) = rest.split_at(len);
    *place = Some(to_number(digits));
    Some(rest)
}

impl Parts {
    fn read<'t>(&mut self, specifier: u8, rest: &'t [u8]) -> Option<&'t [u8]> {
        match specifier {
            b'%' => rest.strip_prefix(b"%"),
            b'Y' => number(&mut self.year, rest, 4, 4),
            b'm' => number(&mut self.month, rest, 2, 2),
            b'd' => number(&mut self.day, rest, 2, 2),
            b'H' => number(&mut self.hour, rest, 2, 2),
            b'M' => number(&mut self.minute, rest, 2, 2),
            b'S' => number(&mut self.second, rest, 2, 2),
            b'L' => number(&mut self.millisecond, rest, 1, 3),
            b'j' => number(&mut self.day_of_year, rest, 1, 3),
            b'G' => number(&mut self.iso_year, rest, 4, 4),
            b'V' => number(&mut self.iso_week, rest, 2, 2),
            b'u' => number(&mut self.iso_weekday, rest, 1, 1),
            b'b' | b'B' => {
                let len = rest
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphabetic())
                    .count();
                let (name, rest) = rest.split_at(len);
                self.month = Some(month_of(std::str::from_utf8(name).ok()?)?);
                Some(rest)
            }
            b'z' => {
                if let Some(after) = rest.strip_prefix(b"Z").or_else(|| rest.strip_prefix(b"z")) {
                    self.offset = Some(0);
                    return Some(after);
                }
                let (offset, len) = offset_of(rest)?;
                self.offset = Some(offset);
                rest.get(len..)
            }
            b'Z' => {
                let (sign, digits) = match rest {
                    [b'+', digits @ ..] => (1, digits),
                    [b'-', digits @ ..] => (-1, digits),
                    _ => return None,
                };
                let mut minutes = None;
                let rest = number(&mut minutes, digits, 1, 4)?;
                self.offset = Some(sign * minutes? * 60);
                Some(rest)
            }
            _ => None,
        }
    }

    fn finish(self) -> Option<Parsed> {
        let has_iso =
            self.iso_year.is_some() || self.iso_week.is_some() || self.iso_weekday.is_some();
        let has_calendar = self.month.is_some() || self.day.is_some();
        let days = if has_iso {
            if self.year.is_some() || has_calendar || self.day_of_year.is_some() {
                return None;
            }
            let (week, day) = (self.iso_week.unwrap_or(1), self.iso_weekday.unwrap_or(1));
            if !(1..=53).contains(&week) || !(1..=7).contains(&day) {
                return None;
            }
            civil::from_iso_week(self.iso_year?, week, day)
        } else if let Some(day) = self.day_of_year {
            // MongoDB counts from 0 here, although it writes from 1.
            if has_calendar || day > 366 {
                return None;
            }
            civil::to_days(self.year?, 1, 1) + day
        } else {
            checked_day(self.year?, self.month?, self.day?)?
        };
        let time = match (self.hour, self.minute, self.second) {
            (None, None, None) if self.millisecond.is_none() => None,
            (hour, minute, second) => {
                let (hour, minute) = (hour.unwrap_or(0), minute.unwrap_or(0));
                let second = second.unwrap_or(0);
                if hour > 24 || minute > 59 || second > 59 {
                    return None;
                }
                let seconds = hour * 3600 + minute * 60 + second;
                Some((seconds, self.millisecond.unwrap_or(0)))
            }
        };
        Some(Parsed {
            days: Some(days),
            time,
            offset: self.offset,
        })
    }
}
