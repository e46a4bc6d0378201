//! The program: reads what it is told, starts a server, stops it when it is asked to.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use cs_server::{Config, Server};

/// Collection Store as a server: stock MongoDB drivers and shells talk to it.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// For trying things out: everything has a default
    #[arg(long)]
    dev: bool,
    /// Where the data is; in memory unless told
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The port to listen on
    #[arg(long, default_value_t = 27017)]
    port: u16,
    /// A Unix socket to listen on as well
    #[arg(long, value_name = "FILE")]
    unix_socket: Option<PathBuf>,
    /// Commands that only tests need may be used
    #[arg(long)]
    test_commands: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = Config {
        data_dir: arguments.data_dir,
        port: arguments.port,
        unix_socket: arguments.unix_socket,
        test_commands: arguments.test_commands,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cs-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let task = tokio::spawn(async move { Server::start(config).await });
    let running = task
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    println!("cs-server: listening on {}", running.address);
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tokio::spawn(running.stop())
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}
