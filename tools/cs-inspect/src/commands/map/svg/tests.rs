use cs_pager::RootRecord;

use super::*;

fn census(pages: u64, fact: impl Fn(u64) -> Fact) -> Census {
    let mut root = RootRecord::empty();
    root.version = cs_base::Version(1000);
    Census {
        facts: (0..pages).map(fact).collect(),
        root,
        page_size: 4096,
        file_pages: pages,
        file_bytes: pages * 4096,
        findings: Vec::new(),
    }
}

fn leaf(page: u64) -> Fact {
    Fact {
        content: Content::Sound(PageKind::Leaf),
        state: if page % 3 == 2 {
            State::Free
        } else {
            State::Used
        },
        level: 0,
        fill: Some(70),
        tree: 16 + (page % 9) as u32,
        version: page % 1000,
    }
}

#[test]
fn a_small_file_has_a_cell_for_each_page() {
    let picture = Picture::of(&census(100, leaf), &Owners::default());
    assert_eq!((picture.cells.len(), picture.pages_per_cell), (100, 1));
    let svg = picture.draw("a < b & \"c\"");
    assert!(svg.contains("a &lt; b &amp; &quot;c&quot;"));
    assert!(svg.contains("<title>page 7\n1 leaf of other trees, 70 % full\nage 993</title>"));
    assert!(svg.contains("<title>page 9\n1 leaf of tree 16, 70 % full\nage 991</title>"));
}

#[test]
fn a_file_of_a_million_pages_has_no_more_cells_than_can_be_pointed_at() {
    let picture = Picture::of(&census(1_000_000, leaf), &Owners::default());
    assert!(picture.cells.len() as u64 <= MAX_CELLS);
    let shown: u64 = picture
        .cells
        .iter()
        .map(|cell| cell.last - cell.first + 1)
        .sum();
    assert_eq!(shown, 1_000_000);
    let svg = picture.draw("db");
    assert!(svg.len() < 8 << 20, "{} bytes", svg.len());
    assert!(svg.contains("pages 256 to 511"));
}

#[test]
fn every_age_has_a_step_and_steps_do_not_overlap() {
    for oldest in [0, 1, 2, 6, 7, 100, 1_000_000] {
        let mut picture = Picture::of(&census(10, leaf), &Owners::default());
        picture.oldest = oldest;
        let limits: Vec<u64> = (0..AGES.len())
            .map(|step| picture.age_limit(step))
            .collect();
        assert!(
            limits.windows(2).all(|pair| pair[0] < pair[1]),
            "{oldest}: {limits:?}"
        );
        assert_eq!(picture.age_step(0), 0);
        assert!(picture.age_step(oldest) < AGES.len());
    }
}

#[test]
fn damage_is_shown_however_little_of_a_cell_it_is() {
    let facts = |page: u64| Fact {
        content: if page == 5 {
            Content::Damaged
        } else {
            Content::Sound(PageKind::Leaf)
        },
        tree: 16 + (page % 4) as u32,
        state: State::Used,
        ..leaf(page)
    };
    let mut picture = Picture::of(&census(60, facts), &Owners::default());
    assert_eq!(picture.cells.len(), 60);
    let whole = Picture::of(&census(60, facts), &Owners::default()).cells;
    // All in one cell, as in a large file.
    let mut one = Cell {
        last: 59,
        ..Cell::default()
    };
    for cell in whole {
        for (category, share) in cell.shares {
            one.shares.entry(category).or_default().pages += share.pages;
        }
    }
    assert_eq!(one.shares.len(), 5);
    picture.cells = vec![one];
    assert!(picture.draw("db").contains("#ff0000"));
}
