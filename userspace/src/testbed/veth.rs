//! A veth pair between two namespaces.
//!
//! The pair is silent: neither end has an address, not even a link-local one, so neither kernel says
//! anything by itself, and what a filter counts is what was sent. [`End::add_address`] ends the silence:
//! addresses bring ARP, neighbour discovery and multicast reports with them.
//!
//! The server's end has generic receive offload (GRO) on, because only with that, or with an XDP program in
//! native mode, does a veth end receive frames that come without a socket buffer, as live frames do; without
//! either they are lost silently. So a filter may be in generic mode, or be taken away, and none is lost.

use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    thread,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt as _;
use ipnet::IpNet;
use rtnetlink::{
    Handle, LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::{
        address::{AddressAttribute, AddressFlags},
        link::{
            AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoVeth, LinkAttribute,
            LinkMessage, State,
        },
    },
};

use super::{error::TestbedError, namespace::Namespace, offload};
use crate::datapath::{interface::Interface, netlink::netlink};

/// The name of the interface in the client's namespace, and of the one in the server's.
const NAMES: [&str; 2] = ["client", "server"];

/// The client's hardware address: a locally administered one.
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The server's hardware address.
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// What is sent before both ends carry is lost. A pair that takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);

/// How a pair is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The MTU of both ends.
    pub mtu: u32,
    /// How many queues each end has. What one core sends is received on that core only if there are as many as there are
    /// cores.
    pub queues: u32,
}

impl Default for Settings {
    /// Ethernet's MTU, 1500, and one queue.
    fn default() -> Self {
        Self {
            mtu: 1500,
            queues: 1,
        }
    }
}

/// Two namespaces, and a veth pair that joins them; both ends are up.
///
/// Frames enter at the client's end. A filter belongs on the server's.
#[derive(Debug)]
pub struct Veth {
    /// Where frames are sent from: interface `client`.
    pub client: End,
    /// Where they are received: interface `server`.
    pub server: End,
}

/// One end of a pair: an interface, alone in its namespace.
#[derive(Debug)]
pub struct End {
    /// The namespace.
    pub namespace: Namespace,
    /// The interface in it.
    pub interface: Interface,
}

impl Veth {
    /// Makes two namespaces and a pair between them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, or knows no veth.
    pub fn new(settings: Settings) -> Result<Self, TestbedError> {
        let [client, server] = [Namespace::new()?, Namespace::new()?];
        let [client_interface, server_interface] = plug_in(&client, &server, settings)?;
        let end = |namespace, interface| End {
            namespace,
            interface,
        };
        let veth = Self {
            client: end(client, client_interface),
            server: end(server, server_interface),
        };
        veth.make_ready()?;
        Ok(veth)
    }

    /// Takes the pair away; the namespaces stay.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn unplug(&self) -> Result<(), TestbedError> {
        let index = self.client.interface.index;
        // The pair goes when either end goes.
        self.client.run(|| {
            netlink("removing a veth pair", async |handle| {
                handle.link().del(index).execute().await
            })
        })??;
        Ok(())
    }

    /// Makes another pair, of the same names, after [`Self::unplug`].
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn plug_in(&mut self, settings: Settings) -> Result<(), TestbedError> {
        let Self { client, server } = self;
        [client.interface, server.interface] =
            plug_in(&client.namespace, &server.namespace, settings)?;
        self.make_ready()
    }

    fn make_ready(&self) -> Result<(), TestbedError> {
        self.server.enable_gro()?;
        self.client.await_carrier()?;
        self.server.await_carrier()
    }
}

/// Makes a pair between a client's and a server's namespace, and brings both ends up.
fn plug_in(
    client: &Namespace,
    server: &Namespace,
    settings: Settings,
) -> Result<[Interface; 2], TestbedError> {
    let server_fd = server.as_fd().as_raw_fd();
    let [name, peer_name] = NAMES;
    client.run(|| {
        netlink("making a veth pair", async |handle| {
            let peer = LinkMessageBuilder::<LinkUnspec>::new()
                .name(peer_name)
                .address(SERVER_MAC.to_vec())
                .mtu(settings.mtu)
                .setns_by_fd(server_fd)
                .append_extra_attribute(LinkAttribute::NumTxQueues(settings.queues))
                .append_extra_attribute(LinkAttribute::NumRxQueues(settings.queues))
                .build();
            let pair = LinkVeth::new(name, peer_name)
                .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
                .address(CLIENT_MAC.to_vec())
                .mtu(settings.mtu)
                .append_extra_attribute(LinkAttribute::NumTxQueues(settings.queues))
                .append_extra_attribute(LinkAttribute::NumRxQueues(settings.queues))
                .build();
            handle.link().add(pair).execute().await
        })
    })??;
    // The client comes up last: the kernel then readies the end that sends at once, and not some time later.
    let server = bring_up(server, peer_name)?;
    let client = bring_up(client, name)?;
    Ok([client, server])
}

/// Finds an interface in its namespace and brings it up, without a word.
fn bring_up(namespace: &Namespace, name: &str) -> Result<Interface, TestbedError> {
    namespace.run(|| {
        let interface = Interface::by_name(name)?;
        let index = interface.index;
        netlink(&format!("bringing {name} up"), async |handle| {
            // First the silence: an interface that comes up gives itself an IPv6 address and tells
            // everyone.
            let silent = LinkUnspec::new_with_index(index)
                .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(
                    vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)],
                )]))
                .build();
            set_if_ipv6(&handle, silent).await?;
            let up = LinkUnspec::new_with_index(index).up().build();
            handle.link().set(up).execute().await
        })?;
        Ok(interface)
    })?
}

impl End {
    /// Runs `work` in the end's namespace, as [`Namespace::run`] does.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered; `work` was not called then.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, TestbedError> {
        self.namespace.run(work)
    }

    /// Gives the interface an address, and with it the route to the address's network. The end is not silent
    /// any more.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn add_address(&self, address: IpNet) -> Result<(), TestbedError> {
        let Interface { name, index } = &self.interface;
        self.run(|| {
            netlink(
                &format!("giving {name} the address {address}"),
                async |handle| {
                    let addresses = handle.address();
                    let mut request = addresses.add(*index, address.addr(), address.prefix_len());
                    // Nobody else can have it, so nobody need be asked; asking takes a second.
                    let flags = AddressAttribute::Flags(AddressFlags::Nodad);
                    request.message_mut().attributes.push(flags);
                    request.execute().await
                },
            )
        })??;
        Ok(())
    }

    fn enable_gro(&self) -> Result<(), TestbedError> {
        self.run(|| offload::set(&self.interface, offload::GRO, true))?
            .map_err(TestbedError::system(format!(
                "switching GRO on for {}",
                self.interface.name
            )))
    }

    /// Lets TCP hand packets to the interface as they are on a cable, and not many in one. With an XDP program in native mode at
    /// the other end that is so in any case.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn disable_segmentation(&self) -> Result<(), TestbedError> {
        self.run(|| {
            [offload::TSO, offload::GSO]
                .into_iter()
                .try_for_each(|offload| offload::set(&self.interface, offload, false))
        })?
        .map_err(TestbedError::system(format!(
            "switching segmentation off for {}",
            self.interface.name
        )))
    }

    /// Waits until the interface can send.
    fn await_carrier(&self) -> Result<(), TestbedError> {
        let Interface { name, index } = &self.interface;
        let what = format!("waiting for {name}'s carrier");
        let deadline = Instant::now() + PATIENCE;
        self.run(|| {
            loop {
                let message = netlink(&what, async |handle| {
                    let request = handle.link().get().match_index(*index);
                    request.execute().try_next().await
                })?;
                if message.as_ref().is_some_and(is_up) {
                    return Ok(());
                }
                if Instant::now() > deadline {
                    let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                    return Err(TestbedError::system(what)(late));
                }
                thread::sleep(PAUSE);
            }
        })?
    }
}

/// Sets what is about IPv6, which a kernel without IPv6 refuses, and needs not.
async fn set_if_ipv6(handle: &Handle, message: LinkMessage) -> Result<(), rtnetlink::Error> {
    match handle.link().set(message).execute().await {
        Err(rtnetlink::Error::NetlinkError(error))
            if error.to_io().raw_os_error() == Some(libc::EAFNOSUPPORT) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn is_up(message: &LinkMessage) -> bool {
    message
        .attributes
        .contains(&LinkAttribute::OperState(State::Up))
}
