//! The directory of the database: ours to fill, and to leave as we found it.
//!
//! Invariant: a directory that is not empty is refused and not touched; so all
//! that is removed at the end was made in between.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::BenchError;

/// A directory that was new or empty.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// It was not there before.
    made: bool,
    /// Removal is still to be done.
    armed: bool,
}

impl Place {
    /// Takes `path`, making it where it is missing. What is in it is removed
    /// when this is dropped, unless `keep`.
    pub(crate) fn take(path: &Path, keep: bool) -> Result<Self, BenchError> {
        let made = match fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    let path = path.display();
                    return Err(BenchError::Usage(format!(
                        "--dir: {path} is not empty; expected a new or an empty directory"
                    )));
                }
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path).map_err(BenchError::at("make directory", path))?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let path = path.display();
                return Err(BenchError::Usage(format!(
                    "--dir: {path} is not a directory"
                )));
            }
            Err(error) => return Err(BenchError::at("read directory", path)(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            made,
            armed: !keep,
        })
    }

    /// Where the database is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what the run has left, where that was wanted.
    pub(crate) fn give_back(mut self) -> Result<(), BenchError> {
        let armed = std::mem::take(&mut self.armed);
        if armed {
            self.clear().map_err(BenchError::at("clear", &self.path))
        } else {
            Ok(())
        }
    }

    fn clear(&self) -> io::Result<()> {
        if self.made {
            return fs::remove_dir_all(&self.path);
        }
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.armed {
            // The run has failed already: that error is the one to show.
            let _ = self.clear();
        }
    }
}

#[cfg(test)]
mod tests;
