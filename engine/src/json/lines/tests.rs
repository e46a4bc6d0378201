use std::io::{self, BufReader, Read};

use bson::rawdoc;

use super::{Form, LineReader, LineWriter};
use crate::error::ErrorKind;

#[test]
fn blank_lines_and_line_ends_of_any_kind_are_skipped() {
    let text = "\n{\"a\":1}\r\n  \n\t{\"a\":2} \n{\"a\":3}";
    let mut lines = LineReader::new(text.as_bytes());
    let values: Vec<i32> = lines
        .by_ref()
        .map(|document| document.unwrap().get_i32("a").unwrap())
        .collect();
    assert_eq!(values, [1, 2, 3]);
    assert_eq!(lines.bytes_read(), text.len() as u64);
}

#[test]
fn a_bad_line_is_named_and_the_next_is_read() {
    let text = "{\"a\":1}\n\n{oops}\n{\"a\":2}\n";
    let results: Vec<_> = LineReader::new(text.as_bytes()).collect();
    assert_eq!(results.len(), 3);
    assert!(
        results[1]
            .as_ref()
            .unwrap_err()
            .to_string()
            .starts_with("line 3: ")
    );
    assert!(results[2].is_ok());
}

#[test]
fn a_line_beyond_the_limit_ends_reading_without_holding_it() {
    let text = format!(
        "{{\"a\":1}}\n{{\"a\":\"{}\"}}\n{{\"a\":2}}\n",
        "x".repeat(100)
    );
    let mut lines = LineReader::with_limit(BufReader::with_capacity(16, text.as_bytes()), 50);
    assert!(lines.next().unwrap().is_ok());
    let error = lines.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "line 2: longer than the limit of 50 bytes"
    );
    assert!(lines.next().is_none());
}

#[test]
fn an_error_of_the_reader_is_passed_on_once() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("cable cut"))
        }
    }
    let mut lines = LineReader::new(BufReader::new(Broken));
    assert_eq!(lines.next().unwrap().unwrap_err().kind(), ErrorKind::Io);
    assert!(lines.next().is_none());
}

#[test]
fn written_lines_are_read_back() {
    let documents = [rawdoc! { "a": 1_i64 }, rawdoc! { "text": "two\nlines" }];
    let mut writer = LineWriter::new(Vec::new(), Form::Canonical);
    for document in &documents {
        writer.write(document).unwrap();
    }
    let text = writer.finish().unwrap();
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 2);
    let read: Vec<_> = LineReader::new(&*text).map(Result::unwrap).collect();
    assert_eq!(read, documents);
}

#[test]
fn an_error_in_a_line_names_line_and_column() {
    let text = "{\"a\":1}\n  {\"a\":}\n";
    let error = LineReader::new(text.as_bytes()).nth(1).unwrap();
    assert_eq!(
        error.unwrap_err().to_string(),
        "line 2: invalid JSON: expected value at column 8"
    );
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_start_of_the_text_alone() {
    let text = "\u{feff}{\"a\":1}\n\u{feff}{\"a\":2}\n";
    let mut lines = LineReader::new(text.as_bytes());
    assert_eq!(lines.next().unwrap().unwrap(), rawdoc! { "a": 1 });
    assert!(lines.next().unwrap().is_err());
    assert!(LineReader::new("\u{feff}\n".as_bytes()).next().is_none());
    let error = LineReader::new("\u{feff}{]".as_bytes()).next().unwrap();
    assert!(error.unwrap_err().to_string().ends_with("at column 5"));
}
