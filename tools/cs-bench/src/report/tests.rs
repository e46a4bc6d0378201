use super::*;

#[test]
fn numbers_are_short_and_carry_their_unit() {
    assert_eq!(count(812.4), "812");
    assert_eq!(count(9_999.0), "9999");
    assert_eq!(count(12_345.0), "12.3 k");
    assert_eq!(count(999_600.0), "1.00 M");
    assert_eq!(time(65.23), "65.2 µs");
    assert_eq!(time(123.4), "123 µs");
    assert_eq!(time(4_000.0), "4.00 ms");
    assert_eq!(time(2_500_000.0), "2.50 s");
    assert_eq!(bytes(1023), "1023 B");
    assert_eq!(bytes(1536), "1.5 KiB");
    assert_eq!(bytes(3 << 30), "3.0 GiB");
}

#[test]
fn a_table_has_its_headings_and_rows() {
    let mut table = table(&["what", "per s"], 1);
    table.add_row(["append", "1"]);
    let text = table.to_string();
    assert!(text.contains("what") && text.contains("append"), "{text}");
}
