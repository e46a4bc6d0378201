use bson::doc;
use tokio::net::TcpStream;

use super::client::{Client, endless};
use crate::config::Config;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_lets_nobody_in_and_keeps_what_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::in_memory();
    config.data_dir = Some(directory.path().join("data"));
    let running = Server::start(config.clone()).await.unwrap();
    let address = running.address;
    let mut client = Client::connect(address).await;
    let insert = doc! { "insert": "orders", "documents": [{ "_id": 1 }] };
    client.done("shop", insert).await;
    running.stop().await.unwrap();
    client.closed().await;
    assert!(TcpStream::connect(address).await.is_err());
    let running = Server::start(config).await.unwrap();
    let mut client = Client::connect(running.address).await;
    let count = client.done("shop", doc! { "count": "orders" }).await;
    assert_eq!(count.get_i32("n").unwrap(), 1);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_takes_too_long_does_not_keep_the_server() {
    let mut config = Config::in_memory();
    config.stop_timeout = std::time::Duration::ZERO;
    let running = Server::start(config).await.unwrap();
    let server = std::sync::Arc::clone(&running.server);
    let mut busy = Client::connect(running.address).await;
    let documents: Vec<_> = (0..2000).map(|n| doc! { "_id": n }).collect();
    busy.done("shop", doc! { "insert": "c", "documents": documents })
        .await;
    let work = tokio::spawn(async move { busy.ask("shop", endless()).await });
    while server.operations.running() == 0 {
        tokio::task::yield_now().await;
    }
    running.stop().await.unwrap();
    let told = work.await.unwrap().expect("it is told why");
    assert_eq!(told.get_i32("code").unwrap(), 11601);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_makes_no_sense_starts_nothing() {
    let mut config = Config::in_memory();
    config.dev = false;
    config.bind = "0.0.0.0".parse().unwrap();
    let error = Server::start(config).await.unwrap_err().to_string();
    assert!(error.contains("tls.certificate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_comes_from_a_file_if_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "pencil\n").unwrap();
    let mut config = Config::in_memory();
    config.security.authentication = true;
    config.security.bootstrap_user = Some("root".to_owned());
    config.security.bootstrap_password_file = Some(path);
    let running = Server::start(config.clone()).await.unwrap();
    Client::as_user(running.address, "root").await;
    running.stop().await.unwrap();
    config.security.bootstrap_password_file = Some(directory.path().join("gone"));
    let error = Server::start(config).await.unwrap_err().to_string();
    assert!(error.contains("gone"), "{error}");
}
