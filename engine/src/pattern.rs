//! Regular expressions as MongoDB has them: the language of PCRE, with its
//! options, over the text of a value.
//!
//! They are carried out by the crate `regex`, whose time is linear in the text
//! whatever the pattern; [`translate`](mod@translate) says what its language
//! does not: classes like `\d` are ASCII's, `$` also matches before a last
//! newline, a `{` that begins no repetition is itself.
//!
//! ## Invariants
//! * What cannot be said exactly (look-around, back-references, possessive and
//!   atomic groups, recursion) is refused by name, never matched otherwise.
//! * A compiled pattern takes at most [`SIZE_LIMIT`] bytes, its lazy automaton
//!   as many again.

mod class;
mod prefix;
mod translate;

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use crate::error::{Error, ErrorKind, Result};
use crate::values::{Kind, RawValue};

use translate::translate;

/// MongoDB's code for a pattern that PCRE refuses.
const INVALID_PATTERN: i32 = 51091;
/// MongoDB's code for an option that it does not know.
const INVALID_OPTION: i32 = 51108;
/// Bytes that a compiled pattern may take.
const SIZE_LIMIT: usize = 4 << 20;
/// Bytes that the text of a pattern may have; MongoDB's limit.
const MAX_PATTERN_LEN: usize = 32_764;

/// A pattern with its options, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Box<[u8]>,
    options: Box<[u8]>,
    regex: Regex,
    /// A `$` of the pattern also stands before a last newline.
    has_soft_end: bool,
    /// A `^` of the pattern stands after each newline, but not after the last byte.
    has_line_start: bool,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Pattern or options make no sense, or are not supported, or take too much
    /// room; the codes are MongoDB's.
    pub(crate) fn new(source: &[u8], options: &[u8]) -> Result<Self> {
        let parsed = translate(source, options)?;
        let regex = RegexBuilder::new(&parsed.text)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| {
                invalid(format!("regular expression is invalid: {error}")).with_source(error)
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                source: source.into(),
                options: options.into(),
                regex,
                has_soft_end: parsed.has_soft_end,
                has_line_start: parsed.has_line_start,
            }),
        })
    }

    /// Whether a text that matches, or this very expression.
    pub(crate) fn matches(&self, value: RawValue<'_>) -> bool {
        match value.kind() {
            Kind::String | Kind::Symbol => value.text().is_some_and(|text| self.is_match(text)),
            Kind::Regex => value.regex() == Some((&self.inner.source, &self.inner.options)),
            _ => false,
        }
    }

    /// Whether a part of `text` matches.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        let Inner {
            regex,
            has_soft_end,
            has_line_start,
            ..
        } = &*self.inner;
        let before_newline = text.strip_suffix(b"\n");
        match before_newline {
            Some(_) if *has_line_start => {
                // The one place where PCRE's `^` does not stand and ours does is
                // the end; what matches there is empty.
                if regex
                    .find(text)
                    .is_some_and(|found| found.start() < text.len())
                {
                    return true;
                }
            }
            _ => {
                if regex.is_match(text) {
                    return true;
                }
            }
        }
        *has_soft_end && before_newline.is_some_and(|text| regex.is_match(text))
    }

    /// The first match that begins at or after a byte of the text, with its groups.
    pub(crate) fn captures_at(&self, text: &[u8], start: usize) -> Option<Captures> {
        let Inner {
            regex,
            has_soft_end,
            has_line_start,
            ..
        } = &*self.inner;
        let before_newline = text
            .strip_suffix(b"\n")
            .filter(|shorter| start <= shorter.len());
        let find = |text: &[u8]| {
            let found = regex.captures_at(text, start)?;
            let range = |at: usize| found.get(at).map(|part| (part.start(), part.end()));
            Some(Captures {
                whole: range(0)?,
                groups: (1..found.len()).map(range).collect(),
            })
        };
        let mut first = if start <= text.len() {
            find(text)
        } else {
            None
        };
        if *has_line_start && text.ends_with(b"\n") {
            // See `is_match`.
            first = first.filter(|found| found.whole.0 < text.len());
        }
        let soft = before_newline.filter(|_| *has_soft_end).and_then(find);
        match (first, soft) {
            (Some(first), Some(soft)) if soft.whole.0 < first.whole.0 => Some(soft),
            (None, soft) => soft,
            (first, _) => first,
        }
    }

    /// What every text begins with that matches, if the pattern says so.
    pub(crate) fn prefix(&self) -> Option<Vec<u8>> {
        prefix::prefix(&self.inner.source, &self.inner.options)
    }
}

/// Where a match is, and its groups.
#[derive(Clone, Debug)]
pub(crate) struct Captures {
    whole: (usize, usize),
    groups: Vec<Option<(usize, usize)>>,
}

impl Captures {
    /// The first byte of the match.
    pub(crate) fn start(&self) -> usize {
        self.whole.0
    }

    /// The byte after it.
    pub(crate) fn end(&self) -> usize {
        self.whole.1
    }

    /// Its groups by their numbers; `None` for one that took no part.
    pub(crate) fn groups(&self) -> &[Option<(usize, usize)>] {
        &self.groups
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::BadValue, message).with_code(INVALID_PATTERN)
}

#[cfg(test)]
mod tests;
