//! What a pipeline reads and writes beside its own collection: each of them is authorised like
//! the command itself, and none of them can be the server's own.

use bson::{RawArray, RawBsonRef, RawDocument};

use super::Privilege;
use crate::error::{CommandError, Result};
use crate::namespace::Namespace;

/// How deep pipelines may lie in one another, as in the engine.
const MAX_NESTED: usize = 20;

/// A collection that a pipeline touches, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Reading or writing.
    pub privilege: Privilege,
    /// The collection.
    pub namespace: Namespace,
}

/// All that the pipeline touches beside the collection that it runs over.
///
/// # Errors
/// A name that is not allowed, or pipelines too deep in one another.
pub fn touched<'a>(
    stages: impl IntoIterator<Item = &'a RawDocument>,
    database: &str,
) -> Result<Vec<Touched>> {
    let mut found = Vec::new();
    for stage in stages {
        of_stage(stage, database, MAX_NESTED, &mut found)?;
    }
    Ok(found)
}

fn of_stages(
    stages: &RawArray,
    database: &str,
    left: usize,
    found: &mut Vec<Touched>,
) -> Result<()> {
    for stage in stages {
        if let RawBsonRef::Document(stage) = stage? {
            of_stage(stage, database, left, found)?;
        }
    }
    Ok(())
}

fn of_stage(
    stage: &RawDocument,
    database: &str,
    left: usize,
    found: &mut Vec<Touched>,
) -> Result<()> {
    let Some(left) = left.checked_sub(1) else {
        let message = format!("pipelines lie more than {MAX_NESTED} deep in one another");
        return Err(CommandError::new(232, message));
    };
    for field in stage {
        let (name, operand) = field?;
        match (name.as_str(), operand) {
            ("$lookup" | "$graphLookup", RawBsonRef::Document(lookup)) => {
                add(Privilege::Read, lookup.get("from")?, database, found)?;
                if let Some(RawBsonRef::Array(stages)) = lookup.get("pipeline")? {
                    of_stages(stages, database, left, found)?;
                }
            }
            ("$unionWith", RawBsonRef::Document(union)) => {
                add(Privilege::Read, Some(operand), database, found)?;
                if let Some(RawBsonRef::Array(stages)) = union.get("pipeline")? {
                    of_stages(stages, database, left, found)?;
                }
            }
            ("$unionWith", _) => add(Privilege::Read, Some(operand), database, found)?,
            ("$out", _) => add(Privilege::ReadWrite, Some(operand), database, found)?,
            ("$merge", RawBsonRef::Document(merge)) => {
                add(Privilege::ReadWrite, merge.get("into")?, database, found)?;
            }
            ("$merge", _) => add(Privilege::ReadWrite, Some(operand), database, found)?,
            ("$facet", RawBsonRef::Document(facets)) => {
                for facet in facets {
                    if let (_, RawBsonRef::Array(stages)) = facet? {
                        of_stages(stages, database, left, found)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A collection, as `"name"` or `{ db, coll }`; what is neither is the engine's to refuse.
fn add(
    privilege: Privilege,
    operand: Option<RawBsonRef<'_>>,
    database: &str,
    found: &mut Vec<Touched>,
) -> Result<()> {
    let namespace = match operand {
        Some(RawBsonRef::String(collection)) => Namespace::new(database, collection)?,
        Some(RawBsonRef::Document(both)) => {
            let Ok(collection) = both.get_str("coll") else {
                return Ok(());
            };
            Namespace::new(both.get_str("db").unwrap_or(database), collection)?
        }
        _ => return Ok(()),
    };
    found.push(Touched {
        privilege,
        namespace,
    });
    Ok(())
}

#[cfg(test)]
mod tests;
