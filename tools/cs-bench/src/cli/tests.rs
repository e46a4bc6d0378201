use super::*;
use clap::CommandFactory;
use clap::ValueEnum;
use clap::error::ErrorKind;

fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once(&"cs-bench").chain(arguments))
}

fn refused(arguments: &[&str]) -> String {
    let error = parse(arguments).expect_err("the arguments make no sense");
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_every_command_has_examples() {
    for arguments in [
        &["--help"][..],
        &["probe", "--help"],
        &["run", "--help"],
        &["compare", "--help"],
    ] {
        let error = parse(arguments).expect_err("help ends the program");
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
        assert!(error.to_string().contains("Examples:"), "{error}");
    }
}

#[test]
fn every_workload_has_the_name_that_its_report_gives() {
    for workload in Workload::value_variants() {
        let value = workload.to_possible_value().unwrap();
        let json = serde_json::to_value(workload).unwrap();
        assert_eq!(json, value.get_name());
        assert!(parse(&["run", value.get_name(), "--dir", "d"]).is_ok());
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_exit_code_2() {
    refused(&[]);
    refused(&["walk"]);
    assert!(refused(&["run", "insert-2", "--dir", "d"]).contains("insert-1"));
    assert!(refused(&["run", "insert-1"]).contains("--dir"));
    assert!(refused(&["run", "insert-1", "--dir", "d", "--threads", "0"]).contains("--threads"));
    assert!(refused(&["run", "insert-1", "--dir", "d", "--threads", "1025"]).contains("1025"));
    assert!(refused(&["run", "insert-1", "--dir", "d", "--docs", "0"]).contains("--docs"));
    assert!(refused(&["run", "insert-1", "--dir", "d", "--value-size", "16MiB"]).contains("fit"));
    assert!(refused(&["run", "insert-1", "--dir", "d", "--cache-bytes", "9x"]).contains("unit"));
    assert!(refused(&["run", "insert-1", "--dir", "d", "--durability", "hope"]).contains("sync"));
    assert!(refused(&["run", "get", "--dir", "d", "--keys", "0"]).contains("--keys"));
    assert!(refused(&["run", "get", "--dir", "d", "--value-bytes", "15"]).contains("15"));
    assert!(refused(&["run", "get", "--dir", "d", "--pairs", "0"]).contains("--pairs"));
    assert!(refused(&["run", "get", "--dir", "d", "--threads", "1,0"]).contains("--threads"));
    assert!(refused(&["run", "get", "--dir", "d", "--engine", "cs,x"]).contains("rocksdb"));
    assert!(refused(&["run", "get", "--dir", "d", "--read-path", "x"]).contains("map"));
    assert!(refused(&["compare", "a.json"]).contains("B.json"));
    assert!(refused(&["compare", "a", "b", "--tolerance", "11"]).contains("tolerance"));
    assert!(refused(&["probe", "--seconds", "0"]).contains("--seconds"));
    assert!(refused(&["probe", "--seconds", "NaN"]).contains("--seconds"));
}

#[test]
fn every_workload_is_listed_with_a_sentence() {
    for level in [Level::Doc, Level::Kv, Level::Txn] {
        for (name, sentence) in listed(level) {
            assert!(sentence.len() > 15, "{name}: {sentence}");
            assert!(parse(&["run", &name, "--dir", "d"]).is_ok());
        }
    }
    assert!(parse(&["run", "--list"]).is_ok());
}

#[test]
fn json_goes_to_a_file_or_to_standard_output() {
    let json = |arguments: &[&str]| {
        let start = ["run", "get", "--dir", "d"];
        match parse(&[&start, arguments].concat()).unwrap().command {
            Command::Run(arguments) => arguments.json,
            _ => panic!("run was asked for"),
        }
    };
    assert_eq!(json(&[]), None);
    assert_eq!(json(&["--json"]), Some(None));
    assert_eq!(json(&["--json", "--quiet"]), Some(None));
    assert_eq!(json(&["--json", "a.json"]), Some(Some("a.json".into())));
}

#[test]
fn sizes_take_binary_suffixes() {
    assert_eq!(bytes("150"), Ok(150));
    assert_eq!(bytes("64KiB"), Ok(65_536));
    assert_eq!(bytes("64k"), Ok(65_536));
    assert_eq!(bytes("2 MiB"), Ok(2 << 20));
    assert_eq!(bytes("1G"), Ok(1 << 30));
    assert!(bytes("").is_err());
    assert!(bytes("-1").is_err());
    assert!(bytes("1.5MiB").is_err());
    assert!(bytes("99999999999999999999").is_err());
    assert!(bytes("99999999999GiB").is_err());
}
