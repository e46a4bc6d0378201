use std::time::Duration;

use bson::doc;

use super::client::{Client, PASSWORD, code, guarded, guarded_with};
use crate::config::Config;
use crate::security::MAX_FAILED_LOGINS;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_taken_only_of_somebody_known() {
    let running = guarded().await;
    let comment = "x".repeat(4096);
    let ping = doc! { "ping": 1, "comment": comment };
    let mut client = Client::connect(running.address).await;
    assert!(
        client.ask("admin", ping.clone()).await.is_none(),
        "the connection is closed"
    );
    let mut client = Client::as_user(running.address, "root").await;
    client.done("admin", ping).await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_message_before_login_is_taken_and_one_byte_more_is_not() {
    let running = guarded().await;
    for (extra, is_taken) in [(0, true), (1, false)] {
        // A header of 16 bytes, 5 of the message, and a document whose rest is 41.
        let empty = doc! { "ping": 1, "comment": "", "$db": "admin" };
        let rest = 16 + 5 + empty.to_vec().unwrap().len();
        let ping = doc! { "ping": 1, "comment": "x".repeat(4096 - rest + extra) };
        let mut client = Client::connect(running.address).await;
        assert_eq!(
            client.ask("admin", ping).await.is_some(),
            is_taken,
            "{extra}"
        );
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decompressed_for_somebody_unknown() {
    let running = guarded().await;
    let mut client = Client::connect(running.address).await;
    // A ping under the compressor that changes nothing.
    let mut inner = vec![0; 5];
    inner.extend(doc! { "ping": 1, "$db": "admin" }.to_vec().unwrap());
    let mut body = Vec::new();
    body.extend_from_slice(&2013_i32.to_le_bytes());
    body.extend_from_slice(&i32::try_from(inner.len()).unwrap().to_le_bytes());
    body.push(0);
    body.extend_from_slice(&inner);
    client.send(2012, &body).await;
    client.closed().await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_is_sent_away_and_a_watching_driver_is_not() {
    let mut config = Config::in_memory();
    config.limits.authentication_timeout = Duration::from_millis(300);
    let running = guarded_with(config).await;
    let mut watching = Client::connect(running.address).await;
    watching.done("admin", doc! { "hello": 1 }).await;
    let mut silent = Client::connect(running.address).await;
    silent.closed().await;
    let mut slow = Client::connect(running.address).await;
    use tokio::io::AsyncWriteExt;
    slow.stream.write_all(&[40, 0, 0, 0, 1]).await.unwrap();
    slow.closed().await;
    // By now the time is over for one who said hello, too.
    watching.done("admin", doc! { "hello": 1 }).await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unknown_are_few_and_leave_room_for_the_known() {
    let mut config = Config::in_memory();
    config.limits.unauthenticated_connections = 2;
    let running = guarded_with(config).await;
    let mut first = Client::connect(running.address).await;
    first.done("admin", doc! { "hello": 1 }).await;
    let mut second = Client::connect(running.address).await;
    second.done("admin", doc! { "hello": 1 }).await;
    let mut third = Client::connect(running.address).await;
    assert!(third.ask("admin", doc! { "hello": 1 }).await.is_none());
    assert_eq!(code(&first.login("root", PASSWORD).await), 0);
    let mut fourth = Client::connect(running.address).await;
    fourth.done("admin", doc! { "hello": 1 }).await;
    assert_eq!(running.server.connections.unknown(), 2);
    assert_eq!(running.server.connections.current(), 3);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_passwords_is_sent_away() {
    let running = guarded().await;
    let mut client = Client::connect(running.address).await;
    for _ in 0..MAX_FAILED_LOGINS {
        assert_eq!(code(&client.login("root", "guess").await), 18);
    }
    client.closed().await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_has_its_share_of_memory_and_no_more() {
    let mut config = Config::in_memory();
    config.limits.operation_memory = crate::config::ByteSize::bytes(1000);
    let running = crate::server::Server::start(config).await.unwrap();
    let mut client = Client::connect(running.address).await;
    let document = |size: usize| doc! { "x": "x".repeat(size) };
    let insert = |size| doc! { "insert": "c", "documents": [document(size)] };
    client.done("shop", insert(500)).await;
    let reply = client.run("shop", insert(2000)).await;
    assert!(reply.to_string().contains("146"), "{reply}");
    running.stop().await.unwrap();
}
