//! Through which interfaces packets come and go, as rtnetlink says.

use std::{collections::BTreeSet, net::IpAddr};

use futures_util::TryStreamExt as _;
use rtnetlink::{
    Handle,
    packet_route::{
        AddressFamily,
        address::{AddressAttribute, AddressMessage},
        link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage},
        route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteType, RouteVia},
    },
};

use crate::datapath::{DatapathError, interface::Interface, netlink::netlink};

/// The loopback interface of every network namespace.
const LOOPBACK: u32 = 1;

/// The network around some interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// The interfaces whose packets come through the given ones: those themselves, and bonds, bridges and VLANs on
    /// top of them.
    carried: BTreeSet<u32>,
    /// Routers that routes for everything name, each with its interface, which is carried.
    pub(super) gateways: BTreeSet<(String, IpAddr)>,
    /// Addresses of carried interfaces.
    pub(super) addresses: BTreeSet<(String, IpAddr)>,
}

/// The way to an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Where it leads.
    pub(super) to: IpAddr,
    /// Which of this host's addresses the packets have, where that is known: routing may go by it.
    pub(super) from: Option<IpAddr>,
}

impl Network {
    /// Asks the kernel about the network around these interfaces.
    pub(super) fn around(interfaces: &[Interface]) -> Result<Self, DatapathError> {
        netlink("asking for gateways and addresses", async |handle| {
            let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
            let addresses: Vec<AddressMessage> =
                handle.address().get().execute().try_collect().await?;
            let mut routes = Vec::new();
            for family in [AddressFamily::Inet, AddressFamily::Inet6] {
                let mut all = RouteMessage::default();
                all.header.address_family = family;
                routes.extend(
                    handle
                        .route()
                        .get(all)
                        .execute()
                        .try_collect::<Vec<_>>()
                        .await?,
                );
            }
            let links: Vec<_> = links.iter().map(Link::from).collect();
            let given = interfaces.iter().map(|interface| interface.index);
            let carried = carried(&links, given.collect());
            let name = |index: u32| {
                let link = links.iter().find(|link| link.index == index)?;
                carried.contains(&index).then(|| link.name.clone())
            };
            Ok(Self {
                gateways: routes
                    .iter()
                    .flat_map(gateways)
                    .filter_map(|(index, gateway)| Some((name(index)?, gateway)))
                    .collect(),
                addresses: addresses
                    .iter()
                    .filter_map(|message| Some((name(message.header.index)?, own(message)?)))
                    .collect(),
                carried,
            })
        })
    }

    /// Whether packets to each of these, and so, most likely, from them, go through the given interfaces. What the
    /// kernel knows no way to counts as if they did.
    pub(super) fn concern(&self, ways: &[Way]) -> Result<Vec<bool>, DatapathError> {
        if ways.is_empty() {
            return Ok(Vec::new());
        }
        netlink("asking for routes", async |handle| {
            let mut concern = Vec::with_capacity(ways.len());
            for way in ways {
                let interfaces = outgoing(&handle, *way).await;
                concern.push(interfaces.is_none_or(|interfaces| {
                    interfaces.iter().any(|index| self.carried.contains(index))
                }));
            }
            Ok(concern)
        })
    }
}

/// An interface, as far as it matters who carries whom.
#[derive(Clone, Debug, Default)]
struct Link {
    index: u32,
    name: String,
    /// The interface below it, whose packets are its own.
    lower: Option<u32>,
    /// The bond, bridge or such that it is a port of.
    controller: Option<u32>,
}

impl From<&LinkMessage> for Link {
    fn from(message: &LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            ..Self::default()
        };
        let mut of_its_own = false;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Link(lower) => link.lower = Some(*lower),
                LinkAttribute::Controller(controller) => link.controller = Some(*controller),
                // What is below is in another network namespace.
                LinkAttribute::LinkNetNsId(_) => of_its_own = true,
                LinkAttribute::LinkInfo(infos) => of_its_own |= infos.iter().any(is_of_its_own),
                _ => {}
            }
        }
        if of_its_own {
            link.lower = None;
        }
        link
    }
}

/// Whether a link of this kind has other packets than the one below: those are wrapped, and the filter, which opens
/// no tunnels, never sees what is in them; or it is the other end of a pair, and not below at all.
const fn is_of_its_own(info: &LinkInfo) -> bool {
    matches!(
        info,
        LinkInfo::Kind(
            InfoKind::Veth
                | InfoKind::Netkit
                | InfoKind::Vxlan
                | InfoKind::Geneve
                | InfoKind::GreTap
                | InfoKind::GreTap6
                | InfoKind::GreTun
                | InfoKind::GreTun6
                | InfoKind::ErSpan
                | InfoKind::Ip6ErSpan
                | InfoKind::IpIp
                | InfoKind::Ip6Tnl
                | InfoKind::SitTun
                | InfoKind::Vti
                | InfoKind::Vti6
                | InfoKind::Xfrm
                | InfoKind::Gtp
                | InfoKind::MacSec
                | InfoKind::Wireguard
        )
    )
}

/// The interfaces whose packets come through the given ones.
fn carried(links: &[Link], given: BTreeSet<u32>) -> BTreeSet<u32> {
    let mut carried = given;
    loop {
        let before = carried.len();
        for link in links {
            if link.lower.is_some_and(|lower| carried.contains(&lower)) {
                carried.insert(link.index);
            }
            if let Some(controller) = link.controller
                && carried.contains(&link.index)
            {
                carried.insert(controller);
            }
        }
        if carried.len() == before {
            return carried;
        }
    }
}

/// The routers that a route for everything names, each with its interface.
fn gateways(route: &RouteMessage) -> Vec<(u32, IpAddr)> {
    if route.header.destination_prefix_length != 0 || route.header.kind != RouteType::Unicast {
        return Vec::new();
    }
    hops(route)
        .into_iter()
        .filter_map(|(interface, attributes)| {
            Some((interface, attributes.iter().find_map(gateway)?))
        })
        .collect()
}

/// Where a route leads: interfaces, each with the attributes that are about it. Of several at once, each counts.
fn hops(route: &RouteMessage) -> Vec<(u32, &[RouteAttribute])> {
    let mut hops = Vec::new();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(interface) => hops.push((*interface, route.attributes.as_slice())),
            RouteAttribute::MultiPath(several) => hops.extend(
                several
                    .iter()
                    .map(|hop| (hop.interface_index, hop.attributes.as_slice())),
            ),
            _ => {}
        }
    }
    hops
}

const fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(ip))
        | RouteAttribute::Via(RouteVia::Inet(ip)) => Some(IpAddr::V4(*ip)),
        RouteAttribute::Gateway(RouteAddress::Inet6(ip))
        | RouteAttribute::Via(RouteVia::Inet6(ip)) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

/// This host's address in a message; of a link between two points, not the other end's.
fn own(message: &AddressMessage) -> Option<IpAddr> {
    let local = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Local(ip) => Some(*ip),
            _ => None,
        });
    local.or_else(|| {
        message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Address(ip) => Some(*ip),
                _ => None,
            })
    })
}

/// The interfaces that packets go out of; `None` where the kernel knows no way.
async fn outgoing(handle: &Handle, way: Way) -> Option<BTreeSet<u32>> {
    if way
        .from
        .is_some_and(|from| from.is_ipv4() == way.to.is_ipv4())
        && let Some(interfaces) = look_up(handle, way).await
    {
        return Some(interfaces);
    }
    // The address is not, or no longer, this namespace's.
    look_up(handle, Way { from: None, ..way }).await
}

async fn look_up(handle: &Handle, way: Way) -> Option<BTreeSet<u32>> {
    let mut question = RouteMessage::default();
    let header = &mut question.header;
    let width = if way.to.is_ipv4() { 32 } else { 128 };
    header.address_family = if way.to.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    // The route as it stands, with all its hops, and not the one hop that this packet would take.
    header.flags = RouteFlags::FibMatch;
    header.destination_prefix_length = width;
    question
        .attributes
        .push(RouteAttribute::Destination(way.to.into()));
    if let Some(from) = way.from {
        header.source_prefix_length = width;
        question
            .attributes
            .push(RouteAttribute::Source(from.into()));
    }
    let route = handle.route().get(question).execute().try_next().await;
    let route = route.ok().flatten()?;
    if route.header.kind == RouteType::Local {
        // The interface that it names has the address; packets to oneself do not leave by it.
        return Some(BTreeSet::from([LOOPBACK]));
    }
    let interfaces: BTreeSet<_> = hops(&route).into_iter().map(|(index, _)| index).collect();
    (!interfaces.is_empty()).then_some(interfaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, lower: Option<u32>, controller: Option<u32>) -> Link {
        Link {
            index,
            name: String::new(),
            lower,
            controller,
        }
    }

    #[test]
    fn what_stands_on_an_interface_comes_through_it() {
        let links = [
            link(1, None, None),
            // A VLAN of a bond of two, the first of them in a bridge too: listed before what they stand on.
            link(5, Some(4), None),
            link(4, None, None),
            link(2, None, Some(4)),
            link(3, None, Some(4)),
            link(7, None, None),
            link(6, Some(3), Some(7)),
            link(8, None, None),
        ];
        let through = |given: u32| {
            let carried = carried(&links, BTreeSet::from([given]));
            carried.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(through(2), [2, 4, 5]);
        assert_eq!(through(3), [3, 4, 5, 6, 7]);
        assert_eq!(through(4), [4, 5]);
        assert_eq!(through(8), [8]);
    }

    #[test]
    fn what_is_in_a_tunnel_stands_on_nothing() {
        let lower = |attributes: &[LinkAttribute]| {
            let mut message = LinkMessage::default();
            message.attributes.push(LinkAttribute::Link(2));
            message.attributes.extend_from_slice(attributes);
            Link::from(&message).lower
        };
        let kind = |kind| LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]);
        assert_eq!(lower(&[kind(InfoKind::Vlan)]), Some(2));
        assert_eq!(lower(&[kind(InfoKind::Other("new".to_owned()))]), Some(2));
        assert_eq!(lower(&[kind(InfoKind::Vxlan)]), None);
        assert_eq!(lower(&[LinkAttribute::LinkNetNsId(0)]), None);
    }

    #[test]
    fn a_route_for_everything_names_gateways() {
        let mut route = RouteMessage::default();
        route.header.kind = RouteType::Unicast;
        let via = |ip: [u8; 4]| RouteAttribute::Gateway(RouteAddress::Inet(ip.into()));
        route.attributes = vec![RouteAttribute::Oif(2), via([1, 0, 1, 254])];
        assert_eq!(gateways(&route), [(2, IpAddr::from([1, 0, 1, 254]))]);

        let through_ipv6 = RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap()));
        let hop = |interface, attribute| {
            let mut hop = rtnetlink::packet_route::route::RouteNextHop::default();
            hop.interface_index = interface;
            hop.attributes = vec![attribute];
            hop
        };
        let several = vec![hop(2, via([1, 0, 1, 254])), hop(3, through_ipv6)];
        route.attributes = vec![RouteAttribute::MultiPath(several)];
        assert_eq!(
            gateways(&route),
            [
                (2, IpAddr::from([1, 0, 1, 254])),
                (3, "fe80::1".parse().unwrap())
            ]
        );

        route.header.destination_prefix_length = 8;
        assert!(gateways(&route).is_empty());
    }
}
