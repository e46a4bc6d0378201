use collection_store::Database;

use super::*;

fn users() -> Users {
    Users::open(&Database::open_in_memory().unwrap(), 10)
}

fn run(users: &Users, database: &str, body: Document) -> Result<Document> {
    let name = body.keys().next().unwrap().clone();
    let command = USER_COMMANDS
        .iter()
        .find(|command| command.name == name)
        .unwrap();
    manage(users, command, database, &body)
}

fn roles_of(users: &Users, name: &str) -> Vec<String> {
    let user = users.find("shop", name).unwrap().unwrap();
    let name = |grant: &Grant| format!("{}@{}", grant.role, grant.database);
    user.grants.iter().map(name).collect()
}

fn with_ada() -> Users {
    let users = users();
    let body = doc! { "createUser": "ada", "pwd": "pencil", "roles": ["read"] };
    run(&users, "shop", body).unwrap();
    users
}

#[test]
fn roles_are_granted_changed_and_revoked() {
    let users = with_ada();
    assert_eq!(roles_of(&users, "ada"), ["read@shop"]);
    let backup = doc! { "role": "backup", "db": "admin" };
    let body = doc! { "grantRolesToUser": "ada", "roles": ["readWrite", backup.clone(), "read"] };
    run(&users, "shop", body).unwrap();
    assert_eq!(
        roles_of(&users, "ada"),
        ["read@shop", "readWrite@shop", "backup@admin"]
    );
    let body = doc! { "revokeRolesFromUser": "ada", "roles": ["read", backup] };
    run(&users, "shop", body).unwrap();
    assert_eq!(roles_of(&users, "ada"), ["readWrite@shop"]);
    run(&users, "shop", doc! { "updateUser": "ada", "roles": [] }).unwrap();
    assert!(roles_of(&users, "ada").is_empty());
}

#[test]
fn roles_that_are_not_there_are_refused() {
    let users = with_ada();
    for role in [
        Bson::from("owner"),
        Bson::from("root"),
        Bson::from(doc! { "role": "clusterAdmin", "db": "shop" }),
    ] {
        let body = doc! { "grantRolesToUser": "ada", "roles": [role.clone()] };
        assert_eq!(run(&users, "shop", body).unwrap_err().code, 31, "{role}");
    }
    for (role, code) in [
        (Bson::from(1), 14),
        (Bson::from(doc! { "role": "read" }), 14),
        (Bson::from(doc! { "role": "read", "db": "a.b" }), 73),
        (
            Bson::from(doc! { "role": "read", "db": super::super::INTERNAL_DATABASE }),
            73,
        ),
        (
            Bson::from(doc! { "role": "read", "db": "a", "x": 1 }),
            40415,
        ),
    ] {
        let body = doc! { "grantRolesToUser": "ada", "roles": [role.clone()] };
        assert_eq!(run(&users, "shop", body).unwrap_err().code, code, "{role}");
    }
    assert_eq!(
        roles_of(&users, "ada"),
        ["read@shop"],
        "nothing was changed"
    );
}

#[test]
fn a_new_password_replaces_the_old_one() {
    let users = with_ada();
    let before = users.find("shop", "ada").unwrap().unwrap().credentials;
    run(&users, "shop", doc! { "updateUser": "ada", "pwd": "pen" }).unwrap();
    let after = users.find("shop", "ada").unwrap().unwrap().credentials;
    assert!(before != after);
    assert_eq!(roles_of(&users, "ada"), ["read@shop"]);
}

#[test]
fn options_that_are_not_honoured_are_refused_by_name() {
    let users = users();
    for (option, value) in [
        ("mechanisms", Bson::from(vec!["SCRAM-SHA-1"])),
        (
            "mechanisms",
            Bson::from(vec!["SCRAM-SHA-256", "SCRAM-SHA-1"]),
        ),
        ("digestPassword", Bson::from(false)),
        (
            "authenticationRestrictions",
            Bson::from(vec![doc! { "clientSource": ["::1"] }]),
        ),
    ] {
        let mut body = doc! { "createUser": "ada", "pwd": "pencil", "roles": [] };
        body.insert(option, value);
        assert_eq!(run(&users, "shop", body).unwrap_err().code, 2, "{option}");
    }
    for option in ["showCredentials", "showPrivileges"] {
        let body = doc! { "usersInfo": 1, option: true };
        assert!(
            run(&users, "shop", body)
                .unwrap_err()
                .message
                .contains(option)
        );
    }
    let mut body = doc! { "createUser": "ada", "pwd": "pencil", "roles": [] };
    body.extend(doc! { "mechanisms": ["SCRAM-SHA-256"], "digestPassword": true });
    run(&users, "shop", body).unwrap();
}

#[test]
fn users_are_shown_without_what_proves_their_passwords() {
    let users = with_ada();
    run(
        &users,
        "admin",
        doc! { "createUser": "root", "pwd": "x", "roles": ["root"] },
    )
    .unwrap();
    let names = |wanted: Bson| {
        let reply = run(&users, "shop", doc! { "usersInfo": wanted }).unwrap();
        assert!(!reply.to_string().contains("Key"), "{reply}");
        let users = reply.get_array("users").unwrap().clone();
        let id = |user: &Bson| {
            user.as_document()
                .unwrap()
                .get_str("_id")
                .unwrap()
                .to_owned()
        };
        users.iter().map(id).collect::<Vec<String>>()
    };
    assert_eq!(names(1.into()), ["shop.ada"]);
    assert_eq!(names(1.0.into()), ["shop.ada"]);
    assert_eq!(names("ada".into()), ["shop.ada"]);
    assert_eq!(names("eve".into()), [""; 0]);
    assert_eq!(
        names(doc! { "forAllDBs": true }.into()),
        ["admin.root", "shop.ada"]
    );
    let both = vec![
        doc! { "user": "root", "db": "admin" },
        doc! { "user": "ada", "db": "shop" },
    ];
    assert_eq!(names(both.into()), ["admin.root", "shop.ada"]);
    assert!(run(&users, "shop", doc! { "usersInfo": true }).is_err());
}

#[test]
fn users_go_one_by_one_or_with_their_database() {
    let users = with_ada();
    assert_eq!(
        run(&users, "other", doc! { "dropUser": "ada" })
            .unwrap_err()
            .code,
        11
    );
    run(&users, "shop", doc! { "dropUser": "ada" }).unwrap();
    let users = with_ada();
    let reply = run(&users, "shop", doc! { "dropAllUsersFromDatabase": 1 }).unwrap();
    assert_eq!(reply, doc! { "n": 1 });
}

#[test]
fn what_is_missing_or_of_a_wrong_type_is_refused() {
    let users = with_ada();
    for body in [
        doc! { "createUser": "eve", "roles": [] },
        doc! { "createUser": "eve", "pwd": "x" },
        doc! { "createUser": 1, "pwd": "x", "roles": [] },
        doc! { "createUser": "eve", "pwd": 1, "roles": [] },
        doc! { "createUser": "eve", "pwd": "x", "roles": "read" },
        doc! { "createUser": "eve", "pwd": "x", "roles": [], "customData": 1 },
        doc! { "updateUser": "ada" },
        doc! { "updateUser": "eve", "pwd": "x" },
        doc! { "grantRolesToUser": "ada" },
    ] {
        assert!(run(&users, "shop", body.clone()).is_err(), "{body}");
    }
    assert_eq!(users.list(None).unwrap().len(), 1);
}
