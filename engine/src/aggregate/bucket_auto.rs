//! `$bucketAuto`: documents in so many groups of about the same size.
//!
//! All documents are sorted by the value they are grouped by (in the budget, then on
//! disk), and then cut into buckets in one pass.

use std::sync::Arc;

use super::accumulator::Accumulator;
use super::bucket::{is_expression, output};
use super::granularity::Granularity;
use super::parse::{as_document, refused};
use super::path::check_depth;
use super::rows::{Held, Rows, Run};
use crate::error::Result;
use crate::expression::{Expression, Scope, Value};
use crate::key::append_unbounded;
use crate::sort::{Sorted, Sorter};
use crate::values::{DocumentBuilder, Elements, Number, OwnedValue, RawValue, compare};

/// The operand of `$bucketAuto`.
#[derive(Debug)]
pub(crate) struct BucketAuto {
    by: Expression,
    buckets: u64,
    accumulators: Vec<Accumulator>,
    granularity: Option<Granularity>,
}

impl BucketAuto {
    pub(super) fn parse(operand: RawValue<'_>, scope: &Scope) -> Result<Self> {
        as_document("$bucketAuto", 40240, operand)?;
        let (mut by, mut buckets, mut accumulators, mut granularity) = (None, None, None, None);
        for field in Elements::new(operand.bytes()) {
            match field.name {
                b"groupBy" => {
                    if !is_expression(field.value) {
                        let message = "$bucketAuto expects 'groupBy' as a path or an expression";
                        return Err(refused(40239, message));
                    }
                    by = Some(Expression::parse(field.value, scope)?);
                }
                b"buckets" => buckets = Some(count(field.value)?),
                b"output" => {
                    accumulators = Some(output(Some(field.value), scope, "$bucketAuto", 40244)?);
                }
                b"granularity" => granularity = Some(Granularity::parse(field.value)?),
                other => {
                    let other = String::from_utf8_lossy(other);
                    return Err(refused(
                        40245,
                        format!("$bucketAuto does not know '{other}'"),
                    ));
                }
            }
        }
        let (Some(by), Some(buckets)) = (by, buckets) else {
            let message = "$bucketAuto expects 'groupBy' and 'buckets'";
            return Err(refused(40246, message));
        };
        let accumulators = match accumulators {
            Some(accumulators) => accumulators,
            None => output(None, scope, "$bucketAuto", 40244)?,
        };
        Ok(Self {
            by,
            buckets,
            accumulators,
            granularity,
        })
    }

    pub(super) fn open(self: &Arc<Self>, input: Box<dyn Rows>) -> Bucketing {
        Bucketing {
            stage: Arc::clone(self),
            input: Some(input),
            output: None,
        }
    }
}

fn count(value: RawValue<'_>) -> Result<u64> {
    let Some(number) = value.number() else {
        return Err(refused(40241, "$bucketAuto expects 'buckets' as a number"));
    };
    let whole = Number::to_i64(number).and_then(|whole| i32::try_from(whole).ok());
    let Some(whole) = whole else {
        let message = "$bucketAuto expects 'buckets' as an integer of 32 bits";
        return Err(refused(40242, message));
    };
    match u64::try_from(whole) {
        Ok(whole) if whole > 0 => Ok(whole),
        _ => Err(refused(40243, "$bucketAuto expects at least one bucket")),
    }
}

/// The stage at work.
pub(super) struct Bucketing {
    stage: Arc<BucketAuto>,
    input: Option<Box<dyn Rows>>,
    output: Option<Held>,
}

/// A document with what it is grouped by.
struct Keyed {
    key: Vec<u8>,
    by: OwnedValue,
    document: Vec<u8>,
}

impl Bucketing {
    /// All documents, in order of their values.
    fn sorted(&self, input: &mut dyn Rows, run: &Run) -> Result<(Sorted, u64)> {
        let mut sorter = Sorter::new(run.sorter_options(None));
        let (mut row, mut count) = (Vec::new(), 0);
        while input.next(run, &mut row)? {
            run.watch.check()?;
            count += 1;
            let mut environment = run.surroundings.environment(&row);
            let by = self.stage.by.evaluate(&mut environment)?;
            let by = by.unwrap_or_else(Value::null).flat()?;
            let mut key = Vec::new();
            let mut entry = DocumentBuilder::with_capacity(row.len() + 64);
            if let Some(raw) = by.raw() {
                if self.stage.granularity.is_some() {
                    Granularity::check(raw)?;
                }
                append_unbounded(raw, &mut key);
                entry.append(b"b", raw);
            }
            let document = RawValue {
                kind: crate::values::Kind::Document,
                bytes: &row,
            };
            entry.append(b"d", document);
            sorter.push(&run.environment, key, entry.finish())?;
        }
        Ok((sorter.finish()?, count))
    }

    fn buckets(&self, input: &mut dyn Rows, run: &Run) -> Result<Vec<Vec<u8>>> {
        let (mut sorted, count) = self.sorted(input, run)?;
        let size = (count + self.stage.buckets / 2) / self.stage.buckets;
        // Rounded half up, as MongoDB does; and never nothing.
        let size = size.max(1);
        let mut next = read(&mut sorted)?;
        let mut out: Vec<Vec<u8>> = Vec::new();
        let mut made = 0;
        // The upper boundary of the bucket before, where boundaries are rounded.
        let mut previous: Option<OwnedValue> = None;
        while let Some(first) = next.take() {
            made += 1;
            let is_last = made == self.stage.buckets;
            let mut bucket = Bucket::start(&self.stage, &first.by, run)?;
            let (mut last, mut taken) = (first.by.clone(), 1);
            bucket.take(&first.document, run)?;
            let mut rounded: Option<(OwnedValue, Vec<u8>)> = None;
            next = read(&mut sorted)?;
            while let Some(following) = &next {
                run.watch.check()?;
                if taken >= size && !is_last {
                    let is_beyond = match &self.stage.granularity {
                        // What is equal stays together.
                        None => compare(following.by.as_raw(), last.as_raw()).is_ne(),
                        Some(granularity) => {
                            if rounded.is_none() {
                                let high = granularity.up(&last)?;
                                let mut key = Vec::new();
                                append_unbounded(high.as_raw(), &mut key);
                                rounded = Some((high, key));
                            }
                            rounded
                                .as_ref()
                                .is_some_and(|(_, key)| following.key >= *key)
                        }
                    };
                    if is_beyond {
                        break;
                    }
                }
                bucket.take(&following.document, run)?;
                last.clone_from(&following.by);
                taken += 1;
                next = read(&mut sorted)?;
            }
            let (low, high) = match &self.stage.granularity {
                None => (first.by, next.as_ref().map_or(last, |next| next.by.clone())),
                Some(granularity) => {
                    let low = match &previous {
                        Some(previous) => previous.clone(),
                        None => granularity.down(&first.by)?,
                    };
                    let high = match (&next, rounded) {
                        // Zero has no number above it: the next bucket's begin is it.
                        (Some(next), _) if is_zero(&last) => granularity.down(&next.by)?,
                        (_, Some((high, _))) => high,
                        (_, None) => granularity.up(&last)?,
                    };
                    previous = Some(high.clone());
                    (low, high)
                }
            };
            out.push(bucket.write(&low, &high)?);
        }
        Ok(out)
    }
}

fn is_zero(value: &OwnedValue) -> bool {
    value.as_raw().number() == Some(Number::Zero)
}

fn read(sorted: &mut Sorted) -> Result<Option<Keyed>> {
    let Some((key, entry)) = sorted.next()? else {
        return Ok(None);
    };
    let by = Elements::new(&entry).find_name(b"b");
    let document = Elements::new(&entry).find_name(b"d");
    Ok(Some(Keyed {
        key,
        by: by.map_or_else(OwnedValue::null, OwnedValue::from),
        document: document.map_or_else(Vec::new, |document| document.bytes().to_vec()),
    }))
}

/// A bucket under way.
struct Bucket<'s> {
    stage: &'s BucketAuto,
    states: Vec<super::accumulator::State>,
}

impl<'s> Bucket<'s> {
    fn start(stage: &'s BucketAuto, low: &OwnedValue, run: &Run) -> Result<Self> {
        let id = low.as_raw().to_document(b"_id");
        let mut states = Vec::new();
        for accumulator in &stage.accumulators {
            let mut environment = run.surroundings.environment(&id);
            states.push(accumulator.start(&mut environment)?);
        }
        Ok(Self { stage, states })
    }

    fn take(&mut self, document: &[u8], run: &Run) -> Result<()> {
        let mut environment = run.surroundings.environment(document);
        for (accumulator, state) in self.stage.accumulators.iter().zip(&mut self.states) {
            let input = accumulator.input(&mut environment)?;
            accumulator.take(state, input.as_ref().and_then(Value::raw))?;
        }
        Ok(())
    }

    fn write(self, low: &OwnedValue, high: &OwnedValue) -> Result<Vec<u8>> {
        let mut out = DocumentBuilder::new();
        out.open_document(b"_id");
        out.append(b"min", low.as_raw());
        out.append(b"max", high.as_raw());
        out.close();
        for (accumulator, state) in self.stage.accumulators.iter().zip(self.states) {
            accumulator.write(state, &mut out)?;
        }
        check_depth(out.finish())
    }
}

impl Rows for Bucketing {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        if let Some(mut input) = self.input.take() {
            self.output = Some(Held::new(self.buckets(&mut *input, run)?));
        }
        match &mut self.output {
            Some(output) => output.next(run, row),
            None => Ok(false),
        }
    }
}
