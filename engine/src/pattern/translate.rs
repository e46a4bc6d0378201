//! From PCRE's notation to that of the crate `regex`.
//!
//! One pass over the characters; open groups lie on a stack, so nothing here
//! recurses. The flags `x` and `m` are dealt with here and never written;
//! `i`, `s` and `U` are the same in both languages and are.

use super::class::{class, literal, shorthand};
use super::{INVALID_OPTION, INVALID_PATTERN, MAX_PATTERN_LEN};
use crate::error::{Error, ErrorKind, Result};

/// Groups within groups, as PCRE has it.
const MAX_NESTING: usize = 250;
/// The largest number of a repetition, as PCRE has it.
const MAX_REPEAT: u32 = 65_535;

/// A pattern for the crate `regex`.
#[derive(Debug)]
pub(crate) struct Translated {
    /// Its text; groups have the numbers that they had.
    pub(crate) text: String,
    /// A `$` became `\z`: it also stands before a newline that ends the text.
    pub(crate) has_soft_end: bool,
    /// A `^` stands after each newline; after the last byte it should not.
    pub(crate) has_line_start: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    extended: bool,
    multi_line: bool,
}

/// What came last: decides what a quantifier may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Nothing that can be repeated.
    Nothing,
    Atom,
    Quantifier,
}

/// The pattern in the other language.
///
/// # Errors
/// An option is unknown (51108), the pattern makes no sense or asks for what
/// automata cannot do (51091), or it holds NUL or is too long (2).
pub(crate) fn translate(source: &[u8], options: &[u8]) -> Result<Translated> {
    let mut flags = Flags::default();
    let mut text = String::with_capacity(source.len() + 8);
    for option in options {
        match option {
            b'i' if !text.contains("(?i)") => text.push_str("(?i)"),
            b's' if !text.contains("(?s)") => text.push_str("(?s)"),
            b'm' => flags.multi_line = true,
            b'x' => flags.extended = true,
            // Text is UTF-8 anyway.
            b'i' | b's' | b'u' => {}
            0 => return Err(Error::bad_value("regular expression options hold NUL")),
            other => {
                let message = format!("invalid flag in regex options: {}", char::from(*other));
                return Err(Error::new(ErrorKind::BadValue, message).with_code(INVALID_OPTION));
            }
        }
    }
    if source.contains(&0) {
        return Err(Error::bad_value("a regular expression cannot hold NUL"));
    }
    if source.len() > MAX_PATTERN_LEN {
        return Err(Error::bad_value(format!(
            "a regular expression of {} bytes is too long, the most are {MAX_PATTERN_LEN}",
            source.len()
        )));
    }
    let source = std::str::from_utf8(source).map_err(|error| {
        let message = format!("regular expression is invalid: {error}");
        Error::new(ErrorKind::BadValue, message).with_code(INVALID_PATTERN)
    })?;
    let mut translator = Translator {
        reader: Reader { rest: source },
        flags,
        open: Vec::new(),
        last: Last::Nothing,
        out: Translated {
            text,
            has_soft_end: false,
            has_line_start: false,
        },
    };
    while let Some(next) = translator.reader.next() {
        translator.step(next)?;
    }
    if !translator.open.is_empty() {
        return Err(translator.reader.error("missing closing parenthesis"));
    }
    Ok(translator.out)
}

struct Translator<'a> {
    reader: Reader<'a>,
    flags: Flags,
    /// The flags outside of each open group.
    open: Vec<Flags>,
    last: Last,
    out: Translated,
}

impl Translator<'_> {
    fn step(&mut self, next: char) -> Result<()> {
        let text = &mut self.out.text;
        match next {
            '\\' => return self.escape(),
            '[' => class(&mut self.reader, text)?,
            '(' => return self.group(),
            ')' => {
                let Some(outside) = self.open.pop() else {
                    return Err(self.reader.error("unmatched closing parenthesis"));
                };
                self.flags = outside;
                text.push(')');
            }
            '|' => {
                text.push('|');
                self.last = Last::Nothing;
                return Ok(());
            }
            '*' | '+' | '?' => return self.quantifier(next),
            '{' => {
                if let Some(repeat) = self.reader.repetition() {
                    return self.repetition(repeat);
                }
                literal('{', text);
            }
            '^' if self.flags.multi_line => {
                self.out.has_line_start = true;
                text.push_str("(?m:^)");
            }
            '$' if self.flags.multi_line => text.push_str("(?m:$)"),
            '$' => {
                self.out.has_soft_end = true;
                text.push_str(r"\z");
            }
            '^' | '.' => text.push(next),
            '#' if self.flags.extended => {
                while self.reader.next().is_some_and(|skipped| skipped != '\n') {}
                return Ok(());
            }
            space if self.flags.extended && is_pattern_space(space) => return Ok(()),
            plain => literal(plain, text),
        }
        self.last = Last::Atom;
        Ok(())
    }

    fn quantifier(&mut self, sign: char) -> Result<()> {
        match (self.last, sign) {
            (Last::Atom, _) => self.last = Last::Quantifier,
            // As few as possible: the same answer.
            (Last::Quantifier, '?') => self.last = Last::Nothing,
            (Last::Quantifier, '+') => return Err(self.unsupported("a possessive quantifier")),
            _ => {
                let message = "a quantifier does not follow a repeatable item";
                return Err(self.reader.error(message));
            }
        }
        self.out.text.push(sign);
        Ok(())
    }

    fn repetition(&mut self, (least, most): (u32, Option<u32>)) -> Result<()> {
        if self.last != Last::Atom {
            let message = "a quantifier does not follow a repeatable item";
            return Err(self.reader.error(message));
        }
        if most.is_some_and(|most| most < least) {
            return Err(self.reader.error("numbers out of order in a {} quantifier"));
        }
        if most.unwrap_or(least) > MAX_REPEAT || least > MAX_REPEAT {
            return Err(self.reader.error("number too big in a {} quantifier"));
        }
        let text = match most {
            Some(most) if most == least => format!("{{{least}}}"),
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        };
        self.out.text.push_str(&text);
        self.last = Last::Quantifier;
        Ok(())
    }

    /// Behind a `(`.
    fn group(&mut self) -> Result<()> {
        if self.reader.peek() == Some('*') {
            return Err(self.unsupported("a verb"));
        }
        let mut opening = String::from("(");
        let mut inside = self.flags;
        if self.reader.take('?') {
            match self.reader.next() {
                Some('#') => {
                    while let Some(skipped) = self.reader.next() {
                        if skipped == ')' {
                            return Ok(());
                        }
                    }
                    return Err(self.reader.error("missing ) after (?# comment"));
                }
                Some(':') => opening.push_str("?:"),
                Some('P') if self.reader.take('<') => self.reader.name('>')?,
                Some('P') => return Err(self.unsupported("a back-reference")),
                Some('<') if matches!(self.reader.peek(), Some('=' | '!')) => {
                    return Err(self.unsupported("look-behind"));
                }
                Some('<') => self.reader.name('>')?,
                Some('\'') => self.reader.name('\'')?,
                Some('=' | '!') => return Err(self.unsupported("look-ahead")),
                Some('>') => return Err(self.unsupported("an atomic group")),
                Some('|') => return Err(self.unsupported("a group with numbers of its own")),
                Some('R' | '&' | '(' | '+' | '0'..='9' | 'C') => {
                    return Err(self.unsupported("recursion, or a condition"));
                }
                Some(flag) => {
                    let (text, is_group) = self.inline_flags(flag, &mut inside)?;
                    if !is_group {
                        self.flags = inside;
                        self.out.text.push_str(&text);
                        return Ok(());
                    }
                    opening.push_str(&text);
                }
                None => return Err(self.reader.error("unrecognised character after (?")),
            }
        }
        if self.open.len() == MAX_NESTING {
            return Err(self.reader.error("parentheses are too deeply nested"));
        }
        self.open.push(self.flags);
        self.flags = inside;
        self.out.text.push_str(&opening);
        self.last = Last::Nothing;
        Ok(())
    }

    /// `(?i)` and `(?i:`: what to write, and whether a group begins.
    fn inline_flags(&mut self, first: char, inside: &mut Flags) -> Result<(String, bool)> {
        let (mut on, mut off) = (String::new(), String::new());
        let mut value = true;
        let mut next = Some(first);
        loop {
            match next {
                Some('-') if value => value = false,
                Some('x') => inside.extended = value,
                Some('m') => inside.multi_line = value,
                Some(flag @ ('i' | 's' | 'U')) => {
                    let side = if value { &mut on } else { &mut off };
                    if !side.contains(flag) {
                        side.push(flag);
                    }
                }
                Some(end @ (')' | ':')) => {
                    // The later of two contradicting flags counts.
                    on.retain(|flag| !off.contains(flag));
                    let minus = if off.is_empty() { "" } else { "-" };
                    let is_group = end == ':';
                    return Ok(match (is_group, on.is_empty() && off.is_empty()) {
                        (true, _) => (format!("?{on}{minus}{off}:"), true),
                        (false, true) => (String::new(), false),
                        (false, false) => (format!("(?{on}{minus}{off})"), false),
                    });
                }
                _ => {
                    let message = "unrecognised character after (? or (?-";
                    return Err(self.reader.error(message));
                }
            }
            next = self.reader.next();
        }
    }

    /// Behind a `\`, outside of classes.
    fn escape(&mut self) -> Result<()> {
        let Some(letter) = self.reader.next() else {
            return Err(self.reader.error("\\ at end of pattern"));
        };
        let text = &mut self.out.text;
        if let Some((set, is_negated)) = shorthand(letter) {
            text.push_str(if is_negated { "[^" } else { "[" });
            text.push_str(set);
            text.push(']');
            self.last = Last::Atom;
            return Ok(());
        }
        match letter {
            'b' => text.push_str(r"(?-u:\b)"),
            'B' => text.push_str(r"(?-u:\B)"),
            'A' => text.push_str(r"\A"),
            'z' => text.push_str(r"\z"),
            'Z' => {
                self.out.has_soft_end = true;
                text.push_str(r"\z");
            }
            'p' | 'P' => self.reader.property(letter, text)?,
            'Q' => {
                while let Some(quoted) = self.reader.next() {
                    if quoted == '\\' && self.reader.take('E') {
                        break;
                    }
                    literal(quoted, text);
                    self.last = Last::Atom;
                }
                return Ok(());
            }
            'E' => return Ok(()),
            'R' => text.push_str(r"(?:\r\n|[\n\x0B\x0C\r\u{85}\u{2028}\u{2029}])"),
            '1'..='9' | 'g' | 'k' => return Err(self.unsupported("a back-reference")),
            'K' | 'G' | 'X' | 'C' => {
                return Err(self.unsupported(&format!("\\{letter}")));
            }
            _ => literal(self.reader.escaped(letter)?, text),
        }
        self.last = Last::Atom;
        Ok(())
    }

    fn unsupported(&self, what: &str) -> Error {
        self.reader.error(&format!("{what} is not supported"))
    }
}

fn is_pattern_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r' | '\u{B}' | '\u{C}')
}

/// The characters that are left.
pub(super) struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    #[allow(clippy::should_implement_trait)]
    pub(super) fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let next = letters.next();
        self.rest = letters.as_str();
        next
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn peek_second(&self) -> Option<char> {
        self.rest.chars().nth(1)
    }

    pub(super) fn take(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.next();
        }
        is_next
    }

    /// The name in what is left, if it begins like `:alpha:]`.
    pub(super) fn posix_class(&self) -> Option<&str> {
        let name = self.rest.strip_prefix(':')?;
        let name = name.strip_prefix('^').unwrap_or(name);
        let end = name.find(|letter: char| !letter.is_ascii_lowercase())?;
        let (name, after) = name.split_at(end);
        after.starts_with(":]").then_some(name)
    }

    /// The numbers of `{n}`, `{n,}` or `{n,m}`, behind the brace.
    fn repetition(&mut self) -> Option<(u32, Option<u32>)> {
        let (inside, after) = self.rest.split_once('}')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let repeat = match inside.split_once(',') {
            None => {
                let exact = number(inside)?;
                (exact, Some(exact))
            }
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        self.rest = after;
        Some(repeat)
    }

    /// The name of a group, up to its end.
    fn name(&mut self, end: char) -> Result<()> {
        let mut is_first = true;
        while let Some(letter) = self.next() {
            if letter == end && !is_first {
                return Ok(());
            }
            let good = letter == '_' || letter.is_alphabetic() || letter.is_numeric() && !is_first;
            if !good {
                break;
            }
            is_first = false;
        }
        Err(self.error("syntax error in the name of a group"))
    }

    /// Behind `\p`.
    pub(super) fn property(&mut self, letter: char, out: &mut String) -> Result<()> {
        let name = match self.next() {
            Some('{') => {
                let Some((name, after)) = self.rest.split_once('}') else {
                    return Err(self.error("malformed \\P or \\p sequence"));
                };
                self.rest = after;
                name.to_owned()
            }
            Some(single) => single.to_string(),
            None => return Err(self.error("malformed \\P or \\p sequence")),
        };
        let (name, is_negated) = match name.strip_prefix('^') {
            Some(name) => (name, letter == 'p'),
            None => (name.as_str(), letter == 'P'),
        };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(self.error("unknown property after \\P or \\p"));
        }
        let letter = if is_negated { 'P' } else { 'p' };
        out.push_str(&format!("\\{letter}{{{name}}}"));
        Ok(())
    }

    /// The character that an escape stands for; `letter` follows the backslash.
    pub(super) fn escaped(&mut self, letter: char) -> Result<char> {
        Ok(match letter {
            'a' => '\u{7}',
            'e' => '\u{1B}',
            'f' => '\u{C}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => self.number("", 8, 2)?,
            'o' if self.take('{') => self.braced(8)?,
            'x' if self.take('{') => self.braced(16)?,
            'x' => self.number("", 16, 2)?,
            'c' => match self.next() {
                Some(letter @ ' '..='~') => {
                    char::from(u8::try_from(letter.to_ascii_uppercase()).unwrap_or(0) ^ 0x40)
                }
                _ => return Err(self.error("\\c must be followed by a printable character")),
            },
            '1'..='9' => return Err(self.error("a back-reference is not supported")),
            letter if letter.is_ascii_alphanumeric() => {
                return Err(self.error(&format!("unrecognised character follows \\: {letter}")));
            }
            plain => plain,
        })
    }

    /// Up to `most` digits; none are zero.
    fn number(&mut self, before: &str, radix: u32, most: usize) -> Result<char> {
        let mut digits = String::from(before);
        while digits.len() < most
            && let Some(digit) = self.peek().filter(|letter| letter.is_digit(radix))
        {
            digits.push(digit);
            self.next();
        }
        let code = u32::from_str_radix(&digits, radix).unwrap_or(0);
        char::from_u32(code).ok_or_else(|| self.error("character code is not a character"))
    }

    fn braced(&mut self, radix: u32) -> Result<char> {
        let Some((digits, after)) = self.rest.split_once('}') else {
            return Err(self.error("missing terminating } for a character code"));
        };
        let code = u32::from_str_radix(digits, radix).ok();
        let Some(letter) = code.and_then(char::from_u32) else {
            return Err(self.error("character code is not a character"));
        };
        self.rest = after;
        Ok(letter)
    }

    pub(super) fn error(&self, what: &str) -> Error {
        let message = format!("regular expression is invalid: {what}");
        Error::new(ErrorKind::BadValue, message).with_code(INVALID_PATTERN)
    }
}
