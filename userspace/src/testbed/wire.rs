//! Real frames through a veth pair, and each one's fate.
//!
//! Packet sockets at both ends: what is written at the client's goes out as it is, and what is read at the
//! server's is what XDP passed to the network stack, of whatever protocol.

use std::{
    collections::BTreeSet,
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque},
        bind, recv, send, socket_with,
        sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout},
    },
};

use super::{
    error::TestbedError,
    probe::Probe,
    veth::{End, Veth},
};
use crate::datapath::{DatapathError, interface::Interface};

/// How many frames are under way at a time. A veth end queues 256 and drops the rest without a word.
const WINDOW: usize = 64;

/// How long the receiver waits for a frame before it looks at the filter's counters.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a window's frames may be under way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Enough for a window of the largest frames, whatever else the kernel puts around them.
const RECEIVE_BUFFER: usize = 16 << 20;

const LARGEST_FRAME: usize = 1 << 16;

/// Sends frames at a pair's client end, and receives what arrives at its server end.
#[derive(Debug)]
pub struct Wire {
    sender: OwnedFd,
    receiver: OwnedFd,
}

/// What became of a number of probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// The numbers of those that arrived behind the filter.
    pub arrived: BTreeSet<u32>,
    /// How many the filter counted as dropped.
    pub dropped: u64,
}

impl Wire {
    /// Opens both ends of a pair.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn open(veth: &Veth) -> Result<Self, TestbedError> {
        let receiver = open(&veth.server, libc::ETH_P_ALL)?;
        set_socket_recv_buffer_size_force(&receiver, RECEIVE_BUFFER)
            .and_then(|()| set_socket_timeout(&receiver, Timeout::Recv, Some(PAUSE)))
            .map_err(TestbedError::system("setting the receiver up"))?;
        Ok(Self {
            // No protocol: it receives nothing.
            sender: open(&veth.client, 0)?,
            receiver,
        })
    }

    /// Sends one frame as it is, whatever it is.
    ///
    /// # Errors
    ///
    /// When the kernel refuses: a frame shorter than an Ethernet header, or longer than the MTU allows.
    pub fn send(&self, frame: &[u8]) -> Result<(), TestbedError> {
        send(&self.sender, frame, SendFlags::empty()).map_err(TestbedError::system(format!(
            "sending a frame of {} bytes",
            frame.len()
        )))?;
        Ok(())
    }

    /// The next frame that passed, as the network stack has it: without its outermost VLAN tag. `None` if
    /// none comes for a moment.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn receive(&self) -> Result<Option<Vec<u8>>, TestbedError> {
        let mut buffer = vec![0; LARGEST_FRAME];
        match recv(&self.receiver, buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((length, _)) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(TestbedError::system("receiving a frame")(error)),
        }
    }

    /// Sends probes, and waits until each has arrived or been dropped. `dropped` says how many frames the
    /// filter has dropped so far; where there is no filter, none.
    ///
    /// # Errors
    ///
    /// [`TestbedError::Lost`] when some neither arrive nor are counted as dropped; whatever `dropped` fails
    /// with; and when the kernel refuses.
    pub fn fates(
        &self,
        probes: &[Probe],
        mut dropped: impl FnMut() -> Result<u64, DatapathError>,
    ) -> Result<Fates, TestbedError> {
        let before = dropped()?;
        let mut fates = Fates::default();
        let mut sent = 0;
        for window in probes.chunks(WINDOW) {
            for probe in window {
                self.send(&probe.to_frame()?)?;
                sent += 1;
            }
            let deadline = Instant::now() + PATIENCE;
            loop {
                while let Some(frame) = self.receive()? {
                    fates.arrived.extend(Probe::id_of(&frame));
                }
                fates.dropped = dropped()?.wrapping_sub(before);
                let arrived = fates.arrived.len() as u64;
                if arrived + fates.dropped >= sent {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(TestbedError::Lost {
                        sent,
                        arrived,
                        dropped: fates.dropped,
                    });
                }
            }
        }
        Ok(fates)
    }
}

/// Opens a packet socket on an end's interface, for frames of a protocol.
fn open(end: &End, protocol: i32) -> Result<OwnedFd, TestbedError> {
    let opened = end.run(|| {
        // Without a protocol it hears nothing yet: binding gives it one, and the one interface.
        let socket = socket_with(
            AddressFamily::PACKET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        bind(&socket, &LinkAddress::new(&end.interface, protocol)?)?;
        Ok::<_, io::Error>(socket)
    })?;
    opened.map_err(TestbedError::system(format!(
        "opening a packet socket on {}",
        end.interface.name
    )))
}

/// Where a packet socket is bound to.
struct LinkAddress(libc::sockaddr_ll);

impl LinkAddress {
    fn new(interface: &Interface, protocol: i32) -> io::Result<Self> {
        Ok(Self(libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
            sll_protocol: u16::try_from(protocol).map_err(io::Error::other)?.to_be(),
            sll_ifindex: i32::try_from(interface.index).map_err(io::Error::other)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        }))
    }
}

// SAFETY: `with_sockaddr` hands out the address of a whole `sockaddr_ll`, which lives longer than the call,
// and its size.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "20: no cast can cut it off"
        )]
        let length = size_of::<libc::sockaddr_ll>() as SocketAddrLen;
        f(std::ptr::from_ref(&self.0).cast(), length)
    }
}
