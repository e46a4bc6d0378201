use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bson::doc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Client, code, endless};
use crate::config::Config;
use crate::server::{Running, Server};

async fn serve() -> Running {
    let mut config = Config::in_memory();
    config.http.enabled = true;
    Server::start(config).await.unwrap()
}

/// Status line and headers, and what comes behind them.
async fn http(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: here\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_status_are_told_on_a_listener_of_their_own() {
    let running = serve().await;
    let address = running.http_address.unwrap();
    for path in ["/livez", "/readyz"] {
        let (head, body) = http(address, &format!("GET {path}")).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(body, "ok\n");
    }
    let (_, body) = http(address, "GET /status").await;
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status["ready"], true);
    let unsafe_settings = status["unsafe"].as_array().unwrap();
    assert!(unsafe_settings.iter().any(|name| name == "dev"), "{status}");
    assert!(
        http(address, "POST /livez")
            .await
            .0
            .starts_with("HTTP/1.1 405")
    );
    assert!(http(address, "GET /").await.0.starts_with("HTTP/1.1 404"));
    assert_eq!(http(address, "HEAD /livez").await.1, "");
    let server = std::sync::Arc::clone(&running.server);
    running.stop().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(*server.stopping().borrow());
}

/// Whether it is what Prometheus reads: each sample belongs to a family that was announced, with
/// help and type, once; buckets grow and end with +Inf.
fn check_exposition(text: &str) -> BTreeMap<String, f64> {
    let (mut kinds, mut helped) = (BTreeMap::new(), BTreeSet::new());
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name.to_owned()) && !help.is_empty(), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "{line}");
            assert!(
                kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{line}"
            );
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(
                samples.insert(series.to_owned(), value).is_none(),
                "twice: {line}"
            );
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .find(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram"));
            assert!(kinds.contains_key(family.unwrap_or(name)), "{line}");
        }
    }
    for (series, count) in &samples {
        if let Some((family, labels)) = series.split_once("_count{") {
            let last = format!(
                "{family}_bucket{{{},le=\"+Inf\"}}",
                labels.trim_end_matches('}')
            );
            assert_eq!(samples.get(&last), Some(count), "{last}");
        }
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_what_prometheus_reads_and_count_what_was_done() {
    let running = serve().await;
    let mut client = Client::connect(running.address).await;
    let documents = [doc! { "_id": 1 }, doc! { "_id": 2 }];
    client
        .done("shop", doc! { "insert": "orders", "documents": documents })
        .await;
    assert_ne!(code(&client.run("shop", doc! { "nothing": 1 }).await), 0);
    let (head, body) = http(running.http_address.unwrap(), "GET /metrics").await;
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let samples = check_exposition(&body);
    for (series, value) in [
        ("cs_documents_inserted_total", 2.0),
        ("cs_server_connections", 1.0),
        ("cs_server_command_seconds_count{command=\"insert\"}", 1.0),
        ("cs_server_command_failures_total{command=\"insert\"}", 0.0),
        ("cs_server_command_failures_total{command=\"unknown\"}", 1.0),
        ("cs_poisoned", 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    assert!(samples["process_resident_memory_bytes"] > 0.0);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_tell_what_is_so() {
    let running = serve().await;
    let mut client = Client::connect(running.address).await;
    let documents: Vec<_> = (0..10).map(|n| doc! { "_id": n, "n": n }).collect();
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

    let status = client.done("admin", doc! { "serverStatus": 1 }).await;
    let sub = |name: &str| status.get_document(name).unwrap().clone();
    assert_eq!(sub("opcounters").get_i64("insert").unwrap(), 1);
    assert_eq!(sub("connections").get_i64("current").unwrap(), 1);
    assert_eq!(
        sub("metrics")
            .get_document("document")
            .unwrap()
            .get_i64("inserted")
            .unwrap(),
        10
    );
    assert!(sub("network").get_i64("bytesIn").unwrap() > 100);
    assert!(sub("mem").get_i64("resident").unwrap() > 0);

    let stats = client.done("shop", doc! { "collStats": "orders" }).await;
    assert_eq!(stats.get_i64("count").unwrap(), 10);
    assert_eq!(stats.get_i32("nindexes").unwrap(), 2);
    let sizes = stats.get_document("indexSizes").unwrap();
    assert!(sizes.get_i64("n_1").unwrap() > 0, "{sizes}");
    let missing = client.done("shop", doc! { "collStats": "nothing" }).await;
    assert_eq!(
        (
            missing.get_i64("count").unwrap(),
            missing.get_i32("nindexes").unwrap()
        ),
        (0, 0)
    );
    let scaled = client
        .run("shop", doc! { "collStats": "orders", "scale": 0 })
        .await;
    assert_eq!(code(&scaled), 2);

    let stats = client.done("shop", doc! { "dbStats": 1 }).await;
    assert_eq!(stats.get_i64("objects").unwrap(), 10);
    assert_eq!(stats.get_i64("collections").unwrap(), 1);
    let other = client.done("other", doc! { "dbStats": 1 }).await;
    assert_eq!(other.get_i64("objects").unwrap(), 0);

    let current = client.done("admin", doc! { "currentOp": 1 }).await;
    let inprog = current.get_array("inprog").unwrap();
    assert_eq!(inprog.len(), 1, "itself: {current}");
    assert_eq!(code(&client.run("shop", doc! { "currentOp": 1 }).await), 13);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_killed_ends() {
    let running = serve().await;
    let mut busy = Client::connect(running.address).await;
    let documents: Vec<_> = (0..2000).map(|n| doc! { "_id": n }).collect();
    busy.done("shop", doc! { "insert": "c", "documents": documents })
        .await;
    let work = tokio::spawn(async move { busy.run("shop", endless()).await });
    let mut watcher = Client::connect(running.address).await;
    let id = loop {
        let current = watcher.done("admin", doc! { "currentOp": 1 }).await;
        let operations = current.get_array("inprog").unwrap();
        let mut operations = operations.iter().filter_map(|one| one.as_document());
        let busy = operations.find(|one| {
            one.get_document("command")
                .unwrap()
                .contains_key("aggregate")
        });
        if let Some(busy) = busy {
            assert_eq!(busy.get_str("ns").unwrap(), "shop.c");
            break busy.get_i32("opid").unwrap();
        }
    };
    watcher.done("admin", doc! { "killOp": 1, "op": id }).await;
    assert_eq!(code(&work.await.unwrap()), 11601);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_are_told_what_is_unsafe() {
    let running = serve().await;
    let mut client = Client::connect(running.address).await;
    let reply = client
        .done("admin", doc! { "getLog": "startupWarnings" })
        .await;
    let log = reply.get_array("log").unwrap();
    let read = |line: &bson::Bson| -> serde_json::Value {
        serde_json::from_str(line.as_str().unwrap()).unwrap()
    };
    let told = log.iter().map(read).any(|line| {
        line["s"] == "W"
            && line["msg"]
                .as_str()
                .unwrap()
                .contains("security.authentication")
    });
    assert!(told, "{reply}");
    running.stop().await.unwrap();
}
