//! Lookups in the kernel, by `BPF_PROG_TEST_RUN`.
//!
//! A run of a program takes the next of many addresses from an array and looks it up: one lookup, as a packet
//! pays it. The next run does not wait for what this one found, and what a processor does ahead of time it
//! does for packets as well. The baseline takes the next address and looks nothing up; what a run costs
//! beyond it is the cost of the lookup.
//!
//! How a run is timed, `src/test_run.rs` says.

use std::{marker::PhantomData, time::Duration};

use anyhow::{Context as _, bail, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData},
    programs::{Xdp, XdpMode, xdp::XdpLinkId},
};
use geodrop::{
    datapath::{fill, object},
    policy::Classified,
    table::{
        Engine,
        lpm::{self, Entry},
        multibit::{Image, TooLarge},
    },
    testbed::Namespace,
};

use crate::{
    built,
    family::Family,
    privilege::Privilege,
    test_run::{self, LOOPBACK, awake},
};

/// The shortest frame that the kernel takes. Nobody reads it.
const FRAME: [u8; 14] = [0; 14];

/// What a run of a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// All but the lookup.
    Baseline,
    /// Looks an address up in the table of an engine.
    Lookup(Engine),
}

impl Program {
    /// All programs: the baseline, then the engines, the reference first.
    pub const ALL: [Self; 3] = [
        Self::Baseline,
        Self::Lookup(Engine::Lpm),
        Self::Lookup(Engine::Multibit),
    ];

    /// The programs that read so much memory that nothing of the others' is left in the caches: the trie of the world takes
    /// tens of megabytes.
    pub const APART: [Self; 1] = [Self::Lookup(Engine::Lpm)];

    /// The name, as it stands in the names of benches and of kernel programs.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Baseline => "baseline".to_owned(),
            Self::Lookup(engine) => engine.to_string(),
        }
    }

    /// The name that the program has in the kernel object.
    fn symbol<A: Family>(self) -> String {
        format!("{}_{}", self.name(), A::NAME)
    }
}

/// A table of one family, laid out for every engine.
#[derive(Clone, Debug)]
pub struct Tables<A> {
    /// The entries of the kernel's trie.
    pub entries: Vec<Entry<A>>,
    /// The image of the multibit trie.
    pub image: Image<A>,
}

impl<A: Family> Tables<A> {
    /// Lays ranges, which are sorted and disjoint, out.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] when they are too many for an engine.
    pub fn new(ranges: &[Classified<A>]) -> Result<Self, TooLarge> {
        Ok(Self {
            entries: lpm::prefixes(ranges),
            image: A::image(ranges)?,
        })
    }
}

/// The programs of a family, with tables of their own, in the kernel.
#[derive(Debug)]
pub struct Lookups<A> {
    ebpf: Ebpf,
    /// How many addresses there are to look up.
    addresses: u32,
    /// Where programs are attached.
    namespace: Namespace,
    /// The program that is.
    attached: Option<(Program, XdpLinkId)>,
    family: PhantomData<A>,
}

impl<A: Family> Lookups<A> {
    /// Makes the maps, fills them and loads the programs, all with a privilege. What is looked up,
    /// [`Lookups::look_up`] says: as many addresses, which must be a power of two.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a program, or a table cannot be filled.
    pub fn load(tables: &Tables<A>, addresses: u32, privilege: Privilege) -> anyhow::Result<Self> {
        ensure!(
            addresses.is_power_of_two(),
            "{addresses} addresses are not a power of two"
        );
        let namespace = Namespace::new()?;
        privilege
            .with(|| Self::load_here(tables, addresses, namespace))
            .context("changing what this thread may do")?
    }

    fn load_here(tables: &Tables<A>, addresses: u32, namespace: Namespace) -> anyhow::Result<Self> {
        let Tables { entries, image } = tables;
        let mask = addresses - 1;
        let words = u32::try_from(image.words().len())?;
        let (trie, images, list) = (trie::<A>(), images::<A>(), list::<A>());
        let words_global = format!("{trie}_WORDS");
        let (cell_bits, cell_bits_global) = (image.cell_bits(), format!("{trie}_CELL_BITS"));
        let object =
            object::with_value_sizes(object::LOOKUP_BENCH, &[(&images, image.bytes().len())])?;
        let mut ebpf = EbpfLoader::new()
            .override_global("ADDRESS_MASK", &mask, true)
            .override_global(&words_global, &words, true)
            .override_global(&cell_bits_global, &cell_bits, true)
            .map_max_entries(&trie, fill::capacity(entries.len()))
            .map_max_entries(&list, addresses)
            .load(&object)
            .context("loading the maps of the bench")?;
        fill::trie(&trie, map(&ebpf, &trie)?, entries)?;
        geodrop::datapath::image::fill(&images, map(&ebpf, &images)?, image)?;
        for program in Program::ALL {
            xdp_mut::<A>(&mut ebpf, program)?
                .load()
                .with_context(|| format!("loading {}", program.symbol::<A>()))?;
        }
        Ok(Self {
            ebpf,
            addresses,
            namespace,
            attached: None,
            family: PhantomData,
        })
    }

    /// Attaches a program where no packet comes, instead of the one that was attached before.
    fn attach(&mut self, program: Program) -> anyhow::Result<()> {
        if self
            .attached
            .as_ref()
            .is_some_and(|(one, _)| *one == program)
        {
            return Ok(());
        }
        let link = match self.attached.take() {
            Some((before, link)) => Some(xdp_mut::<A>(&mut self.ebpf, before)?.take_link(link)?),
            None => None,
        };
        let Self {
            ebpf, namespace, ..
        } = self;
        let next = xdp_mut::<A>(ebpf, program)?;
        let link = awake(|| match link {
            Some(link) => Ok(next.attach_to_link(link)),
            None => namespace.run(|| next.attach_to_if_index(LOOPBACK, XdpMode::Skb)),
        })?;
        let link = link.with_context(|| format!("attaching {}", program.symbol::<A>()))?;
        self.attached = Some((program, link));
        Ok(())
    }

    /// Detaches what is attached: others are to be measured.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn detach(&mut self) -> anyhow::Result<()> {
        if let Some((program, link)) = self.attached.take() {
            xdp_mut::<A>(&mut self.ebpf, program)?.detach(link)?;
        }
        Ok(())
    }

    /// Sets what is looked up, again and again from the first to the last.
    ///
    /// # Errors
    ///
    /// When these are more or fewer addresses than were said at first, or the kernel refuses one.
    pub fn look_up(&mut self, addresses: &[A]) -> anyhow::Result<()> {
        ensure!(
            addresses.len() == self.addresses as usize,
            "{} addresses, where there is room for {}",
            addresses.len(),
            self.addresses
        );
        let list = list::<A>();
        let map = self.ebpf.map_mut(&list).ok_or_else(|| missing(&list))?;
        let mut array: Array<_, A::Octets> = map.try_into()?;
        for (index, address) in (0..).zip(addresses) {
            array
                .set(index, address.octets(), 0)
                .with_context(|| format!("writing address {index} of {list}"))?;
        }
        Ok(())
    }

    /// How much CPU time so many runs of a program take, one system call after another.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a run, or to attach the program.
    pub fn time(&mut self, program: Program, runs: u64) -> anyhow::Result<Duration> {
        self.attach(program)?;
        let symbol = program.symbol::<A>();
        let program = self.program(&symbol)?;
        test_run::time(program, &FRAME, runs).with_context(|| format!("running {symbol}"))
    }

    /// Runs a program once, for the next address of the present CPU. Returns the XDP action that it gives:
    /// `XDP_PASS` where it finds an even class or none, `XDP_DROP` where it finds an odd one.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the run.
    pub fn action(&self, program: Program) -> anyhow::Result<u32> {
        let symbol = program.symbol::<A>();
        let result = test_run::run(self.program(&symbol)?, &FRAME, 1)
            .with_context(|| format!("running {symbol}"))?;
        Ok(result.return_value)
    }

    /// How many bytes of instructions the verifier made of a program, its own among them.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn translated_size(&self, program: Program) -> anyhow::Result<u32> {
        let symbol = program.symbol::<A>();
        self.program(&symbol)?
            .info()?
            .size_translated()
            .with_context(|| format!("the kernel does not say how long {symbol} is"))
    }

    /// How much memory of the kernel an engine's table takes; see [`built::memory`].
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn memory(&self, engine: Engine) -> anyhow::Result<u64> {
        let name = match engine {
            Engine::Lpm => trie::<A>(),
            Engine::Multibit => images::<A>(),
        };
        built::memory(map(&self.ebpf, &name)?)
    }

    fn program(&self, symbol: &str) -> anyhow::Result<&Xdp> {
        self.ebpf
            .program(symbol)
            .and_then(|program| program.try_into().ok())
            .ok_or_else(|| missing(symbol))
    }
}

fn xdp_mut<A: Family>(ebpf: &mut Ebpf, program: Program) -> anyhow::Result<&mut Xdp> {
    let symbol = program.symbol::<A>();
    ebpf.program_mut(&symbol)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| missing(&symbol))
}

/// The name of the kernel's trie.
fn trie<A: Family>() -> String {
    A::NAME.to_uppercase()
}

/// The name of the map that holds the image of a multibit trie.
fn images<A: Family>() -> String {
    format!("{}_IMAGE", trie::<A>())
}

/// The name of the map of addresses.
fn list<A: Family>() -> String {
    format!("{}_ADDRESSES", trie::<A>())
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> anyhow::Result<&'a MapData> {
    match ebpf.map(name) {
        Some(Map::Array(data) | Map::LpmTrie(data)) => Ok(data),
        Some(_) => bail!("the map {name} of the bench is of another type"),
        None => Err(missing(name)),
    }
}

fn missing(symbol: &str) -> anyhow::Error {
    anyhow::anyhow!("the kernel object of the bench has no {symbol}")
}
