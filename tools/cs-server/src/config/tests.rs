use std::ffi::OsString;
use std::io::Write;

use super::*;

fn parse(arguments: &[&str]) -> Invocation {
    parse_with(arguments, &[])
}

fn parse_with(arguments: &[&str], environment: &[(&str, &str)]) -> Invocation {
    let arguments = std::iter::once("cs-server").chain(arguments.iter().copied());
    let environment = environment
        .iter()
        .map(|(k, v)| (OsString::from(k), OsString::from(v)));
    read_command_line(arguments.map(OsString::from), environment.collect()).unwrap()
}

fn load_flags(arguments: &[&str]) -> Result<Loaded, ConfigError> {
    load(&parse(arguments).sources)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn the_command_line_is_sound() {
    command_line().debug_assert();
}

#[test]
fn no_two_settings_share_a_name() {
    for (position, setting) in SETTINGS.iter().enumerate() {
        for other in &SETTINGS[position + 1..] {
            assert_ne!(setting.flag(), other.flag());
            assert_ne!(setting.variable(), other.variable());
        }
    }
}

#[test]
fn what_is_shown_is_a_file_that_says_the_same() {
    let loaded = load_flags(&[
        "--port",
        "0",
        "--limits-message",
        "1MiB",
        "--log-slow",
        "1500ms",
    ]);
    let loaded = loaded.unwrap();
    let file = file(&loaded.show(true));
    let path = file.path().to_str().unwrap();
    let again = load_flags(&["--config", path]).unwrap();
    assert_eq!(again.config, loaded.config);
    assert!(matches!(again.origin("port"), Origin::File(_)));
}

#[test]
fn a_later_source_wins_and_is_named_as_the_origin() {
    let file = file("port = 1\nreplica_set = \"from-file\"\n[limits]\ncursors = 5\n");
    let path = file.path().to_str().unwrap();
    let environment = [
        ("CS_PORT", "2"),
        ("CS_LIMITS_CURSORS", "6"),
        ("HOME", "/"),
        ("CS_SERVER", "x"),
    ];
    let invocation = parse_with(&["--config", path, "--port", "3"], &environment);
    let loaded = load(&invocation.sources).unwrap();
    assert_eq!(loaded.config.port, 3);
    assert_eq!(loaded.config.limits.cursors, 6);
    assert_eq!(loaded.config.replica_set, "from-file");
    assert_eq!(loaded.origin("port").to_string(), "--port");
    assert_eq!(
        loaded.origin("limits.cursors").to_string(),
        "environment CS_LIMITS_CURSORS"
    );
    assert!(
        loaded
            .origin("replica_set")
            .to_string()
            .starts_with("file ")
    );
    assert_eq!(loaded.origin("bind"), Origin::Default);
}

#[test]
fn the_file_may_be_named_in_the_environment() {
    let file = file("port = 4\n");
    let path = file.path().to_str().unwrap();
    let loaded = load(&parse_with(&[], &[("CS_CONFIG", path)]).sources).unwrap();
    assert_eq!(loaded.config.port, 4);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    for (text, nearest) in [
        ("prot = 1\n", "port"),
        ("[limits]\ncursor = 1\n", "limits.cursors"),
        ("[tls]\ncertificat = \"x\"\n", "tls.certificate"),
        ("cache = 1\n", "engine.cache"),
    ] {
        let file = file(text);
        let error = load_flags(&["--config", file.path().to_str().unwrap()]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(&format!("the nearest is {nearest:?}")),
            "{error}"
        );
    }
    let error = load(&parse_with(&[], &[("CS_PROT", "1")]).sources).unwrap_err();
    let expected = "environment CS_PROT: unknown key \"CS_PROT\"; the nearest is \"CS_PORT\"";
    assert_eq!(error.to_string(), expected);
    let arguments = ["cs-server", "--prot", "1"].map(OsString::from);
    let error = read_command_line(arguments, Vec::new()).unwrap_err();
    assert!(error.to_string().contains("--port"), "{error}");
}

#[test]
fn a_value_that_does_not_fit_is_an_error_that_says_what_would() {
    for (arguments, message) in [
        (
            ["--port", "65536"],
            "--port: port must be a whole number from 0 to 65535, not \"65536\"",
        ),
        (
            ["--bind", "host"],
            "--bind: bind must be an IP address, not \"host\"",
        ),
        (
            ["--replica-set", ""],
            "--replica-set: replica_set must be text, not \"\"",
        ),
        (
            ["--log-level", "loud"],
            "--log-level: log.level must be error, warn, info, debug or trace, not \"loud\"",
        ),
    ] {
        assert_eq!(load_flags(&arguments).unwrap_err().to_string(), message);
    }
    for wrong in [
        "",
        "MiB",
        "-1",
        "1.5MiB",
        "99999999999999999999",
        "17179869184GiB",
        "1MB",
    ] {
        assert!(load_flags(&["--engine-cache", wrong]).is_err(), "{wrong}");
    }
    let file = file("port = [1]\n");
    assert!(load_flags(&["--config", file.path().to_str().unwrap()]).is_err());
}

#[test]
fn sizes_and_times_have_units() {
    let loaded = load_flags(&["--engine-cache", "2GiB", "--log-slow", "7d"]).unwrap();
    assert_eq!(loaded.config.engine.cache.get(), 2 << 30);
    assert_eq!(loaded.config.log.slow, Duration::from_secs(7 * 86_400));
}

#[test]
fn dev_means_no_authentication_and_says_so() {
    let loaded = load_flags(&["--dev"]).unwrap();
    assert!(!loaded.config.security.authentication);
    assert_eq!(loaded.origin("security.authentication"), Origin::Dev);
    assert_eq!(loaded.origin("dev").to_string(), "--dev");
    let loaded = load_flags(&["--dev", "--security-authentication"]).unwrap();
    assert!(loaded.config.security.authentication, "flags are said last");
    assert!(load_flags(&["--dev", "--bind", "0.0.0.0"]).is_err());
}

#[test]
fn off_host_takes_tls_and_authentication_or_an_option_that_says_unsafe() {
    let tls = ["--tls-certificate", "c", "--tls-key", "k"];
    let off = ["--bind", "0.0.0.0"];
    let message = |arguments: &[&str]| load_flags(arguments).map(drop).map_err(|e| e.to_string());
    let plain = message(&off).unwrap_err();
    assert!(plain.contains("tls.certificate"), "{plain}");
    assert_eq!(message(&[&off[..], &tls[..]].concat()), Ok(()));
    let open = [&off[..], &tls[..], &["--security-authentication=false"]].concat();
    assert!(
        message(&open)
            .unwrap_err()
            .contains("security.authentication")
    );
    let open = [&open[..], &["--security-unsafe-no-authentication-off-host"]].concat();
    assert_eq!(message(&open), Ok(()));
    let unsafe_plain = ["--bind", "::", "--security-unsafe-no-tls-off-host"];
    assert_eq!(message(&unsafe_plain), Ok(()));
    assert!(
        message(&["--http-bind", "0.0.0.0"])
            .unwrap_err()
            .contains("http.bind")
    );
    assert_eq!(message(&["--bind", "127.0.0.9"]), Ok(()));
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    for arguments in [
        &["--tls-certificate", "c"][..],
        &["--tls-client-ca", "c"],
        &[
            "--tls-certificate",
            "c",
            "--tls-key",
            "k",
            "--tls-require-client-certificate",
        ],
        &["--security-scram-iterations", "14999"],
        &["--security-scram-iterations", "1000001"],
        &["--security-bootstrap-user", "root"],
        &["--limits-connections", "0"],
        &["--limits-cursor-timeout", "0s"],
        &["--limits-message", "48000001"],
        &["--limits-unauthenticated-message", "1023"],
        &["--replica-set", "a/b"],
    ] {
        assert!(load_flags(arguments).is_err(), "{arguments:?}");
    }
}

#[test]
fn a_file_that_is_missing_wrong_or_huge_is_refused_by_name() {
    let error = load_flags(&["--config", "/nowhere/at/all"])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("configuration file /nowhere/at/all: "),
        "{error}"
    );
    for text in [
        "port = ",
        "port = 1\nport = 2\n",
        &"#".repeat((1 << 20) + 1),
    ] {
        let file = file(text);
        assert!(load_flags(&["--config", file.path().to_str().unwrap()]).is_err());
    }
}

#[test]
fn requests_are_told_apart() {
    assert_eq!(parse(&[]).request, Request::Serve);
    assert_eq!(parse(&["--check-config"]).request, Request::Check);
    assert_eq!(
        parse(&["config", "show"]).request,
        Request::Show { with_origin: false }
    );
    let shown = parse(&["--port", "5", "config", "show", "--origin", "--dev"]);
    assert_eq!(shown.request, Request::Show { with_origin: true });
    assert_eq!(load(&shown.sources).unwrap().config.port, 5);
    assert!(load(&shown.sources).unwrap().config.dev);
}

#[test]
fn the_readme_names_every_setting() {
    let readme = include_str!("../../README.md");
    for setting in SETTINGS {
        let name = setting.key.rsplit('.').next().unwrap();
        assert!(readme.contains(&format!("`{name}`")), "{}", setting.key);
    }
}
