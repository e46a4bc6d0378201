use super::*;

#[test]
fn the_page_of_an_unreadable_one_is_taken_from_the_text() {
    let finding = Finding::unreadable("page 17 is damaged: checksum, expected 1, found 2");
    assert_eq!(finding.page, Some(17));
    assert_eq!(
        finding.line(),
        "unreadable: page 17 is damaged: checksum, expected 1, found 2"
    );
    assert_eq!(
        Finding::unreadable("opening failed: page 3 is newer").page,
        Some(3)
    );
    assert_eq!(Finding::unreadable("the page size is odd").page, None);
}

#[test]
fn a_leak_is_the_same_leak_whatever_the_words() {
    let one = Finding::new("leaked", "now").on_page(4);
    let two = Finding::new("leaked", "then").on_page(4);
    assert_eq!(one.identity(), two.identity());
    assert_ne!(one.identity(), two.on_page(5).identity());
}

#[test]
fn an_unreadable_page_is_the_same_only_if_the_bytes_are() {
    let one = Finding::unreadable("page 4 is newer than its pointer: expected 1, found 2");
    let two = Finding::unreadable("page 4 is newer than its pointer: expected 5, found 6");
    assert_ne!(one.identity(), two.identity());
}
