//! Accumulators: what `$group` makes of many values.
//!
//! ## Invariants
//! * What a state holds is owned, and [`State::held`] says about how much it is.
//! * A missing value is nothing to `$push` and `$addToSet`, and null to those that keep
//!   values by their place.

mod few;
mod percentile;
mod sum;

use std::collections::HashSet;

use super::parse::refused;
use crate::error::Result;
use crate::expression::{Environment, Expression, Scope, Value};
use crate::key::append_unbounded;
use crate::values::{DocumentBuilder, Elements, Kind, OwnedValue, RawValue};

use few::{Few, Which};
use percentile::Percentile;
use sum::{Spread, Sum};

/// One accumulator, parsed.
#[derive(Clone, Debug)]
pub(super) struct Accumulator {
    pub(super) name: Box<[u8]>,
    operator: Operator,
}

#[derive(Clone, Debug)]
enum Operator {
    Sum(Expression),
    Average(Expression),
    Min(Expression),
    Max(Expression),
    First(Expression),
    Last(Expression),
    Push(Expression),
    AddToSet(Expression),
    MergeObjects(Expression),
    Deviation { input: Expression, is_sample: bool },
    Count,
    Few(Box<Few>),
    Percentile(Box<Percentile>),
}

/// What an accumulator has seen so far.
#[derive(Debug)]
pub(super) enum State {
    Sum(Sum),
    Average(Sum),
    /// The least, the greatest, the first or the last value.
    One(Option<OwnedValue>),
    /// Whether the first was there, and it.
    First(Option<OwnedValue>, bool),
    Push(Vec<OwnedValue>, usize),
    Set(Vec<OwnedValue>, HashSet<Vec<u8>>, usize),
    Document(DocumentFields),
    Spread(Spread, bool),
    Few(few::Held),
    Percentile(Vec<f64>),
}

/// Fields of a document that is merged of others, in order.
#[derive(Debug, Default)]
pub(super) struct DocumentFields {
    fields: Vec<(Box<[u8]>, OwnedValue)>,
    index: std::collections::HashMap<Box<[u8]>, usize>,
    held: usize,
}

impl DocumentFields {
    fn merge(&mut self, document: RawValue<'_>) {
        for field in Elements::new(document.bytes()) {
            let value = OwnedValue::from(field.value);
            self.held += field.name.len() + field.value.bytes().len() + 64;
            match self.index.get(field.name) {
                Some(at) => {
                    if let Some(place) = self.fields.get_mut(*at) {
                        place.1 = value;
                    }
                }
                None => {
                    self.index.insert(field.name.into(), self.fields.len());
                    self.fields.push((field.name.into(), value));
                }
            }
        }
    }
}

impl Accumulator {
    /// The accumulator of a field of `$group`.
    pub(super) fn parse(name: &[u8], value: RawValue<'_>, scope: &Scope) -> Result<Self> {
        let shown = String::from_utf8_lossy(name);
        if name.contains(&b'.') {
            let message = format!("the name of a group's field must not have dots: '{shown}'");
            return Err(refused(40235, message));
        }
        if name.starts_with(b"$") {
            let message = format!("the name of a group's field must not be an operator: '{shown}'");
            return Err(refused(40236, message));
        }
        if value.kind() != Kind::Document {
            let message = format!("the field '{shown}' of a group must be an accumulator");
            return Err(refused(40234, message));
        }
        let mut fields = Elements::new(value.bytes());
        let (Some(field), None) = (fields.next(), fields.next()) else {
            let message = format!("the field '{shown}' of a group must have one accumulator");
            return Err(refused(40238, message));
        };
        let operator = String::from_utf8_lossy(field.name).into_owned();
        Ok(Self {
            name: name.into(),
            operator: Operator::parse(&operator, field.value, scope)?,
        })
    }

    /// Where it begins, over the group's id, on which the size of some may depend.
    pub(super) fn start<'a>(&'a self, environment: &mut Environment<'a>) -> Result<State> {
        Ok(match &self.operator {
            Operator::Sum(_) | Operator::Count => State::Sum(Sum::default()),
            Operator::Average(_) => State::Average(Sum::default()),
            Operator::Min(_) | Operator::Max(_) | Operator::Last(_) => State::One(None),
            Operator::First(_) => State::First(None, false),
            Operator::Push(_) => State::Push(Vec::new(), 0),
            Operator::AddToSet(_) => State::Set(Vec::new(), HashSet::new(), 0),
            Operator::MergeObjects(_) => State::Document(DocumentFields::default()),
            Operator::Deviation { is_sample, .. } => State::Spread(Spread::default(), *is_sample),
            Operator::Few(few) => State::Few(few.start(environment)?),
            Operator::Percentile(_) => State::Percentile(Vec::new()),
        })
    }

    /// What of a document the accumulator takes; its bytes are at hand.
    pub(super) fn input<'a>(
        &'a self,
        environment: &mut Environment<'a>,
    ) -> Result<Option<Value<'a>>> {
        let value = match &self.operator {
            Operator::Count => None,
            Operator::Few(few) => few.input(environment)?,
            Operator::Percentile(percentile) => percentile.input.evaluate(environment)?,
            Operator::Sum(input)
            | Operator::Average(input)
            | Operator::Min(input)
            | Operator::Max(input)
            | Operator::First(input)
            | Operator::Last(input)
            | Operator::Push(input)
            | Operator::AddToSet(input)
            | Operator::MergeObjects(input)
            | Operator::Deviation { input, .. } => input.evaluate(environment)?,
        };
        value.map(Value::flat).transpose()
    }

    /// Takes what [`input`](Self::input) gave.
    pub(super) fn take(&self, state: &mut State, input: Option<RawValue<'_>>) -> Result<()> {
        let seen = input.filter(|value| !matches!(value.kind(), Kind::Null | Kind::Undefined));
        match (state, &self.operator) {
            (State::Sum(sum), Operator::Count) => sum.add_one(),
            (State::Sum(sum) | State::Average(sum), _) => {
                if let Some(value) = input {
                    sum.add(value);
                }
            }
            (State::One(one), Operator::Last(_)) => *one = input.map(OwnedValue::from),
            (State::One(one), operator) => {
                let Some(value) = seen else { return Ok(()) };
                let is_min = matches!(operator, Operator::Min(_));
                let is_better = one.as_ref().is_none_or(|best| {
                    let order = crate::values::compare(value, best.as_raw());
                    if is_min { order.is_lt() } else { order.is_gt() }
                });
                if is_better {
                    *one = Some(value.into());
                }
            }
            (State::First(first, is_there), _) => {
                if !*is_there {
                    (*first, *is_there) = (input.map(OwnedValue::from), true);
                }
            }
            (State::Push(values, held), _) => {
                if let Some(value) = input {
                    *held += value.bytes().len() + size_of::<OwnedValue>();
                    values.push(value.into());
                }
            }
            (State::Set(values, keys, held), _) => {
                if let Some(value) = input {
                    let mut key = Vec::new();
                    append_unbounded(value, &mut key);
                    let len = key.len();
                    if keys.insert(key) {
                        *held += value.bytes().len() + len + 2 * size_of::<OwnedValue>();
                        values.push(value.into());
                    }
                }
            }
            (State::Document(fields), _) => match seen {
                None => {}
                Some(value) if value.kind() == Kind::Document => fields.merge(value),
                Some(value) => {
                    let message = format!(
                        "$mergeObjects expects documents, found {}",
                        value.kind().name()
                    );
                    return Err(refused(40400, message));
                }
            },
            (State::Spread(spread, _), _) => {
                if let Some(value) = input {
                    spread.add(value);
                }
            }
            (State::Few(held), _) => {
                held.take(input);
            }
            (State::Percentile(numbers), _) => {
                if let Some(value) = input {
                    percentile::take(numbers, value);
                }
            }
        }
        Ok(())
    }

    /// Writes what it came to.
    pub(super) fn write(&self, state: State, out: &mut DocumentBuilder) -> Result<()> {
        let name = &self.name;
        match state {
            State::Sum(sum) => sum.total().append_to(name, out)?,
            State::Average(sum) => sum.average().append_to(name, out)?,
            State::One(one) | State::First(one, _) => {
                let one = one.unwrap_or_else(OwnedValue::null);
                out.append(name, one.as_raw());
            }
            State::Push(values, _) | State::Set(values, ..) => append_array(name, &values, out),
            State::Document(document) => {
                out.open_document(name);
                for (name, value) in &document.fields {
                    out.append(name, value.as_raw());
                }
                out.close();
            }
            State::Spread(spread, is_sample) => {
                spread.deviation(is_sample).append_to(name, out)?;
            }
            State::Few(held) => held.write(name, out),
            State::Percentile(numbers) => {
                if let Operator::Percentile(percentile) = &self.operator {
                    percentile.result(numbers)?.append_to(name, out)?;
                }
            }
        }
        super::path::check_len(out.len())
    }
}

pub(super) fn append_array(name: &[u8], values: &[OwnedValue], out: &mut DocumentBuilder) {
    out.open_array(name);
    for (position, value) in values.iter().enumerate() {
        let position = crate::values::PositionName::new(position);
        out.append(position.as_bytes(), value.as_raw());
    }
    out.close();
}

impl State {
    /// About how many bytes it holds.
    pub(super) fn held(&self) -> usize {
        let of =
            |one: &Option<OwnedValue>| one.as_ref().map_or(0, |one| one.as_raw().bytes().len());
        size_of::<Self>()
            + match self {
                Self::Sum(_) | Self::Average(_) | Self::Spread(..) => 0,
                Self::One(one) | Self::First(one, _) => of(one),
                Self::Push(_, held) | Self::Set(_, _, held) => *held,
                Self::Document(fields) => fields.held,
                Self::Few(few) => few.held(),
                Self::Percentile(numbers) => numbers.len() * size_of::<f64>(),
            }
    }
}

impl Operator {
    fn parse(name: &str, operand: RawValue<'_>, scope: &Scope) -> Result<Self> {
        let few = |which| {
            Ok(Self::Few(Box::new(Few::parse(
                name, which, operand, scope,
            )?)))
        };
        match name {
            "$firstN" => return few(Which::First),
            "$lastN" => return few(Which::Last),
            "$minN" => return few(Which::Min),
            "$maxN" => return few(Which::Max),
            "$top" | "$topN" => return few(Which::Top),
            "$bottom" | "$bottomN" => return few(Which::Bottom),
            "$median" | "$percentile" => {
                let percentile = Percentile::parse(name, operand, scope)?;
                return Ok(Self::Percentile(Box::new(percentile)));
            }
            "$count" => {
                let is_empty = operand.kind() == Kind::Document && operand.bytes().len() <= 5;
                if !is_empty {
                    let message = "$count takes no arguments: expected { $count: {} }";
                    return Err(refused(9, message));
                }
                return Ok(Self::Count);
            }
            "$sum" | "$avg" | "$min" | "$max" | "$first" | "$last" | "$push" | "$addToSet"
            | "$mergeObjects" | "$stdDevPop" | "$stdDevSamp" => {}
            _ => {
                let message = format!("unknown group operator '{name}'");
                return Err(refused(15952, message));
            }
        }
        if operand.kind() == Kind::Array {
            let message = format!("the {name} accumulator is a unary operator");
            return Err(refused(40237, message));
        }
        let input = Expression::parse(operand, scope)?;
        Ok(match name {
            "$sum" => Self::Sum(input),
            "$avg" => Self::Average(input),
            "$min" => Self::Min(input),
            "$max" => Self::Max(input),
            "$first" => Self::First(input),
            "$last" => Self::Last(input),
            "$push" => Self::Push(input),
            "$addToSet" => Self::AddToSet(input),
            "$mergeObjects" => Self::MergeObjects(input),
            _ => Self::Deviation {
                input,
                is_sample: name == "$stdDevSamp",
            },
        })
    }
}

#[cfg(test)]
mod tests;
