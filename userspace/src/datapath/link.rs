//! A link: what holds a program on an interface, at one of its hooks.
//!
//! A link is pinned under the bpf file system and its descriptor closed, so that the pin alone keeps the
//! program attached: it survives the process, and a bare `rm` of the pin frees the interface.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use super::{
    Hook,
    error::DatapathError,
    interface::{Interface, Mode},
    privileges, sys,
};

/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` of `include/uapi/linux/if_link.h`.
const GENERIC: u32 = 1 << 1;
const NATIVE: u32 = 1 << 2;

/// `BPF_F_BEFORE` of `include/uapi/linux/bpf.h`: before all programs that are there.
const FIRST: u32 = 1 << 3;

/// In which mode a filter is to be attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModeChoice {
    /// Native, and generic where the driver does not take it.
    #[default]
    Auto,
    /// Native or not at all.
    Native,
    /// Generic.
    Generic,
}

/// A link that this process holds open.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
}

/// A link just made, and how it came about.
#[derive(Debug)]
pub struct NewLink {
    /// The link.
    pub link: Link,
    /// The mode that it runs in; `None` at the hook tcx, which has no modes.
    pub mode: Option<Mode>,
    /// Under [`ModeChoice::Auto`], why it is not native, if it is not.
    pub fallback: Option<String>,
}

impl Link {
    /// Attaches a program to an interface at the hook that it is for; at XDP in a mode of this choice.
    ///
    /// # Errors
    ///
    /// [`DatapathError::Attach`] with what the kernel said, and what may help; [`DatapathError::NeedsKernel`] for tcx before
    /// Linux 6.6.
    pub(super) fn create(
        program: BorrowedFd<'_>,
        interface: &Interface,
        hook: Hook,
        choice: ModeChoice,
    ) -> Result<NewLink, DatapathError> {
        match hook {
            Hook::Xdp => Self::create_xdp(program, interface, choice),
            Hook::Tcx => Ok(NewLink {
                link: Self::create_ingress(program, interface)?,
                mode: None,
                fallback: None,
            }),
        }
    }

    fn create_xdp(
        program: BorrowedFd<'_>,
        interface: &Interface,
        choice: ModeChoice,
    ) -> Result<NewLink, DatapathError> {
        let attach = |mode| {
            let flags = match mode {
                Mode::Generic => GENERIC,
                Mode::Native | Mode::Offload => NATIVE,
            };
            sys::link::create(program, interface.index, sys::link::Place::Xdp, flags)
                .map(|fd| NewLink {
                    link: Self { fd },
                    mode: Some(mode),
                    fallback: None,
                })
                .map_err(|source| DatapathError::Attach {
                    interface: interface.name.clone(),
                    mode,
                    remedy: remedy(interface, mode, &source),
                    source,
                })
        };
        match choice {
            ModeChoice::Native => attach(Mode::Native),
            ModeChoice::Generic => attach(Mode::Generic),
            ModeChoice::Auto => attach(Mode::Native).or_else(|error| {
                let DatapathError::Attach { source, .. } = &error else {
                    return Err(error);
                };
                if !driver_refuses(source) {
                    return Err(error);
                }
                Ok(NewLink {
                    fallback: Some(error.to_string()),
                    ..attach(Mode::Generic)?
                })
            }),
        }
    }

    /// Attaches a program of traffic control to an interface's way in, before those that are there: what one of these
    /// accepts, no program behind it gets to see.
    fn create_ingress(
        program: BorrowedFd<'_>,
        interface: &Interface,
    ) -> Result<Self, DatapathError> {
        let place = sys::link::Place::TcxIngress;
        match sys::link::create(program, interface.index, place, FIRST) {
            Ok(fd) => Ok(Self { fd }),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Err(DatapathError::NeedsKernel {
                    what: "--hook tcx",
                    version: "6.6",
                })
            }
            Err(error) => Err(DatapathError::system(format!(
                "attaching the filter to the hook tcx of {}",
                interface.name
            ))(error)),
        }
    }

    /// Attaches a program of traffic control to an interface's way out, behind those that are there.
    ///
    /// # Minimum kernel version
    ///
    /// 6.6; older ones answer `EINVAL`.
    pub(super) fn create_egress(
        program: BorrowedFd<'_>,
        interface: &Interface,
    ) -> io::Result<Self> {
        let place = sys::link::Place::TcxEgress;
        Ok(Self {
            fd: sys::link::create(program, interface.index, place, 0)?,
        })
    }

    /// Opens the link pinned at `path`; `None` if nothing is there.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, DatapathError> {
        match sys::object::open_pin(path) {
            Ok(fd) => Ok(Some(Self { fd })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error)
                if error.raw_os_error() == Some(libc::EPERM) && privileges::check().is_ok() =>
            {
                Err(DatapathError::Forbidden(error))
            }
            Err(source) => Err(DatapathError::pin("opening the pinned link", path)(source)),
        }
    }

    /// Pins the link, so that it outlives this process.
    pub(super) fn pin(&self, path: &Path) -> Result<(), DatapathError> {
        sys::object::pin(self.fd.as_fd(), path)
            .map_err(DatapathError::pin("pinning the link at", path))
    }

    /// Replaces the program in one step: every packet meets the old one or the new one.
    pub(super) fn replace(&self, program: BorrowedFd<'_>) -> Result<(), DatapathError> {
        sys::link::update(self.fd.as_fd(), program).map_err(DatapathError::system(
            "replacing the program under the link",
        ))
    }

    /// Detaches the program at once, also where others hold the link.
    pub(super) fn detach(&self) -> Result<(), DatapathError> {
        match sys::link::detach(self.fd.as_fd()) {
            // Detached already, or the interface is gone.
            Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => Ok(()),
            result => result.map_err(DatapathError::system("detaching the link")),
        }
    }

    /// The link's hook, its interface's index, 0 when it holds none any more, and the program's id.
    pub(super) fn info(&self) -> Result<sys::link::LinkInfo, DatapathError> {
        sys::link::info(self.fd.as_fd()).map_err(DatapathError::system("asking about the link"))
    }
}

/// Whether the driver has no native XDP, or none for the interface as it is set up: drivers answer
/// `EOPNOTSUPP` (no XDP), `ERANGE` or `EINVAL` (MTU, LRO, queues).
fn driver_refuses(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::ERANGE | libc::EINVAL)
    )
}

/// What may help when `mode` was refused.
fn remedy(interface: &Interface, mode: Mode, error: &io::Error) -> String {
    let name = &interface.name;
    match (error.raw_os_error(), mode) {
        (Some(libc::EOPNOTSUPP), Mode::Native) => {
            "; its driver has no native XDP, `--mode generic` works with every driver".to_owned()
        }
        (Some(libc::ERANGE | libc::EINVAL), Mode::Native) => format!(
            "; drivers refuse native XDP where the MTU needs more than one buffer (`ip link set dev {name} \
             mtu 1500`), LRO is on (`ethtool -K {name} lro off`) or queues are too few (`ethtool -L {name} \
             combined N`); the kernel log may name the reason; `--mode generic` works with every driver"
        ),
        (Some(libc::EBUSY | libc::EEXIST), _) => {
            "; another XDP program was attached in the meantime".to_owned()
        }
        (Some(libc::ENODEV), _) => "; the interface is gone".to_owned(),
        _ => String::new(),
    }
}
