//! What is compared.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cs_io::Disk;
use cs_io::sys::{DirectIo, SysDisk, SysOptions};
use cs_io::uring::{DurableForm, IoChoice, LoneWrite, UringDisk, UringOptions, open_best};

use super::ceiling;
use super::writers::{self, Measured, Setup};

pub(crate) struct Variant {
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    Ceiling,
    Log(Form, Setup),
}

/// How a group reaches the disk.
#[derive(Clone, Copy)]
enum Form {
    /// What the product takes.
    Best,
    /// Write, then fdatasync, through the page cache.
    Buffered,
    /// `pwritev2` with `O_DIRECT` and `RWF_DSYNC`.
    Direct,
    Ring(DirectIo, DurableForm),
}

pub(crate) fn variants() -> Vec<Variant> {
    let mut list = vec![Variant {
        name: ceiling::NAME.to_owned(),
        kind: Kind::Ceiling,
    }];
    let mut log = |name: String, form, setup| {
        let kind = Kind::Log(form, setup);
        list.push(Variant { name, kind });
    };
    let usual = Setup::default();
    for (name, form) in [
        ("form: buffered, fdatasync", Form::Buffered),
        ("form: direct dsync, pwritev2", Form::Direct),
        (
            "form: ring, linked",
            Form::Ring(DirectIo::Off, DurableForm::Linked),
        ),
        (
            "form: ring, buffered dsync",
            Form::Ring(DirectIo::Off, DurableForm::Dsync),
        ),
        (
            "form: ring, direct dsync",
            Form::Ring(DirectIo::Auto, DurableForm::Dsync),
        ),
        ("form: best", Form::Best),
    ] {
        log(name.to_owned(), form, usual);
    }
    for groups_in_flight in [1, 2, 4, 8] {
        for (name, has_thread) in [("leader", false), ("log thread", true)] {
            let name = format!("flights: {groups_in_flight}, {name}");
            let setup = Setup {
                groups_in_flight,
                has_thread,
            };
            log(name, Form::Best, setup);
        }
    }
    list
}

impl Form {
    fn open(self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        let by_calls = |direct| {
            let options = SysOptions {
                create: false,
                direct,
            };
            SysDisk::open(path, options)
        };
        Ok(match self {
            Self::Best => open_best(path, false, IoChoice::Auto, DirectIo::Auto)?,
            Self::Buffered => by_calls(DirectIo::Off)?,
            Self::Direct => by_calls(DirectIo::Auto)?,
            Self::Ring(direct, form) => {
                let options = UringOptions {
                    create: false,
                    direct,
                    form,
                    lone: LoneWrite::Ring,
                };
                UringDisk::open(path, options)?
            }
        })
    }
}

impl Variant {
    pub(crate) fn run(
        &self,
        directory: &Path,
        writers: usize,
        time: Duration,
    ) -> io::Result<Measured> {
        match &self.kind {
            Kind::Ceiling => ceiling::run(directory, writers, time),
            Kind::Log(form, setup) => {
                Ok(writers::run(form.open(directory)?, *setup, writers, time))
            }
        }
    }
}
