//! A veth pair with one of those that are compared set up at its receiving end.

use std::{
    cell::{Cell, RefCell},
    fs,
    net::{Ipv4Addr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use super::{
    blocked::Blocked,
    case::Case,
    contestant::Contestant,
    ipset,
    ledger::{Counts, Ledger},
    nftables::{self, Hook},
    xdp_filter,
};
use crate::{
    filters::{Holder, Place, Program},
    test_run::awake,
};
use anyhow::{Context as _, ensure};
use geodrop::{
    datapath::generation::{Generation, Plan},
    range::Prefix,
    table::Engine,
    testbed::{
        Generator, Veth,
        generator::{Frames, Limit},
        probe::{DESTINATION_IPV4, DESTINATION_PORT},
        veth::{End, Settings},
    },
};

/// How many packets of either kind show that a filter drops what it should.
const TRIED: u64 = 4096;

/// How long packets may be under way, when the machine puts off receiving them.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(1);

/// A pair, and what is compared at its server's end.
#[derive(Debug)]
pub struct Rig {
    contestant: Contestant,
    veth: Veth,
    filter: RefCell<Filter>,
    /// What is blocked here where it is not all of the policy.
    addresses: Option<Vec<Ipv4Addr>>,
    /// What a counter that is emptied by reading it has said so far.
    dropped: Cell<u64>,
    #[expect(dead_code, reason = "what passes is delivered to it")]
    sink: UdpSocket,
}

#[derive(Debug)]
enum Filter {
    /// None, or one that stays where it is.
    Fixed,
    /// One that is attached for its turn.
    Xdp(Program, Option<Holder>),
}

impl Rig {
    /// Makes a pair and sets a contestant up in it. `cores` is how many may send at a time, and `most` how many addresses one is
    /// given that knows only addresses.
    ///
    /// # Errors
    ///
    /// When the pair cannot be had, and when the contestant cannot be set up.
    pub fn new(
        contestant: Contestant,
        blocked: &Blocked,
        cores: usize,
        most: usize,
    ) -> anyhow::Result<Self> {
        let veth = pair(cores)?;
        let sink = sink(&veth.server)?;
        let mut addresses = None;
        let filter = match contestant {
            Contestant::Generator | Contestant::NoFilter => Filter::Fixed,
            Contestant::Drop => Filter::Xdp(Program::reference()?, None),
            Contestant::Geodrop | Contestant::GeodropReplies | Contestant::GeodropLpm => {
                let generation = Generation::load(plan(contestant, blocked))?;
                Filter::Xdp(Program::Filter(Box::new(generation)), None)
            }
            Contestant::NftablesIngress | Contestant::NftablesRaw | Contestant::Ipset => {
                set_up(contestant, &veth.server, blocked)?;
                Filter::Fixed
            }
            Contestant::XdpFilter => {
                let list = Case::of(blocked.countries).sources(blocked, None);
                let list: Vec<_> = list.into_iter().take(most.min(xdp_filter::MOST)).collect();
                let End {
                    namespace,
                    interface,
                } = &veth.server;
                xdp_filter::set_up(namespace, &interface.name, &list)?;
                addresses = Some(list);
                Filter::Fixed
            }
        };
        Ok(Self {
            contestant,
            veth,
            filter: RefCell::new(filter),
            addresses,
            dropped: Cell::new(0),
            sink,
        })
    }

    /// Who is set up here.
    #[must_use]
    pub const fn contestant(&self) -> Contestant {
        self.contestant
    }

    /// Whether what is set up here can take part in a case.
    #[must_use]
    pub fn takes_part_in(&self, case: Case) -> bool {
        self.contestant != Contestant::XdpFilter
            || case.native && case.spread == super::case::Spread::AllRanges
    }

    /// A generator of a case's packets at the client's end.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn generator(&self, case: Case, blocked: &Blocked) -> anyhow::Result<Generator<'_>> {
        let frames = Frames {
            dropped: self.contestant == Contestant::Generator,
            ..Frames::default()
        };
        self.generator_of(case, blocked, frames)
    }

    /// The same, of frames that are made in this way; their length is that of the case.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn generator_of(
        &self,
        case: Case,
        blocked: &Blocked,
        frames: Frames<'_>,
    ) -> anyhow::Result<Generator<'_>> {
        let sources = case.sources(blocked, self.addresses.as_deref());
        let lengths = case.length.lengths();
        Ok(Generator::load(
            &self.veth.client,
            &sources,
            Frames { lengths, ..frames },
        )?)
    }

    /// The client's end of the pair, and the server's.
    #[must_use]
    pub const fn ends(&self) -> [&End; 2] {
        [&self.veth.client, &self.veth.server]
    }

    /// Begins a turn: what is attached for its turn is attached.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn enter(&self, native: bool) -> anyhow::Result<()> {
        let End {
            namespace,
            interface,
        } = &self.veth.server;
        let place = Place {
            namespace,
            interface,
            native,
        };
        if let Filter::Xdp(program, holder @ None) = &mut *self.filter.borrow_mut() {
            let attached = awake(|| namespace.run(|| program.attach(place)))?;
            let what = || format!("attaching {}", self.contestant.name());
            *holder = Some(attached.with_context(what)?);
        }
        Ok(())
    }

    /// Ends a turn.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn leave(&self) -> anyhow::Result<()> {
        match &mut *self.filter.borrow_mut() {
            Filter::Xdp(program, holder) => match holder.take() {
                Some(holder) => awake(|| program.detach(holder)),
                None => Ok(()),
            },
            Filter::Fixed => Ok(()),
        }
    }

    /// How many packets the filter counted as dropped so far; `None` if it does not count.
    fn dropped(&self) -> anyhow::Result<Option<u64>> {
        let namespace = &self.veth.server.namespace;
        let emptied = match (&*self.filter.borrow(), self.contestant) {
            (Filter::Xdp(Program::Filter(generation), _), _) => {
                return Ok(Some(generation.counters()?.dropped()));
            }
            (_, Contestant::Ipset) => return ipset::dropped(namespace).map(Some),
            (_, Contestant::NftablesIngress) => nftables::dropped(namespace, Hook::Ingress)?,
            (_, Contestant::NftablesRaw) => nftables::dropped(namespace, Hook::Raw)?,
            _ => return Ok(None),
        };
        self.dropped.set(self.dropped.get() + emptied);
        Ok(Some(self.dropped.get()))
    }

    /// What the counters say now.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn reading(&self) -> anyhow::Result<Reading> {
        Ok(Reading {
            counts: Counts::read(&self.veth.server)?,
            dropped: self.dropped()?,
        })
    }

    /// What became of packets that were sent since a reading of the counters: those under way are waited for.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn ledger(&self, sent: u64, before: &Reading) -> anyhow::Result<Ledger> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let after = self.reading()?;
            let dropped = after.dropped.zip(before.dropped);
            let dropped = dropped.map(|(after, before)| after.wrapping_sub(before));
            let ledger = Ledger::between(sent, &before.counts, &after.counts, dropped);
            if ledger.unexplained <= 0 || Instant::now() > deadline {
                return Ok(ledger);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Sends some packets from blocked and from other addresses, and checks that the ones are dropped and the others arrive.
    ///
    /// # Errors
    ///
    /// When one is not as it should be; and when they cannot be sent or counted.
    pub fn check(&self, blocked: &Blocked, native: bool) -> anyhow::Result<()> {
        if self.contestant == Contestant::Generator {
            return Ok(());
        }
        self.enter(native)?;
        for share in [100, 0] {
            let case = Case {
                blocked: share,
                ..Case::of(blocked.countries)
            };
            let before = self.reading()?;
            let limit = Limit {
                frames: TRIED,
                time: Duration::MAX,
            };
            self.generator(case, blocked)?.run(limit)?;
            let ledger = self.ledger(TRIED, &before)?;
            let expected = match self.contestant {
                Contestant::NoFilter => 0,
                Contestant::Drop => TRIED,
                _ if share == 100 => TRIED,
                _ => 0,
            };
            ensure!(
                (ledger.dropped, ledger.delivered) == (expected, TRIED - expected),
                "{} dropped {} and let pass {} of {TRIED} packets, of which {share} % are blocked",
                self.contestant.name(),
                ledger.dropped,
                ledger.delivered,
            );
        }
        self.leave()
    }
}

/// The counters at one time.
#[derive(Clone, Debug)]
pub struct Reading {
    counts: Counts,
    dropped: Option<u64>,
}

/// How a contestant of ours is loaded.
pub(super) fn plan(contestant: Contestant, blocked: &Blocked) -> Plan<'_> {
    let engine = match contestant {
        Contestant::GeodropLpm => Engine::Lpm,
        _ => Engine::default(),
    };
    Plan {
        replies: contestant == Contestant::GeodropReplies,
        ..Plan::by_address(&blocked.ruleset, engine)
    }
}

/// Sets up what is no program of ours. Returns how much memory the command took that filled the table, in bytes.
pub(super) fn set_up(
    contestant: Contestant,
    server: &End,
    blocked: &Blocked,
) -> anyhow::Result<u64> {
    let End {
        namespace,
        interface,
    } = server;
    let (name, prefixes) = (&interface.name, &blocked.prefixes);
    match contestant {
        Contestant::NftablesIngress => nftables::set_up(namespace, name, Hook::Ingress, prefixes),
        Contestant::NftablesRaw => nftables::set_up(namespace, name, Hook::Raw, prefixes),
        Contestant::Ipset => ipset::set_up(namespace, prefixes),
        _ => Ok(0),
    }
}

/// A pair whose server is whom the generator's packets are for.
fn pair(cores: usize) -> anyhow::Result<Veth> {
    let veth = Veth::new(Settings {
        queues: u32::try_from(cores)?,
        ..Settings::default()
    })?;
    veth.server
        .run(|| accept_all_sources(&veth.server.interface.name))?
        .context("letting packets arrive to whose senders there is no route")?;
    let address = Prefix::around(DESTINATION_IPV4, 32).context("32 bits are an IPv4 address")?;
    veth.server.add_address(address.into())?;
    Ok(veth)
}

/// Lets packets pass in this namespace although it has no route back to their senders.
fn accept_all_sources(interface: &str) -> std::io::Result<()> {
    for name in ["all", interface] {
        fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "0")?;
    }
    Ok(())
}

/// What takes the packets that pass, until its buffer is full; then the kernel drops them, as it does for any program that is too
/// slow. Nothing answers them.
fn sink(server: &End) -> anyhow::Result<UdpSocket> {
    let bound = server.run(|| UdpSocket::bind((DESTINATION_IPV4, DESTINATION_PORT)))?;
    bound.context("opening the socket that packets are for")
}
