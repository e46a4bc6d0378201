//! `$unwind`: one document for each element of an array.

use std::sync::Arc;

use super::parse::refused;
use super::path::{Steps, check_depth, value_at, with_value};
use super::rows::{Rows, Run};
use crate::error::{Error, Result};
use crate::sort::path_steps;
use crate::values::{Elements, Kind, RawValue};

/// The operand of `$unwind`.
#[derive(Debug)]
pub(crate) struct Unwind {
    path: Steps,
    index: Option<Steps>,
    keeps_empty: bool,
}

impl Unwind {
    pub(super) fn parse(operand: RawValue<'_>) -> Result<Self> {
        let (mut path, mut index, mut keeps_empty) = (None, None, false);
        match operand.kind() {
            Kind::String => path = operand.text(),
            Kind::Document => {
                for field in Elements::new(operand.bytes()) {
                    let text = (field.value.kind() == Kind::String)
                        .then(|| field.value.text())
                        .flatten();
                    match field.name {
                        b"path" => {
                            let expected = || refused(28808, "$unwind expects 'path' as a string");
                            path = Some(text.ok_or_else(expected)?);
                        }
                        b"includeArrayIndex" => {
                            let name = text.filter(|name| !name.is_empty());
                            let expected =
                                || refused(28810, "$unwind expects 'includeArrayIndex' as a name");
                            let name = name.ok_or_else(expected)?;
                            if name.starts_with(b"$") {
                                let message = "the name of an array index must not start with '$'";
                                return Err(refused(28822, message));
                            }
                            index = Some(name);
                        }
                        b"preserveNullAndEmptyArrays" => {
                            let expected = || {
                                let message =
                                    "$unwind expects 'preserveNullAndEmptyArrays' as a boolean";
                                refused(28809, message)
                            };
                            keeps_empty = field.value.boolean().ok_or_else(expected)?;
                        }
                        other => {
                            let message = format!(
                                "$unwind does not know '{}'",
                                String::from_utf8_lossy(other)
                            );
                            return Err(refused(28811, message));
                        }
                    }
                }
            }
            _ => {
                let message = "$unwind expects a string or a document";
                return Err(refused(15981, message));
            }
        }
        let path = path.ok_or_else(|| refused(28812, "$unwind expects a path"))?;
        let Some(path) = path.strip_prefix(b"$") else {
            let message = "the path of $unwind must start with '$'";
            return Err(refused(28818, message));
        };
        Ok(Self {
            path: path_steps(path)?,
            index: index.map(path_steps).transpose()?,
            keeps_empty,
        })
    }

    /// Whether the field of this name is the same before and after.
    pub(super) fn leaves_alone(&self, name: &[u8]) -> bool {
        let is_first = |steps: &Steps| steps.first().is_some_and(|first| **first == *name);
        !is_first(&self.path) && !self.index.as_ref().is_some_and(is_first)
    }

    pub(super) fn open(self: &Arc<Self>, input: Box<dyn Rows>) -> Unwinding {
        Unwinding {
            unwind: Arc::clone(self),
            input,
            document: Vec::new(),
            position: None,
        }
    }

    fn with_index(&self, document: Vec<u8>, position: Option<usize>) -> Result<Vec<u8>> {
        let Some(index) = &self.index else {
            return Ok(document);
        };
        let bytes = i64::try_from(position.unwrap_or_default())
            .unwrap_or(i64::MAX)
            .to_le_bytes();
        let value = match position {
            Some(_) => RawValue {
                kind: Kind::Int64,
                bytes: &bytes,
            },
            None => RawValue {
                kind: Kind::Null,
                bytes: &[],
            },
        };
        check_depth(with_value(&document, index, Some(value))?)
    }
}

/// The stage at work.
pub(super) struct Unwinding {
    unwind: Arc<Unwind>,
    input: Box<dyn Rows>,
    document: Vec<u8>,
    /// Position of the next element and its offset in the array, of an array under way.
    position: Option<(usize, usize)>,
}

impl Rows for Unwinding {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        let unwind = Arc::clone(&self.unwind);
        loop {
            run.watch.check()?;
            if let Some((position, offset)) = self.position {
                let array = value_at(&self.document, &unwind.path).ok_or_else(lost)?;
                let mut rest = Elements::from(array.bytes(), offset);
                if let Some(element) = rest.next() {
                    let value = element.value;
                    let start = value.bytes().as_ptr().addr() - array.bytes().as_ptr().addr();
                    self.position = Some((position + 1, start + value.bytes().len()));
                    let document = with_value(&self.document, &unwind.path, Some(value))?;
                    *row = unwind.with_index(document, Some(position))?;
                    return Ok(true);
                }
                self.position = None;
            }
            if !self.input.next(run, &mut self.document)? {
                return Ok(false);
            }
            let value = value_at(&self.document, &unwind.path);
            let kept = match value.map(|value| value.kind()) {
                Some(Kind::Array) => {
                    let is_empty = value.is_none_or(|array| array.bytes().len() <= 5);
                    if !is_empty {
                        self.position = Some((0, 4));
                        continue;
                    }
                    if !unwind.keeps_empty {
                        continue;
                    }
                    with_value(&self.document, &unwind.path, None)?
                }
                None | Some(Kind::Null | Kind::Undefined) if !unwind.keeps_empty => continue,
                _ => std::mem::take(&mut self.document),
            };
            *row = unwind.with_index(kept, None)?;
            return Ok(true);
        }
    }
}

fn lost() -> Error {
    Error::new(crate::error::ErrorKind::Internal, "an array went away")
}
