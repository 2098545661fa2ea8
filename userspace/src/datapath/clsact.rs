//! A program at an interface's way out before Linux 6.6: a filter of traffic control, in the interface's qdisc `clsact`.
//!
//! No link holds it and nothing of it is pinned: it is there until somebody removes it, or the interface goes. It is known
//! by its priority, its handle and its name; others' filters stay beside it, before it and behind it. The qdisc is made if
//! there is none, and removed with the filter if we made it and nobody else has put anything into it.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use futures_util::{StreamExt as _, TryStreamExt as _};
use rtnetlink::{
    Handle,
    packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload},
    packet_route::{
        RouteNetlinkMessage,
        tc::{
            TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
        },
    },
};

use super::{error::DatapathError, netlink::netlink, object};

const QDISC: &str = "clsact";

/// Before what tools put there that count from 10 on or leave it to the kernel, which begins at 49152.
const PRIORITY: u16 = 7;

/// "geod", in ASCII.
const HANDLE: u32 = 0x6765_6f64;

/// Where `clsact` itself is, and its two classes: numbers of `include/uapi/linux/pkt_sched.h`.
const CLSACT: u16 = 0xffff;
const ITSELF: TcHandle = TcHandle {
    major: CLSACT,
    minor: 0xfff1,
};
const WAY_IN: TcHandle = TcHandle {
    major: CLSACT,
    minor: TcHandle::MIN_INGRESS,
};
const WAY_OUT: TcHandle = TcHandle {
    major: CLSACT,
    minor: TcHandle::MIN_EGRESS,
};

/// Whether an interface of this network namespace has the qdisc.
pub(super) fn has_qdisc(interface: u32) -> Result<bool, DatapathError> {
    netlink("listing qdiscs", async |handle| {
        let mut all = handle.qdisc().get().index(index(interface)).execute();
        while let Some(message) = all.try_next().await? {
            let is_it = |attribute: &TcAttribute| matches!(attribute, TcAttribute::Kind(kind) if kind == QDISC);
            if message.header.index == index(interface) && message.attributes.iter().any(is_it) {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Makes the qdisc.
pub(super) fn make_qdisc(interface: u32) -> Result<(), DatapathError> {
    netlink("adding the qdisc clsact", async |handle| {
        let message = RouteNetlinkMessage::NewQueueDiscipline(qdisc(interface));
        request(handle, message, NLM_F_CREATE).await
    })
}

/// Whether the filter is on an interface.
pub(super) fn is_present(interface: u32) -> Result<bool, DatapathError> {
    netlink("listing filters of traffic control", async |handle| {
        Ok(filters(&handle, interface, WAY_OUT)
            .await?
            .iter()
            .any(is_ours))
    })
}

/// Puts a program into the filter, in one step if it is there, making it if it is not.
pub(super) fn put(interface: u32, program: BorrowedFd<'_>) -> Result<(), DatapathError> {
    let mut message = filter(interface);
    let options = [
        TcFilterBpfOption::ProgFd(program.as_raw_fd().cast_unsigned()),
        TcFilterBpfOption::ProgName(object::EGRESS.to_owned()),
        TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
    ];
    let options = options.into_iter().map(TcOption::Bpf).collect();
    message.attributes.push(TcAttribute::Options(options));
    netlink("adding a filter of traffic control", async |handle| {
        let message = RouteNetlinkMessage::NewTrafficFilter(message);
        request(handle, message, NLM_F_CREATE).await
    })
}

/// Removes the filter, if it is there, and the qdisc too if nothing is left in it and it `is_ours`.
pub(super) fn remove(interface: u32, qdisc_is_ours: bool) -> Result<(), DatapathError> {
    netlink("removing a filter of traffic control", async |handle| {
        let mut left = filters(&handle, interface, WAY_OUT).await?;
        let before = left.len();
        left.retain(|message| !is_ours(message));
        if left.len() < before {
            let message = RouteNetlinkMessage::DelTrafficFilter(filter(interface));
            request(handle.clone(), message, 0).await?;
        }
        if !qdisc_is_ours || !left.is_empty() {
            return Ok(());
        }
        if filters(&handle, interface, WAY_IN).await?.is_empty() {
            let message = RouteNetlinkMessage::DelQueueDiscipline(qdisc(interface));
            request(handle, message, 0).await?;
        }
        Ok(())
    })
}

/// The kernel's type of an interface's index.
fn index(interface: u32) -> i32 {
    interface.cast_signed()
}

fn qdisc(interface: u32) -> TcMessage {
    let mut message = TcMessage::with_index(index(interface));
    message.header.parent = ITSELF;
    message.header.handle = TcHandle {
        major: CLSACT,
        minor: 0,
    };
    message.attributes.push(TcAttribute::Kind(QDISC.to_owned()));
    message
}

fn filter(interface: u32) -> TcMessage {
    let mut message = TcMessage::with_index(index(interface));
    message.header.parent = WAY_OUT;
    message.header.handle = HANDLE.into();
    message.header.info = u32::from(PRIORITY) << 16 | u32::from(ALL_PROTOCOLS.to_be());
    message
        .attributes
        .push(TcAttribute::Kind(TcFilterBpf::KIND.to_owned()));
    message
}

/// `ETH_P_ALL` of `include/uapi/linux/if_ether.h`.
const ALL_PROTOCOLS: u16 = 3;

fn is_ours(message: &TcMessage) -> bool {
    let is_named = |option: &TcOption| matches!(option, TcOption::Bpf(TcFilterBpfOption::ProgName(name)) if name == object::EGRESS);
    message.header.handle == HANDLE.into()
        && message.header.info >> 16 == u32::from(PRIORITY)
        && message.attributes.iter().any(|attribute| {
            matches!(attribute, TcAttribute::Options(options) if options.iter().any(is_named))
        })
}

/// The filters of a class of the qdisc; none if there is no qdisc.
async fn filters(
    handle: &Handle,
    interface: u32,
    class: TcHandle,
) -> Result<Vec<TcMessage>, rtnetlink::Error> {
    let mut filters = handle.traffic_filter(index(interface));
    let listed = if class == WAY_IN {
        filters.get().ingress()
    } else {
        filters.get().egress()
    };
    let mut listed: Vec<_> = listed.execute().try_collect().await?;
    // Each priority comes once more by itself, as what its filters are in.
    listed.retain(|message| message.header.handle != TcHandle::default());
    Ok(listed)
}

/// Asks for one thing, and waits until it is done.
async fn request(
    mut handle: Handle,
    message: RouteNetlinkMessage,
    flags: u16,
) -> Result<(), rtnetlink::Error> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut answers = handle.request(message)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload {
            return Err(rtnetlink::Error::NetlinkError(error));
        }
    }
    Ok(())
}
