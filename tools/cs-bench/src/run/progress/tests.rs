use super::*;

#[test]
fn templates_are_valid() {
    for template in [RUN_TEMPLATE, PROBE_TEMPLATE] {
        assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
    }
}

#[test]
fn a_counter_adds_up() {
    let counter = Counter::default();
    counter.add(3);
    counter.add(4);
    assert_eq!(counter.get(), 7);
}
