//! What two filters have in common that have the same plan.

use super::plan::Cost;
use crate::filter::ast::{Expression, Predicate};

/// Bytes that are the same for filters of one shape and differ for all others.
pub(super) fn of(root: &Expression) -> Box<[u8]> {
    let mut out = Vec::with_capacity(64);
    write(root, &mut out);
    out.into()
}

fn write(expression: &Expression, out: &mut Vec<u8>) {
    match expression {
        Expression::Always(answer) => out.push(if *answer { b'T' } else { b'F' }),
        Expression::And(all) => several(b'&', all, out),
        Expression::Or(any) => several(b'|', any, out),
        Expression::Not(inner) => {
            out.push(b'!');
            write(inner, out);
        }
        Expression::Field { path, predicate } => {
            out.push(b'p');
            out.push(Cost::of(predicate) as u8);
            out.push(kind(predicate));
            count(path.text().len(), out);
            out.extend_from_slice(path.text());
        }
        Expression::Computed(_) => out.push(b'e'),
        Expression::Schema(_) => out.push(b's'),
    }
}

fn several(sign: u8, all: &[Expression], out: &mut Vec<u8>) {
    out.push(sign);
    count(all.len(), out);
    for one in all {
        write(one, out);
    }
}

fn count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(count as u64).to_le_bytes());
}

/// The operator, so that figures tell shapes apart as their authors would.
fn kind(predicate: &Predicate) -> u8 {
    match predicate {
        Predicate::Compare(comparison, _) => *comparison as u8,
        Predicate::In(_) => 10,
        Predicate::Exists => 11,
        Predicate::Type(_) => 12,
        Predicate::Size(_) => 13,
        Predicate::Modulo(..) => 14,
        Predicate::Bits(_) => 15,
        Predicate::Matches(_) => 16,
        Predicate::ElementMatches(_) => 17,
        Predicate::ElementSatisfies(_) => 18,
    }
}
