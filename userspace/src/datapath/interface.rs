//! Network interfaces: by name, by index, and which XDP program stands on them.

use std::{fmt, io};

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{
    LinkAttribute, LinkLayerType, LinkMessage, LinkXdp, XdpAttached,
};
use rustix::net::{AddressFamily, SocketType, netdevice};

use super::{Hook, error::DatapathError, netlink::netlink};

/// How XDP runs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver's receive path, before the kernel makes a socket buffer.
    Native,
    /// In the network stack, for drivers without XDP: slower, and the same verdicts.
    Generic,
    /// On the network card itself.
    Offload,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offload => "offload",
        })
    }
}

/// A network interface of the calling thread's network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index: what names it to the kernel, also after it was renamed.
    pub index: u32,
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The program's id.
    pub program: u32,
    /// In which mode it runs.
    pub mode: Mode,
}

impl Interface {
    /// Finds an interface by name.
    ///
    /// # Errors
    ///
    /// [`DatapathError::UnknownInterface`], which lists those that there are.
    pub fn by_name(name: &str) -> Result<Self, DatapathError> {
        match Self::present(name)? {
            Some(interface) => Ok(interface),
            None => Err(DatapathError::UnknownInterface {
                name: name.to_owned(),
                known: Self::all()?
                    .into_iter()
                    .map(|interface| interface.name)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// Finds an interface by name; `None` if there is none of that name now.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub fn present(name: &str) -> Result<Option<Self>, DatapathError> {
        let index = netdevice::name_to_index(socket()?, name).ok();
        Ok(index.map(|index| Self {
            name: name.to_owned(),
            index,
        }))
    }

    /// Finds an interface by index; `None` if there is none in this network namespace.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub fn by_index(index: u32) -> Result<Option<Self>, DatapathError> {
        Ok(netdevice::index_to_name(socket()?, index)
            .ok()
            .map(|name| Self { name, index }))
    }

    /// All interfaces of this network namespace.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub fn all() -> Result<Vec<Self>, DatapathError> {
        netlink("listing the interfaces", async |handle| {
            handle
                .link()
                .get()
                .execute()
                .try_filter_map(async |message| Ok(Self::from_message(&message)))
                .try_collect()
                .await
        })
    }

    /// The XDP program on this interface, if there is one.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub fn xdp(&self) -> Result<Option<Attached>, DatapathError> {
        let what = format!("asking which XDP program is attached to {}", self.name);
        let message = netlink(&what, async |handle| {
            let request = handle.link().get().match_index(self.index);
            request.execute().try_next().await
        })?;
        Ok(message.as_ref().and_then(Self::attached))
    }

    /// In which mode a program runs that is attached to this interface at a hook; `None` at tcx, which has no modes.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub(super) fn mode_at(&self, hook: Hook) -> Result<Option<Mode>, DatapathError> {
        Ok(match hook {
            Hook::Xdp => Some(self.xdp()?.map_or(Mode::Native, |attached| attached.mode)),
            Hook::Tcx => None,
        })
    }

    /// Whether packets have Ethernet headers here, as the filter expects: not so on tunnels, PPP and the like.
    ///
    /// # Errors
    ///
    /// When the kernel cannot be asked.
    pub fn has_ethernet_frames(&self) -> Result<bool, DatapathError> {
        let what = format!("asking what kind of interface {} is", self.name);
        let message = netlink(&what, async |handle| {
            let request = handle.link().get().match_index(self.index);
            request.execute().try_next().await
        })?;
        Ok(message.is_some_and(|message| {
            matches!(
                message.header.link_layer_type,
                LinkLayerType::Ether | LinkLayerType::Loopback
            )
        }))
    }

    fn from_message(message: &LinkMessage) -> Option<Self> {
        message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(Self {
                    name: name.clone(),
                    index: message.header.index,
                }),
                _ => None,
            })
    }

    fn attached(message: &LinkMessage) -> Option<Attached> {
        let xdp = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Xdp(xdp) => Some(xdp),
                _ => None,
            })?;
        let mode = xdp.iter().find_map(|attribute| match attribute {
            // Programs in several modes at once: the native one sees packets first.
            LinkXdp::Attached(XdpAttached::Driver | XdpAttached::Multiple) => Some(Mode::Native),
            LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(Mode::Generic),
            LinkXdp::Attached(XdpAttached::Hardware) => Some(Mode::Offload),
            _ => None,
        })?;
        let program = xdp.iter().find_map(|attribute| match (attribute, mode) {
            (LinkXdp::ProgId(id), _)
            | (LinkXdp::DrvProgId(id), Mode::Native)
            | (LinkXdp::SkbProgId(id), Mode::Generic)
            | (LinkXdp::HwProgId(id), Mode::Offload) => Some(*id),
            _ => None,
        })?;
        Some(Attached { program, mode })
    }
}

/// A socket to ask about interfaces with: ioctl(2) wants one, whichever.
fn socket() -> Result<impl std::os::fd::AsFd, DatapathError> {
    rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)
        .map_err(io::Error::from)
        .map_err(DatapathError::system("opening a socket"))
}
