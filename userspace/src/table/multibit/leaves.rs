//! Leaves: what they say, equal ones stored once.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
};

use geodrop_common::{
    Class,
    class::CAPACITY,
    multibit::{
        Link,
        leaf::{self, LINK, NEVER, PLACES},
    },
};

use super::{TooLarge, segment::Value};

/// Places, then values, as they lie in memory.
pub(super) type Content = [u16; 2 * (PLACES + 1)];

/// The links of a leaf, by the number of the value.
pub(super) type Links = [Option<Link>; PLACES + 1];

/// A leaf that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Leaf {
    /// The leaf that says one class of all addresses.
    Class(Class),
    /// One of those with links, by number.
    Linked(u32),
    /// One of those without links, by number.
    Plain(u32),
}

impl Leaf {
    /// A number that no other leaf has.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Class(class) => class.number().into(),
            Self::Linked(number) => 1 << 32 | u64::from(number),
            Self::Plain(number) => 2 << 32 | u64::from(number),
        }
    }
}

/// All leaves but those of one class.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    plain: Distinct<Content>,
    linked: Distinct<(Content, Links)>,
}

impl Leaves {
    /// The leaf of some entries: where addresses begin that have this value, the first at `start` or before.
    /// At most [`PLACES`] of them begin after it, and within 2^15.
    pub(super) fn leaf(&mut self, entries: &[(u32, Value)], start: u32) -> Result<Leaf, TooLarge> {
        if let [(_, Value::Class(class))] = entries {
            return Ok(Leaf::Class(*class));
        }
        let mut content = empty();
        let mut links = [None; PLACES + 1];
        let mut linked = false;
        for (number, (first, value)) in entries.iter().enumerate() {
            if number > 0 {
                // Below 2^15: the caller saw to it.
                content[number - 1] = u16::try_from(first - start).map_or(NEVER, leaf::place);
            }
            content[PLACES + 1 + number] = match value {
                Value::Class(class) => class.number(),
                Value::Link(link) => {
                    linked = true;
                    links[number] = Some(*link);
                    LINK
                }
            };
        }
        if linked {
            self.linked.number((content, links)).map(Leaf::Linked)
        } else {
            self.plain.number(content).map(Leaf::Plain)
        }
    }

    /// What all leaves say, those of one class first, then those with links.
    pub(super) fn contents(&self) -> impl Iterator<Item = Content> {
        let classes = (0..).map_while(Class::new).map(|class| {
            let mut content = empty();
            content[PLACES + 1] = class.number();
            content
        });
        let linked = self.linked.all.iter().map(|(content, _)| *content);
        classes.chain(linked).chain(self.plain.all.iter().copied())
    }

    /// The links of the leaves that have some, in the order of these.
    pub(super) fn links(&self) -> impl Iterator<Item = &Links> {
        self.linked.all.iter().map(|(_, links)| links)
    }

    /// How many leaves stand before this one.
    pub(super) fn position(&self, leaf: Leaf) -> usize {
        match leaf {
            Leaf::Class(class) => class.index(),
            Leaf::Linked(number) => CAPACITY + number as usize,
            Leaf::Plain(number) => CAPACITY + self.linked.all.len() + number as usize,
        }
    }

    /// How many leaves there are.
    pub(super) fn count(&self) -> usize {
        CAPACITY + self.linked.all.len() + self.plain.all.len()
    }
}

/// A leaf without places, that says class 0.
const fn empty() -> Content {
    let mut content = [0; 2 * (PLACES + 1)];
    let mut place = 0;
    while place <= PLACES {
        content[place] = NEVER;
        place += 1;
    }
    content
}

/// Things in the order in which they first came.
#[derive(Debug)]
struct Distinct<T> {
    all: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Copy + Eq + Hash> Distinct<T> {
    /// The number of a thing.
    fn number(&mut self, thing: T) -> Result<u32, TooLarge> {
        match self.numbers.entry(thing) {
            Entry::Occupied(entry) => Ok(*entry.get()),
            Entry::Vacant(entry) => {
                let number = u32::try_from(self.all.len()).map_err(|_| TooLarge)?;
                self.all.push(thing);
                Ok(*entry.insert(number))
            }
        }
    }
}
