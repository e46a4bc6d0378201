use super::*;

#[test]
fn the_memory_of_the_process_is_known() {
    let memory = process_memory().unwrap();
    assert!(memory.resident > 0 && memory.mapped >= memory.resident);
}

#[test]
fn no_threshold_is_set_unless_told() {
    assert!(thresholds(&AlertsConfig::default()).is_empty());
    let config = AlertsConfig {
        error_percent: 5,
        ..AlertsConfig::default()
    };
    assert!(!thresholds(&config).is_empty());
}

#[test]
fn operations_are_listed_while_they_run_and_can_be_told_to_end() {
    let operations = Operations::default();
    let begin = || {
        operations.begin(Operation {
            id: 0,
            command: "find",
            database: "shop".to_owned(),
            collection: Some("orders".to_owned()),
            connection: 1,
            user: None,
            begun: std::time::Instant::now(),
            cancel: collection_store::CancelFlag::new(),
        })
    };
    let (one, other) = (begin(), begin());
    assert_ne!(one.operation.id, other.operation.id);
    assert_eq!(operations.list().len(), 2);
    assert_eq!(one.operation.namespace(), "shop.orders");
    assert!(operations.kill(other.operation.id));
    assert!(other.operation.cancel.is_cancelled() && !one.operation.cancel.is_cancelled());
    let gone = one.operation.id;
    drop(one);
    assert!(!operations.kill(gone));
    assert_eq!(operations.running(), 1);
}
