use clap::Parser;

use super::*;
use crate::cli::{Cli, Command, Level};

fn arguments(words: &[&str]) -> Box<RunArgs> {
    let start = ["cs-bench", "run", "--dir", "d"];
    let cli = Cli::try_parse_from(start.iter().chain(words)).unwrap();
    let Command::Run(arguments) = cli.command else {
        panic!("run was asked for")
    };
    arguments
}

fn plan(words: &[&str]) -> Result<Plan, BenchError> {
    Plan::new(&arguments(words))
}

fn refused(words: &[&str]) -> String {
    let error = plan(words).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

#[test]
fn the_level_follows_from_the_workload_or_the_engines() {
    assert_eq!(arguments(&["insert-1"]).level(), Level::Doc);
    assert_eq!(arguments(&["scan"]).level(), Level::Doc);
    assert_eq!(arguments(&["scan", "--engine", "cs"]).level(), Level::Kv);
    assert_eq!(arguments(&["scan", "--level", "kv"]).level(), Level::Kv);
    assert_eq!(arguments(&["scan", "get"]).level(), Level::Kv);
    assert_eq!(arguments(&["put-1"]).level(), Level::Kv);
}

#[test]
fn one_database_serves_all_workloads_of_a_size_reads_first() {
    let plan = plan(&["put-1", "get", "growth", "get", "--keys", "100,200"]).unwrap();
    assert_eq!(plan.rounds.len(), 2);
    assert_eq!(plan.rounds[1].keys, 200);
    let tasks = plan.rounds[0].tasks.iter();
    let names: Vec<String> = tasks.map(|task| task.workload.to_string()).collect();
    assert_eq!(names, ["get", "put-1", "get", "range-10", "scan", "put-1"]);
    assert_eq!(plan.rounds[0].tasks[0].threads, [1, 2, 8]);
    // Growth is of one thread unless told.
    assert_eq!(plan.rounds[0].tasks[2].threads, [1]);
    assert!(plan.rounds[0].tasks[2].grows);
}

#[test]
fn defaults_are_those_of_the_workload() {
    let plan = plan(&["all", "soak", "open-loop"]).unwrap();
    assert_eq!((plan.turns, plan.value_bytes), (1, 150));
    assert_eq!(plan.cache_bytes, 1 << 30);
    let keys: Vec<u64> = plan.rounds.iter().map(|round| round.keys).collect();
    assert_eq!(keys, [1_000_000, 10_000_000]);
    let seconds = |workload| {
        let mut tasks = plan.rounds.iter().flat_map(|round| &round.tasks);
        tasks
            .find(|task| task.workload == workload)
            .unwrap()
            .seconds
    };
    assert_eq!(seconds(Workload::Get), 1.5);
    assert_eq!(seconds(Workload::OpenLoop), 60.0);
}

#[test]
fn threads_can_be_chosen_where_a_workload_takes_them() {
    let plan = plan(&["put-1", "scan", "--threads", "3,5"]).unwrap();
    assert_eq!(plan.rounds[0].tasks[0].threads, [1]);
    assert_eq!(plan.rounds[0].tasks[1].threads, [3, 5]);
    assert!(refused(&["queue-64", "--threads", "3"]).contains("queue-64"));
}

#[test]
fn what_belongs_to_documents_is_refused() {
    assert!(refused(&["get", "--docs", "5"]).contains("--docs"));
    assert!(refused(&["get", "--value-size", "5"]).contains("--value-size"));
    assert!(refused(&["get", "--durability", "sync"]).contains("--durability"));
    assert!(refused(&["get", "--batch", "5"]).contains("--batch"));
    assert!(refused(&["get", "insert-1"]).contains("insert-1"));
}

#[test]
fn what_belongs_to_keys_and_values_is_refused_for_documents() {
    let refused = |words: &[&str]| {
        let error = arguments(words).documents().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refused(&["insert-1", "--keys", "500"]).contains("--keys"));
    assert!(refused(&["insert-1", "--pairs", "5"]).contains("--pairs"));
    assert!(refused(&["insert-1", "--threads", "1,2"]).contains("--threads"));
    assert!(refused(&["insert-1", "--engine", "redb"]).contains("only cs has documents"));
    assert!(refused(&["insert-1", "scan"]).contains("one workload"));
    assert!(refused(&["put-1"]).contains("--level kv"));
}

#[test]
fn engines_of_other_builds_are_refused_with_the_way_to_build_them() {
    for engine in EngineName::value_variants() {
        let planned = plan(&["get", "--engine", &engine.to_string()]);
        match engine.missing_feature() {
            None => assert_eq!(planned.unwrap().entrants.len(), 1),
            Some(feature) => {
                let text = planned.unwrap_err().to_string();
                assert!(text.contains(&format!("--features {feature}")), "{text}");
            }
        }
    }
}

#[test]
fn a_second_read_path_takes_part_in_reads_only() {
    let entrant = |read_path, only_reads| Entrant {
        engine: EngineName::Cs,
        read_path,
        only_reads,
    };
    let both = [entrant(ReadPath::Pool, false), entrant(ReadPath::Map, true)];
    let words = ["get", "put-1", "--read-path", "pool,map"];
    assert_eq!(plan(&words).unwrap().entrants, both);
    assert_eq!(both.map(|entrant| entrant.label()), ["cs", "cs-map"]);
    let words = ["put-1", "--read-path", "pool,map"];
    assert_eq!(plan(&words).unwrap().entrants, both[..1]);
    let words = ["get", "--read-path", "map"];
    assert_eq!(
        plan(&words).unwrap().entrants,
        [entrant(ReadPath::Map, false)]
    );
}

#[test]
fn an_engine_takes_part_once() {
    assert_eq!(
        plan(&["get", "--engine", "cs,cs"]).unwrap().entrants.len(),
        1
    );
}
