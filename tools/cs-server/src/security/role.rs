//! Roles, and what each may do.

use std::fmt;

use crate::command::Privilege;

/// The database whose users may have roles over all databases.
pub(super) const ADMIN: &str = "admin";

/// What a user may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Reads documents of one database.
    Read,
    /// Reads and writes documents of one database, makes collections and indexes.
    ReadWrite,
    /// Shapes one database, without reading its documents.
    DbAdmin,
    /// Reads documents of all databases.
    ReadAnyDatabase,
    /// Reads and writes documents of all databases.
    ReadWriteAnyDatabase,
    /// Shapes all databases.
    DbAdminAnyDatabase,
    /// Watches and steers the server, without reading documents.
    ClusterAdmin,
    /// Reads everything, to keep a copy of it.
    Backup,
    /// May do everything.
    Root,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::ReadWrite,
        Self::DbAdmin,
        Self::ReadAnyDatabase,
        Self::ReadWriteAnyDatabase,
        Self::DbAdminAnyDatabase,
        Self::ClusterAdmin,
        Self::Backup,
        Self::Root,
    ];

    /// Its name in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "readWrite",
            Self::DbAdmin => "dbAdmin",
            Self::ReadAnyDatabase => "readAnyDatabase",
            Self::ReadWriteAnyDatabase => "readWriteAnyDatabase",
            Self::DbAdminAnyDatabase => "dbAdminAnyDatabase",
            Self::ClusterAdmin => "clusterAdmin",
            Self::Backup => "backup",
            Self::Root => "root",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether it is about all databases; granted on `admin` alone.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        !matches!(self, Self::Read | Self::ReadWrite | Self::DbAdmin)
    }

    /// Whether it is enough, where it holds.
    #[must_use]
    pub const fn allows(self, privilege: Privilege) -> bool {
        use Privilege::{
            Authenticated, Backup, ClusterAdmin, DbAdmin, Inspect, Monitor, None, Read, ReadWrite,
            Shape, UserAdmin,
        };
        if matches!(privilege, None | Authenticated) {
            return true;
        }
        match self {
            Self::Read | Self::ReadAnyDatabase => matches!(privilege, Read | Inspect),
            Self::ReadWrite | Self::ReadWriteAnyDatabase => {
                matches!(privilege, Read | Inspect | ReadWrite | Shape)
            }
            Self::DbAdmin | Self::DbAdminAnyDatabase => {
                matches!(privilege, Inspect | Shape | DbAdmin)
            }
            Self::ClusterAdmin => matches!(privilege, Inspect | Monitor | ClusterAdmin),
            Self::Backup => matches!(privilege, Read | Inspect | Backup),
            // One by one, so that a new privilege is given on purpose.
            Self::Root => match privilege {
                None | Authenticated | Read | Inspect | ReadWrite | Shape | DbAdmin | Monitor
                | ClusterAdmin | Backup | UserAdmin => true,
            },
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A role, and where it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The database; `admin` for the wide ones, which hold everywhere.
    pub database: String,
}

impl Grant {
    /// Whether it is enough for something that is done to a database.
    #[must_use]
    pub fn allows(&self, privilege: Privilege, database: &str) -> bool {
        // What is done to the server is done to no database.
        let is_of_server = matches!(
            privilege,
            Privilege::Monitor | Privilege::ClusterAdmin | Privilege::Backup
        );
        let holds = self.role.is_wide() || (!is_of_server && self.database == database);
        holds && self.role.allows(privilege)
    }
}
