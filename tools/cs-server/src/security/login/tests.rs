use collection_store::Database;

use super::super::role::{Grant, Role};
use super::super::scram_client::Client;
use super::*;

fn users() -> Users {
    let users = Users::open(&Database::open_in_memory().unwrap(), 100);
    let read = Grant {
        role: Role::Read,
        database: "shop".to_owned(),
    };
    users
        .create("shop", "ada", "pencil", vec![read], None)
        .unwrap();
    users
}

fn payload(reply: &LoginReply) -> Vec<u8> {
    reply
        .document
        .get_binary_generic("payload")
        .unwrap()
        .clone()
}

fn start(login: &mut Login, users: &Users, client: &Client, skips: bool) -> LoginReply {
    login
        .start(users, "shop", MECHANISM, &client.first(), skips)
        .unwrap()
}

#[test]
fn a_user_comes_in_after_two_messages_or_three() {
    let users = users();
    for skips_empty in [true, false] {
        let mut login = Login::default();
        let client = Client::new("ada", "pencil");
        let reply = start(&mut login, &users, &client, skips_empty);
        assert!(reply.user.is_none());
        let (last, signature) = client.last(&payload(&reply));
        let reply = login.proceed(1, &last).unwrap();
        assert_eq!(payload(&reply), signature);
        assert_eq!(reply.document.get_bool("done").unwrap(), skips_empty);
        assert_eq!(
            reply.user.is_some(),
            skips_empty,
            "in only when the client has seen our proof"
        );
        if !skips_empty {
            let reply = login.proceed(1, &[]).unwrap();
            assert!(reply.document.get_bool("done").unwrap());
            assert_eq!(reply.user.unwrap().id(), "shop.ada");
        }
        assert_eq!(
            login.proceed(1, &[]).unwrap_err().code,
            17,
            "a conversation ends once"
        );
    }
}

#[test]
fn whoever_fails_is_told_the_same_for_whatever_reason() {
    let users = users();
    let mut told = Vec::new();
    for (name, password) in [("ada", "pen"), ("eve", "pencil")] {
        let mut login = Login::default();
        let client = Client::new(name, password);
        let reply = start(&mut login, &users, &client, true);
        let (last, _) = client.last(&payload(&reply));
        let fault = login.proceed(1, &last).unwrap_err();
        assert_eq!(fault.code, 18);
        assert_eq!(login.failures(), 1);
        told.push((
            fault,
            reply.document.get_binary_generic("payload").unwrap().len(),
        ));
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_user_of_another_database_is_another() {
    let users = users();
    let mut login = Login::default();
    let client = Client::new("ada", "pencil");
    let reply = login
        .start(&users, "admin", MECHANISM, &client.first(), true)
        .unwrap();
    let (last, _) = client.last(&payload(&reply));
    assert_eq!(login.proceed(1, &last).unwrap_err().code, 18);
}

#[test]
fn an_unknown_user_seems_to_have_the_same_salt_each_time() {
    let users = users();
    let salt = || {
        let reply = start(
            &mut Login::default(),
            &users,
            &Client::new("eve", "x"),
            true,
        );
        let text = String::from_utf8(payload(&reply)).unwrap();
        text.split_once(",s=").unwrap().1.to_owned()
    };
    assert_eq!(salt(), salt());
    assert!(
        salt().ends_with(",i=100"),
        "as many iterations as real users have"
    );
}

#[test]
fn a_proof_without_a_conversation_or_for_another_is_refused() {
    let users = users();
    let mut login = Login::default();
    assert_eq!(login.proceed(0, b"c=biws,r=x,p=AAAA").unwrap_err().code, 17);
    let client = Client::new("ada", "pencil");
    let reply = start(&mut login, &users, &client, true);
    let (last, _) = client.last(&payload(&reply));
    assert_eq!(login.proceed(2, &last).unwrap_err().code, 17);
    assert_eq!(
        login.proceed(1, &last).unwrap_err().code,
        17,
        "it ended with the mistake"
    );
    assert_eq!(login.failures(), 3);
}

#[test]
fn a_second_start_makes_the_first_worthless() {
    let users = users();
    let mut login = Login::default();
    let client = Client::new("ada", "pencil");
    let reply = start(&mut login, &users, &client, true);
    let (last, _) = client.last(&payload(&reply));
    start(&mut login, &users, &client, true);
    assert_eq!(login.proceed(2, &last).unwrap_err().code, 18);
}

#[test]
fn other_mechanisms_are_refused_by_name() {
    let mut login = Login::default();
    for mechanism in [
        "SCRAM-SHA-1",
        "PLAIN",
        "MONGODB-X509",
        "SCRAM-SHA-256-PLUS",
        "",
    ] {
        let fault = login.start(
            &users(),
            "admin",
            mechanism,
            b"n,,n=a,r=0123456789abcdef",
            true,
        );
        assert_eq!(fault.unwrap_err().code, 334, "{mechanism}");
    }
}
