//! The command line.

mod backup;
mod space;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use collection_store::MAX_BATCH_DOCUMENTS;
use collection_store::names::DEFAULT_DATABASE;

pub(crate) use backup::{BackupArgs, CompressionChoice, RestoreArgs, VerifyBackupArgs};
pub(crate) use space::{
    AccountArgs, CompactArgs, FreeArgs, HistoryArgs, KindChoice, MapArgs, PagesArgs, RecorderArgs,
    SalvageArgs, Spot, StateChoice,
};

/// Most documents in one commit of `load`.
const MOST_BATCH: u64 = MAX_BATCH_DOCUMENTS as u64;

/// Looks inside a Collection Store database without changing a byte.
#[derive(Debug, Parser)]
#[command(name = "cs-inspect", version, max_term_width = 100)]
#[command(after_help = "Examples:
  cs-inspect info /data/shop                        what is in there, and is it in use?
  cs-inspect check /data/shop                       prove that all of it is sound
  cs-inspect --format json check /data/shop | jq .findings
  cs-inspect dump /data/shop orders > orders.ndjson
  cs-inspect load /data/copy orders orders.ndjson
  cs-inspect stats /data/shop                       what every byte of the directory is for
  cs-inspect salvage /data/shop -o /data/saved      what can be read of a damaged one, as a new one
  cs-inspect backup /data/shop -o shop.csb          a copy of it, in use or not, as one file

All commands but load and compact leave every byte of every file of the database as it was; all but
these and salvage may look at a database that another process is writing.

Exit codes: 0 sound, 1 findings, 2 the command line makes no sense, 3 unreadable (missing, not a
database, damaged beyond opening), 4 locked or timed out.")]
pub(crate) struct Cli {
    /// For all commands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// For all commands.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// How the result is printed; dump knows text alone, which is lines of extended JSON
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// How long to go on trying where somebody else writes or holds the database
    #[arg(long, global = true, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Whether to show how far the work has come, on standard error
    #[arg(long, global = true, value_enum, default_value_t = Progress::Auto)]
    pub(crate) progress: Progress,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Whether to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// On a terminal
    Auto,
    /// Not at all
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what a database is, where it stands, and who has it open
    #[command(after_help = "Examples:
  cs-inspect info /data/shop
  cs-inspect --format json info /data/shop | jq .log.records_to_replay")]
    Info(DirectoryArgs),
    /// Prove that a database is sound, and list what is not
    #[command(after_help = "Examples:
  cs-inspect check /data/shop
  cs-inspect check /data/shop --quick       metas, log and catalog, but no pages

Looked at: both metas, the chain of the log, the checksum of each page that is in use, order and
reachability, pages used twice or by nobody, counts and sums of each tree, and that each document is
valid BSON under its own key. It goes on after the first finding.")]
    Check(CheckArgs),
    /// Show one page, damaged or not, as it lies in the data file
    #[command(after_help = "Examples:
  cs-inspect page /data/shop 17
  cs-inspect page /data/shop 17 --hex

  cs-inspect page /data/shop 17 --page-size 8192    where neither meta is valid

Whatever the log has beyond the last checkpoint is not in the data file yet. Where neither meta is
valid, nobody knows the page size: pages 0 and 1 then show the metas, others need --page-size.")]
    Page(PageArgs),
    /// List all pages of the data file, and what they come to by kind and owner
    #[command(after_help = "Examples:
  cs-inspect pages /data/shop --summary
  cs-inspect pages /data/shop --tree 17 --kind leaf
  cs-inspect pages /data/shop --range 100..200 --state free

Pages as they lie in the data file, which is the last checkpoint. Age is counted in versions: how
many were sealed since the page was written. A page is pending where only the checkpoint before the
last needs it: the next checkpoint frees it.")]
    Pages(PagesArgs),
    /// Show the free space of the data file
    #[command(after_help = "Examples:
  cs-inspect free /data/shop
  cs-inspect --format json free /data/shop | jq '.free.runs[0]'

Runs of adjacent pages that nobody needs, and those that only the older of the two metas still
keeps (pending).")]
    Free(FreeArgs),
    /// Explain every byte of the directory
    #[command(after_help = "Examples:
  cs-inspect stats /data/shop
  cs-inspect --format json stats /data/shop | jq .parts

The parts sum to the size of the directory, and the last line says so; what is none of them would
be a finding.")]
    Stats(DirectoryArgs),
    /// Say whose a page or a byte is, and the way to it from the root
    #[command(after_help = "Examples:
  cs-inspect account /data/shop 17
  cs-inspect account /data/shop @139264
  cs-inspect account /data/shop @8192 --file wal-0000000001.log

Of a page: its header, its tree, the path from the root, its first and last key, or since when it
is free. Of a byte of the log: the record that it belongs to.")]
    Account(AccountArgs),
    /// Draw a picture of the data file
    #[command(after_help = "Example:
  cs-inspect map /data/shop --svg shop.svg

One grid by kind, owner and fill, one by age. Of a large file each cell stands for several pages.
Held over a cell, the mouse shows what is in it.")]
    Map(MapArgs),
    /// Show what the log says about the keys of one page
    #[command(after_help = "Examples:
  cs-inspect history /data/shop 17
  cs-inspect history /data/shop 17 --limit 10

The records that are still in the log and change a key in the range of the page, oldest first; of
an overflow page those of the one key that it belongs to.")]
    History(HistoryArgs),
    /// Show what the engine did before the database failed
    #[command(after_help = "Examples:
  cs-inspect recorder /data/shop
  cs-inspect recorder /data/shop --event poisoned
  cs-inspect --format json recorder /data/shop --limit 5000 | jq .events[-1]

A database that fails (a write, a sync or a change goes wrong) writes its last few thousand events
to recorder.txt in its directory. Times are seconds since it was opened.")]
    Recorder(RecorderArgs),
    /// Read what can be read of a damaged database, into a new one
    #[command(after_help = "Examples:
  cs-inspect salvage /data/shop -o /data/saved
  cs-inspect --format json salvage /data/shop -o /data/saved | jq .trees

The damaged database is not changed, and nobody may have it open. What is saved, by which rule, and
what is lost, is printed for each tree; README.md has the rules. Ends with 0 if nothing is lost, 1
if something is.")]
    Salvage(SalvageArgs),
    /// Give unused space back to the file system
    #[command(after_help = "Example:
  cs-inspect compact /data/shop

Opens the database, joins half-empty pages, moves those at the end of the file down, cuts the file
and removes spare files of the log. A crash in the middle loses nothing.")]
    Compact(CompactArgs),
    /// Make a backup of a database, in use or not, as one file
    #[command(after_help = "Examples:
  cs-inspect backup /data/shop -o /backups/shop.csb
  cs-inspect backup /data/shop -o /backups/shop.csb --limit 50000000

One state of everything in the directory. Begun again after an interruption it goes on with
FILE.partial: what has not changed since is not written again. Where the database is overtaken by
whoever writes, the same happens by itself, until --timeout is over; the library's own backup knows
no such thing. The file has its name when it is whole and on disk; a file of that name is refused.")]
    Backup(BackupArgs),
    /// Prove a backup, without making a database of it
    #[command(after_help = "Examples:
  cs-inspect verify-backup /backups/shop.csb
  ssh store cat shop.csb | cs-inspect --format json verify-backup - | jq .sound

Every byte is as it was written, and each tree has the count, bytes and hash that the source had.
Ends with 0 if so, with 1 if not.")]
    VerifyBackup(VerifyBackupArgs),
    /// Make a new database of a backup
    #[command(after_help = "Examples:
  cs-inspect restore /backups/shop.csb /data/copy
  ssh store cat shop.csb | cs-inspect restore - /data/copy

The backup is verified before anything is made; from standard input while the database is built
under names that mean nothing. NEW is a database when all of it is there, and not before.")]
    Restore(RestoreArgs),
    /// Show the shape of a collection's tree, level by level
    #[command(after_help = "Examples:
  cs-inspect tree /data/shop orders
  cs-inspect tree /data/shop --id 3         a tree by its number; 3 is the catalog")]
    Tree(TreeArgs),
    /// Look at the write-ahead log
    #[command(subcommand)]
    Wal(WalCommand),
    /// Write all documents of a collection as lines of extended JSON
    #[command(after_help = "Examples:
  cs-inspect dump /data/shop orders > orders.ndjson
  cs-inspect dump /data/shop orders --relaxed --output orders.ndjson

The documents are those of one moment, in order of _id. A database in use is read to its end before
the first line is printed; a file appears under its name when it is whole. --format json is refused:
the documents are JSON already, one on each line.")]
    Dump(DumpArgs),
    /// Insert documents from lines of extended JSON, or a collection file
    #[command(after_help = "Examples:
  cs-inspect load /data/copy orders orders.ndjson
  zcat orders.ndjson.gz | cs-inspect load /data/copy orders -

Makes the database where there is none, and the collection too, even of an empty file. A directory
that holds other files and no database is refused. Ends at the first line that cannot be inserted;
what was inserted before stays.

A collection file of the TypeScript library collection-store (a JSON object that begins with list) is
recognised: its documents and indexes are carried over, and what is not is told.")]
    Load(LoadArgs),
    /// List the limits, fixed sizes and defaults by name
    Constants,
}

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub(crate) enum WalCommand {
    /// List the files of the log
    #[command(after_help = "Example:
  cs-inspect wal list /data/shop")]
    List(DirectoryArgs),
    /// Show the records of the log, from the oldest that is still there
    #[command(after_help = "Examples:
  cs-inspect wal dump /data/shop --limit 20
  cs-inspect wal dump /data/shop --from 81920

Where there is nothing to show, a line on standard error says why.")]
    Dump(WalDumpArgs),
}

/// Arguments of commands that need nothing but a database.
#[derive(Args, Debug)]
pub(crate) struct DirectoryArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Look at metas, log and catalog only
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Arguments of `page`.
#[derive(Args, Debug)]
pub(crate) struct PageArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Number of the page: its offset in the data file divided by the page size
    #[arg(value_name = "N")]
    pub(crate) page: u64,
    /// Bytes a page, where neither meta is valid to say so
    #[arg(long, value_name = "BYTES", value_parser = page_size)]
    pub(crate) page_size: Option<u32>,
    /// Show all bytes
    #[arg(long)]
    pub(crate) hex: bool,
}

/// Arguments of `tree`.
#[derive(Args, Debug)]
pub(crate) struct TreeArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Name of the collection
    #[arg(required_unless_present = "id")]
    pub(crate) collection: Option<String>,
    /// Name of the database that the collection belongs to
    #[arg(long, value_name = "NAME", default_value = DEFAULT_DATABASE)]
    pub(crate) database: String,
    /// Number of the tree, in place of a collection
    #[arg(long, value_name = "N", conflicts_with = "collection")]
    pub(crate) id: Option<u32>,
}

/// Arguments of `wal dump`.
#[derive(Args, Debug)]
pub(crate) struct WalDumpArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Leave out what lies before this position
    #[arg(long, value_name = "LSN", default_value_t = 0)]
    pub(crate) from: u64,
    /// Show so many records at most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

/// Arguments of `dump`.
#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Name of the collection
    pub(crate) collection: String,
    /// Name of the database that the collection belongs to
    #[arg(long, value_name = "NAME", default_value = DEFAULT_DATABASE)]
    pub(crate) database: String,
    /// Write to this file, not to standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Plain numbers and dates; types of numbers are lost
    #[arg(long)]
    pub(crate) relaxed: bool,
}

/// Arguments of `load`.
#[derive(Args, Debug)]
pub(crate) struct LoadArgs {
    /// Directory of the database; made where it is missing
    pub(crate) dir: PathBuf,
    /// Name of the collection
    pub(crate) collection: String,
    /// File to read, or - for standard input
    pub(crate) file: PathBuf,
    /// Name of the database that the collection belongs to
    #[arg(long, value_name = "NAME", default_value = DEFAULT_DATABASE)]
    pub(crate) database: String,
    /// Documents for each commit, at most
    #[arg(long, value_name = "N", default_value_t = MOST_BATCH,
          value_parser = clap::value_parser!(u64).range(1..=MOST_BATCH))]
    pub(crate) batch: u64,
    /// What the file is: auto looks at its beginning
    #[arg(long, value_name = "FORM", value_enum, default_value = "auto")]
    pub(crate) input: InputForm,
}

/// What `load` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum InputForm {
    Auto,
    /// A document on each line
    Lines,
    /// A collection of the TypeScript library, in one JSON object
    CollectionFile,
}

fn page_size(text: &str) -> std::result::Result<u32, String> {
    let wanted = "expected a power of two from 4096 to 65536";
    let size = text.parse().map_err(|_| wanted.to_owned())?;
    if cs_pager::format::valid_page_size(size) {
        Ok(size)
    } else {
        Err(wanted.to_owned())
    }
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(seconds) => Err(format!("{seconds} is not between 0 and 86400")),
        Err(_) => Err("expected a number of seconds".to_owned()),
    }
}
