//! Switching an interface's offloads, as `ethtool -K` does.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use rustix::net::{AddressFamily, SocketType};

use crate::datapath::interface::Interface;

/// `ETHTOOL_SGRO` of `include/uapi/linux/ethtool.h`, for generic receive offload.
pub(super) const GRO: u32 = 0x2c;
/// `ETHTOOL_STSO`, for TCP segmentation offload.
pub(super) const TSO: u32 = 0x1f;
/// `ETHTOOL_SGSO`, for generic segmentation offload.
pub(super) const GSO: u32 = 0x24;

/// `struct ethtool_value` of `include/uapi/linux/ethtool.h`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Switches an offload, by the command that sets it, on or off for an interface of this thread's network namespace.
pub(super) fn set(interface: &Interface, offload: u32, on: bool) -> io::Result<()> {
    let mut value = EthtoolValue {
        command: offload,
        data: on.into(),
    };
    let mut name = [0; libc::IFNAMSIZ];
    // The last byte stays zero: the kernel wants a terminated string.
    for (place, byte) in name
        .iter_mut()
        .take(libc::IFNAMSIZ - 1)
        .zip(interface.name.bytes())
    {
        *place = byte.cast_signed();
    }
    let mut request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: std::ptr::from_mut(&mut value).cast(),
        },
    };
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: SIOCETHTOOL takes a pointer to an `ifreq` whose data points at the command's structure, which
    // for the commands above is an `ethtool_value`. Both are live and exclusively ours until the call returns.
    let result = unsafe {
        libc::ioctl(
            socket.as_fd().as_raw_fd(),
            libc::SIOCETHTOOL as libc::Ioctl,
            std::ptr::from_mut(&mut request),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
