//! File names of the log, and nothing else that knows them.

/// What a file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    /// A segment of the log, by sequence number.
    Segment(u64),
    /// A zero-filled or recycled file that waits to become a segment.
    Spare(u64),
    /// A file whose making was cut short.
    Temporary,
}

pub(crate) fn segment_name(sequence: u64) -> String {
    format!("wal-{sequence:010}.log")
}

pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number}.log")
}

pub(crate) fn temporary_name(number: u64) -> String {
    format!("wal-{number:010}.tmp")
}

/// Reads a name back; `None` for files that are not the log's.
pub(crate) fn parse(name: &str) -> Option<FileName> {
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    if let Some(rest) = name.strip_prefix("wal-") {
        if let Some(digits) = rest.strip_suffix(".log") {
            return number(digits).map(FileName::Segment);
        }
        return rest.strip_suffix(".tmp").map(|_| FileName::Temporary);
    }
    number(name.strip_prefix("spare-")?.strip_suffix(".log")?).map(FileName::Spare)
}

#[cfg(test)]
mod tests;
