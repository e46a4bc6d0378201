//! Arguments of the commands that look at pages, space and what can be saved.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::page_size;

/// What a page holds, as `pages --kind` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindChoice {
    /// Keys and values
    Leaf,
    /// Keys and children
    Branch,
    /// A part of a large key or value
    Overflow,
    /// Bits or pointers of the allocation map
    Map,
    /// The metas
    Meta,
    /// Never written
    Blank,
    /// Not what was written
    Damaged,
}

/// Who needs a page, as `pages --state` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateChoice {
    /// The newest checkpoint
    Used,
    /// The checkpoint before it, alone
    Pending,
    /// Nobody
    Free,
    /// The metas
    Meta,
}

/// Arguments of `pages`.
#[derive(Args, Debug)]
pub(crate) struct PagesArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Only pages of this kind
    #[arg(long, value_enum)]
    pub(crate) kind: Option<KindChoice>,
    /// Only pages in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<StateChoice>,
    /// Only pages of the tree with this number
    #[arg(long, value_name = "N")]
    pub(crate) tree: Option<u32>,
    /// Only pages from A up to and without B: A..B, A.., ..B or one number
    #[arg(long, value_name = "A..B", value_parser = page_range)]
    pub(crate) range: Option<PageRange>,
    /// No line for each page, only the sums
    #[arg(long)]
    pub(crate) summary: bool,
}

/// Pages from one, up to and without another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRange {
    /// The first.
    pub(crate) from: u64,
    /// Just behind the last.
    pub(crate) to: u64,
}

/// Arguments of `free`.
#[derive(Args, Debug)]
pub(crate) struct FreeArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Runs of pages listed at most, the longest first; 0 for none
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

/// Arguments of `account`.
#[derive(Args, Debug)]
pub(crate) struct AccountArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Number of a page, or @ and the offset of a byte in the file
    #[arg(value_name = "N|@OFFSET", value_parser = spot)]
    pub(crate) spot: Spot,
    /// The file that the offset is in, where it is not the data file: a segment of the log
    #[arg(long, value_name = "NAME")]
    pub(crate) file: Option<String>,
}

/// What `account` is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// A page.
    Page(u64),
    /// A byte.
    Offset(u64),
}

/// Arguments of `map`.
#[derive(Args, Debug)]
pub(crate) struct MapArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Write the picture to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: PathBuf,
}

/// Arguments of `recorder`.
#[derive(Args, Debug)]
pub(crate) struct RecorderArgs {
    /// The database's directory
    pub(crate) dir: PathBuf,
    /// Only events of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
    /// Show at most so many, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    pub(crate) limit: usize,
}

/// Arguments of `history`.
#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// Number of the page
    #[arg(value_name = "N")]
    pub(crate) page: u64,
    /// Show so many operations at most, the newest
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

/// Arguments of `compact`.
#[derive(Args, Debug)]
pub(crate) struct CompactArgs {
    /// Directory of the database
    pub(crate) dir: PathBuf,
    /// How full leaves are made that are written anew, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 90,
          value_parser = clap::value_parser!(u8).range(50..=100))]
    pub(crate) fill: u8,
}

/// Arguments of `salvage`.
#[derive(Args, Debug)]
pub(crate) struct SalvageArgs {
    /// Directory of the damaged database
    pub(crate) dir: PathBuf,
    /// Directory of the new database: missing or empty
    #[arg(long, short, value_name = "NEW")]
    pub(crate) output: PathBuf,
    /// Bytes a page, where neither meta is valid and the pages do not say so
    #[arg(long, value_name = "BYTES", value_parser = page_size)]
    pub(crate) page_size: Option<u32>,
}

fn page_range(text: &str) -> Result<PageRange, String> {
    let wanted = || format!("expected A..B, A.., ..B or a number, found '{text}'");
    let number = |part: &str, or: u64| match part {
        "" => Ok(or),
        digits => digits.parse::<u64>().map_err(|_| wanted()),
    };
    let range = match text.split_once("..") {
        Some(("", "")) => return Err(wanted()),
        Some((from, to)) => PageRange {
            from: number(from, 0)?,
            to: number(to, u64::MAX)?,
        },
        None => {
            let page = text.parse::<u64>().map_err(|_| wanted())?;
            PageRange {
                from: page,
                to: page.saturating_add(1),
            }
        }
    };
    if range.from < range.to {
        Ok(range)
    } else {
        Err(format!("the range {text} is empty"))
    }
}

fn spot(text: &str) -> Result<Spot, String> {
    let wanted = |_| format!("expected a page number, or @ and an offset in bytes, found '{text}'");
    match text.strip_prefix('@') {
        Some(offset) => offset.parse().map(Spot::Offset).map_err(wanted),
        None => text.parse().map(Spot::Page).map_err(wanted),
    }
}
