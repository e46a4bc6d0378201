//! Arguments of the commands about backups.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::page_size;

/// How chunks are compressed, as `backup --compression` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressionChoice {
    /// Not at all
    None,
    /// LZ4
    Lz4,
    /// Gzip, level 6: smaller and many times slower
    Gzip,
    /// LZ4 while it pays
    Auto,
}

/// Arguments of `backup`.
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// The backup; FILE.partial until it is whole
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The state of a named snapshot instead of the newest
    #[arg(long, value_name = "NAME")]
    pub(crate) snapshot: Option<String>,
    /// How it is compressed
    #[arg(long, value_enum, default_value_t = CompressionChoice::Lz4)]
    pub(crate) compression: CompressionChoice,
    /// Write so many bytes each second at most
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Throw an unfinished FILE.partial away, and do not go on with it
    #[arg(long)]
    pub(crate) fresh: bool,
}

/// Arguments of `verify-backup`.
#[derive(Args, Debug)]
pub(crate) struct VerifyBackupArgs {
    /// The backup, or - for standard input
    pub(crate) file: PathBuf,
}

/// Arguments of `restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup, or - for standard input
    pub(crate) file: PathBuf,
    /// Directory of the new database: missing or empty
    #[arg(value_name = "NEW")]
    pub(crate) dir: PathBuf,
    /// Bytes a page; those of the source unless told
    #[arg(long, value_name = "BYTES", value_parser = page_size)]
    pub(crate) page_size: Option<u32>,
}
