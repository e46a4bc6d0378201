//! Dates in text without a format.
//!
//! The library that MongoDB uses takes almost anything for a date. Here are the
//! forms that are in use: ISO 8601 dates, weeks and ordinal days, American
//! `m/d/y`, `d.m.y`, `d-m-y`, names of months in any order, each with or without
//! a time and a zone. Whatever is no such form, or names a day that there is
//! not, is an error; so are relative ones as `tomorrow`, which MongoDB refuses too.

use super::civil;
use super::zone::Zone;

/// What a text says of a date, so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parsed {
    /// Days since 1970.
    pub(super) days: Option<i64>,
    /// Seconds and milliseconds of the day.
    pub(super) time: Option<(i64, i64)>,
    /// Seconds east of Greenwich.
    pub(super) offset: Option<i64>,
}

impl Parsed {
    /// The date in milliseconds since 1970, in a zone where the text names none.
    pub(super) fn resolve(self, zone: &Zone) -> Option<i64> {
        let days = self.days?;
        let (seconds, milliseconds) = self.time.unwrap_or((0, 0));
        let local = days.checked_mul(86_400)?.checked_add(seconds)?;
        let utc = match self.offset {
            Some(offset) if zone.is_utc() => local - offset,
            // Two zones contradict each other.
            Some(_) => return None,
            None => zone.to_utc(local),
        };
        utc.checked_mul(1000)?.checked_add(milliseconds)
    }
}

/// The date that a text without a zone of its own says in UTC.
pub(in crate::expression) fn from_text_utc(text: &str) -> Option<i64> {
    parse(text)?.resolve(&Zone::Utc)
}

/// A day that there is.
pub(super) fn checked_day(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_there =
        (1..=12).contains(&month) && (1..=civil::days_in_month(year, month)).contains(&day);
    is_there.then(|| civil::to_days(year, month, day))
}

/// The number of a month's name, in full or its first letters.
pub(super) fn month_of(name: &str) -> Option<i64> {
    let lower = name.to_ascii_lowercase();
    (1..).zip(civil::MONTHS).find_map(|(number, month)| {
        let month = month.to_ascii_lowercase();
        let is_it =
            lower == month || month.get(..3) == Some(&lower) || (lower == "sept" && number == 9);
        is_it.then_some(number)
    })
}

/// A reader over the text.
struct Reader<'t> {
    rest: &'t [u8],
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.skip(1);
        }
        found
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b',')) {
            self.skip(1);
        }
    }

    fn digits(&mut self) -> &'t [u8] {
        let len = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        digits
    }

    /// From so many to so many digits, as a number.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let digits = self.digits();
        (least..=most)
            .contains(&digits.len())
            .then(|| to_number(digits))
    }

    fn word(&mut self) -> &'t str {
        let len = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        std::str::from_utf8(word).unwrap_or_default()
    }
}

/// Digits as a number; at most eighteen of them count.
pub(super) fn to_number(digits: &[u8]) -> i64 {
    digits
        .iter()
        .take(18)
        .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// Two digits of a year are of 1970 to 2069.
fn full_year(digits: usize, year: i64) -> i64 {
    match (digits, year) {
        (2, 0..=69) => year + 2000,
        (2, _) => year + 1900,
        _ => year,
    }
}

/// A text without a format.
pub(super) fn parse(text: &str) -> Option<Parsed> {
    let mut reader = Reader {
        rest: text.trim_ascii().as_bytes(),
    };
    let mut parsed = Parsed::default();
    while reader.peek().is_some() {
        step(&mut reader, &mut parsed)?;
        reader.skip_spaces();
    }
    parsed.days.is_some().then_some(parsed)
}

/// Reads the next part: a date, a time, a zone or the name of a day.
fn step(reader: &mut Reader<'_>, parsed: &mut Parsed) -> Option<()> {
    match reader.peek()? {
        b'0'..=b'9' => {
            let has_time = is_time(reader.rest);
            if has_time && parsed.time.is_none() {
                parsed.time = Some(time(reader)?);
                return Some(());
            }
            if parsed.days.is_none() {
                parsed.days = Some(date(reader)?);
                return Some(());
            }
            None
        }
        b'T' | b't' if parsed.days.is_some() && parsed.time.is_none() => {
            reader.skip(1);
            parsed.time = Some(time(reader)?);
            Some(())
        }
        b'@' if parsed.days.is_none() => {
            reader.skip(1);
            let negative = reader.take(b'-');
            let seconds = reader.number(1, 18)?;
            let seconds = if negative { -seconds } else { seconds };
            parsed.days = Some(seconds.div_euclid(86_400));
            parsed.time = Some((seconds.rem_euclid(86_400), 0));
            parsed.offset = Some(0);
            Some(())
        }
        b'+' | b'-' if parsed.time.is_some() && parsed.offset.is_none() => {
            parsed.offset = Some(offset(reader)?);
            Some(())
        }
        letter if letter.is_ascii_alphabetic() => word(reader, parsed),
        _ => None,
    }
}

/// Whether digits and a colon follow.
fn is_time(rest: &[u8]) -> bool {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let after = rest.get(digits..).unwrap_or_default();
    let half = |letters: &[u8]| {
        let letters = letters.trim_ascii_start();
        letters.len() >= 2
            && letters[1].eq_ignore_ascii_case(&b'm')
            && matches!(letters[0].to_ascii_lowercase(), b'a' | b'p')
    };
    digits <= 2 && (after.first() == Some(&b':') || half(after))
}

/// `hh[:]mm[[:]ss[.fraction]]` with or without `am` or `pm`; in seconds and
/// milliseconds of the day.
fn time(reader: &mut Reader<'_>) -> Option<(i64, i64)> {
    let digits = reader.digits();
    let (mut hour, mut minute, mut second);
    match digits.len() {
        1 | 2 => {
            (hour, minute, second) = (to_number(digits), 0, 0);
            if reader.take(b':') {
                minute = reader.number(1, 2)?;
                if reader.take(b':') {
                    second = reader.number(1, 2)?;
                }
            }
        }
        4 | 6 => {
            hour = to_number(digits.get(..2)?);
            minute = to_number(digits.get(2..4)?);
            second = to_number(digits.get(4..)?);
        }
        _ => return None,
    }
    let mut milliseconds = 0;
    if matches!(reader.peek(), Some(b'.' | b',' | b':'))
        && reader.rest.get(1).is_some_and(u8::is_ascii_digit)
    {
        reader.skip(1);
        let fraction = reader.digits();
        let padded = fraction.iter().copied().chain(std::iter::repeat(b'0'));
        milliseconds = to_number(&padded.take(3).collect::<Vec<u8>>());
    }
    let after = reader.rest.trim_ascii_start();
    let half = match after {
        [half, b'm' | b'M', ..] => half.to_ascii_lowercase(),
        _ => 0,
    };
    if matches!(half, b'a' | b'p') {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if half == b'p' { 12 } else { 0 };
        let spaces = reader.rest.len() - after.len();
        reader.skip(spaces + 2);
    }
    let is_time =
        (0..=24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    is_time.then_some((hour * 3600 + minute * 60 + second, milliseconds))
}

/// `+hh`, `+hhmm` or `+hh:mm`, in seconds.
pub(super) fn offset_of(rest: &[u8]) -> Option<(i64, usize)> {
    let sign = match rest.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut reader = Reader {
        rest: rest.get(1..)?,
    };
    let digits = reader.digits();
    let (hours, minutes) = match digits.len() {
        1 | 2 => {
            let hours = to_number(digits);
            let minutes = if reader.take(b':') {
                reader.number(2, 2)?
            } else {
                0
            };
            (hours, minutes)
        }
        3 => (to_number(digits.get(..1)?), to_number(digits.get(1..)?)),
        4 => (to_number(digits.get(..2)?), to_number(digits.get(2..)?)),
        _ => return None,
    };
    let len = rest.len() - reader.rest.len();
    Some((sign * (hours * 3600 + minutes * 60), len))
}

fn offset(reader: &mut Reader<'_>) -> Option<i64> {
    let (offset, len) = offset_of(reader.rest)?;
    reader.skip(len);
    Some(offset)
}

/// A date that begins with a digit.
fn date(reader: &mut Reader<'_>) -> Option<i64> {
    let first = reader.digits();
    let number = to_number(first);
    match (first.len(), reader.peek()) {
        // 20200102
        (8, _) => checked_day(
            to_number(first.get(..4)?),
            to_number(first.get(4..6)?),
            to_number(first.get(6..)?),
        ),
        // 2020045
        (7, _) => ordinal(to_number(first.get(..4)?), to_number(first.get(4..)?)),
        // 2020W053, 2020-W05-3
        (4, Some(b'W')) => week(reader, number),
        (4, Some(b'-')) if reader.rest.get(1) == Some(&b'W') => {
            reader.skip(1);
            week(reader, number)
        }
        // 2020-01-02, 2020-045, 2020/01/02
        (4, Some(separator @ (b'-' | b'/'))) => {
            reader.skip(1);
            if reader.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
                let month = month_of(reader.word())?;
                reader.take(b'-');
                return checked_day(number, month, reader.number(1, 2)?);
            }
            let second = reader.digits();
            if second.len() == 3 {
                return ordinal(number, to_number(second));
            }
            if !(1..=2).contains(&second.len()) {
                return None;
            }
            let day = if reader.take(separator) {
                reader.number(1, 2)?
            } else {
                1
            };
            checked_day(number, to_number(second), day)
        }
        // 12/25/2019
        (1 | 2, Some(b'/')) => {
            reader.skip(1);
            let day = reader.number(1, 2)?;
            if !reader.take(b'/') {
                return None;
            }
            let year = reader.digits();
            if !matches!(year.len(), 2 | 4) {
                return None;
            }
            checked_day(full_year(year.len(), to_number(year)), number, day)
        }
        // 25.12.2019, 25-12-2019, 25-Dec-2019
        (1 | 2, Some(separator @ (b'.' | b'-'))) => {
            reader.skip(1);
            let month = if reader.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
                month_of(reader.word())?
            } else {
                reader.number(1, 2)?
            };
            if !reader.take(separator) {
                return None;
            }
            let year = reader.digits();
            if !matches!(year.len(), 2 | 4) {
                return None;
            }
            checked_day(full_year(year.len(), to_number(year)), month, number)
        }
        // 25 December 2019, 5th Jan 2020
        (1 | 2, Some(_)) => {
            let suffix = reader.rest.get(..2).map(<[u8]>::to_ascii_lowercase);
            if matches!(suffix.as_deref(), Some(b"st" | b"nd" | b"rd" | b"th")) {
                reader.skip(2);
            }
            reader.skip_spaces();
            let month = month_of(reader.word())?;
            reader.take(b'.');
            reader.skip_spaces();
            let year = reader.digits();
            matches!(year.len(), 2 | 4)
                .then(|| checked_day(full_year(year.len(), to_number(year)), month, number))?
        }
        _ => None,
    }
}

fn ordinal(year: i64, day: i64) -> Option<i64> {
    let days = civil::to_days(year + 1, 1, 1) - civil::to_days(year, 1, 1);
    (1..=days)
        .contains(&day)
        .then(|| civil::to_days(year, 1, day))
}

/// After the year: `W05`, `W05-3`, `W053`.
fn week(reader: &mut Reader<'_>, year: i64) -> Option<i64> {
    reader.skip(1);
    let digits = reader.digits();
    let (week, day) = match digits.len() {
        2 if reader.take(b'-') => (to_number(digits), reader.number(1, 1)?),
        2 => (to_number(digits), 1),
        3 => (to_number(digits.get(..2)?), to_number(digits.get(2..)?)),
        _ => return None,
    };
    ((1..=53).contains(&week) && (0..=7).contains(&day))
        .then(|| civil::from_iso_week(year, week, day))
}

/// The name of a month with its day and year, of a zone, or of a day.
fn word(reader: &mut Reader<'_>, parsed: &mut Parsed) -> Option<()> {
    let word = reader.word();
    if let Some(month) = month_of(word)
        && parsed.days.is_none()
    {
        while matches!(reader.peek(), Some(b' ' | b'.' | b'-' | b'\t')) {
            reader.skip(1);
        }
        let day = reader.number(1, 2)?;
        let suffix = reader.rest.get(..2).map(<[u8]>::to_ascii_lowercase);
        if matches!(suffix.as_deref(), Some(b"st" | b"nd" | b"rd" | b"th")) {
            reader.skip(2);
        }
        while matches!(reader.peek(), Some(b' ' | b',' | b'.' | b'-' | b'\t')) {
            reader.skip(1);
        }
        let year = reader.number(4, 4)?;
        parsed.days = Some(checked_day(year, month, day)?);
        return Some(());
    }
    let lower = word.to_ascii_lowercase();
    if let Some(hours) = zone_hours(&lower)
        && parsed.offset.is_none()
        && parsed.days.is_some()
    {
        parsed.offset = Some(hours * 3600);
        return Some(());
    }
    const DAYS: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    // The name of a day before a date adds nothing to it.
    let is_day = DAYS
        .iter()
        .any(|day| *day == lower || day.get(..3) == Some(&lower));
    (is_day && parsed.days.is_none()).then_some(())
}

/// Hours east of Greenwich of a zone's usual letters.
fn zone_hours(name: &str) -> Option<i64> {
    Some(match name {
        "z" | "utc" | "gmt" | "wet" => 0,
        "cet" | "bst" | "west" => 1,
        "cest" | "eet" => 2,
        "eest" | "msk" => 3,
        "jst" => 9,
        "edt" => -4,
        "est" | "cdt" => -5,
        "cst" | "mdt" => -6,
        "mst" | "pdt" => -7,
        "pst" => -8,
        _ => return None,
    })
}
