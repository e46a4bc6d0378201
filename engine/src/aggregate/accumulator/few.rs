//! `$firstN`, `$lastN`, `$minN`, `$maxN`, `$topN`, `$bottomN`, `$top` and `$bottom`.

use std::collections::VecDeque;

use super::append_array;
use crate::aggregate::parse::refused;
use crate::error::Result;
use crate::expression::{Environment, Expression, Scope, Value};
use crate::key::append_unbounded;
use crate::sort::SortPattern;
use crate::values::{DocumentBuilder, Elements, Kind, Numeric, OwnedValue, RawValue};

/// Which values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    First,
    Last,
    Min,
    Max,
    Top,
    Bottom,
}

/// The operand.
#[derive(Clone, Debug)]
pub(super) struct Few {
    which: Which,
    input: Expression,
    /// None of `$top` and `$bottom`, which keep one.
    count: Option<Expression>,
    sort: Option<SortPattern>,
}

/// The values kept so far.
#[derive(Debug)]
pub(in crate::aggregate) struct Held {
    which: Which,
    limit: usize,
    is_one: bool,
    /// With their keys in the order in which they are to come out, but for first and last.
    values: VecDeque<(Vec<u8>, OwnedValue)>,
    bytes: usize,
}

/// How many are to be kept, of a value.
pub(super) fn count_of(value: Option<&Value<'_>>) -> Result<usize> {
    let number = value.and_then(Value::raw).and_then(Numeric::of);
    let Some(number) = number else {
        let message = "the value of 'n' must be an integer";
        return Err(refused(5_787_902, message));
    };
    let Some(whole) = number.exact_i64() else {
        let message = "the value of 'n' must be an integer";
        return Err(refused(5_787_903, message));
    };
    if whole <= 0 {
        let message = format!("'n' must be greater than 0, found {whole}");
        return Err(refused(5_787_908, message));
    }
    Ok(usize::try_from(whole).unwrap_or(usize::MAX))
}

impl Few {
    pub(super) fn parse(
        name: &str,
        which: Which,
        operand: RawValue<'_>,
        scope: &Scope,
    ) -> Result<Self> {
        let is_sorted = matches!(which, Which::Top | Which::Bottom);
        let is_one = is_sorted && !name.ends_with('N');
        if operand.kind() != Kind::Document {
            let code = if is_sorted { 5_788_001 } else { 5_787_900 };
            return Err(refused(code, format!("{name} expects a document")));
        }
        let (mut input, mut count, mut sort) = (None, None, None);
        for field in Elements::new(operand.bytes()) {
            match field.name {
                b"input" if !is_sorted => input = Some(Expression::parse(field.value, scope)?),
                b"output" if is_sorted => input = Some(Expression::parse(field.value, scope)?),
                b"n" if !is_one => count = Some(Expression::parse(field.value, scope)?),
                b"sortBy" if is_sorted => {
                    if field.value.kind() != Kind::Document {
                        let message = format!("{name} expects 'sortBy' as a document");
                        return Err(refused(5_788_604, message));
                    }
                    let pattern = bson::RawDocument::from_bytes(field.value.bytes())?;
                    sort = Some(SortPattern::parse(pattern)?);
                }
                other => {
                    let code = if is_sorted { 5_788_002 } else { 5_787_901 };
                    let other = String::from_utf8_lossy(other);
                    return Err(refused(code, format!("{name} does not know '{other}'")));
                }
            }
        }
        let missing = |what: &str, code| refused(code, format!("{name} expects '{what}'"));
        if !is_one && count.is_none() {
            let code = if is_sorted { 5_788_003 } else { 5_787_906 };
            return Err(missing("n", code));
        }
        if is_sorted && sort.is_none() {
            return Err(missing("sortBy", 5_788_005));
        }
        let (what, code) = if is_sorted {
            ("output", 5_788_004)
        } else {
            ("input", 5_787_907)
        };
        let input = input.ok_or_else(|| missing(what, code))?;
        if let Some(constant) = count.as_ref().and_then(Expression::as_constant) {
            count_of(constant)?;
        }
        Ok(Self {
            which,
            input,
            count,
            sort,
        })
    }

    pub(super) fn start<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Held> {
        let limit = match &self.count {
            Some(count) => count_of(count.evaluate(environment)?.as_ref())?,
            None => 1,
        };
        Ok(Held {
            which: self.which,
            limit,
            is_one: self.count.is_none(),
            values: VecDeque::new(),
            bytes: 0,
        })
    }

    /// The value; of those that sort, with the key before it.
    pub(super) fn input<'a>(
        &'a self,
        environment: &mut Environment<'a>,
    ) -> Result<Option<Value<'a>>> {
        let value = self.input.evaluate(environment)?;
        let Some(sort) = &self.sort else {
            return Ok(value);
        };
        let key = {
            let root = environment.document();
            sort.key_of(root.map_or(&[], |root| root.bytes()))?
        };
        let value = value.unwrap_or_else(Value::null);
        Value::array(vec![Value::binary(0, &key), value]).map(Some)
    }
}

impl Held {
    pub(super) fn held(&self) -> usize {
        self.bytes
    }

    fn push(&mut self, at: usize, key: Vec<u8>, value: RawValue<'_>) {
        self.bytes += size(&key, value);
        self.values.insert(at, (key, value.into()));
        if self.values.len() > self.limit {
            let gone = if matches!(self.which, Which::Last | Which::Bottom) {
                self.values.pop_front()
            } else {
                self.values.pop_back()
            };
            if let Some((key, value)) = gone {
                self.bytes -= size(&key, value.as_raw());
            }
        }
    }

    pub(super) fn take(&mut self, input: Option<RawValue<'_>>) {
        const NULL: RawValue<'static> = RawValue {
            kind: Kind::Null,
            bytes: &[],
        };
        let len = self.values.len();
        match self.which {
            Which::First => {
                if len < self.limit {
                    self.push(len, Vec::new(), input.unwrap_or(NULL));
                }
            }
            Which::Last => self.push(len, Vec::new(), input.unwrap_or(NULL)),
            Which::Min | Which::Max => {
                let is_null =
                    |value: &RawValue<'_>| matches!(value.kind(), Kind::Null | Kind::Undefined);
                let Some(value) = input.filter(|value| !is_null(value)) else {
                    return;
                };
                let mut key = Vec::new();
                append_unbounded(value, &mut key);
                key.push(0x80);
                if self.which == Which::Max {
                    crate::key::descend(&mut key);
                }
                let at = self.values.partition_point(|(other, _)| *other <= key);
                if at < self.limit {
                    self.push(at, key, value);
                }
            }
            Which::Top | Which::Bottom => {
                let mut parts = input
                    .and_then(|input| input.elements())
                    .into_iter()
                    .flatten();
                let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
                    return;
                };
                let key = key.value.binary().map_or(&[][..], |(_, key)| key).to_vec();
                let at = self.values.partition_point(|(other, _)| *other <= key);
                let is_kept = match self.which {
                    Which::Top => at < self.limit,
                    _ => len < self.limit || at > 0,
                };
                if is_kept {
                    self.push(at, key, value.value);
                }
            }
        }
    }

    pub(super) fn write(self, name: &[u8], out: &mut DocumentBuilder) {
        let values: Vec<OwnedValue> = self.values.into_iter().map(|(_, value)| value).collect();
        if !self.is_one {
            append_array(name, &values, out);
        } else if let Some(value) = values.first() {
            out.append(name, value.as_raw());
        }
    }
}

fn size(key: &[u8], value: RawValue<'_>) -> usize {
    key.len() + value.bytes().len() + size_of::<(Vec<u8>, OwnedValue)>()
}
