use super::*;
use crate::run::memory::MemoryTarget;

fn plan(workload: Workload) -> Plan {
    let batch = workload.default_batch().unwrap_or(SCAN_BATCH);
    Plan {
        workload,
        threads: 3,
        docs: 2500,
        batch,
        value_size: 20,
        seed: 1,
    }
}

#[test]
fn every_workload_does_each_document_once() {
    for workload in [
        Workload::Insert1,
        Workload::InsertBatch,
        Workload::LoadBulk,
        Workload::FindId,
        Workload::Delete,
    ] {
        let outcome = drive(&MemoryTarget::default(), &plan(workload)).unwrap();
        assert_eq!(outcome.ops, 2500, "{workload:?}");
        assert!(outcome.seconds > 0.0);
    }
}

#[test]
fn each_thread_scans_everything() {
    let outcome = drive(&MemoryTarget::default(), &plan(Workload::Scan)).unwrap();
    assert_eq!(outcome.ops, 7500);
    assert_eq!(
        outcome.latencies.count(),
        9,
        "two whole batches and the rest, for each thread"
    );
}

#[test]
fn latencies_count_calls_not_documents() {
    let plan = Plan {
        batch: 100,
        threads: 2,
        ..plan(Workload::InsertBatch)
    };
    let outcome = drive(&MemoryTarget::default(), &plan).unwrap();
    assert_eq!(
        outcome.latencies.count(),
        26,
        "12 batches and a half, for each thread"
    );
}

#[test]
fn more_threads_than_documents_is_fine() {
    let plan = Plan {
        threads: 8,
        docs: 3,
        ..plan(Workload::Insert1)
    };
    assert_eq!(drive(&MemoryTarget::default(), &plan).unwrap().ops, 3);
}

#[test]
fn a_database_that_loses_documents_has_no_result() {
    let forgetful = MemoryTarget::forgetful();
    for workload in [Workload::Insert1, Workload::FindId] {
        let error = drive(&forgetful, &plan(workload)).unwrap_err();
        assert!(matches!(error, BenchError::WrongAnswer(_)), "{error}");
        assert!(
            error.to_string().contains("expected 2500 documents"),
            "{error}"
        );
    }
}
