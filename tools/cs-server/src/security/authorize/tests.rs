use bson::{RawDocumentBuf, rawdoc};

use super::super::role::Grant;
use super::super::scram::Credentials;
use super::*;
use crate::command;

fn user(role: Role, database: &str) -> User {
    User {
        name: "ada".to_owned(),
        database: "admin".to_owned(),
        grants: vec![Grant {
            role,
            database: database.to_owned(),
        }],
        credentials: Credentials::pretended(b"", "", 1),
        custom_data: None,
    }
}

fn ask<'a>(user: Option<&'a User>, command: &'a RawDocument, privilege: Privilege) -> Ask<'a> {
    let name = command.into_iter().next().unwrap().unwrap().0.as_str();
    Ask {
        authentication: true,
        user,
        first_user_may_be_made: false,
        name,
        privilege,
        before_auth: false,
        database: "shop",
        command,
    }
}

fn may(user: &User, command: &RawDocument, privilege: Privilege) -> bool {
    authorize(&ask(Some(user), command, privilege)).is_ok()
}

/// Who may do what, written down a second time, role by role.
fn expected(role: Role, privilege: Privilege) -> bool {
    let row = match privilege {
        Privilege::None | Privilege::Authenticated => {
            "read readWrite dbAdmin readAnyDatabase readWriteAnyDatabase dbAdminAnyDatabase \
             clusterAdmin backup root"
        }
        Privilege::Read => "read readWrite readAnyDatabase readWriteAnyDatabase backup root",
        Privilege::Inspect => {
            "read readWrite dbAdmin readAnyDatabase readWriteAnyDatabase dbAdminAnyDatabase \
             clusterAdmin backup root"
        }
        Privilege::ReadWrite => "readWrite readWriteAnyDatabase root",
        Privilege::Shape => "readWrite dbAdmin readWriteAnyDatabase dbAdminAnyDatabase root",
        Privilege::DbAdmin => "dbAdmin dbAdminAnyDatabase root",
        Privilege::Monitor | Privilege::ClusterAdmin => "clusterAdmin root",
        Privilege::Backup => "backup root",
        Privilege::UserAdmin => "root",
    };
    row.split(' ').any(|name| name == role.name())
}

#[test]
fn each_command_of_the_table_is_open_to_the_roles_that_suffice_and_to_no_other() {
    let mut commands = 0;
    for spec in command::all().filter(|spec| !spec.before_auth) {
        commands += 1;
        let name = bson::raw::CString::try_from(spec.name.to_owned()).unwrap();
        let mut body = RawDocumentBuf::new();
        body.append(&name, "orders");
        for role in Role::ALL {
            let database = if role.is_wide() { "admin" } else { "shop" };
            let found = may(&user(role, database), &body, spec.role);
            // A rename names its databases itself.
            if spec.name != "renameCollection" {
                assert_eq!(found, expected(role, spec.role), "{} as {role}", spec.name);
            }
        }
        let nobody = authorize(&ask(None, &body, spec.role)).unwrap_err();
        assert_eq!(nobody.code, 13, "{} before authentication", spec.name);
    }
    assert!(commands > 10, "the table was looked at");
}

#[test]
fn what_is_open_to_everybody_is_what_saying_hello_and_logging_in_take() {
    let mut open: Vec<_> = command::all().filter(|spec| spec.before_auth).collect();
    open.sort_by_key(|spec| spec.name);
    let names: Vec<&str> = open.iter().map(|spec| spec.name).collect();
    let expected = [
        "buildInfo",
        "buildinfo",
        "connectionStatus",
        "endSessions",
        "hello",
        "isMaster",
        "ismaster",
        "logout",
        "ping",
        "saslContinue",
        "saslStart",
        "whatsmyuri",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_role_on_one_database_is_none_on_another() {
    let command = rawdoc! { "find": "orders" };
    assert!(may(&user(Role::Read, "shop"), &command, Privilege::Read));
    for role in [Role::Read, Role::ReadWrite, Role::DbAdmin] {
        for privilege in [Privilege::Read, Privilege::Inspect, Privilege::Shape] {
            assert!(!may(&user(role, "other"), &command, privilege), "{role}");
            assert!(!may(&user(role, "admin"), &command, privilege), "{role}");
        }
    }
    assert!(may(
        &user(Role::ReadAnyDatabase, "admin"),
        &command,
        Privilege::Read
    ));
}

#[test]
fn nobody_without_roles_does_anything_but_be_there() {
    let mut nobody = user(Role::Read, "shop");
    nobody.grants.clear();
    let command = rawdoc! { "find": "orders" };
    assert!(may(&nobody, &command, Privilege::Authenticated));
    assert!(!may(&nobody, &command, Privilege::Read));
    assert!(!may_see_database(&nobody, "shop"));
    assert!(may_see_database(&user(Role::Read, "shop"), "shop"));
    assert!(!may_see_database(&user(Role::Read, "shop"), "other"));
    assert!(!may_see_database(
        &user(Role::Root, "admin"),
        crate::namespace::INTERNAL_DATABASE
    ));
}

#[test]
fn a_pipeline_that_writes_takes_the_right_to_write_where_it_writes() {
    let reader = user(Role::Read, "shop");
    let mut both = user(Role::Read, "shop");
    both.grants
        .push(user(Role::ReadWrite, "out").grants[0].clone());
    for (stage, here, there) in [
        (rawdoc! { "$match": {} }, true, true),
        (rawdoc! { "$out": "copy" }, false, false),
        (
            rawdoc! { "$out": { "db": "out", "coll": "copy" } },
            false,
            true,
        ),
        (rawdoc! { "$merge": "copy" }, false, false),
        (rawdoc! { "$merge": { "into": "copy" } }, false, false),
        (
            rawdoc! { "$merge": { "into": { "db": "out", "coll": "copy" } } },
            false,
            true,
        ),
        (
            rawdoc! { "$lookup": { "from": { "db": "out", "coll": "x" } } },
            false,
            true,
        ),
        (rawdoc! { "$lookup": { "from": "x" } }, true, true),
        (rawdoc! { "$currentOp": {} }, false, false),
        (rawdoc! { "$changeStream": {} }, true, true),
        (
            rawdoc! { "$changeStream": { "allChangesForCluster": true } },
            false,
            false,
        ),
    ] {
        let command = rawdoc! { "aggregate": "orders", "pipeline": [stage.clone()] };
        assert_eq!(may(&reader, &command, Privilege::Read), here, "{stage:?}");
        assert_eq!(may(&both, &command, Privilege::Read), there, "{stage:?}");
        let explain = rawdoc! { "explain": command };
        assert_eq!(
            may(&reader, &explain, Privilege::Read),
            here,
            "explain {stage:?}"
        );
    }
    let writer = user(Role::ReadWrite, "shop");
    let command = rawdoc! { "aggregate": "orders", "pipeline": [{ "$out": "copy" }] };
    assert!(may(&writer, &command, Privilege::Read));
}

#[test]
fn a_rename_takes_the_right_to_shape_both_databases() {
    let mut owner = user(Role::DbAdmin, "a");
    let to = |to: &str| rawdoc! { "renameCollection": "a.x", "to": to };
    let may_rename = |owner: &User, command: &RawDocument| {
        let ask = Ask {
            database: "admin",
            ..ask(Some(owner), command, Privilege::Shape)
        };
        authorize(&ask).is_ok()
    };
    assert!(may_rename(&owner, &to("a.y")));
    assert!(!may_rename(&owner, &to("b.y")));
    owner
        .grants
        .push(user(Role::DbAdmin, "b").grants[0].clone());
    assert!(may_rename(&owner, &to("b.y")));
}

#[test]
fn the_servers_own_database_is_out_of_reach_even_for_root_and_without_authentication() {
    let own = crate::namespace::INTERNAL_DATABASE;
    let root = user(Role::Root, "admin");
    let merge = rawdoc! { "$merge": { "into": { "db": own, "coll": "users" } } };
    let lookup = rawdoc! { "$lookup": { "from": { "db": own, "coll": "users" } } };
    for (database, command) in [
        (own, rawdoc! { "find": "users" }),
        ("shop", rawdoc! { "aggregate": "x", "pipeline": [merge] }),
        ("shop", rawdoc! { "aggregate": "x", "pipeline": [lookup] }),
        (
            "admin",
            rawdoc! { "renameCollection": format!("{own}.users"), "to": "shop.users" },
        ),
        (
            "admin",
            rawdoc! { "renameCollection": "shop.users", "to": format!("{own}.users") },
        ),
    ] {
        for authentication in [true, false] {
            let ask = Ask {
                authentication,
                database,
                ..ask(Some(&root), &command, Privilege::Read)
            };
            assert_eq!(authorize(&ask).unwrap_err().code, 73, "{command:?}");
        }
    }
}

#[test]
fn the_first_user_may_be_made_by_a_neighbour_if_it_can_make_others() {
    let may = |database: &'static str, command: &RawDocument, may_be_made: bool| {
        let ask = Ask {
            first_user_may_be_made: may_be_made,
            database,
            ..ask(None, command, Privilege::UserAdmin)
        };
        authorize(&ask).is_ok()
    };
    let root = rawdoc! { "createUser": "ada", "pwd": "x", "roles": ["root"] };
    assert!(may("admin", &root, true));
    assert!(!may("admin", &root, false));
    assert!(!may("shop", &root, true));
    let pair = rawdoc! { "createUser": "ada", "roles": [{ "role": "root", "db": "admin" }] };
    assert!(may("admin", &pair, true));
    for command in [
        rawdoc! { "createUser": "ada", "pwd": "x", "roles": ["readWrite"] },
        rawdoc! { "createUser": "ada", "pwd": "x" },
        rawdoc! { "updateUser": "ada", "roles": ["root"] },
        rawdoc! { "find": "x", "createUser": "ada", "roles": ["root"] },
    ] {
        assert!(!may("admin", &command, true), "{command:?}");
    }
}

#[test]
fn commands_with_secrets_are_known() {
    for name in ["saslStart", "saslContinue", "createUser", "updateUser"] {
        assert!(is_sensitive(name));
    }
    assert!(!is_sensitive("find"));
}
