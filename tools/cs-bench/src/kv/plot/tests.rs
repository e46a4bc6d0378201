use super::*;
use crate::kv::report::tests::small;

/// The tags of a picture, which must nest; the texts in it.
fn checked(svg: &str) -> (Vec<String>, Vec<String>) {
    let picture = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
    assert_eq!(picture.root_element().tag_name().name(), "svg");
    let elements = || picture.descendants().filter(roxmltree::Node::is_element);
    let tags = elements().map(|node| node.tag_name().name().to_owned());
    let texts = elements().filter_map(|node| node.text()).map(str::to_owned);
    (tags.collect(), texts.collect())
}

fn count(tags: &[String], name: &str) -> usize {
    tags.iter().filter(|tag| *tag == name).count()
}

#[test]
fn bars_show_each_ratio_and_stay_well_formed_whatever_names_hold() {
    let report = small(&[
        ("cs", "put-1", 100, 3.0),
        ("lmdb", "put-1", 100, 2.0),
        ("a<b>&\"c\u{1}", "put-1", 100, 6e9),
    ]);
    let (tags, texts) = checked(&svg(&report));
    // One is the background.
    assert_eq!(count(&tags, "rect"), 3);
    assert!(texts.iter().any(|text| text == "1.50 lmdb"), "{texts:?}");
    assert!(
        texts.iter().any(|text| text.contains("a<b>&\"c")),
        "{texts:?}"
    );
}

#[test]
fn growth_is_a_line_for_each_engine_in_a_panel_for_each_workload() {
    let report = small(&[
        ("cs", "growth-get", 100, 9.0),
        ("cs", "growth-get", 1000, 8.0),
        ("lmdb", "growth-get", 100, 7.0),
        ("lmdb", "growth-get", 1000, 0.0),
        ("cs", "growth-scan", 100, 9.0),
    ]);
    let (tags, texts) = checked(&svg(&report));
    assert_eq!(count(&tags, "polyline"), 3);
    assert_eq!(
        texts
            .iter()
            .filter(|text| text.starts_with("growth-"))
            .count(),
        2
    );
    assert!(!svg(&report).contains("NaN"));
}

#[test]
fn a_report_without_peers_is_a_picture_too() {
    checked(&svg(&small(&[("cs", "get", 100, 1.0)])));
    checked(&svg(&small(&[])));
}
