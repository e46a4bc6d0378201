//! A whole tree in memory, as simple as can be, against a map: pages under
//! splits and merges, keys and values in runs among them.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use super::*;

struct Tree {
    page_size: usize,
    pages: Vec<Vec<u8>>,
    runs: HashMap<u64, Vec<u8>>,
    next_run: u64,
    root: usize,
    /// Branches above the leaves.
    height: usize,
}

impl Tree {
    fn new(page_size: usize) -> Self {
        let pages = vec![empty_leaf(page_size)];
        Self {
            page_size,
            pages,
            runs: HashMap::new(),
            next_run: 0,
            root: 0,
            height: 0,
        }
    }

    fn store(&mut self, bytes: &[u8]) -> OverflowRef {
        self.next_run += 1;
        self.runs.insert(self.next_run, bytes.to_vec());
        run(self.next_run, bytes.len())
    }

    fn key<'k>(&mut self, key: &'k [u8]) -> KeyRef<'k> {
        if key.len() <= max_inline_key(self.page_size) {
            return KeyRef::inline(key);
        }
        let run = self.store(key);
        KeyRef::overflowing(key, self.page_size, run)
    }

    fn value<'v>(&mut self, value: &'v [u8]) -> ValueRef<'v> {
        if value.len() <= max_inline_value(self.page_size) {
            ValueRef::Inline(value)
        } else {
            ValueRef::Overflow(self.store(value))
        }
    }

    /// The branches from the root, each with the child taken, and the leaf.
    fn descend(&self, key: &[u8]) -> (Vec<(usize, usize)>, usize) {
        let (mut path, mut at) = (Vec::new(), self.root);
        for _ in 0..self.height {
            let branch = Branch::new(&self.pages[at]);
            let Ok(index) = branch.find_child_with(key, &mut |run| self.load(run));
            path.push((at, index));
            at = branch.child(index).page.get() as usize;
        }
        (path, at)
    }

    fn load(&self, run: &OverflowRef) -> Result<Vec<u8>, Infallible> {
        Ok(self.runs[&run.first.get()].clone())
    }

    fn whole_key(&self, leaf: usize, index: usize) -> Vec<u8> {
        let leaf = Leaf::new(&self.pages[leaf]);
        let mut key = Vec::new();
        leaf.key(index, &mut key);
        match leaf.key_overflow(index) {
            Some(run) => {
                assert!(self.runs[&run.first.get()].starts_with(&key));
                self.runs[&run.first.get()].clone()
            }
            None => key,
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        let (path, at) = self.descend(key);
        let Ok(found) = Leaf::new(&self.pages[at]).search_with(key, &mut |run| self.load(run));
        let value = self.value(value);
        let index = match found {
            Ok(index) => {
                let mut leaf = LeafMut::new(&mut self.pages[at]);
                if leaf.replace_value(index, value).is_ok() {
                    return;
                }
                leaf.remove(index);
                index
            }
            Err(index) => index,
        };
        let key = self.key(key);
        if LeafMut::new(&mut self.pages[at])
            .insert(index, key, value)
            .is_ok()
        {
            return;
        }
        let mut right = empty_leaf(self.page_size);
        let split = split_leaf(&mut self.pages[at], &mut right, index, key, value);
        self.pages.push(right);
        let new = self.pages.len() - 1;
        let separator = match split.separator {
            Separator::Key(separator) => separator,
            Separator::NeedsWholeKeys => {
                let last = self.whole_key(at, Leaf::new(&self.pages[at]).len() - 1);
                shortest_separator(&last, &self.whole_key(new, 0)).to_vec()
            }
        };
        let key = self.key(&separator);
        let owned = OwnedKey {
            inline: key.inline.to_vec(),
            overflow: key.overflow,
        };
        self.grow(path, owned, new);
    }

    fn grow(&mut self, mut path: Vec<(usize, usize)>, mut separator: OwnedKey, mut new: usize) {
        while let Some((at, index)) = path.pop() {
            let reference = child(new as u64);
            let mut branch = BranchMut::new(&mut self.pages[at]);
            if branch
                .insert(index + 1, separator.as_key(), reference)
                .is_ok()
            {
                return;
            }
            let mut right = vec![0; self.page_size];
            let split = split_branch(
                &mut self.pages[at],
                &mut right,
                index + 1,
                separator.as_key(),
                reference,
            );
            self.pages.push(right);
            (separator, new) = (split.separator, self.pages.len() - 1);
        }
        let mut root = vec![0; self.page_size];
        BranchMut::init(&mut root, child(self.root as u64))
            .insert(1, separator.as_key(), child(new as u64))
            .unwrap();
        self.pages.push(root);
        self.root = self.pages.len() - 1;
        self.height += 1;
    }

    fn remove(&mut self, key: &[u8]) {
        let (mut path, mut at) = self.descend(key);
        let Ok(found) = Leaf::new(&self.pages[at]).search_with(key, &mut |run| self.load(run));
        let Ok(index) = found else { return };
        LeafMut::new(&mut self.pages[at]).remove(index);
        let mut is_leaf = true;
        while let Some((parent, index)) = path.pop() {
            let is_underfull = if is_leaf {
                Leaf::new(&self.pages[at]).is_underfull()
            } else {
                Branch::new(&self.pages[at]).is_underfull()
            };
            let branch = Branch::new(&self.pages[parent]);
            if !is_underfull || branch.len() == 1 {
                break;
            }
            let right_index = index.max(1);
            let [left, right] =
                [right_index - 1, right_index].map(|at| branch.child(at).page.get() as usize);
            let mut separator = OwnedKey {
                inline: Vec::new(),
                overflow: branch.key_overflow(right_index),
            };
            branch.key(right_index, &mut separator.inline);
            let right = self.pages[right].clone();
            let left = &mut self.pages[left];
            let merged = if is_leaf {
                merge_leaf(left, &right)
            } else {
                merge_branch(left, separator.as_key(), &right)
            };
            if !merged {
                break;
            }
            let _ = BranchMut::new(&mut self.pages[parent]).remove(right_index);
            (at, is_leaf) = (parent, false);
        }
        while self.height > 0 && Branch::new(&self.pages[self.root]).len() == 1 {
            self.root = Branch::new(&self.pages[self.root]).child(0).page.get() as usize;
            self.height -= 1;
        }
    }

    /// All entries in order; every page on the way is validated.
    fn entries(&self, at: usize, height: usize, into: &mut Vec<(Vec<u8>, Vec<u8>)>) {
        if height > 0 {
            assert_eq!(Branch::validate(&self.pages[at]), Ok(()));
            let branch = Branch::new(&self.pages[at]);
            for index in 0..branch.len() {
                self.entries(branch.child(index).page.get() as usize, height - 1, into);
            }
            return;
        }
        assert_eq!(Leaf::validate(&self.pages[at]), Ok(()));
        let leaf = Leaf::new(&self.pages[at]);
        for index in 0..leaf.len() {
            let value = match leaf.value(index) {
                ValueRef::Inline(value) => value.to_vec(),
                ValueRef::Overflow(run) => self.runs[&run.first.get()].clone(),
            };
            into.push((self.whole_key(at, index), value));
        }
    }

    fn check(&self, model: &BTreeMap<Vec<u8>, Vec<u8>>) {
        let mut found = Vec::new();
        self.entries(self.root, self.height, &mut found);
        assert!(
            found.iter().map(|(key, value)| (key, value)).eq(model),
            "the entries differ"
        );
    }
}

fn any_tree_key() -> impl Strategy<Value = Vec<u8>> {
    let near_limit = (1020..1030_usize, prop::sample::select(vec![0, b'k', 0xff]));
    prop_oneof![
        8 => any_key(),
        1 => near_limit.prop_map(|(len, last)| { let mut key = vec![b'k'; len]; key[len - 1] = last; key }),
        1 => (0..3_usize, any::<u16>()).prop_map(|(size, end)| {
            [&vec![b'k'; max_inline_key(PAGE_SIZES[size])][..], &end.to_be_bytes()].concat()
        }),
    ]
}

fn any_tree_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => any_value(),
        2 => (0..3_usize).prop_map(|size| vec![b'y'; max_inline_value(PAGE_SIZES[size])]),
        1 => Just(vec![b'z'; 20_000]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tree_does_what_a_map_does(
        page_size in any_page_size(),
        puts in prop::collection::vec((any_tree_key(), any_tree_value()), 1..500),
        removes in prop::collection::vec(any::<prop::sample::Index>(), 0..400),
    ) {
        let (mut tree, mut model) = (Tree::new(page_size), BTreeMap::new());
        for (number, (key, value)) in puts.iter().enumerate() {
            tree.put(key, value);
            model.insert(key.clone(), value.clone());
            if number % 3 == 2 && number < removes.len() {
                let key = &puts[removes[number].index(number)].0;
                tree.remove(key);
                model.remove(key);
            }
            if number % 16 == 0 {
                tree.check(&model);
            }
        }
        for (number, remove) in removes.iter().enumerate() {
            let key = &puts[remove.index(puts.len())].0;
            tree.remove(key);
            model.remove(key);
            if number % 16 == 0 {
                tree.check(&model);
            }
        }
        tree.check(&model);
        for (key, _) in &puts {
            tree.remove(key);
        }
        tree.check(&BTreeMap::new());
    }
}

#[test]
fn keys_in_order_fill_their_leaves() {
    for page_size in [4096, 8192] {
        let mut tree = Tree::new(page_size);
        for number in 0..5000_u32 {
            tree.put(
                format!("document/{number:08}").as_bytes(),
                b"a value of twenty by",
            );
        }
        let leaves = tree.leaf_fills();
        let full = &leaves[..leaves.len() - 1];
        assert!(
            full.len() > 5 && full.iter().all(|&fill| fill >= 0.9),
            "{full:?}"
        );
    }
}

impl Tree {
    /// The fill of each leaf, in order.
    fn leaf_fills(&self) -> Vec<f64> {
        let mut level = vec![self.root];
        for _ in 0..self.height {
            level = level
                .iter()
                .flat_map(|&at| {
                    let branch = Branch::new(&self.pages[at]);
                    (0..branch.len()).map(move |index| branch.child(index).page.get() as usize)
                })
                .collect();
        }
        level
            .iter()
            .map(|&at| Leaf::new(&self.pages[at]).fill())
            .collect()
    }
}
