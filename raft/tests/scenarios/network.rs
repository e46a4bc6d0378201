//! What is under way between nodes, and the links that carry it.
//!
//! Invariants: what was sent over a cut link is gone; on a held link it stays until it is released
//! or named; nothing else is lost, and between two nodes the order is that of sending unless a
//! script names a message.

use std::collections::BTreeSet;

use crate::driver::Parcel;

/// From one node to another.
pub(crate) type Link = (u64, u64);

/// Something under way.
#[derive(Debug, Clone)]
pub(crate) struct Flying {
    /// From where to where.
    pub(crate) link: Link,
    /// What.
    pub(crate) parcel: Parcel,
}

/// Which of several matching messages a script means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    First,
    Last,
}

/// All links.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    flying: Vec<Flying>,
    cut: BTreeSet<Link>,
    held: Vec<(Link, Option<String>)>,
}

impl Network {
    /// Sends; what a cut link swallows is told by `false`.
    pub(crate) fn send(&mut self, link: Link, parcel: Parcel) -> bool {
        let carried = !self.cut.contains(&link);
        if carried {
            self.flying.push(Flying { link, parcel });
        }
        carried
    }

    /// Cuts links: what is under way on them is gone too.
    pub(crate) fn cut(&mut self, links: &[Link]) {
        self.cut.extend(links);
        self.flying.retain(|flying| !links.contains(&flying.link));
    }

    /// Mends every link.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Holds what goes over these links back: all of it, or of one kind.
    pub(crate) fn hold(&mut self, links: &[Link], kind: Option<&str>) {
        let kind = kind.map(str::to_owned);
        self.held
            .extend(links.iter().map(|&link| (link, kind.clone())));
    }

    /// Lets everything on these links go again.
    pub(crate) fn release(&mut self, links: &[Link]) {
        self.held.retain(|(link, _)| !links.contains(link));
    }

    /// The next one that nothing holds back.
    pub(crate) fn next(&mut self) -> Option<Flying> {
        let is_held = |flying: &Flying| {
            self.held.iter().any(|(link, kind)| {
                let of_kind = kind
                    .as_ref()
                    .is_none_or(|kind| kind == flying.parcel.kind());
                *link == flying.link && of_kind
            })
        };
        let place = self.flying.iter().position(|flying| !is_held(flying))?;
        Some(self.flying.remove(place))
    }

    /// What is under way on these links, of this kind, in order.
    pub(crate) fn matching(&self, links: &[Link], kind: Option<&str>) -> Vec<&Flying> {
        let matches = |flying: &&Flying| {
            links.contains(&flying.link) && kind.is_none_or(|kind| flying.parcel.kind() == kind)
        };
        self.flying.iter().filter(matches).collect()
    }

    /// Copies of them.
    pub(crate) fn copies(&self, links: &[Link], kind: Option<&str>, which: Which) -> Vec<Flying> {
        self.clone().take(links, kind, which)
    }

    /// Takes them out.
    pub(crate) fn take(&mut self, links: &[Link], kind: Option<&str>, which: Which) -> Vec<Flying> {
        let matches = |flying: &Flying| {
            links.contains(&flying.link) && kind.is_none_or(|kind| flying.parcel.kind() == kind)
        };
        let mut places: Vec<usize> = (0..self.flying.len())
            .filter(|&place| matches(&self.flying[place]))
            .collect();
        match which {
            Which::All => {}
            Which::First => places.truncate(1),
            Which::Last => places
                .drain(..places.len().saturating_sub(1))
                .for_each(drop),
        }
        let mut taken = Vec::new();
        for place in places.into_iter().rev() {
            taken.insert(0, self.flying.remove(place));
        }
        taken
    }
}
