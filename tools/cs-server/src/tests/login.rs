use bson::doc;

use super::client::{Client, PASSWORD, add_user, binary, code, guarded};
use crate::command;
use crate::config::Config;
use crate::security::{MECHANISM, Role, scram_client};
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn no_command_but_hello_and_login_runs_before_it_is_known_who_gives_it() {
    let running = guarded().await;
    let mut client = Client::connect(running.address).await;
    for spec in command::all() {
        if matches!(spec.name, "saslStart" | "saslContinue") {
            continue;
        }
        let reply = client.run("admin", doc! { spec.name: 1 }).await;
        // What is open may fail for want of its fields, but not for want of a login.
        assert_eq!(
            code(&reply) != 13,
            spec.before_auth,
            "{}: {reply}",
            spec.name
        );
    }
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_comes_in_with_the_right_password_and_with_no_other() {
    let running = guarded().await;
    let mut client = Client::connect(running.address).await;
    for (name, password) in [("root", "pen"), ("nobody", PASSWORD), ("root", "")] {
        let reply = client.login(name, password).await;
        assert_eq!(code(&reply), 18, "{name}");
        assert_eq!(reply.get_str("errmsg").unwrap(), "Authentication failed.");
        assert_eq!(
            code(&client.run("shop", doc! { "find": "orders" }).await),
            13
        );
    }
    assert_eq!(code(&client.login("root", PASSWORD).await), 0);
    client.done("shop", doc! { "find": "orders" }).await;
    let status = client.done("admin", doc! { "connectionStatus": 1 }).await;
    let users = status.get_document("authInfo").unwrap();
    let users = users.get_array("authenticatedUsers").unwrap();
    assert_eq!(users, &[doc! { "user": "root", "db": "admin" }.into()]);
    client.done("admin", doc! { "logout": 1 }).await;
    assert_eq!(
        code(&client.run("shop", doc! { "find": "orders" }).await),
        13
    );
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_may_begin_with_the_first_hello() {
    let running = guarded().await;
    let mut client = Client::connect(running.address).await;
    let scram = scram_client::Client::new("root", PASSWORD);
    let hello = doc! {
        "hello": 1,
        "saslSupportedMechs": "admin.root",
        "speculativeAuthenticate": {
            "saslStart": 1,
            "mechanism": MECHANISM,
            "payload": binary(scram.first()),
            "options": { "skipEmptyExchange": true },
            "db": "admin",
        },
    };
    let reply = client.done("admin", hello).await;
    assert_eq!(
        reply.get_array("saslSupportedMechs").unwrap(),
        &[MECHANISM.into()]
    );
    let challenge = reply.get_document("speculativeAuthenticate").unwrap();
    let (last, _) = scram.last(challenge.get_binary_generic("payload").unwrap());
    let proceed = doc! {
        "saslContinue": 1,
        "conversationId": challenge.get_i32("conversationId").unwrap(),
        "payload": binary(last),
    };
    let reply = client.done("admin", proceed).await;
    assert!(reply.get_bool("done").unwrap());
    client.done("shop", doc! { "find": "orders" }).await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_allows_is_done_and_the_rest_is_refused() {
    let running = guarded().await;
    add_user(&running.server, "reader", Role::Read, "shop");
    let mut reader = Client::as_user(running.address, "reader").await;
    reader.done("shop", doc! { "find": "orders" }).await;
    let insert = doc! { "insert": "orders", "documents": [{ "_id": 1 }] };
    let out = doc! { "aggregate": "orders", "pipeline": [{ "$out": "copy" }], "cursor": {} };
    for (database, command) in [
        ("shop", insert.clone()),
        ("shop", out),
        ("shop", doc! { "drop": "orders" }),
        ("other", doc! { "find": "orders" }),
        (
            "admin",
            doc! { "createUser": "eve", "pwd": "x", "roles": ["root"] },
        ),
        ("admin", doc! { "updateUser": "reader", "roles": ["root"] }),
        ("admin", doc! { "serverStatus": 1 }),
        ("admin", doc! { "killOp": 1, "op": 1 }),
    ] {
        assert_eq!(
            code(&reader.run(database, command.clone()).await),
            13,
            "{command}"
        );
    }
    let mut root = Client::as_user(running.address, "root").await;
    root.done("shop", insert).await;
    assert_eq!(running.server.users.list(None).unwrap().len(), 2);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_users_holds_at_once_on_connections_that_are_open() {
    let running = guarded().await;
    let mut root = Client::as_user(running.address, "root").await;
    let create =
        doc! { "createUser": "ada", "pwd": PASSWORD, "roles": [{ "role": "read", "db": "shop" }] };
    root.done("admin", create).await;
    let mut ada = Client::as_user(running.address, "ada").await;
    let insert = doc! { "insert": "orders", "documents": [{ "x": 1 }] };
    assert_eq!(code(&ada.run("shop", insert.clone()).await), 13);
    let role = doc! { "role": "readWrite", "db": "shop" };
    root.done(
        "admin",
        doc! { "grantRolesToUser": "ada", "roles": [role.clone()] },
    )
    .await;
    ada.done("shop", insert.clone()).await;
    root.done(
        "admin",
        doc! { "revokeRolesFromUser": "ada", "roles": [role] },
    )
    .await;
    assert_eq!(code(&ada.run("shop", insert).await), 13);
    ada.done("shop", doc! { "find": "orders" }).await;
    root.done("admin", doc! { "dropUser": "ada" }).await;
    assert_eq!(code(&ada.run("shop", doc! { "find": "orders" }).await), 13);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_makes_the_first_user_and_nobody_the_second() {
    let mut config = Config::in_memory();
    config.security.authentication = true;
    let running = Server::start(config).await.unwrap();
    let mut client = Client::connect(running.address).await;
    let weak = doc! { "createUser": "ada", "pwd": PASSWORD, "roles": ["readAnyDatabase"] };
    assert_eq!(
        code(&client.run("admin", weak).await),
        13,
        "it would lock everybody out"
    );
    let create = |name: &str| doc! { "createUser": name, "pwd": PASSWORD, "roles": ["root"] };
    client.done("admin", create("root")).await;
    assert_eq!(code(&client.run("admin", create("eve")).await), 13);
    assert_eq!(code(&client.login("root", PASSWORD).await), 0);
    client.done("admin", create("second")).await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_database_is_neither_reached_nor_seen() {
    let running = guarded().await;
    let own = crate::namespace::INTERNAL_DATABASE;
    let mut root = Client::as_user(running.address, "root").await;
    for command in [
        doc! { "find": "users" },
        doc! { "dropDatabase": 1 },
        doc! { "insert": "users", "documents": [{ "_id": "admin.eve" }] },
    ] {
        assert_eq!(code(&root.run(own, command.clone()).await), 73, "{command}");
    }
    let databases = root.done("admin", doc! { "listDatabases": 1 }).await;
    assert!(!databases.to_string().contains(own), "{databases}");
    running.stop().await.unwrap();
}
