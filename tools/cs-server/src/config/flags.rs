//! The command line, made from the table of settings.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};

use super::load::Sources;
use super::{SETTINGS, Setting};

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Run the server.
    Serve,
    /// Say whether the configuration makes sense.
    Check,
    /// Show the configuration, and perhaps where each setting comes from.
    Show {
        /// Where each comes from, too.
        with_origin: bool,
    },
}

/// A command line, read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Invocation {
    /// What is asked for.
    pub request: Request,
    /// What was said, with the environment.
    pub sources: Sources,
}

/// The command line.
#[must_use]
pub fn command_line() -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("configuration file (TOML); also CS_CONFIG")
        .value_parser(clap::value_parser!(PathBuf))
        .global(true);
    let check = Arg::new("check-config")
        .long("check-config")
        .action(ArgAction::SetTrue)
        .help("say whether the configuration makes sense, and end");
    let origin = Arg::new("origin")
        .long("origin")
        .action(ArgAction::SetTrue)
        .help("also say where each setting comes from");
    let show = Command::new("show")
        .about("shows all settings as a configuration file")
        .arg(origin);
    let config_command = Command::new("config")
        .about("what is configured")
        .subcommand_required(true)
        .subcommand(show);
    Command::new("cs-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A document server that MongoDB's drivers talk to")
        .after_help(
            "Settings: built-in defaults < file < environment (CS_…) < flags. Without --dev, \
             clients have to authenticate.",
        )
        .arg(config)
        .arg(check)
        .args(SETTINGS.iter().map(argument))
        .subcommand(config_command)
}

fn argument(setting: &'static Setting) -> Arg {
    let argument = Arg::new(setting.key)
        .long(setting.flag())
        .help(setting.about)
        .value_name(match setting.is_switch {
            true => "BOOL",
            false => "VALUE",
        })
        .allow_hyphen_values(true)
        .global(true);
    match setting.is_switch {
        true => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        false => argument.num_args(1),
    }
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// What clap has to say: a mistake, or the help that was asked for.
pub fn read_command_line(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Vec<(OsString, OsString)>,
) -> Result<Invocation, clap::Error> {
    let matches = command_line().try_get_matches_from(arguments)?;
    let show = matches
        .subcommand_matches("config")
        .and_then(|config| config.subcommand_matches("show"));
    // Flags may stand on either side of the subcommand; clap hands them down to it.
    let innermost = show.unwrap_or(&matches);
    let request = match show {
        Some(show) => Request::Show {
            with_origin: show.get_flag("origin"),
        },
        None if matches.get_flag("check-config") => Request::Check,
        None => Request::Serve,
    };
    let sources = Sources {
        file: innermost.get_one::<PathBuf>("config").cloned(),
        environment,
        flags: SETTINGS.iter().filter_map(|s| said(innermost, s)).collect(),
    };
    Ok(Invocation { request, sources })
}

fn said(matches: &ArgMatches, setting: &'static Setting) -> Option<(&'static str, String)> {
    if matches.value_source(setting.key) != Some(ValueSource::CommandLine) {
        return None;
    }
    let value = matches.get_one::<String>(setting.key)?;
    Some((setting.key, value.clone()))
}
