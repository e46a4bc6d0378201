//! Character classes, from PCRE's notation to that of the crate `regex`.
//!
//! Ours has nested classes and set operations where PCRE has plain characters,
//! so every character is written as an escape or as itself, never copied blindly.

use super::translate::Reader;
use crate::error::Result;

/// `\s`.
pub(super) const SPACE: &str = r"\t\n\x0B\x0C\r ";
/// `\w`.
pub(super) const WORD: &str = "0-9A-Za-z_";
/// `\h`.
const BLANK: &str = r"\t \u{A0}\u{1680}\u{180E}\u{2000}-\u{200A}\u{202F}\u{205F}\u{3000}";
/// `\v`.
const LINES: &str = r"\n\x0B\x0C\r\u{85}\u{2028}\u{2029}";

/// The names that `[:name:]` knows.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// What a letter after a backslash stands for, if it is a set: its members,
/// and whether they are those it does not mean.
pub(super) fn shorthand(letter: char) -> Option<(&'static str, bool)> {
    Some(match letter {
        'd' => ("0-9", false),
        'D' => ("0-9", true),
        's' => (SPACE, false),
        'S' => (SPACE, true),
        'w' => (WORD, false),
        'W' => (WORD, true),
        'h' => (BLANK, false),
        'H' => (BLANK, true),
        'v' => (LINES, false),
        'V' => (LINES, true),
        'N' => (r"\n", true),
        _ => return None,
    })
}

/// One member of a class.
enum Member {
    One(char),
    Set,
}

/// Translates a class; the reader stands behind its `[`.
pub(super) fn class(reader: &mut Reader<'_>, out: &mut String) -> Result<()> {
    out.push('[');
    if reader.take('^') {
        out.push('^');
    }
    let mut is_first = true;
    let mut is_quoted = false;
    loop {
        let Some(next) = reader.next() else {
            return Err(reader.error("missing terminating ] for a character class"));
        };
        if is_quoted {
            if next == '\\' && reader.take('E') {
                is_quoted = false;
            } else {
                literal(next, out);
            }
            is_first = false;
            continue;
        }
        if next == '\\' && reader.take('Q') {
            is_quoted = true;
            continue;
        }
        if next == ']' && !is_first {
            break;
        }
        is_first = false;
        match member(next, reader, out)? {
            Member::Set => {}
            Member::One(first) => {
                // A range, unless the hyphen is the last character.
                if reader.peek() == Some('-') && !matches!(reader.peek_second(), Some(']') | None) {
                    range(first, reader, out)?;
                } else {
                    literal(first, out);
                }
            }
        }
    }
    out.push(']');
    Ok(())
}

fn range(first: char, reader: &mut Reader<'_>, out: &mut String) -> Result<()> {
    reader.next();
    let Some(next) = reader.next() else {
        return Err(reader.error("missing terminating ] for a character class"));
    };
    let mut set = String::new();
    match member(next, reader, &mut set)? {
        Member::One(last) if last < first => Err(reader.error("range out of order in a class")),
        Member::One(last) => {
            literal(first, out);
            out.push('-');
            literal(last, out);
            Ok(())
        }
        // A hyphen before a set is itself.
        Member::Set => Err(reader.error("invalid range in a character class")),
    }
}

/// A member that begins with `next`: a character is returned, a set is written.
fn member(next: char, reader: &mut Reader<'_>, out: &mut String) -> Result<Member> {
    match next {
        '[' if reader.posix_class().is_some() => {
            if !reader
                .posix_class()
                .is_some_and(|name| POSIX.contains(&name))
            {
                return Err(reader.error("unknown POSIX class name"));
            }
            out.push('[');
            while let Some(inner) = reader.next() {
                out.push(inner);
                if inner == ']' {
                    break;
                }
            }
            Ok(Member::Set)
        }
        '\\' => {
            let Some(letter) = reader.next() else {
                return Err(reader.error("\\ at end of pattern"));
            };
            if let Some((set, is_negated)) = shorthand(letter).filter(|_| letter != 'N') {
                out.push_str(if is_negated { "[^" } else { "[" });
                out.push_str(set);
                out.push(']');
                return Ok(Member::Set);
            }
            match letter {
                'b' => Ok(Member::One('\u{8}')),
                'p' | 'P' => {
                    reader.property(letter, out)?;
                    Ok(Member::Set)
                }
                _ => reader.escaped(letter).map(Member::One),
            }
        }
        plain => Ok(Member::One(plain)),
    }
}

/// A character as itself, inside of a class or out of it.
pub(super) fn literal(plain: char, out: &mut String) {
    if plain.is_ascii_punctuation() && !matches!(plain, '<' | '>') {
        out.push('\\');
        out.push(plain);
    } else if plain.is_ascii_control() {
        out.push_str(&format!("\\x{:02X}", u32::from(plain)));
    } else {
        out.push(plain);
    }
}
