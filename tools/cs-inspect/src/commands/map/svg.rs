//! The picture: two grids of the same cells, in the order of the file.
//!
//! ## Invariants
//! * At most [`MAX_CELLS`] cells, however large the file is.
//! * A cell shows everything in it, side by side, as wide as its share; of more
//!   than [`MAX_STRIPES`] things the smallest are left to the text.
//! * What can be told by colour can be told by the text of the cell as well.

use std::collections::BTreeMap;
use std::fmt::Write;

use cs_kv::system;
use cs_pager::PageKind;

use super::colours::{AGES, Colours, PLAIN, shade};
use super::draw::{Flow, LINE, MARGIN, escape, rect, text};
use crate::census::{Census, Content, Fact, State};
use crate::output::{count, size};
use crate::owners::Owners;

/// Most cells of a grid: each is still large enough to be pointed at.
const MAX_CELLS: u64 = 4800;
/// Most things that a cell shows side by side.
const MAX_STRIPES: usize = 4;
/// Width of a grid in pixels, where it has many cells.
const WIDTH: u64 = 900;
/// Least width of the picture: the legend's.
const MIN_WIDTH: u64 = 640;
/// Sides of the smallest and the largest cell, in pixels.
const CELL: (u64, u64) = (9, 26);

/// Draws a cell whose left, top and side are given, in pixels.
type Draw<'a> = dyn Fn(&Cell, (u64, u64, u64)) -> String + 'a;

/// What is drawn alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Category {
    /// A page of a tree, by its place in the legend, and its kind: leaf,
    /// branch, overflow.
    Tree(usize, u8),
    Map,
    Meta,
    Pending,
    Free,
    Damaged,
    Unknown,
}

/// What one category comes to in a cell.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    pages: u64,
    fill: u64,
    filled: u64,
}

impl Share {
    /// From 0 to 1; what is no node is full.
    fn fill(&self) -> f64 {
        if self.filled == 0 {
            1.0
        } else {
            self.fill as f64 / self.filled as f64 / 100.0
        }
    }
}

/// Some pages, one after the other.
#[derive(Debug, Default)]
pub(super) struct Cell {
    first: u64,
    last: u64,
    shares: BTreeMap<Category, Share>,
    ages: Vec<u64>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) cells: Vec<Cell>,
    pub(super) pages_per_cell: u64,
    /// Of the legend, by place: name and pages.
    owners: Vec<(String, u64)>,
    oldest: u64,
    page_size: u64,
    file_bytes: u64,
    version: u64,
}

impl Picture {
    /// Sums the facts up.
    pub(super) fn of(census: &Census, owners: &Owners) -> Self {
        let pages = census.facts.len() as u64;
        let pages_per_cell = pages.div_ceil(MAX_CELLS).max(1).next_power_of_two();
        let (places, names) = legend(census, owners);
        let mut picture = Self {
            cells: Vec::new(),
            pages_per_cell,
            owners: names,
            oldest: 0,
            page_size: census.page_size,
            file_bytes: census.file_bytes,
            version: census.root.version.0,
        };
        for (number, facts) in census.facts.chunks(pages_per_cell as usize).enumerate() {
            let first = number as u64 * pages_per_cell;
            let mut cell = Cell {
                first,
                last: first + facts.len() as u64 - 1,
                ..Cell::default()
            };
            for fact in facts {
                let share = cell.shares.entry(category(fact, &places)).or_default();
                share.pages += 1;
                if let (Some(fill), State::Used) = (fact.fill, fact.state) {
                    share.fill += u64::from(fill);
                    share.filled += 1;
                }
                if fact.state == State::Used {
                    cell.ages.extend(census.age(fact));
                }
            }
            cell.ages.sort_unstable();
            picture.oldest = picture.oldest.max(cell.ages.last().copied().unwrap_or(0));
            picture.cells.push(cell);
        }
        picture
    }

    /// As an SVG document.
    pub(super) fn draw(&self, title: &str) -> String {
        let colours = Colours::new(self.owners.len());
        let columns = self.columns();
        let cell = (WIDTH / columns).clamp(CELL.0, CELL.1);
        let rows = (self.cells.len() as u64).div_ceil(columns).max(1);
        let width = (columns * cell).max(MIN_WIDTH) + 2 * MARGIN;
        let mut body = String::new();
        let mut y = MARGIN + LINE;
        self.head(&mut body, title, &mut y);
        self.grid(
            &mut body,
            "Kind, owner and fill",
            columns,
            cell,
            &mut y,
            &|cell, at| self.stripes(cell, at, &colours),
        );
        y += rows * cell + LINE;
        self.owner_legend(&mut body, &colours, width, &mut y);
        y += LINE;
        self.grid(
            &mut body,
            "Age of the pages in use, in versions",
            columns,
            cell,
            &mut y,
            &|cell, at| self.age_rect(cell, at),
        );
        y += rows * cell + LINE;
        self.age_legend(&mut body, width, &mut y);
        y += MARGIN;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n\
             <rect width=\"{width}\" height=\"{y}\" fill=\"#ffffff\"/>\n{body}</svg>\n",
            escape(title)
        )
    }

    /// A little wider than high, and never more than fit.
    fn columns(&self) -> u64 {
        let wanted = (self.cells.len() as f64 * 1.6).sqrt().ceil() as u64;
        wanted.clamp(1, WIDTH / CELL.0)
    }

    fn head(&self, body: &mut String, title: &str, y: &mut u64) {
        let pages: u64 = self
            .cells
            .iter()
            .map(|cell| cell.last - cell.first + 1)
            .sum();
        let each = if self.pages_per_cell == 1 {
            "a cell is a page".to_owned()
        } else {
            format!("a cell is {} pages", self.pages_per_cell)
        };
        let line = format!(
            "{}: {} in {} of {} bytes, version {}; {each}, in the order of the file",
            title,
            size(self.file_bytes),
            count(pages, "page"),
            self.page_size,
            self.version
        );
        text(
            body,
            MARGIN,
            *y,
            &line,
            " font-size=\"14\" font-weight=\"bold\"",
        );
        *y += LINE;
    }

    fn grid(
        &self,
        body: &mut String,
        name: &str,
        columns: u64,
        side: u64,
        y: &mut u64,
        draw: &Draw<'_>,
    ) {
        *y += LINE;
        text(body, MARGIN, *y, name, " font-weight=\"bold\"");
        *y += 8;
        body.push_str("<g shape-rendering=\"crispEdges\">\n");
        for (number, cell) in self.cells.iter().enumerate() {
            let number = number as u64;
            let at = (
                MARGIN + number % columns * side,
                *y + number / columns * side,
                side - 1,
            );
            let _ = writeln!(
                body,
                "<g><title>{}</title>{}</g>",
                escape(&self.tooltip(cell)),
                draw(cell, at)
            );
        }
        body.push_str("</g>\n");
    }

    /// What is in the cell, side by side; how full it is, as a height.
    fn stripes(&self, cell: &Cell, (x, y, side): (u64, u64, u64), colours: &Colours) -> String {
        let mut shares: Vec<(Category, Share)> = cell
            .shares
            .iter()
            .map(|(category, share)| (*category, *share))
            .collect();
        if shares.len() > MAX_STRIPES {
            shares.sort_by_key(|(category, share)| {
                // Damage is shown however small it is.
                (
                    *category != Category::Damaged,
                    std::cmp::Reverse(share.pages),
                )
            });
            shares.truncate(MAX_STRIPES);
            shares.sort_by_key(|(category, _)| *category);
        }
        let total: u64 = shares.iter().map(|(_, share)| share.pages).sum();
        let mut drawn = String::new();
        let mut left = 0.0;
        for (category, share) in shares {
            let width = side as f64 * share.pages as f64 / total.max(1) as f64;
            let colour = colours.of(category);
            let from = x as f64 + left;
            let fill = share.fill();
            if fill < 1.0 {
                rect(
                    &mut drawn,
                    [from, y as f64, width, side as f64],
                    &shade(&colour, 0.78),
                );
            }
            let height = (side as f64 * fill).max(1.0);
            let top = y as f64 + side as f64 - height;
            rect(&mut drawn, [from, top, width, height], &colour);
            left += width;
        }
        drawn
    }

    fn age_rect(&self, cell: &Cell, (x, y, side): (u64, u64, u64)) -> String {
        let mut drawn = String::new();
        let median = cell.ages.get(cell.ages.len() / 2);
        let colour = median.map_or(PLAIN.free, |age| AGES[self.age_step(*age)]);
        rect(
            &mut drawn,
            [x as f64, y as f64, side as f64, side as f64],
            colour,
        );
        drawn
    }

    /// The first age that is older than step `step`: each is some times the
    /// one before it, so that the young ones are told apart.
    fn age_limit(&self, step: usize) -> u64 {
        if step + 1 >= AGES.len() {
            return u64::MAX;
        }
        let all = self.oldest as f64 + 1.0;
        let wanted = |step: usize| all.powf((step + 1) as f64 / AGES.len() as f64).ceil() as u64;
        (0..=step).fold(0, |before, step| wanted(step).max(before + 1))
    }

    fn age_step(&self, age: u64) -> usize {
        (0..AGES.len())
            .find(|&step| age < self.age_limit(step))
            .unwrap_or(AGES.len() - 1)
    }

    fn tooltip(&self, cell: &Cell) -> String {
        let mut text = if cell.first == cell.last {
            format!("page {}", cell.first)
        } else {
            format!("pages {} to {}", cell.first, cell.last)
        };
        for (category, share) in &cell.shares {
            let name = self.category_name(*category);
            let _ = write!(text, "\n{} {name}", share.pages);
            if share.filled > 0 {
                let _ = write!(text, ", {:.0} % full", share.fill() * 100.0);
            }
        }
        match (cell.ages.first(), cell.ages.last()) {
            (Some(young), Some(old)) if young == old => {
                let _ = write!(text, "\nage {young}");
            }
            (Some(young), Some(old)) => {
                let _ = write!(text, "\nage {young} to {old}");
            }
            _ => {}
        }
        text
    }

    fn category_name(&self, category: Category) -> String {
        match category {
            Category::Tree(place, kind) => {
                let kind = ["leaf", "branch", "overflow"][usize::from(kind.min(2))];
                format!("{kind} of {}", self.owners[place].0)
            }
            Category::Map => "allocation map".to_owned(),
            Category::Meta => "metas".to_owned(),
            Category::Pending => "pending: kept by the older meta alone".to_owned(),
            Category::Free => "free".to_owned(),
            Category::Damaged => "damaged, in use".to_owned(),
            Category::Unknown => "in use or not: the map cannot be read".to_owned(),
        }
    }

    fn owner_legend(&self, body: &mut String, colours: &Colours, width: u64, y: &mut u64) {
        let mut flow = Flow::new(width, *y);
        for (place, (name, pages)) in self.owners.iter().enumerate() {
            let label = format!("{name} ({pages})");
            let kinds: Vec<String> = (0..3)
                .map(|kind| colours.of(Category::Tree(place, kind)))
                .collect();
            flow.entry(body, &kinds, &label);
        }
        let present = |category: Category| {
            self.cells
                .iter()
                .any(|cell| cell.shares.contains_key(&category))
        };
        for category in [
            Category::Map,
            Category::Meta,
            Category::Pending,
            Category::Free,
            Category::Damaged,
            Category::Unknown,
        ] {
            if present(category) {
                let name = self.category_name(category);
                flow.entry(body, &[colours.of(category)], &name);
            }
        }
        flow.newline();
        flow.note(body, "of each owner: leaf, branch (darker), overflow (lighter); the height of the strong colour is the fill");
        *y = flow.y;
    }

    fn age_legend(&self, body: &mut String, width: u64, y: &mut u64) {
        let mut flow = Flow::new(width, *y);
        let mut from = 0;
        for (step, colour) in AGES.iter().enumerate() {
            if from > self.oldest {
                break;
            }
            let to = self.age_limit(step).saturating_sub(1).min(self.oldest);
            let label = if to > from {
                format!("{from} to {to}")
            } else {
                from.to_string()
            };
            flow.entry(body, &[(*colour).to_owned()], &label);
            from = to + 1;
        }
        flow.entry(body, &[PLAIN.free.to_owned()], "not in use");
        flow.newline();
        flow.note(body, "of several pages in a cell: the one in the middle");
        *y = flow.y;
    }
}

/// The owners with most pages, each in a place of its own, and all others.
fn legend(census: &Census, owners: &Owners) -> (BTreeMap<u32, usize>, Vec<(String, u64)>) {
    let mut pages: BTreeMap<u32, u64> = BTreeMap::new();
    let used = |fact: &&Fact| fact.state == State::Used && is_trees(fact);
    for fact in census.facts.iter().filter(used) {
        *pages.entry(fact.tree).or_default() += 1;
    }
    let (system, mut users): (Vec<_>, Vec<_>) = pages
        .into_iter()
        .partition(|(tree, _)| *tree < system::FIRST_USER);
    users.sort_by_key(|&(tree, pages)| (std::cmp::Reverse(pages), tree));
    let mut places = BTreeMap::new();
    let mut names: Vec<(String, u64)> = Vec::new();
    for &(tree, pages) in users.iter().take(Colours::OWNERS) {
        places.insert(tree, names.len());
        names.push((owners.name(tree), pages));
    }
    for (name, trees) in [
        (
            "other trees",
            users.get(Colours::OWNERS..).unwrap_or_default(),
        ),
        ("system trees", &system[..]),
    ] {
        if !trees.is_empty() {
            places.extend(trees.iter().map(|(tree, _)| (*tree, names.len())));
            names.push((name.to_owned(), trees.iter().map(|(_, pages)| pages).sum()));
        }
    }
    (places, names)
}

fn is_trees(fact: &Fact) -> bool {
    matches!(
        fact.content,
        Content::Sound(PageKind::Leaf | PageKind::Branch | PageKind::Overflow)
    )
}

fn category(fact: &Fact, places: &BTreeMap<u32, usize>) -> Category {
    match (fact.state, fact.content) {
        (State::Meta, _) => Category::Meta,
        (State::Pending, _) => Category::Pending,
        (State::Free, _) => Category::Free,
        (State::Unknown, _) => Category::Unknown,
        (State::Used, Content::Sound(PageKind::AllocationMap | PageKind::AllocationIndex)) => {
            Category::Map
        }
        (State::Used, Content::Sound(kind)) => {
            let kind = match kind {
                PageKind::Branch => 1,
                PageKind::Overflow => 2,
                _ => 0,
            };
            match places.get(&fact.tree) {
                Some(place) => Category::Tree(*place, kind),
                None => Category::Unknown,
            }
        }
        (State::Used, _) => Category::Damaged,
    }
}

#[cfg(test)]
mod tests;
