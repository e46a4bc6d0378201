use super::*;

fn database() -> Database {
    Database::open_in_memory().unwrap()
}

fn grant(role: Role, database: &str) -> Grant {
    Grant {
        role,
        database: database.to_owned(),
    }
}

#[test]
fn users_come_back_as_they_were_made() {
    let database = database();
    let users = Users::open(&database, 10);
    assert!(users.is_empty().unwrap());
    let grants = vec![grant(Role::ReadWrite, "shop"), grant(Role::Backup, "admin")];
    users
        .create(
            "shop",
            "ada",
            "pencil",
            grants.clone(),
            Some(doc! { "n": 1 }),
        )
        .unwrap();
    let again = Users::open(&database, 10);
    let user = again.find("shop", "ada").unwrap().unwrap();
    assert_eq!(
        (user.grants, user.custom_data),
        (grants, Some(doc! { "n": 1 }))
    );
    assert!(again.find("admin", "ada").unwrap().is_none());
    assert!(!again.is_empty().unwrap());
    assert_eq!(
        again.secret().unwrap(),
        users.secret().unwrap(),
        "unknown users keep their salts"
    );
}

#[test]
fn what_is_stored_holds_no_password() {
    let database = database();
    let users = Users::open(&database, 10);
    users
        .create("shop", "ada", "a-planted-secret", Vec::new(), None)
        .unwrap();
    for collection in database
        .database(INTERNAL_DATABASE)
        .list_collections()
        .unwrap()
    {
        let collection = database
            .database(INTERNAL_DATABASE)
            .collection(&collection.name);
        for document in collection.find(doc! {}).run().unwrap() {
            let bytes = document.unwrap();
            let is_there = bytes
                .as_bytes()
                .windows(16)
                .any(|part| part == b"a-planted-secret");
            assert!(!is_there, "{bytes:?}");
        }
    }
}

#[test]
fn a_name_is_taken_once_in_a_database() {
    let users = Users::open(&database(), 10);
    let create = |database| users.create(database, "ada", "pencil", Vec::new(), None);
    create("a").unwrap();
    create("b").unwrap();
    assert_eq!(create("a").unwrap_err().code, 51003);
    assert_eq!(users.list(Some("a")).unwrap().len(), 1);
    assert_eq!(users.list(None).unwrap().len(), 2);
    assert_eq!(users.remove_all("a").unwrap(), 1);
    assert_eq!(users.remove("a", "ada").unwrap_err().code, 11);
    users.remove("b", "ada").unwrap();
    assert!(users.is_empty().unwrap());
}

#[test]
fn names_and_passwords_that_make_no_sense_are_refused() {
    let users = Users::open(&database(), 10);
    let create = |name: &str, password: &str| users.create("a", name, password, Vec::new(), None);
    for name in ["", "a\nb", &"x".repeat(MAX_NAME_BYTES + 1)] {
        assert_eq!(create(name, "pencil").unwrap_err().code, 2, "{name:?}");
    }
    assert_eq!(create("ada", "").unwrap_err().code, 2);
    create(&"x".repeat(MAX_NAME_BYTES), "pencil").unwrap();
    assert!(users.find("a", &"x".repeat(1 << 20)).unwrap().is_none());
}

#[test]
fn every_change_is_counted_so_that_open_connections_look_again() {
    let users = Users::open(&database(), 10);
    let mut before = users.changes();
    let mut has_moved = |users: &Users| {
        let moved = users.changes() > before;
        before = users.changes();
        moved
    };
    users
        .create("a", "ada", "pencil", Vec::new(), None)
        .unwrap();
    assert!(has_moved(&users));
    let root = grant(Role::Root, "admin");
    users
        .change("a", "ada", |user| {
            user.grants.push(root);
            Ok(())
        })
        .unwrap();
    assert!(has_moved(&users));
    assert_eq!(users.find("a", "ada").unwrap().unwrap().grants.len(), 1);
    users.remove("a", "ada").unwrap();
    assert!(has_moved(&users));
    assert!(users.change("a", "ada", |_| Ok(())).is_err());
}

#[test]
fn the_first_user_is_made_once() {
    let users = Users::open(&database(), 10);
    assert!(users.bootstrap("root", "pencil").unwrap());
    assert!(!users.bootstrap("other", "pencil").unwrap());
    let root = users.find("admin", "root").unwrap().unwrap();
    assert_eq!(root.grants, [grant(Role::Root, "admin")]);
}
