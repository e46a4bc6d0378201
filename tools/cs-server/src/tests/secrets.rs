use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::doc;
use tracing_subscriber::fmt::MakeWriter;

use super::client::{Client, PASSWORD, guarded_with};
use crate::config::Config;

/// The log of the process, in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_hold_neither_passwords_nor_documents_and_no_line_of_a_clients_own() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone());
    subscriber.init();
    let mut config = Config::in_memory();
    // Everything is slow, and told with its plan.
    config.log.slow = Duration::ZERO;
    let running = guarded_with(config).await;
    let mut client = Client::as_user(running.address, "root").await;
    let create = doc! { "createUser": "planted-user", "pwd": "planted-secret", "roles": [] };
    client.done("admin", create).await;
    let change = doc! { "updateUser": "planted-user", "pwd": "planted-secret-too" };
    client.done("admin", change).await;
    let documents = [doc! { "_id": "planted-document", "n": "planted-value" }];
    client
        .done("shop", doc! { "insert": "orders", "documents": documents })
        .await;
    let index = doc! { "key": { "n": 1 }, "name": "n_1" };
    client
        .done(
            "shop",
            doc! { "createIndexes": "orders", "indexes": [index] },
        )
        .await;
    let find = doc! { "find": "orders", "filter": { "n": "planted-value" } };
    client.done("shop", find).await;
    client
        .run("shop", doc! { "find": "a\nWARN forged: line" })
        .await;
    client.login("nobody", "planted-guess").await;
    running.stop().await.unwrap();

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for secret in [
        "planted-secret",
        "planted-document",
        "planted-value",
        "planted-guess",
        PASSWORD,
    ] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
    assert!(
        !text.lines().any(|line| line.starts_with("WARN forged")),
        "{text}"
    );
    for told in [
        "login failed",
        "index n_1",
        "slow operation",
        "users changed",
        "planted-user",
    ] {
        assert!(text.contains(told), "{told} not in\n{text}");
    }
}
