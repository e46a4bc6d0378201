//! Every page of a data file, as it lies there: what it holds, whose it is, and
//! whether the newest checkpoint uses it.
//!
//! ## Invariants
//! * One fact for each page below the page count of the newest meta.
//! * 24 bytes a page are kept, whatever the file holds.
//! * A page in use that is not what was written is a finding; what lies on
//!   others is nobody's concern.

use cs_base::{FileId, PageId, Version};
use cs_kv::node::{Branch, Leaf};
use cs_pager::format::first_page;
use cs_pager::{PageHeader, PageKind, RootRecord};

use crate::allocation::Allocation;
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::pages::{PageFile, Verdict, judge};
use crate::progress::Progress;

/// Bytes read at once.
const READ_BYTES: u64 = 1 << 20;
/// Findings listed at most.
const MAX_FINDINGS: usize = 1000;

/// Who needs a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It is, or belongs to, the metas.
    Meta,
    /// The newest checkpoint.
    Used,
    /// The checkpoint before it, alone.
    Pending,
    /// Nobody.
    Free,
    /// The allocation map cannot be read.
    Unknown,
}

impl State {
    /// Its name on the command line and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Used => "used",
            Self::Pending => "pending",
            Self::Free => "free",
            Self::Unknown => "unknown",
        }
    }
}

/// What lies at the place of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A sound page.
    Sound(PageKind),
    /// Zeroes: it was never written.
    Blank,
    /// Metas.
    Meta,
    /// Anything else.
    Damaged,
}

impl Content {
    /// Its name on the command line and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sound(PageKind::Leaf) => "leaf",
            Self::Sound(PageKind::Branch) => "branch",
            Self::Sound(PageKind::Overflow) => "overflow",
            Self::Sound(PageKind::AllocationMap) => "allocation-map",
            Self::Sound(PageKind::AllocationIndex) => "allocation-index",
            Self::Blank => "blank",
            Self::Meta => "meta",
            Self::Damaged => "damaged",
        }
    }
}

/// What is known of one page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    /// What lies there.
    pub(crate) content: Content,
    /// Who needs it.
    pub(crate) state: State,
    /// Height above the leaves, of a sound page.
    pub(crate) level: u8,
    /// Percent in use, of a sound node that somebody needs.
    pub(crate) fill: Option<u8>,
    /// Who owns it, by its own word.
    pub(crate) tree: u32,
    /// In which version it was born, by its own word.
    pub(crate) version: u64,
}

const _: () = assert!(size_of::<Fact>() <= 24);

impl Fact {
    const NOTHING: Self = Self {
        content: Content::Blank,
        state: State::Unknown,
        level: 0,
        fill: None,
        tree: 0,
        version: 0,
    };

    /// Whether it is a sound page of a tree.
    pub(crate) fn is_node(&self) -> bool {
        matches!(
            self.content,
            Content::Sound(PageKind::Leaf | PageKind::Branch)
        )
    }

    /// Whether header fields can be believed.
    pub(crate) fn is_sound(&self) -> bool {
        matches!(self.content, Content::Sound(_))
    }
}

/// Sees a page, what is known of it, and its bytes.
pub(crate) type Look<'a> = dyn FnMut(PageId, &Fact, &[u8]) + 'a;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Census {
    /// By page number.
    pub(crate) facts: Vec<Fact>,
    /// The newest state.
    pub(crate) root: RootRecord,
    /// Bytes a page.
    pub(crate) page_size: u64,
    /// Whole pages of the file, those beyond the page count included.
    pub(crate) file_pages: u64,
    /// Bytes of the file.
    pub(crate) file_bytes: u64,
    /// What is wrong with pages in use.
    pub(crate) findings: Vec<Finding>,
}

impl Census {
    /// Reads the whole file once; `look` sees each page.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn take(file: &PageFile, progress: &Progress, look: &mut Look<'_>) -> Result<Self> {
        let root = file.meta.root;
        let mut findings = file.metas.findings();
        let newest = match Allocation::load(file, &root) {
            Ok(map) => Some(map),
            Err(InspectError::Suspect(text)) => {
                findings.push(Finding::unreadable(text));
                None
            }
            Err(other) => return Err(other),
        };
        let older = file.metas.older();
        let older = older.and_then(|meta| Allocation::load(file, &meta.root).ok());
        let mut census = Self {
            facts: Vec::new(),
            root,
            page_size: file.page_size(),
            file_pages: file.pages(),
            file_bytes: file.bytes,
            findings,
        };
        let first = first_page(file.meta.page_size).0;
        let state = |page: u64| {
            let used = |map: &Allocation| map.is_used(PageId(page));
            match &newest {
                _ if page < first => State::Meta,
                None => State::Unknown,
                Some(map) if used(map) => State::Used,
                Some(_) if older.as_ref().is_some_and(used) => State::Pending,
                Some(_) => State::Free,
            }
        };
        let count = root.page_count.min(file.pages());
        census.read(file, count, progress, &state, look)?;
        Ok(census)
    }

    /// The same where nobody says what is in use: all pages of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn of_all(
        file: &PageFile,
        progress: &Progress,
        look: &mut Look<'_>,
    ) -> Result<Self> {
        let mut census = Self {
            facts: Vec::new(),
            root: file.meta.root,
            page_size: file.page_size(),
            file_pages: file.pages(),
            file_bytes: file.bytes,
            findings: Vec::new(),
        };
        let first = first_page(file.meta.page_size).0;
        let state = |page: u64| {
            if page < first {
                State::Meta
            } else {
                State::Unknown
            }
        };
        census.read(file, file.pages(), progress, &state, look)?;
        Ok(census)
    }

    fn read(
        &mut self,
        file: &PageFile,
        count: u64,
        progress: &Progress,
        state: &dyn Fn(u64) -> State,
        look: &mut Look<'_>,
    ) -> Result<()> {
        progress.begin("pages", count);
        let chunk = READ_BYTES / self.page_size;
        let mut page = 0;
        while page < count {
            let bytes = file.read_many(PageId(page), chunk.min(count - page))?;
            if bytes.is_empty() {
                return Err(InspectError::Suspect(format!(
                    "page {page} is beyond the file: it has become shorter"
                )));
            }
            for bytes in bytes.chunks_exact(self.page_size as usize) {
                let fact = self.judge(PageId(page), state(page), bytes, file.meta.file);
                look(PageId(page), &fact, bytes);
                self.facts.push(fact);
                page += 1;
            }
            progress.set(page);
        }
        Ok(())
    }

    fn judge(&mut self, page: PageId, state: State, bytes: &[u8], file: FileId) -> Fact {
        let mut fact = Fact {
            state,
            ..Fact::NOTHING
        };
        if state == State::Meta {
            fact.content = Content::Meta;
            return fact;
        }
        let why = match judge(bytes, file, page) {
            Verdict::Sound(kind) => {
                let header = PageHeader::of(bytes);
                fact.content = Content::Sound(kind);
                fact.level = header.level;
                fact.tree = header.tree.get();
                fact.version = header.version.get();
                let fill = match kind {
                    PageKind::Leaf => Some(Leaf::new(bytes).fill()),
                    PageKind::Branch => Some(Branch::new(bytes).fill()),
                    _ => None,
                };
                // How full a page was that nobody needs is no matter.
                let fill = fill.filter(|_| state != State::Free);
                fact.fill = fill.map(|fill| (fill * 100.0).round() as u8);
                let newest = self.root.version;
                (Version(fact.version) > newest).then(|| {
                    format!(
                        "page {page} is damaged: version {}, the newest is {newest}",
                        fact.version
                    )
                })
            }
            Verdict::Blank => Some(format!("page {page} is in use and all zeroes")),
            Verdict::Damaged(why) => {
                fact.content = Content::Damaged;
                Some(why)
            }
        };
        if let (State::Used, Some(why)) = (state, why)
            && self.findings.len() < MAX_FINDINGS
        {
            self.findings.push(Finding::unreadable(why));
        }
        fact
    }

    /// How many versions ago a page was born, if it is one.
    pub(crate) fn age(&self, fact: &Fact) -> Option<u64> {
        let is_known = fact.is_sound() && matches!(fact.state, State::Used | State::Pending);
        is_known.then(|| self.root.version.0.saturating_sub(fact.version))
    }

    /// The pages in a state, as runs: first page and length.
    pub(crate) fn runs(&self, wanted: &dyn Fn(State) -> bool) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (page, fact) in self.facts.iter().enumerate() {
            let page = page as u64;
            if !wanted(fact.state) {
                continue;
            }
            match runs.last_mut() {
                Some((first, count)) if *first + *count == page => *count += 1,
                _ => runs.push((page, 1)),
            }
        }
        runs
    }
}
