use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

fn planned(arguments: &[&str]) -> Result<Plan, BenchError> {
    let cli = Cli::try_parse_from(["cs-bench", "run"].iter().chain(arguments)).unwrap();
    let Command::Run(arguments) = cli.command else {
        panic!("run was asked for")
    };
    plan(&arguments.documents().unwrap())
}

#[test]
fn a_batch_is_refused_where_nothing_is_batched() {
    for workload in ["insert-1", "find-id", "scan", "delete"] {
        let error = planned(&[workload, "--dir", "d", "--batch", "5"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--batch"), "{error}");
    }
}

#[test]
fn batches_have_the_size_asked_for_or_a_default() {
    let batch = |arguments: &[&str]| planned(arguments).unwrap().batch;
    assert_eq!(batch(&["insert-batch", "--dir", "d", "--batch", "5"]), 5);
    assert_eq!(batch(&["insert-batch", "--dir", "d"]), 100);
    assert_eq!(batch(&["load-bulk", "--dir", "d"]), 10_000);
    assert_eq!(batch(&["insert-1", "--dir", "d"]), 1);
    assert_eq!(batch(&["scan", "--dir", "d"]), 1000);
}
