//! `$group`: documents with equal ids become one.
//!
//! ## Invariants
//! * Groups are told apart by the key of their id: values that compare equal are one.
//! * What is held stays within the budget: once it is spent, what comes goes to a sorter
//!   (and so to disk) as the inputs of the accumulators, in the order of the keys; at the
//!   end each group is finished with what the sorter has of it, one after the other.

use std::collections::HashMap;
use std::sync::Arc;

use super::accumulator::{Accumulator, State};
use super::parse::refused;
use super::path::check_depth;
use super::rows::{Rows, Run};
use crate::error::Result;
use crate::expression::{Environment, Expression, Scope, Value};
use crate::key::append_unbounded;
use crate::sort::{Sorted, Sorter};
use crate::values::{DocumentBuilder, Elements, Kind, OwnedValue, PositionName, RawValue};

/// The operand of `$group`.
#[derive(Debug)]
pub(crate) struct Group {
    id: Expression,
    /// The name, where the id is a document of one field: there missing is null.
    single: Option<Box<[u8]>>,
    accumulators: Vec<Accumulator>,
}

impl Group {
    pub(super) fn parse(operand: RawValue<'_>, scope: &Scope) -> Result<Self> {
        if operand.kind() != Kind::Document {
            return Err(refused(15947, "$group expects a document"));
        }
        let (mut id, mut single, mut accumulators) = (None, None, Vec::new());
        for field in Elements::new(operand.bytes()) {
            if field.name != b"_id" {
                accumulators.push(Accumulator::parse(field.name, field.value, scope)?);
                continue;
            }
            if id.is_some() {
                return Err(refused(15948, "$group has more than one '_id'"));
            }
            (id, single) = Self::parse_id(field.value, scope)?;
        }
        let id = id.ok_or_else(|| refused(15955, "$group expects an '_id'"))?;
        Ok(Self {
            id,
            single,
            accumulators,
        })
    }

    #[allow(clippy::type_complexity, reason = "two parts of one thing")]
    fn parse_id(
        value: RawValue<'_>,
        scope: &Scope,
    ) -> Result<(Option<Expression>, Option<Box<[u8]>>)> {
        if value.kind() == Kind::Document {
            refuse_inclusions(value)?;
            let mut fields = Elements::new(value.bytes());
            if let (Some(only), None) = (fields.next(), fields.next())
                && !only.name.starts_with(b"$")
            {
                // The whole is parsed too, for its errors.
                Expression::parse(value, scope)?;
                let inner = Expression::parse(only.value, scope)?;
                return Ok((Some(inner), Some(only.name.into())));
            }
        }
        Ok((Some(Expression::parse(value, scope)?), None))
    }

    /// Of its parts, for stages that are made of a group.
    pub(super) fn new(id: Expression, accumulators: Vec<Accumulator>) -> Self {
        Self {
            id,
            single: None,
            accumulators,
        }
    }

    pub(super) fn open(self: &Arc<Self>, input: Box<dyn Rows>) -> Grouping {
        Grouping {
            group: Arc::clone(self),
            input: Some(input),
            output: None,
        }
    }

    fn id_of<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Value<'a>> {
        let id = self.id.evaluate(environment)?;
        id.map_or_else(|| Ok(Value::null()), Value::flat)
    }

    fn start(&self, id: RawValue<'_>, run: &Run) -> Result<OneGroup> {
        let document = id.to_document(b"_id");
        let inner = match (id.kind(), &self.single) {
            (Kind::Document, None) => id.bytes(),
            (_, Some(_)) => &document,
            _ => &document,
        };
        let mut states = Vec::with_capacity(self.accumulators.len());
        for accumulator in &self.accumulators {
            let mut environment = run.surroundings.environment(inner);
            states.push(accumulator.start(&mut environment)?);
        }
        Ok(OneGroup {
            id: id.into(),
            states,
        })
    }

    fn write(&self, group: OneGroup) -> Result<Vec<u8>> {
        let mut out = DocumentBuilder::new();
        let id = group.id.as_raw();
        match &self.single {
            Some(name) => {
                out.open_document(b"_id");
                out.append(name, id);
                out.close();
            }
            None => out.append(b"_id", id),
        }
        for (accumulator, state) in self.accumulators.iter().zip(group.states) {
            accumulator.write(state, &mut out)?;
        }
        check_depth(out.finish())
    }
}

/// Refuses `{ a: 1 }`, which looks like a projection.
fn refuse_inclusions(id: RawValue<'_>) -> Result<()> {
    let mut fields = Elements::new(id.bytes()).peekable();
    if fields
        .peek()
        .is_none_or(|first| first.name.starts_with(b"$"))
    {
        return Ok(());
    }
    for field in fields {
        if field.value.number().is_some() || field.value.kind() == Kind::Boolean {
            let name = String::from_utf8_lossy(field.name);
            let message = format!("the '_id' of $group does not know inclusions, found '{name}'");
            return Err(refused(17390, message));
        }
    }
    Ok(())
}

/// A group under way.
#[derive(Debug)]
pub(super) struct OneGroup {
    id: OwnedValue,
    states: Vec<State>,
}

impl OneGroup {
    fn held(&self) -> usize {
        let states = self.states.iter().map(State::held);
        self.id.as_raw().bytes().len() + 96 + states.sum::<usize>()
    }
}

/// The stage at work.
pub(super) struct Grouping {
    group: Arc<Group>,
    input: Option<Box<dyn Rows>>,
    output: Option<Output>,
}

/// Groups that are complete, or will be with what the sorter has.
struct Output {
    groups: HashMap<Vec<u8>, usize>,
    held: Vec<Option<OneGroup>>,
    next: usize,
    spilled: Option<Sorted>,
    /// The first entry of the next group.
    peeked: Option<(Vec<u8>, Vec<u8>)>,
}

impl Grouping {
    fn read(&self, input: &mut dyn Rows, run: &Run) -> Result<Output> {
        let group = &*self.group;
        let budget = usize::try_from(run.watch.sort_budget()).unwrap_or(usize::MAX);
        let mut groups: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut held: Vec<Option<OneGroup>> = Vec::new();
        let (mut row, mut key, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
        let mut sorter: Option<Sorter> = None;
        while input.next(run, &mut row)? {
            run.watch.check()?;
            let mut environment = run.surroundings.environment(&row);
            let id = group.id_of(&mut environment)?;
            let raw = id.raw().ok_or_else(not_flat)?;
            key.clear();
            append_unbounded(raw, &mut key);
            if let Some(sorter) = &mut sorter {
                let entry = spill(group, raw, &mut environment)?;
                sorter.push(&run.environment, key.clone(), entry)?;
                continue;
            }
            let at = match groups.get(&key) {
                Some(at) => *at,
                None => {
                    let new = group.start(raw, run)?;
                    bytes += key.len() + new.held();
                    groups.insert(key.clone(), held.len());
                    held.push(Some(new));
                    held.len() - 1
                }
            };
            let Some(Some(one)) = held.get_mut(at) else {
                continue;
            };
            for (accumulator, state) in group.accumulators.iter().zip(&mut one.states) {
                let before = state.held();
                let input = accumulator.input(&mut environment)?;
                accumulator.take(state, input.as_ref().and_then(Value::raw))?;
                bytes = (bytes + state.held()).saturating_sub(before);
            }
            if bytes > budget {
                // From here on, groups stand still; a sorter that may not use the disk says so.
                let mut options = run.sorter_options(None);
                if !options.allow_disk_use {
                    options.budget = 0;
                }
                sorter = Some(Sorter::new(options));
            }
        }
        Ok(Output {
            groups,
            held,
            next: 0,
            spilled: sorter.map(Sorter::finish).transpose()?,
            peeked: None,
        })
    }
}

/// The id, and what the accumulators take, as a document.
fn spill<'a>(
    group: &'a Group,
    id: RawValue<'_>,
    environment: &mut Environment<'a>,
) -> Result<Vec<u8>> {
    let mut out = DocumentBuilder::new();
    out.append(b"_id", id);
    for (position, accumulator) in group.accumulators.iter().enumerate() {
        if let Some(input) = accumulator.input(environment)?
            && let Some(raw) = input.raw()
        {
            out.append(PositionName::new(position).as_bytes(), raw);
        }
    }
    Ok(out.finish())
}

fn not_flat() -> crate::error::Error {
    crate::error::Error::new(crate::error::ErrorKind::Internal, "a value has no bytes")
}

impl Output {
    fn next(&mut self, group: &Group, run: &Run) -> Result<Option<Vec<u8>>> {
        run.watch.check()?;
        if let Some(one) = self.next_spilled(group, run)? {
            return group.write(one).map(Some);
        }
        while let Some(place) = self.held.get_mut(self.next) {
            self.next += 1;
            if let Some(one) = place.take() {
                return group.write(one).map(Some);
            }
        }
        Ok(None)
    }

    /// The next group of which the sorter has something.
    fn next_spilled(&mut self, group: &Group, run: &Run) -> Result<Option<OneGroup>> {
        let Some(sorted) = &mut self.spilled else {
            return Ok(None);
        };
        let first = match self.peeked.take() {
            Some(first) => Some(first),
            None => sorted.next()?,
        };
        let Some((key, mut entry)) = first else {
            self.spilled = None;
            return Ok(None);
        };
        let at = self.groups.get(&key).copied();
        let known = at
            .and_then(|at| self.held.get_mut(at))
            .and_then(Option::take);
        let mut one = match known {
            Some(one) => one,
            None => {
                let id = Elements::new(&entry)
                    .find_name(b"_id")
                    .ok_or_else(not_flat)?;
                group.start(id, run)?
            }
        };
        loop {
            run.watch.check()?;
            for (position, accumulator) in group.accumulators.iter().enumerate() {
                let name = PositionName::new(position);
                let input = Elements::new(&entry)
                    .skip(1)
                    .find(|field| field.name == name.as_bytes());
                if let Some(state) = one.states.get_mut(position) {
                    accumulator.take(state, input.map(|input| input.value))?;
                }
            }
            match sorted.next()? {
                Some((next, value)) if next == key => entry = value,
                other => {
                    self.peeked = other;
                    return Ok(Some(one));
                }
            }
        }
    }
}

impl Rows for Grouping {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        if let Some(mut input) = self.input.take() {
            self.output = Some(self.read(&mut *input, run)?);
        }
        let Some(output) = &mut self.output else {
            return Ok(false);
        };
        match output.next(&self.group, run)? {
            Some(document) => *row = document,
            None => return Ok(false),
        }
        Ok(true)
    }
}
