use std::time::Instant;

use collection_store::CancelFlag;

use super::*;

#[test]
fn an_operation_is_described_without_what_it_holds() {
    let operation = Operation {
        id: 7,
        command: "find",
        database: "shop".to_owned(),
        collection: Some("orders".to_owned()),
        connection: 3,
        user: Some("admin.ada".to_owned()),
        begun: Instant::now(),
        cancel: CancelFlag::new(),
    };
    operation.cancel.cancel();
    let document = describe(&operation, Some("127.0.0.1:1".to_owned()));
    assert_eq!(document.get_str("ns").unwrap(), "shop.orders");
    assert_eq!(document.get_str("op").unwrap(), "query");
    assert!(document.get_bool("killPending").unwrap());
    let command = document.get_document("command").unwrap();
    assert_eq!(command, &doc! { "find": "orders", "$db": "shop" });
}

#[test]
fn the_average_of_nothing_is_nothing() {
    assert!(Sizes::default().average().abs() < f64::EPSILON);
}
