use std::collections::BTreeSet;

use super::*;

#[test]
fn keys_are_unique_and_24_characters_long() {
    let documents = Documents::new(7, 10);
    let keys: BTreeSet<String> = (0..20_000).map(|number| documents.key(number)).collect();
    assert_eq!(keys.len(), 20_000);
    assert!(keys.iter().all(|key| key.len() == 24));
}

#[test]
fn a_seed_names_its_documents() {
    let document = |seed, number| Documents::new(seed, 150).document(number);
    assert_eq!(document(1, 5), document(1, 5));
    assert_ne!(document(1, 5), document(2, 5));
    assert_ne!(document(1, 5), document(1, 6));
}

#[test]
fn a_document_has_its_key_and_a_value_of_the_size_asked_for() {
    for size in [0, 1, 150, 3 << 20] {
        let documents = Documents::new(1, size);
        let document = documents.document(3);
        assert_eq!(document.get_str("_id").unwrap(), documents.key(3));
        assert_eq!(document.get_binary("v").unwrap().bytes.len(), size);
    }
}

#[test]
fn scattered_visits_every_number_once() {
    for count in [1, 2, 3, 4, 10, 97, 1000, 65_536] {
        let order = Scattered::new(count);
        let seen: BTreeSet<u64> = (0..count).map(|position| order.at(position)).collect();
        assert_eq!(seen.len() as u64, count);
        assert!(seen.iter().all(|number| *number < count));
    }
}
