//! What is compared.

use clap::ValueEnum;

/// What drops packets, or does not, in the same rounds as all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// Makes frames that go nowhere: what they cost before anybody receives them.
    Generator,
    /// Lets all pass.
    NoFilter,
    /// An XDP program that drops everything unseen: nothing in software can do it for less.
    Drop,
    /// This project's filter, judging by address alone.
    Geodrop,
    /// The same with answers passing, as is the default.
    GeodropReplies,
    /// The same by the kernel's trie.
    GeodropLpm,
    /// A set of nftables, looked up before the network stack.
    NftablesIngress,
    /// A set of nftables, looked up as the first thing in it.
    NftablesRaw,
    /// A set of ipset, looked up by iptables there.
    Ipset,
    /// xdp-filter of xdp-tools, which knows single addresses only.
    XdpFilter,
}

impl Contestant {
    /// All of them. The generator is the first, and then those that others are compared with.
    pub const ALL: [Self; 10] = [
        Self::Generator,
        Self::Drop,
        Self::Geodrop,
        Self::GeodropReplies,
        Self::GeodropLpm,
        Self::NftablesIngress,
        Self::NftablesRaw,
        Self::Ipset,
        Self::XdpFilter,
        Self::NoFilter,
    ];

    /// The name, as it stands in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator alone",
            Self::NoFilter => "no filter",
            Self::Drop => "XDP_DROP",
            Self::Geodrop => "geodrop",
            Self::GeodropReplies => "geodrop, replies pass",
            Self::GeodropLpm => "geodrop, engine lpm",
            Self::NftablesIngress => "nftables, netdev ingress",
            Self::NftablesRaw => "nftables, raw prerouting",
            Self::Ipset => "ipset, raw prerouting",
            Self::XdpFilter => "xdp-filter",
        }
    }

    /// Whose it is, if it is not ours.
    #[must_use]
    pub const fn peer(self) -> Option<Peer> {
        match self {
            Self::NftablesIngress | Self::NftablesRaw => Some(Peer::Nft),
            Self::Ipset => Some(Peer::Ipset),
            Self::XdpFilter => Some(Peer::XdpFilter),
            _ => None,
        }
    }

    /// Whether it is given a policy.
    #[must_use]
    pub const fn is_filter(self) -> bool {
        !matches!(self, Self::Generator | Self::NoFilter | Self::Drop)
    }
}

/// What others use, and this program runs where it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// nftables
    Nft,
    /// ipset and iptables
    Ipset,
    /// xdp-filter of xdp-tools
    XdpFilter,
}

impl Peer {
    /// The commands that it takes.
    #[must_use]
    pub const fn commands(self) -> &'static [&'static str] {
        match self {
            Self::Nft => &["nft"],
            Self::Ipset => &["ipset", "iptables", "iptables-save"],
            Self::XdpFilter => &["xdp-filter", "unshare", "mount"],
        }
    }

    /// The packages that have these, in Debian and most other distributions.
    #[must_use]
    pub const fn packages(self) -> &'static str {
        match self {
            Self::Nft => "nftables",
            Self::Ipset => "ipset iptables",
            Self::XdpFilter => "xdp-tools util-linux",
        }
    }

    /// What the kernel needs for it.
    #[must_use]
    pub const fn kernel(self) -> &'static str {
        match self {
            Self::Nft => {
                "CONFIG_NF_TABLES, CONFIG_NF_TABLES_IPV4, CONFIG_NF_TABLES_NETDEV and CONFIG_NETFILTER_INGRESS"
            }
            Self::Ipset => {
                "CONFIG_IP_SET_HASH_NET, CONFIG_NETFILTER_XT_SET and iptables' table `raw`"
            }
            Self::XdpFilter => "CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF",
        }
    }
}
