//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write};

use super::figures::{BUCKETS_US, Histogram};

/// A text that is being written.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// Labels as they stand between braces.
    pub(super) fn labels(labels: &[(&str, &str)]) -> String {
        let mut text = String::new();
        for (name, value) in labels {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    other => text.push(other),
                }
            }
            text.push('"');
        }
        text
    }

    pub(super) fn family(&mut self, name: &str, help: &str, kind: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    pub(super) fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{labels}}} {value}")),
        }
    }

    pub(super) fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bucket = format!("{name}_bucket");
        let mut seen = 0;
        for (position, count) in histogram.counts().into_iter().enumerate() {
            seen += count;
            let end = BUCKETS_US
                .get(position)
                .map_or("+Inf".to_owned(), |end| seconds(*end));
            self.value(&bucket, &format!("{labels}{comma}le=\"{end}\""), seen);
        }
        self.value(&format!("{name}_sum"), labels, seconds(histogram.sum_us()));
        self.value(&format!("{name}_count"), labels, seen);
    }

    /// A family of one figure without labels.
    pub(super) fn single(&mut self, name: &str, help: &str, kind: &str, value: impl Display) {
        self.family(name, help, kind);
        self.value(name, "", value);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// Microseconds as seconds, exactly.
fn seconds(time_us: u64) -> String {
    let text = format!("{}.{:06}", time_us / 1_000_000, time_us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
