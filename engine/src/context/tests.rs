use std::sync::Arc;
use std::time::Duration;

use cs_kv::io::{Runtime, SimRuntime};

use super::{CancelFlag, OperationContext};

#[test]
fn a_watch_ends_when_time_is_up() {
    let sim = SimRuntime::new(1);
    let runtime: Arc<dyn Runtime> = sim.clone();
    let watch = OperationContext::new()
        .timeout(Duration::from_millis(5))
        .start(&runtime);
    watch.check().unwrap();
    sim.advance(Duration::from_millis(5));
    assert_eq!(watch.check().unwrap_err().code(), Some(50));
}

#[test]
fn a_watch_ends_when_its_flag_is_raised() {
    let runtime: Arc<dyn Runtime> = SimRuntime::new(1);
    let flag = CancelFlag::new();
    let watch = OperationContext::new()
        .cancel_flag(flag.clone())
        .start(&runtime);
    watch.check().unwrap();
    flag.cancel();
    assert_eq!(watch.check().unwrap_err().code(), Some(11601));
}

#[test]
fn memory_is_charged_and_given_back() {
    let runtime: Arc<dyn Runtime> = SimRuntime::new(1);
    let mut watch = OperationContext::new().memory_limit(100).start(&runtime);
    watch.charge(80).unwrap();
    assert_eq!(watch.charge(21).unwrap_err().code(), Some(146));
    watch.release(80);
    watch.charge(100).unwrap();
}
