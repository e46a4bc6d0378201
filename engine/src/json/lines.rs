//! Newline-delimited JSON: one document a line, in bounded memory.

use std::io::{BufRead, Write};

use bson::{RawDocument, RawDocumentBuf};

use super::read::parse_line;
use super::write::{Form, append};
use crate::error::{Error, ErrorKind, Result};

/// The longest line, in bytes. The canonical text of a document within its
/// limit may take several times its bytes.
pub const MAX_LINE_LEN: usize = 64 * 1024 * 1024;

/// What some programs write in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads documents from lines of extended JSON; blank lines are skipped, and so
/// is a byte order mark (UTF-8) at the start of the text.
///
/// After a line that is not a document reading may go on with the next; after
/// an error of the reader, or a line beyond the limit, it has ended.
///
/// ```
/// use collection_store::json::LineReader;
/// let text = "{\"a\":1}\n\n{\"a\":\n";
/// let mut lines = LineReader::new(text.as_bytes());
/// assert_eq!(lines.next().unwrap()?, bson::rawdoc! { "a": 1 });
/// assert!(lines.next().unwrap().unwrap_err().to_string().starts_with("line 3: invalid JSON"));
/// assert!(lines.next().is_none());
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Debug)]
pub struct LineReader<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
    limit: usize,
    ended: bool,
}

impl<R: BufRead> LineReader<R> {
    /// Over a reader, with the usual limit.
    #[must_use]
    pub fn new(reader: R) -> Self {
        Self::with_limit(reader, MAX_LINE_LEN)
    }

    /// Over a reader; no line may exceed `limit` bytes.
    #[must_use]
    pub fn with_limit(reader: R, limit: usize) -> Self {
        Self {
            reader,
            line: Vec::new(),
            number: 0,
            bytes: 0,
            limit,
            ended: false,
        }
    }

    /// The number of the line read last, from 1.
    #[must_use]
    pub fn line_number(&self) -> u64 {
        self.number
    }

    /// How many bytes were read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// Reads one line, without its end; `false` at the end of the text.
    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let message = format!("line {}: {error}", self.number);
                    return Err(Error::new(ErrorKind::Io, message).with_source(error));
                }
            };
            if available.is_empty() {
                return Ok(!self.line.is_empty());
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(available.len());
            if self.line.len() + taken > self.limit {
                let message = format!(
                    "line {}: longer than the limit of {} bytes",
                    self.number, self.limit
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            self.line.extend_from_slice(&available[..taken]);
            let consumed = taken + usize::from(end.is_some());
            self.reader.consume(consumed);
            self.bytes += consumed as u64;
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead> Iterator for LineReader<R> {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.read_line() {
                Ok(true) => {
                    let mut line = self.line.as_slice();
                    if self.number == 1 {
                        line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
                    }
                    let line = line.trim_ascii_start();
                    let before = self.line.len() - line.len();
                    let line = line.trim_ascii_end();
                    if line.is_empty() {
                        continue;
                    }
                    let place = format_args!("line {}", self.number);
                    return Some(parse_line(line, before).map_err(|error| error.at(place)));
                }
                Ok(false) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Writes documents as lines of extended JSON.
#[derive(Debug)]
pub struct LineWriter<W> {
    writer: W,
    form: Form,
    line: Vec<u8>,
}

impl<W: Write> LineWriter<W> {
    /// Over a writer, which should be buffered.
    pub fn new(writer: W, form: Form) -> Self {
        Self {
            writer,
            form,
            line: Vec::new(),
        }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// The document is not valid BSON (nothing was written then), or the
    /// writer failed.
    pub fn write(&mut self, document: &RawDocument) -> Result<()> {
        self.line.clear();
        append(document, self.form, &mut self.line)?;
        self.line.push(b'\n');
        self.writer.write_all(&self.line).map_err(failed)
    }

    /// Flushes, and gives the writer back.
    ///
    /// # Errors
    /// The writer failed.
    pub fn finish(mut self) -> Result<W> {
        self.writer.flush().map_err(failed)?;
        Ok(self.writer)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("writing a line failed: {error}")).with_source(error)
}

#[cfg(test)]
mod tests;
