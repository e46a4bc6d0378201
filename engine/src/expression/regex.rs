//! `$regexMatch $regexFind $regexFindAll`.

use super::arguments::{Named, coded, kind_name, null, text};
use super::environment::Environment;
use super::limits;
use super::node::{Node, Special};
use super::operators::Entry;
use super::optimise::constant;
use super::parse::Parser;
use super::value::{Fields, Value};
use crate::error::Result;
use crate::pattern::{Captures, Pattern};
use crate::values::{Kind, RawValue};

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$regexMatch" => Entry::Special(|value, parser| {
            parse(value, parser, &operands("$regexMatch"), Answer::Whether)
        }),
        "$regexFind" => Entry::Special(|value, parser| {
            parse(value, parser, &operands("$regexFind"), Answer::First)
        }),
        "$regexFindAll" => Entry::Special(|value, parser| {
            parse(value, parser, &operands("$regexFindAll"), Answer::All)
        }),
        _ => return None,
    })
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Whether,
    First,
    All,
}

#[derive(Debug)]
struct Search {
    operator: &'static str,
    answer: Answer,
    input: Node,
    regex: Node,
    options: Node,
    /// Compiled once, where pattern and options are constant.
    prepared: Option<Option<Pattern>>,
}

const fn operands(operator: &'static str) -> Named {
    Named {
        operator,
        names: &["input", "regex", "options"],
        required: &[31022, 31023],
        not_document: 51103,
        unknown: 31024,
    }
}

fn parse(
    value: RawValue<'_>,
    parser: &mut Parser<'_>,
    operands: &Named,
    answer: Answer,
) -> Result<Node> {
    let mut arguments = operands.parse(value, parser)?.into_iter();
    let mut next = || arguments.next().unwrap_or(Node::Absent);
    Ok(Node::Special(Box::new(Search {
        operator: operands.operator,
        answer,
        input: next(),
        regex: next(),
        options: next(),
        prepared: None,
    })))
}

impl Search {
    /// The pattern, if neither it nor what it is made of is null.
    fn compile(&self, regex: &Value<'_>, options: &Value<'_>) -> Result<Option<Pattern>> {
        let operator = self.operator;
        let source = match regex.kind() {
            Kind::String => text(regex).unwrap_or_default().as_bytes(),
            Kind::Regex => {
                regex
                    .raw()
                    .and_then(|raw| raw.regex())
                    .unwrap_or_default()
                    .0
            }
            _ if regex.is_nullish() => &[],
            _ => {
                let kind = kind_name(regex);
                let message =
                    format!("{operator} needs 'regex' to be of type string or regex, found {kind}");
                return Err(coded(51105, message));
            }
        };
        if !options.is_nullish() && options.kind() != Kind::String {
            let kind = kind_name(options);
            let message = format!("{operator} needs 'options' to be of type string, found {kind}");
            return Err(coded(51106, message));
        }
        let own = regex
            .raw()
            .and_then(|raw| raw.regex())
            .map_or(&[][..], |(_, own)| own);
        if !own.is_empty() && !options.is_nullish() {
            let message = format!("{operator}: options are in both 'regex' and 'options'");
            return Err(coded(51107, message));
        }
        let given = match text(options) {
            Some(options) => options.as_bytes(),
            None => own,
        };
        if source.contains(&0) {
            let message = format!("{operator}: a regular expression cannot contain NUL");
            return Err(coded(51109, message));
        }
        if given.contains(&0) {
            let message = format!("{operator}: regular expression options cannot contain NUL");
            return Err(coded(51110, message));
        }
        // MongoDB looks at the options of a pattern that is null, too.
        let pattern = Pattern::new(source, given).map_err(|error| {
            if error.code() == Some(51091) {
                error.at(operator).with_code(51111)
            } else {
                error.at(operator)
            }
        })?;
        Ok((!regex.is_nullish()).then_some(pattern))
    }
}

impl Special for Search {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        let input = self.input.or_null(environment)?;
        let made;
        let pattern = match &self.prepared {
            Some(prepared) => prepared,
            None => {
                let regex = self.regex.or_null(environment)?;
                let options = self.options.or_null(environment)?;
                check_input(self.operator, &input)?;
                made = self.compile(&regex, &options)?;
                &made
            }
        };
        check_input(self.operator, &input)?;
        let (Some(pattern), Some(input)) = (pattern, text(&input)) else {
            return match self.answer {
                Answer::Whether => Ok(Some(Value::boolean(false))),
                Answer::First => null(),
                Answer::All => Value::array(Vec::new()).map(Some),
            };
        };
        match self.answer {
            Answer::Whether => Ok(Some(Value::boolean(pattern.is_match(input.as_bytes())))),
            Answer::First => match pattern.captures_at(input.as_bytes(), 0) {
                Some(found) => Ok(Some(describe(input, &found, 0, 0)?.0)),
                None => null(),
            },
            Answer::All => all(pattern, input),
        }
    }

    fn children(&mut self) -> Vec<&mut Node> {
        vec![&mut self.input, &mut self.regex, &mut self.options]
    }

    fn prepare(&mut self) -> Result<()> {
        if let (Some(regex), Some(options)) = (constant(&self.regex), constant(&self.options)) {
            let null = Value::null();
            self.prepared = Some(self.compile(regex.unwrap_or(&null), options.unwrap_or(&null))?);
        }
        Ok(())
    }
}

fn check_input(operator: &str, input: &Value<'_>) -> Result<()> {
    if input.is_nullish() || input.kind() == Kind::String {
        return Ok(());
    }
    let kind = kind_name(input);
    let message = format!("{operator} needs 'input' to be of type string, found {kind}");
    Err(coded(51104, message))
}

/// A match as a document, and where it begins in code points; `from` and
/// `before` are a byte and its code point that come before it.
fn describe<'a>(
    input: &str,
    found: &Captures,
    from: usize,
    before: usize,
) -> Result<(Value<'a>, usize)> {
    let part = |range: &Option<(usize, usize)>| match range {
        Some((start, end)) => Value::text(input.get(*start..*end).unwrap_or_default()),
        None => Value::null(),
    };
    let between = input.get(from..found.start()).unwrap_or_default();
    let position = before + between.chars().count();
    let mut fields = Fields::default();
    fields.append(b"match", &part(&Some((found.start(), found.end()))))?;
    fields.append(b"idx", &Value::count(position))?;
    let groups = found.groups().iter().map(part).collect();
    fields.append(b"captures", &Value::array(groups)?)?;
    Ok((fields.finish(), position))
}

fn all<'a>(pattern: &Pattern, input: &str) -> Result<Option<Value<'a>>> {
    let mut matches = Vec::new();
    let (mut at, mut point) = (0, 0);
    let mut bytes = 0_usize;
    while let Some(found) = pattern.captures_at(input.as_bytes(), at) {
        let (value, position) = describe(input, &found, at, point)?;
        bytes = bytes.saturating_add(value.raw().map_or(0, |raw| raw.bytes().len()));
        limits::document_len(bytes)?;
        matches.push(value);
        // After an empty match the next one begins a character later.
        let end = if found.end() > found.start() {
            found.end()
        } else {
            let rest = input.get(found.start()..).unwrap_or_default();
            found.start() + rest.chars().next().map_or(1, char::len_utf8)
        };
        point = position
            + input
                .get(found.start()..end.min(input.len()))
                .map_or(0, |passed| passed.chars().count());
        at = end;
        if at >= input.len() {
            break;
        }
    }
    Value::array(matches).map(Some)
}
