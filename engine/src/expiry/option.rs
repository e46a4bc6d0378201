//! The options `ttlField` and `ttlFrom` of a collection: a life of its own for each document.
//!
//! ## Invariants
//! * A document expires so many seconds after its beginning as its field says: a number that
//!   is not negative. One without such a number, or without a beginning, never does.
//! * The beginning is the date in the field that `ttlFrom` names; without that option the
//!   time in its `_id`, if that is an object id.

use bson::RawDocument;

use crate::error::{Error, Result};
use crate::values::{Elements, Kind, MAX_DEPTH, Numeric, RawValue};

/// The option that names the field of seconds.
const FIELD: &str = "ttlField";
/// The option that names the field of the date from which they count.
const FROM: &str = "ttlFrom";

/// A path through documents; it does not go into arrays.
type Path = Box<[Box<[u8]>]>;

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct TtlOption {
    seconds: Path,
    from: Option<Path>,
}

impl TtlOption {
    /// That in the options of a collection, if there is one.
    ///
    /// # Errors
    /// It makes no sense.
    pub(crate) fn of(options: &RawDocument) -> Result<Option<Self>> {
        let find = |name: &str| Elements::new(options.as_bytes()).find_name(name.as_bytes());
        let (seconds, from) = (find(FIELD), find(FROM));
        let Some(seconds) = seconds else {
            return match from {
                None => Ok(None),
                Some(_) => Err(Error::bad_value(format!(
                    "the option '{FROM}' says from when the seconds of '{FIELD}' count, \
                     which is missing"
                ))),
            };
        };
        Ok(Some(Self {
            seconds: path(FIELD, seconds)?,
            from: from.map(|from| path(FROM, from)).transpose()?,
        }))
    }

    /// Whether the document has expired at this time, in milliseconds since 1970.
    pub(crate) fn has_expired(&self, document: &[u8], now_ms: i64) -> bool {
        let Some(life_ms) = self.life_ms(document) else {
            return false;
        };
        let began_ms = match &self.from {
            Some(from) => reach(document, from).and_then(|date| date.date_ms()),
            None => id_ms(document),
        };
        // A sum beyond all times is never over.
        let end_ms = began_ms.and_then(|began_ms| began_ms.checked_add(life_ms));
        end_ms.is_some_and(|end_ms| end_ms <= now_ms)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "it saturates, and then never ends"
    )]
    fn life_ms(&self, document: &[u8]) -> Option<i64> {
        let seconds = Numeric::of(reach(document, &self.seconds)?)?;
        match seconds.exact_i64() {
            Some(seconds) if seconds >= 0 => seconds.checked_mul(1000),
            Some(_) => None,
            None => {
                let ms = (seconds.to_f64() * 1000.0).ceil();
                (ms >= 0.0).then_some(ms as i64)
            }
        }
    }
}

fn path(option: &str, value: RawValue<'_>) -> Result<Path> {
    let text = value.text().filter(|_| value.kind() == Kind::String);
    let Some(text) = text else {
        return Err(Error::bad_value(format!(
            "the option '{option}' names a field, expected a string, found a value of type {}",
            value.kind().name()
        )));
    };
    let steps: Path = text.split(|byte| *byte == b'.').map(Into::into).collect();
    let is_wrong = |step: &[u8]| step.is_empty() || step[0] == b'$' || step.contains(&0);
    if steps.len() > MAX_DEPTH || steps.iter().any(|step| is_wrong(step)) {
        return Err(Error::bad_value(format!(
            "the option '{option}' names a field, which '{}' is not",
            String::from_utf8_lossy(text)
        )));
    }
    Ok(steps)
}

fn reach<'a>(document: &'a [u8], path: &[Box<[u8]>]) -> Option<RawValue<'a>> {
    let (last, parents) = path.split_last()?;
    let mut document = document;
    for step in parents {
        let value = Elements::new(document).find_name(step)?;
        document = (value.kind() == Kind::Document).then(|| value.bytes())?;
    }
    Elements::new(document).find_name(last)
}

/// The time in an `_id` that is an object id.
fn id_ms(document: &[u8]) -> Option<i64> {
    let id = Elements::new(document).find_name(b"_id")?;
    let bytes: [u8; 12] = match id.kind() {
        Kind::ObjectId => id.bytes().try_into().ok()?,
        _ => return None,
    };
    let [a, b, c, d, ..] = bytes;
    Some(i64::from(u32::from_be_bytes([a, b, c, d])) * 1000)
}

#[cfg(test)]
mod tests;
