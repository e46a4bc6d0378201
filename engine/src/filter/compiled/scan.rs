//! The pass over the fields of a document.
//!
//! A name is compared by its first eight bytes as one number, and of most names
//! a document has only the first byte is looked at.

use std::sync::Arc;

use cs_kv::base::mutants::{Mutant, planted};

use super::Compiled;
use super::leaf::Leaf;
use super::plan::Wanted;
use crate::filter::path::Path;
use crate::values::{Kind, RawValue, cstring_len, value_len};

/// Names to look for in a document, and what is asked of each.
#[derive(Debug)]
pub(super) struct Scan {
    /// Its place among the scans of the plan.
    number: usize,
    /// The steps of paths that lead to the document.
    depth: usize,
    /// For each first byte of a name whether one begins so; the empty one with 0.
    first_bytes: [u64; 4],
    names: Box<[Name]>,
}

/// One name.
#[derive(Debug)]
pub(super) struct Name {
    /// Its first eight bytes, zeroes behind the last.
    key: u64,
    text: Box<[u8]>,
    /// Where its value is stored for later.
    place: Option<usize>,
    /// What is asked of its value.
    checks: Box<[Check]>,
    /// The same, if the value is a document in which several names are looked for.
    within: Option<Within>,
}

/// What is asked of a value that is a document.
#[derive(Debug)]
struct Within {
    /// Of the document itself.
    checks: Box<[Check]>,
    /// Of its fields.
    scan: Scan,
}

/// A condition, to be asked as soon as the value is there.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) leaf: usize,
    pub(super) path: Arc<Path>,
    /// It must not hold.
    pub(super) negated: bool,
}

impl Scan {
    /// Names in documents that `depth` steps lead to. `None` if there are too many.
    pub(super) fn build(wanted: Vec<Wanted>, depth: usize, count: &mut usize) -> Option<Self> {
        let number = *count;
        *count += 1;
        let mut first_bytes = [0; 4];
        let mut names = Vec::with_capacity(wanted.len());
        for one in wanted {
            let first = one.name.first().copied().unwrap_or(0);
            if let Some(word) = first_bytes.get_mut(usize::from(first >> 6)) {
                *word |= 1 << (first & 63);
            }
            names.push(Name {
                key: key(&one.name),
                place: one.place,
                within: Within::build(&one.checks, depth + 1, count)?,
                checks: one.checks.into(),
                text: one.name,
            });
        }
        Some(Self {
            number,
            depth,
            first_bytes,
            names: names.into(),
        })
    }

    pub(super) fn names(&self) -> &[Name] {
        &self.names
    }

    #[inline]
    fn may_have(&self, first: u8) -> bool {
        let word = self.first_bytes.get(usize::from(first >> 6));
        word.is_some_and(|word| word >> (first & 63) & 1 == 1)
    }
}

impl Within {
    /// The outer `None`: too many names; the inner one: not worth a scan.
    #[allow(clippy::option_option, reason = "both are said above")]
    fn build(checks: &[Check], depth: usize, count: &mut usize) -> Option<Option<Self>> {
        let (deeper, own): (Vec<&Check>, Vec<&Check>) = checks
            .iter()
            .partition(|check| check.path.steps().len() > depth);
        if deeper.len() < 2 {
            return Some(None);
        }
        let mut wanted: Vec<Wanted> = Vec::new();
        for check in deeper {
            let name = &check.path.steps().get(depth)?.name;
            let at = wanted.iter().position(|one| one.name == *name);
            let at = at.unwrap_or_else(|| {
                wanted.push(Wanted {
                    name: name.clone(),
                    checks: Vec::new(),
                    place: None,
                });
                wanted.len() - 1
            });
            wanted.get_mut(at)?.checks.push(check.clone());
        }
        if wanted.len() > u64::BITS as usize {
            return None;
        }
        Some(Some(Self {
            checks: own.into_iter().cloned().collect(),
            scan: Scan::build(wanted, depth, count)?,
        }))
    }
}

impl Name {
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    #[inline]
    fn is(&self, key: u64, name: &[u8]) -> bool {
        self.key == key
            && self.text.len() == name.len()
            && (name.len() <= 8 || self.text.get(8..) == name.get(8..))
    }
}

/// The first eight bytes of a name, zeroes behind the last.
fn key(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(name) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

/// Fills in for each scan which names must be there for all conditions to hold.
pub(super) fn require(scan: &Scan, leaves: &[Leaf], required: &mut [u64]) {
    let mut bits = 0;
    for (at, name) in scan.names.iter().enumerate() {
        let may_be_missing = name.checks.iter().all(|check| {
            let leaf = leaves.get(check.leaf);
            leaf.is_some_and(|leaf| leaf.if_missing() != check.negated)
        });
        bits |= u64::from(!may_be_missing) << at;
        if let Some(within) = &name.within {
            require(&within.scan, leaves, required);
        }
    }
    if let Some(place) = required.get_mut(scan.number) {
        *place = bits;
    }
}

/// Whether all conditions of the scan hold for a document.
///
/// Recursion follows the plan, whose depth is that of the filter's paths and at
/// most that of the document.
#[inline]
pub(super) fn run<'d>(
    compiled: &Compiled,
    scan: &Scan,
    document: &'d [u8],
    stored: &mut [Option<RawValue<'d>>],
) -> bool {
    let end = document.len().saturating_sub(1);
    let mut rest = document.get(4..end).unwrap_or_default();
    // One bit for each name that was not met yet.
    let mut pending = u64::MAX >> (u64::BITS - 1).saturating_sub(last_bit(scan.names.len()));
    if scan.names.is_empty() {
        return true;
    }
    while let Some((element, after)) = next(rest) {
        rest = after;
        #[allow(clippy::cast_possible_truncation, reason = "the lowest byte is meant")]
        if !scan.may_have(element.key as u8) {
            continue;
        }
        let found = scan
            .names
            .iter()
            .position(|name| name.is(element.key, element.name));
        let Some((at, name)) = found.and_then(|at| Some((at, scan.names.get(at)?))) else {
            continue;
        };
        let bit = 1 << at;
        // Of fields with one name the first counts.
        if pending & bit == 0 && !planted(Mutant::LastFieldCounts) {
            continue;
        }
        pending &= !bit;
        let Some(kind) = Kind::from_byte(element.type_byte) else {
            break;
        };
        let value = RawValue {
            kind,
            bytes: element.bytes,
        };
        if let Some(place) = name.place
            && let Some(place) = stored.get_mut(place)
        {
            *place = Some(value);
        }
        if !holds(compiled, scan, name, value) {
            return false;
        }
        if pending == 0 && !planted(Mutant::LastFieldCounts) {
            return true;
        }
    }
    let required = compiled.required.get(scan.number).copied().unwrap_or(0);
    pending & required == 0
}

/// The uppermost of so many bits.
fn last_bit(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u64::BITS).saturating_sub(1)
}

#[inline]
fn holds(compiled: &Compiled, scan: &Scan, name: &Name, value: RawValue<'_>) -> bool {
    let all = |checks: &[Check]| {
        checks.iter().all(|check| {
            let leaf = compiled.leaves.get(check.leaf);
            leaf.is_some_and(|leaf| {
                leaf.holds(Some(value), &check.path, scan.depth + 1) != check.negated
            })
        })
    };
    match &name.within {
        Some(within) if value.kind() == Kind::Document => {
            all(&within.checks) && run(compiled, &within.scan, value.bytes(), &mut [])
        }
        _ => all(&name.checks),
    }
}

/// A field, not looked at any closer.
struct Field<'d> {
    type_byte: u8,
    /// The first eight bytes of its name.
    key: u64,
    name: &'d [u8],
    bytes: &'d [u8],
}

/// The field at the front of `rest`, and what is behind it.
#[inline]
fn next(rest: &[u8]) -> Option<(Field<'_>, &[u8])> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (&type_byte, after_type) = rest.split_first()?;
    let (name_len, key) = match after_type.split_first_chunk::<8>() {
        Some((chunk, after)) => {
            let word = u64::from_le_bytes(*chunk);
            // The lowest high bit that is set belongs to the first zero byte.
            let zeroes = word.wrapping_sub(ONES) & !word & HIGHS;
            if zeroes == 0 {
                (8 + cstring_len(after)?, word)
            } else {
                let bits = zeroes.trailing_zeros() & !7;
                (bits as usize / 8, word & !(u64::MAX << bits))
            }
        }
        None => {
            let len = cstring_len(after_type)?;
            (len, key(after_type.get(..len)?))
        }
    };
    let name = after_type.get(..name_len)?;
    let after_name = after_type.get(name_len + 1..)?;
    let (bytes, after) = after_name.split_at_checked(value_len(type_byte, after_name)?)?;
    let field = Field {
        type_byte,
        key,
        name,
        bytes,
    };
    Some((field, after))
}
