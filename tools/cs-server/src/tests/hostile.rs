use bson::doc;
use tokio::io::AsyncWriteExt;

use super::client::{Client, guarded};

/// Connections of each kind, all at once.
const OF_EACH_KIND: usize = 25;

fn header(length: i32, op_code: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [length, 1, 0, op_code] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// A document in a document in a document, as deep as it fits.
fn deep(bytes: usize) -> Vec<u8> {
    let levels = (bytes - 5) / 8;
    let mut inner = vec![5, 0, 0, 0, 0];
    for _ in 0..levels {
        let length = i32::try_from(inner.len() + 8).unwrap();
        let mut outer = length.to_le_bytes().to_vec();
        outer.extend_from_slice(&[3, b'a', 0]);
        outer.extend_from_slice(&inner);
        outer.push(0);
        inner = outer;
    }
    inner
}

fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    let message = |flags: u32, sections: &[u8]| {
        let length = i32::try_from(20 + sections.len()).unwrap();
        [
            header(length, 2013),
            flags.to_le_bytes().to_vec(),
            sections.to_vec(),
        ]
        .concat()
    };
    let nested = [&[0][..], &deep(3000)].concat();
    let sequence = [&[1][..], &i32::MAX.to_le_bytes(), b"documents\0"].concat();
    let lying = [&[0][..], &i32::MAX.to_le_bytes(), &[0; 64]].concat();
    let bomb = [
        header(4000, 2012),
        2013_i32.to_le_bytes().to_vec(),
        i32::MAX.to_le_bytes().to_vec(),
        vec![2; 4000 - 24],
    ];
    vec![
        ("silent", Vec::new()),
        ("half a header", vec![100, 0, 0]),
        ("half a message", header(4000, 2013)),
        ("all the memory", header(i32::MAX, 2013)),
        ("a negative length", header(-1, 2013)),
        ("no kind of message", header(100, 9999)),
        ("garbage", vec![0xa5; 4096]),
        ("too deep", message(0, &nested)),
        ("a sequence longer than the message", message(0, &sequence)),
        ("a document longer than the message", message(0, &lying)),
        ("flags that nobody knows", message(0xffff, &nested)),
        ("a bomb", bomb.concat()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_connections_end_and_others_do_not_notice() {
    let running = guarded().await;
    let mut good = Client::as_user(running.address, "root").await;
    let mut hostile = Vec::new();
    for (kind, bytes) in kinds() {
        for _ in 0..OF_EACH_KIND {
            let mut client = Client::connect(running.address).await;
            // It may be closed by now, which is right.
            let _ = client.stream.write_all(&bytes).await;
            hostile.push((kind, client));
        }
        for _ in 0..10 {
            let insert = doc! { "insert": "orders", "documents": [{ "kind": kind }] };
            good.done("shop", insert).await;
        }
    }
    let count = good.done("shop", doc! { "count": "orders" }).await;
    assert_eq!(
        usize::try_from(count.get_i32("n").unwrap()).unwrap(),
        10 * kinds().len()
    );
    drop(hostile);
    while running.server.connections.current() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.server.connections.unknown(), 0);
    running.stop().await.unwrap();
}
