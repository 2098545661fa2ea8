//! What can go wrong between us and the kernel.

use std::{error::Error, io, path::PathBuf};

use super::{
    Hook, exceptions::ExceptionError, interface::Mode, reload::ReloadError, replica::ReplicaError,
    trial::TrialError, watch::WatchError,
};
use crate::{
    policy::config::Choice as _,
    table::multibit::{Corrupt, TooLarge},
};

/// An error of the datapath. Each says what was being done, to what, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// The process lacks the capabilities that loading and attaching programs take.
    #[error(
        "attaching a filter needs {missing}, which this process does not have; run it as root, for example \
         with `sudo`"
    )]
    Privileges {
        /// The capabilities that are missing.
        missing: String,
    },

    /// The pins may not be read.
    #[error("{path} may not be read by this user; run it as root, for example with `sudo`")]
    Unreadable {
        /// The directory.
        path: PathBuf,
    },

    /// Nothing may be pinned.
    #[error(
        "this user may not make {path}; run it as root, or name a directory of a bpf file system that this user owns with \
         --pin-root (`mount -t bpf bpf DIR`, `chown` it, --pin-root DIR/geodrop)"
    )]
    Unwritable {
        /// The directory.
        path: PathBuf,
    },

    /// The kernel is too old for something that the policy asks for.
    #[error(
        "{what} needs Linux {version} or newer; leave it out of the policy, or update the kernel"
    )]
    NeedsKernel {
        /// What the policy asks for.
        what: &'static str,
        /// The first version that has it.
        version: &'static str,
    },

    /// No interface of that name.
    #[error("there is no interface `{name}` here; the interfaces are: {known}")]
    UnknownInterface {
        /// The name asked for.
        name: String,
        /// The interfaces that there are.
        known: String,
    },

    /// The interface carries no Ethernet frames.
    #[error(
        "{interface} carries packets without Ethernet headers (a tunnel, PPP, WireGuard, tun), which the filter \
         cannot read; attach it to the interface below, which receives the tunnel's own packets"
    )]
    NotEthernet {
        /// The interface.
        interface: String,
    },

    /// The kernel forbids what these capabilities should allow.
    #[error(
        "the kernel forbids this process to load programs although it has the capabilities: in a user namespace they are \
         not the host's, or a container's seccomp profile keeps bpf(2) for CAP_SYS_ADMIN (docs/containers.md) ({0})"
    )]
    Forbidden(io::Error),

    /// The bpf file system is not mounted and could not be.
    #[error(
        "the bpf file system is not mounted at {path} and could not be: {source}; mount it with `mount -t \
         bpf bpf {path}`"
    )]
    BpfFileSystem {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// A bpf file system mounted here would vanish with the process.
    #[error(
        "no bpf file system is mounted at {path}, and this process has a mount namespace of its own, so one \
         mounted here would vanish with it, and the filter too (`ip netns exec` does this); enter only the \
         network namespace, with `nsenter --net=/run/netns/NAME geodrop …`"
    )]
    PrivateMounts {
        /// Where it should be.
        path: PathBuf,
    },

    /// Another geodrop process looks after the interface.
    #[error(
        "{owner} looks after the filter on {interface}; stop it first, or free the interface with `geodrop \
         detach -i {interface}`"
    )]
    Owned {
        /// The interface.
        interface: String,
        /// The process, by id and name if it may be seen.
        owner: String,
    },

    /// Another XDP program is attached to the interface.
    #[error(
        "{program} is attached to {interface} already ({mode} mode), and an interface takes one XDP program; \
         filter beside it with `--hook tcx`, or remove it with the tool that attached it (`ip link set dev {interface} \
         xdp off` removes one that has no link, `geodrop detach --all` one of geodrop's that came here with its interface)"
    )]
    OtherProgram {
        /// The interface.
        interface: String,
        /// The program, by name and id.
        program: String,
        /// In which mode it is attached.
        mode: Mode,
    },

    /// A filter stands where none was expected.
    #[error("a filter of geodrop's is attached to {interface} already; `geodrop status` shows it")]
    Filtered {
        /// The interface.
        interface: String,
    },

    /// The filter that is attached runs in another mode than the one asked for.
    #[error(
        "the filter on {interface} runs in {running} mode, and the mode cannot be changed under way; run \
         `geodrop detach -i {interface}` first, or leave `--mode` at auto"
    )]
    OtherMode {
        /// The interface.
        interface: String,
        /// The mode that it runs in.
        running: Mode,
    },

    /// The filter that is attached is at another hook than the one asked for.
    #[error(
        "the filter on {interface} is at the hook {}, and the hook cannot be changed under way; run `geodrop detach -i \
         {interface}` first, or ask for `--hook {}`",
        running.word(), running.word()
    )]
    OtherHook {
        /// The interface.
        interface: String,
        /// The hook that it is at.
        running: Hook,
    },

    /// The kernel refused to attach the program.
    #[error("{interface} does not take an XDP program in {mode} mode: {source}{remedy}")]
    Attach {
        /// The interface.
        interface: String,
        /// The mode that was tried.
        mode: Mode,
        /// What the kernel said.
        source: io::Error,
        /// What may help; empty, or a clause that starts with "; ".
        remedy: String,
    },

    /// The kernel refused the program.
    #[error("the kernel refused the filter program: {0}")]
    Load(#[from] Box<aya::EbpfError>),

    /// The kernel refused the program.
    #[error("the kernel refused the filter program: {0}")]
    Program(#[from] Box<aya::programs::ProgramError>),

    /// A map could not be opened or read.
    #[error("map {map}: {source}")]
    Map {
        /// The map.
        map: String,
        /// What went wrong.
        source: Box<aya::maps::MapError>,
    },

    /// The kernel object lacks something that the loader knows it has.
    #[error(
        "the built-in kernel object has no {what}: it and this program do not belong together; build geodrop anew"
    )]
    Object {
        /// What is missing.
        what: String,
    },

    /// The engine cannot lay out a table of these rules.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),

    /// The kernel takes no element as large as a table's image.
    #[error(
        "this kernel takes no table {table} of {bytes} bytes in one piece: more than 4 MiB need Linux 6.0 or newer; \
         `--engine lpm` works with every kernel ({source})"
    )]
    ImageRefused {
        /// The map.
        table: &'static str,
        /// How large its image is.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
    },

    /// A table's image could not be written or read back.
    #[error("{what} table {table} ({bytes} bytes): {source}{remedy}")]
    Image {
        /// What was being done.
        what: &'static str,
        /// The map.
        table: String,
        /// How large its image is.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
        /// What may help; empty, or a clause that starts with "; ".
        remedy: &'static str,
    },

    /// A table in the kernel is no table, or no longer the one that was put in.
    #[error("table {table} is not what was put in: {source}; nothing was attached, try again")]
    Corrupt {
        /// The map.
        table: String,
        /// What is wrong with it.
        source: Corrupt,
    },

    /// A table could not be filled.
    #[error("table {table} took {filled} of {wanted} entries, then: {source}{remedy}")]
    Fill {
        /// The map.
        table: String,
        /// How many entries were set.
        filled: usize,
        /// How many there are.
        wanted: usize,
        /// What the kernel said.
        source: io::Error,
        /// What may help; empty, or a clause that starts with "; ".
        remedy: &'static str,
    },

    /// A table holds another number of entries than was put in.
    #[error(
        "table {table} holds {found} entries where {wanted} were put in; the kernel lost some, nothing was attached"
    )]
    Verify {
        /// The map.
        table: String,
        /// How many entries there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },

    /// No filter where one was expected.
    #[error(
        "no filter of geodrop's is attached to {interface}; `geodrop status` lists where there are"
    )]
    NotAttached {
        /// The interface.
        interface: String,
    },

    /// Something about exceptions.
    #[error(transparent)]
    Exception(#[from] ExceptionError),

    /// Something about a reload.
    #[error(transparent)]
    Reload(#[from] ReloadError),

    /// Something about asking a running filter.
    #[error(transparent)]
    Replica(#[from] ReplicaError),

    /// Something about a trial.
    #[error(transparent)]
    Trial(#[from] TrialError),

    /// Something about a watch.
    #[error(transparent)]
    Watch(#[from] WatchError),

    /// An operation on a pin failed.
    #[error("{what} {path}: {source}")]
    Pin {
        /// What was being done.
        what: &'static str,
        /// To which pin.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },

    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl DatapathError {
    /// Whether it is the engine that cannot do what is asked: another engine may.
    #[must_use]
    pub const fn is_of_engine(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::ImageRefused { .. })
    }

    /// An error of a system call while doing `what`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    /// An error while doing `what` to the pin at `path`.
    pub(crate) fn pin(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Pin { what, path, source }
    }

    /// An error of aya's about a map.
    pub(crate) fn map(map: impl Into<String>) -> impl FnOnce(aya::maps::MapError) -> Self {
        let map = map.into();
        move |source| Self::Map {
            map,
            source: Box::new(source),
        }
    }

    /// The kernel's refusal to load something. Capabilities were checked before: where it still is not permitted,
    /// they are not the host's.
    pub(super) fn refused<E: Error>(error: E) -> Self
    where
        Box<E>: Into<Self>,
    {
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = cause {
            let number = error.downcast_ref().and_then(io::Error::raw_os_error);
            if number == Some(libc::EPERM) {
                return Self::Forbidden(io::Error::from_raw_os_error(libc::EPERM));
            }
            cause = error.source();
        }
        Box::new(error).into()
    }
}
