//! `$redact`: an expression that says of each document, and of each document in it, whether
//! it is kept, left out, or looked into.
//!
//! Recursion goes down a document of at most 100 levels.

use std::sync::Arc;

use super::parse::refused;
use super::rows::{Rows, Run};
use crate::error::Result;
use crate::expression::{Expression, Scope, Slot, Value};
use crate::values::{DocumentBuilder, Elements, Kind, PositionName, RawValue};

/// The operand of `$redact`.
#[derive(Debug)]
pub(crate) struct Redact {
    expression: Expression,
    /// `$$CURRENT`, at which the paths of the expression begin.
    current: Slot,
}

/// What becomes of a document.
enum Verdict {
    Keep,
    Prune,
    Descend,
}

impl Redact {
    pub(super) fn parse(operand: RawValue<'_>, scope: &Scope) -> Result<Self> {
        let mut scope = scope.clone().in_redact();
        let current = scope.define("CURRENT")?;
        Ok(Self {
            expression: Expression::parse(operand, &scope)?,
            current,
        })
    }

    pub(super) fn open(self: &Arc<Self>, input: Box<dyn Rows>) -> Redacting {
        Redacting {
            redact: Arc::clone(self),
            input,
            document: Vec::new(),
        }
    }

    fn verdict(&self, root: &[u8], current: &[u8], run: &Run) -> Result<Verdict> {
        let mut environment = run.surroundings.environment(root);
        environment.set(self.current, Value::from_document(current));
        let value = self.expression.evaluate(&mut environment)?;
        let text = value.as_ref().and_then(Value::raw);
        let text = text.filter(|raw| raw.kind() == Kind::String);
        Ok(match text.and_then(|raw| raw.text()) {
            Some(b"keep") => Verdict::Keep,
            Some(b"prune") => Verdict::Prune,
            Some(b"descend") => Verdict::Descend,
            _ => {
                let kind = value.map_or("missing", |value| value.kind().name());
                let message = format!(
                    "$redact expects $$KEEP, $$PRUNE or $$DESCEND of its expression, found {kind}"
                );
                return Err(refused(17053, message));
            }
        })
    }

    /// Writes what is left of the fields of a document that is looked into.
    fn fields(
        &self,
        root: &[u8],
        document: &[u8],
        run: &Run,
        out: &mut DocumentBuilder,
    ) -> Result<()> {
        for field in Elements::new(document) {
            self.value(root, field.name, field.value, run, out)?;
        }
        Ok(())
    }

    /// Writes what is left of a value; whether anything is.
    fn value(
        &self,
        root: &[u8],
        name: &[u8],
        value: RawValue<'_>,
        run: &Run,
        out: &mut DocumentBuilder,
    ) -> Result<bool> {
        run.watch.check()?;
        match value.kind() {
            Kind::Document => match self.verdict(root, value.bytes(), run)? {
                Verdict::Prune => return Ok(false),
                Verdict::Keep => out.append(name, value),
                Verdict::Descend => {
                    out.open_document(name);
                    self.fields(root, value.bytes(), run, out)?;
                    out.close();
                }
            },
            Kind::Array => {
                out.open_array(name);
                let mut position = 0;
                for element in Elements::new(value.bytes()) {
                    let name = PositionName::new(position);
                    let kept = self.value(root, name.as_bytes(), element.value, run, out)?;
                    position += usize::from(kept);
                }
                out.close();
            }
            _ => out.append(name, value),
        }
        Ok(true)
    }
}

/// The stage at work.
pub(super) struct Redacting {
    redact: Arc<Redact>,
    input: Box<dyn Rows>,
    document: Vec<u8>,
}

impl Rows for Redacting {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        while self.input.next(run, &mut self.document)? {
            run.watch.check()?;
            match self.redact.verdict(&self.document, &self.document, run)? {
                Verdict::Prune => continue,
                Verdict::Keep => std::mem::swap(row, &mut self.document),
                Verdict::Descend => {
                    let mut out = DocumentBuilder::with_capacity(self.document.len());
                    self.redact
                        .fields(&self.document, &self.document, run, &mut out)?;
                    *row = out.finish();
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}
