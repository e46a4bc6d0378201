//! Where connections come from: TCP, and a Unix socket beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::connection::{self, Peer};
use crate::server::{Server, StartError};

/// How long accepting rests when the system has no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Sockets that are bound, and not listened to yet.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) address: SocketAddr,
    tcp: TcpListener,
    unix: Option<(UnixListener, PathBuf)>,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config) -> Result<Self, StartError> {
        let wanted = format!("{}:{}", config.bind, config.port);
        let refused = |error| StartError::Listen(wanted.clone(), error);
        let place = (config.bind, config.port);
        let tcp = TcpListener::bind(place).await.map_err(refused)?;
        let address = tcp.local_addr().map_err(refused)?;
        let unix = match &config.unix_socket {
            Some(path) => Some((bind_unix(path)?, path.clone())),
            None => None,
        };
        Ok(Self { address, tcp, unix })
    }

    pub(crate) fn accept(self, server: &Arc<Server>) -> Vec<JoinHandle<()>> {
        let mut tasks = vec![tokio::spawn(accept_tcp(Arc::clone(server), self.tcp))];
        if let Some((unix, path)) = self.unix {
            tasks.push(tokio::spawn(accept_unix(Arc::clone(server), unix, path)));
        }
        tasks
    }
}

/// A socket that a server left behind when it was killed is in nobody's use: nobody answers.
fn bind_unix(path: &Path) -> Result<UnixListener, StartError> {
    let refused = |error| StartError::Listen(path.display().to_string(), error);
    let is_left = || std::os::unix::net::UnixStream::connect(path).is_err();
    if path.exists() && is_left() {
        std::fs::remove_file(path).map_err(refused)?;
    }
    UnixListener::bind(path).map_err(refused)
}

async fn accept_tcp(server: Arc<Server>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Replies are whole when they are written: waiting for more only delays them.
                let _ = stream.set_nodelay(true);
                let peer = Peer::tcp(peer);
                match &server.tls {
                    None => connection::serve(&server, peer, std::future::ready(Ok(stream))),
                    Some(tls) => connection::serve(&server, peer, tls.acceptor().accept(stream)),
                }
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn accept_unix(server: Arc<Server>, listener: UnixListener, path: PathBuf) {
    let _removed = RemoveOnDrop(path);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connection::serve(&server, Peer::unix(), std::future::ready(Ok(stream)));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The file of a socket goes with the socket.
struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
