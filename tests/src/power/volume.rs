//! A file system in a file: made, mounted, cut, mounted again.
//!
//! ## Invariants
//! * The loop device clears itself when it is unmounted.
//! * A volume that is dropped is unmounted.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::time::Duration;

use super::enclosure::Busy;
use super::{FileSystem, Skipped};
use crate::Failure;

/// After a kill the kernel ends what the process had in flight, and the file
/// system is in use until it has: so often is asked again, so long apart.
const UNMOUNT_TRIES: u32 = 1_000;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(5);

/// What the kernel does with the journal before the lights go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    /// Flag 1: it is written first.
    Flushed,
    /// Flag 2: it is lost as it is.
    Lost,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Volume {
    image: PathBuf,
    mounted: PathBuf,
    fs: FileSystem,
    is_mounted: bool,
    busy: Busy,
}

impl Volume {
    /// Makes and mounts one in `directory`.
    pub(super) fn new(
        fs: FileSystem,
        directory: &Path,
        mounted: &Path,
        busy: Busy,
    ) -> Result<Self, Skipped> {
        let image = directory.join("image");
        // 300 MB is the least that mkfs.xfs takes; the file has holes.
        let mebibytes = match fs {
            FileSystem::Ext4 => 96,
            FileSystem::Xfs => 320,
        };
        let made = fs::create_dir_all(mounted)
            .and_then(|()| File::create(&image))
            .and_then(|file| file.set_len(mebibytes << 20));
        made.map_err(|error| Skipped(format!("a file for the file system: {error}")))?;
        let mut volume = Self {
            image,
            mounted: mounted.to_owned(),
            fs,
            is_mounted: false,
            busy,
        };
        let (make, options): (_, &[&str]) = match fs {
            FileSystem::Ext4 => ("mkfs.ext4", &["-q", "-F", "-m", "0"]),
            FileSystem::Xfs => ("mkfs.xfs", &["-q", "-f"]),
        };
        let made = call(
            make,
            options
                .iter()
                .map(OsStr::new)
                .chain([volume.image.as_os_str()]),
        );
        made.and_then(|()| volume.mount()).map_err(Skipped)?;
        // Better now than at the first cut.
        call("xfs_io", [OsStr::new("-V")])
            .map_err(|why| Skipped(format!("{why} (it is in the package xfsprogs)")))?;
        Ok(volume)
    }

    /// Where its files are.
    pub(super) fn path(&self) -> &Path {
        &self.mounted
    }

    /// The file it lies in.
    pub(super) fn image(&self) -> &Path {
        &self.image
    }

    fn mount(&mut self) -> Result<(), String> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = match self.fs {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        };
        let arguments = ["-t", kind, "-o", "loop"].map(OsStr::new);
        let places = [self.image.as_os_str(), self.mounted.as_os_str()];
        call("mount", arguments.into_iter().chain(places))?;
        self.is_mounted = true;
        Ok(())
    }

    /// Cuts the power. Nothing can be written any more.
    pub(super) fn cut(&self, journal: Journal) -> Result<(), String> {
        let shutdown = match journal {
            Journal::Flushed => "shutdown -f",
            Journal::Lost => "shutdown",
        };
        let arguments = ["-x", "-c", shutdown].map(OsStr::new);
        call(
            "xfs_io",
            arguments.into_iter().chain([self.mounted.as_os_str()]),
        )
    }

    /// Unmounts what was cut and mounts it anew: the journal is recovered.
    pub(super) fn restart(&mut self) -> Result<(), Failure> {
        self.unmount().map_err(Failure)?;
        self.mount().map_err(Failure)
    }

    fn unmount(&mut self) -> Result<(), String> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = String::new();
        for _ in 0..UNMOUNT_TRIES {
            match call("umount", [self.mounted.as_os_str()]) {
                Ok(()) => {
                    self.is_mounted = false;
                    return Ok(());
                }
                Err(why) => last = why,
            }
            std::thread::sleep(UNMOUNT_PAUSE);
        }
        Err(last)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.is_mounted && self.unmount().is_err() {
            let lazily = [OsStr::new("-l"), self.mounted.as_os_str()];
            let _ = call("umount", lazily);
        }
    }
}

/// Runs a program to its end.
fn call<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let described = |output: io::Result<std::process::Output>| match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{program}: {}", said.trim().replace('\n', "; ")))
        }
        Err(error) => Err(format!("{program}: {error}")),
    };
    described(Command::new(program).args(arguments).output())
}
