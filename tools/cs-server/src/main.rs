//! The program: reads what it is told, starts a server, stops it when it is asked to.
//!
//! Exit codes: 0 well; 1 the server failed; 2 the command line or the configuration makes no sense.

#![forbid(unsafe_code)]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::ExitCode;

use cs_server::config::{Loaded, Request, load, read_command_line};
use cs_server::{Server, start_logs};
use tokio::signal::unix::{SignalKind, signal};

/// The command line or the configuration makes no sense.
const NONSENSE: u8 = 2;

fn main() -> ExitCode {
    let environment = std::env::vars_os().collect();
    let invocation = match read_command_line(std::env::args_os(), environment) {
        Ok(invocation) => invocation,
        // Help and version come this way, too, and are no mistake.
        Err(error) => error.exit(),
    };
    let loaded = match load(&invocation.sources) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("cs-server: {error}");
            return ExitCode::from(NONSENSE);
        }
    };
    match invocation.request {
        Request::Check => {
            println!("the configuration makes sense");
            ExitCode::SUCCESS
        }
        Request::Show { with_origin } => {
            print!("{}", loaded.show(with_origin));
            ExitCode::SUCCESS
        }
        _ => match run(loaded) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("cs-server: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn run(loaded: Loaded) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    start_logs(&loaded.config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // In a task, since what blocks may leave its thread only there.
    let served = runtime.block_on(async { tokio::spawn(serve(loaded)).await });
    served?
}

async fn serve(loaded: Loaded) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let running = Server::start(loaded.config).await?;
    // Scripts wait for this line, and read the port from it.
    println!("cs-server: listening on {}", running.address);
    if running.server.config.data_dir.is_none() {
        println!("cs-server: in memory; with --data-dir DIR it is kept");
    }
    if let Some(address) = running.http_address {
        println!("cs-server: figures and health on http://{address}/");
    }
    tell_manager("READY=1");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => running.server.reload(),
        }
    }
    tell_manager("STOPPING=1");
    // A second signal ends the waiting for whoever is still there.
    tokio::select! {
        stopped = running.stop() => stopped?,
        _ = terminate.recv() => tracing::warn!("stopped at once"),
        _ = interrupt.recv() => tracing::warn!("stopped at once"),
    }
    Ok(())
}

/// Tells systemd, where it has asked for that (`Type=notify`), how the server is. It is no harm if
/// nobody listens.
fn tell_manager(state: &str) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match place.to_str().and_then(|place| place.strip_prefix('@')) {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let told = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!(error = error.to_string(), "systemd was not told");
    }
}
