//! The script form: a file is a list of steps.
//!
//! - A line that begins with `#`, and an empty line, is for the reader.
//! - A line that begins in the first column is a command: words between blanks.
//! - A line that is indented belongs to the command above it and is what that command is expected
//!   to show.
//!
//! Everything but the indented lines is kept byte for byte when a file is written anew.

use std::fmt::Write as _;

/// How far shown lines are indented.
const INDENT: &str = "    ";

/// One command and what it showed when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Line number of the command, from one.
    pub(crate) line: usize,
    /// Comments and empty lines before it, as they stand.
    pub(crate) before: Vec<String>,
    /// The command.
    pub(crate) command: String,
    /// What it is expected to show.
    pub(crate) shown: Vec<String>,
}

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// Its steps.
    pub(crate) steps: Vec<Step>,
    /// Comments and empty lines after the last.
    pub(crate) after: Vec<String>,
}

impl Script {
    /// Takes a text apart; says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut steps: Vec<Step> = Vec::new();
        let mut before = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                before.push(line.to_owned());
            } else if let Some(shown) = line.strip_prefix(INDENT) {
                let step = steps.last_mut().filter(|_| before.is_empty());
                let step = step.ok_or(format!("line {}: shown by no command", number + 1))?;
                step.shown.push(shown.to_owned());
            } else if line.starts_with(char::is_whitespace) {
                return Err(format!(
                    "line {}: indented by other than four blanks",
                    number + 1
                ));
            } else {
                let before = std::mem::take(&mut before);
                let command = line.to_owned();
                steps.push(Step {
                    line: number + 1,
                    before,
                    command,
                    shown: Vec::new(),
                });
            }
        }
        if !text.starts_with("# ") || !text.contains("Source: ") {
            return Err("a script begins with a comment: what is shown, and its source".to_owned());
        }
        Ok(Self {
            steps,
            after: before,
        })
    }

    /// The text of it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            for line in step.before.iter().chain([&step.command]) {
                let _ = writeln!(text, "{line}");
            }
            for line in &step.shown {
                let _ = writeln!(text, "{INDENT}{line}");
            }
        }
        for line in &self.after {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

#[test]
fn a_script_is_written_as_it_was_read() {
    let text = "# What.\n# Source: us.\ncluster 1,2\n\n# Why.\ncampaign 1\n    1 < tick\n    1 > send\n# End.\n";
    let script = Script::parse(text).unwrap();
    assert_eq!(script.steps.len(), 2);
    assert_eq!(script.steps[1].shown, ["1 < tick", "1 > send"]);
    assert_eq!(script.steps[1].before, ["", "# Why."]);
    assert_eq!(script.text(), text);
}

#[test]
fn a_script_without_its_source_is_refused() {
    assert!(Script::parse("cluster 1\n").is_err());
    assert!(Script::parse("# What.\n# Source: us.\n    1 < tick\n").is_err());
}
