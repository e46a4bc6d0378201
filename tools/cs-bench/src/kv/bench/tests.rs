use clap::ValueEnum;

use super::*;
use crate::engine::{EngineName, ReadPath, Settings, open};

const KEYS: u64 = 1000;

fn settings() -> Settings {
    Settings {
        cache_bytes: 16 << 20,
        value_bytes: 150,
        payload_bytes: 1 << 20,
        read_path: ReadPath::Pool,
        long_log: false,
        memory_limit: None,
    }
}

/// Runs `body` with a bench over each engine of this build.
fn on_every_engine(mut body: impl FnMut(EngineName, &mut Bench<'_>)) {
    let pairs = Pairs::new(1, 150);
    for name in EngineName::value_variants() {
        if name.missing_feature().is_some() {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        let engine = open(*name, directory.path(), &settings()).unwrap();
        let mut live = Live::default();
        let mut bench = Bench {
            engine: engine.as_ref(),
            directory: directory.path(),
            pairs: &pairs,
            live: &mut live,
            time: Duration::from_millis(10),
            batch: 1000,
            watch: None,
        };
        body(*name, &mut bench);
        engine.close().unwrap();
    }
}

#[test]
fn every_workload_of_a_loaded_database_measures_something_and_leaves_what_it_says() {
    let in_order = [
        Workload::SizeLoad,
        Workload::Get,
        Workload::GetFresh,
        Workload::Range10,
        Workload::Scan,
        Workload::Put1,
        Workload::Put100,
        Workload::Put1Nosync,
        Workload::Put100Nosync,
        Workload::Queue64,
        Workload::Mixed,
        Workload::DeleteHalf,
        Workload::SizeChurn,
        Workload::Memory,
        Workload::OpenLoop,
        Workload::Get,
    ];
    on_every_engine(|name, bench| {
        bench.load(KEYS).unwrap();
        for workload in in_order {
            let rows = bench.work(workload, 2).unwrap();
            assert!(!rows.is_empty(), "{name} {workload}");
            assert!(rows.iter().all(|row| row.value > 0.0), "{name} {rows:?}");
            bench.verify().unwrap();
        }
        assert!(bench.live.pairs > KEYS / 2, "{name}");
    });
}

#[test]
fn all_engines_hold_the_same_after_the_same_work() {
    let mut sums = Vec::new();
    on_every_engine(|_, bench| {
        bench.load(KEYS).unwrap();
        bench.work(Workload::SizeChurn, 1).unwrap();
        bench.log(150).unwrap();
        bench.verify().unwrap();
        sums.push((bench.live.pairs, bench.live.sum));
    });
    assert_eq!(sums[0].0, KEYS + 150);
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
}

#[test]
fn a_soak_writes_every_key_and_counts_the_second_half() {
    on_every_engine(|name, bench| {
        let rows = bench.soak(KEYS).unwrap();
        assert_eq!(rows[0].subject.workload, "soak", "{name}");
        assert_eq!(bench.live.pairs, KEYS);
        bench.verify().unwrap();
    });
}

#[test]
fn a_scan_that_does_not_find_what_was_acknowledged_is_no_figure() {
    on_every_engine(|name, bench| {
        bench.load(KEYS).unwrap();
        bench
            .engine
            .delete(&[bench.pairs.key(5)], Sync::Durable)
            .unwrap();
        let error = bench.work(Workload::Scan, 1).unwrap_err();
        assert!(error.to_string().contains("999"), "{name}: {error}");
        // The same number of pairs, but not the same ones.
        bench
            .engine
            .put(&[bench.pairs.pair(5000)], Sync::Durable)
            .unwrap();
        let error = bench.work(Workload::Scan, 1).unwrap_err();
        assert!(error.to_string().contains("sum"), "{name}: {error}");
    });
}

#[test]
fn what_needs_more_than_one_open_database_is_refused_here() {
    on_every_engine(|_, bench| {
        for workload in [Workload::Reopen, Workload::Recover, Workload::Growth] {
            assert!(bench.work(workload, 1).is_err());
        }
    });
}
