//! The variables of a command's `let`: constants that an `$expr` of its filter may name.
//!
//! They are put where they are used: `{ $expr: e }` becomes `{ $expr: { $let: { vars, in: e } } }`,
//! which means the same.

use bson::raw::cstr;
use bson::{RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use crate::error::{CommandError, Result, code};

/// How deep logical operators may lie in one another; documents themselves end at 100.
const MAX_DEPTH: usize = 100;

/// The same filter with the variables in it.
///
/// # Errors
/// The filter lies too deep in itself.
pub(super) fn with_variables(
    filter: &RawDocument,
    variables: &RawDocument,
) -> Result<RawDocumentBuf> {
    rewrite(filter, variables, MAX_DEPTH)
}

fn rewrite(filter: &RawDocument, variables: &RawDocument, left: usize) -> Result<RawDocumentBuf> {
    if left == 0 {
        let message = format!("a filter lies more than {MAX_DEPTH} deep in itself");
        return Err(CommandError::new(code::BAD_VALUE, message));
    }
    let mut rewritten = RawDocumentBuf::new();
    for field in filter {
        let (name, value) = field?;
        match (name.as_str(), value) {
            ("$expr", expression) => {
                let mut bound = rawdoc! { "vars": variables.to_owned() };
                bound.append(cstr!("in"), expression);
                rewritten.append(name, rawdoc! { "$let": bound });
            }
            ("$and" | "$or" | "$nor", RawBsonRef::Array(parts)) => {
                let mut all = RawArrayBuf::new();
                for part in parts {
                    match part? {
                        RawBsonRef::Document(part) => {
                            all.push(rewrite(part, variables, left - 1)?);
                        }
                        other => all.push(other),
                    }
                }
                rewritten.append(name, all);
            }
            (_, value) => rewritten.append(name, value),
        }
    }
    Ok(rewritten)
}
