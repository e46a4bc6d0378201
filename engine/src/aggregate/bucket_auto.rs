//! `$bucketAuto`: documents in so many groups of about the same size.
//!
//! All documents are sorted by the value they are grouped by (in the budget, then on
//! disk), and then cut into buckets in one pass.

use std::sync::Arc;

use super::accumulator::Accumulator;
use super::bucket::{is_expression, output};
use super::parse::{as_document, refused};
use super::rows::{Held, Rows, Run};
use crate::error::Result;
use crate::expression::{Expression, Scope, Value};
use crate::key::append_unbounded;
use crate::sort::{Sorted, Sorter};
use crate::values::{DocumentBuilder, Elements, Number, OwnedValue, RawValue};

/// The operand of `$bucketAuto`.
#[derive(Debug)]
pub(crate) struct BucketAuto {
    by: Expression,
    buckets: u64,
    accumulators: Vec<Accumulator>,
}

impl BucketAuto {
    pub(super) fn parse(operand: RawValue<'_>, scope: &Scope) -> Result<Self> {
        as_document("$bucketAuto", 40240, operand)?;
        let (mut by, mut buckets, mut accumulators) = (None, None, None);
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
                b"granularity" => {
                    let what = String::from_utf8_lossy(field.value.text().unwrap_or_default());
                    if field.value.text().is_none() {
                        let message = "$bucketAuto expects 'granularity' as a string";
                        return Err(refused(40261, message));
                    }
                    let message = format!(
                        "the granularity '{what}' of $bucketAuto is not supported: preferred \
                         numbers are not built"
                    );
                    return Err(refused(40257, message));
                }
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
        while let Some(first) = next.take() {
            made += 1;
            let is_last = made == self.stage.buckets;
            let low = first.by.clone();
            let mut bucket = Bucket::start(&self.stage, &low, run)?;
            let mut last_key = first.key.clone();
            let mut high = first.by.clone();
            bucket.take(&first.document, run)?;
            let mut taken = 1;
            next = read(&mut sorted)?;
            while let Some(following) = &next {
                run.watch.check()?;
                // What is equal stays together.
                if taken >= size && following.key != last_key && !is_last {
                    break;
                }
                bucket.take(&following.document, run)?;
                last_key.clone_from(&following.key);
                high = following.by.clone();
                taken += 1;
                next = read(&mut sorted)?;
            }
            if let Some(following) = &next {
                high = following.by.clone();
            }
            out.push(bucket.write(&low, &high)?);
        }
        Ok(out)
    }
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
        Ok(out.finish())
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
