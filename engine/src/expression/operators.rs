//! Which operators there are.

use super::node::{Evaluate, Node};
use super::parse::{Parser, constant};
use super::{
    accumulate, arithmetic, arrays, bits, boolean, compare, conditional, convert, dates, iterate,
    math, objects, quantiles, regex, search, sets, sort_array, strings, trigonometry, types,
    variables,
};
use crate::error::Result;
use crate::values::RawValue;

/// What is known of an operator.
pub(super) enum Entry {
    /// Its operands are expressions, from `least` to `most` of them.
    Call {
        name: &'static str,
        least: usize,
        most: usize,
        evaluate: Evaluate,
    },
    /// It has a form of its own.
    Special(fn(RawValue<'_>, &mut Parser<'_>) -> Result<Node>),
    /// MongoDB has it; this crate does not.
    Unsupported,
}

/// An operator that takes so many operands.
pub(super) const fn call(
    name: &'static str,
    least: usize,
    most: usize,
    evaluate: Evaluate,
) -> Entry {
    Entry::Call {
        name,
        least,
        most,
        evaluate,
    }
}

/// Any number of operands.
pub(super) const ANY: usize = usize::MAX;

/// The operator of this name.
pub(super) fn find(name: &[u8]) -> Option<Entry> {
    let name = std::str::from_utf8(name).ok()?;
    let families = [
        compare::find,
        boolean::find,
        conditional::find,
        variables::find,
        arithmetic::find,
        math::find,
        trigonometry::find,
        bits::find,
        arrays::find,
        iterate::find,
        sets::find,
        accumulate::find,
        quantiles::find,
        objects::find,
        strings::find,
        search::find,
        regex::find,
        dates::find,
        convert::find,
        types::find,
        sort_array::find,
    ];
    families
        .iter()
        .find_map(|find| find(name))
        .or_else(|| other(name))
}

fn other(name: &str) -> Option<Entry> {
    Some(match name {
        "$literal" | "$const" => Entry::Special(|value, _| constant(value)),
        "$function"
        | "$accumulator"
        | "$where"
        | "$meta"
        | "$rand"
        | "$sampleRate"
        | "$_internalFindPositional" => Entry::Unsupported,
        _ => return None,
    })
}

/// How the operands of an operator may be grouped without a change of what
/// MongoDB gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    /// Not at all.
    None,
    /// As they stand.
    Ordered,
    /// In any order.
    Any,
}

pub(super) fn grouping(name: &str) -> Grouping {
    match name {
        "$and" | "$or" | "$setUnion" | "$setIntersection" | "$bitAnd" | "$bitOr" | "$bitXor" => {
            Grouping::Any
        }
        "$concat" | "$concatArrays" => Grouping::Ordered,
        _ => Grouping::None,
    }
}

/// Whether an operator over constants is a constant, as for most: MongoDB
/// evaluates these for each document all the same, so that errors come later.
pub(super) fn folds(name: &str) -> bool {
    !matches!(
        name,
        "$zip"
            | "$replaceOne"
            | "$replaceAll"
            | "$getField"
            | "$setField"
            | "$unsetField"
            | "$firstN"
            | "$lastN"
            | "$minN"
            | "$maxN"
    )
}
