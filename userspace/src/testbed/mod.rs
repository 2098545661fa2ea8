//! A network of our own to try filters in: two namespaces joined by a veth pair, and frames through it.
//!
//! ```text
//!     client namespace                    server namespace
//!  Generator ─┐                                        ┌─▶ Wire (what passed)
//!       Wire ─┴─▶ `client` ═══════ veth ═══════▶ `server` ─┤ XDP
//!                                                       └─▶ dropped, counted
//! ```
//!
//! - [`namespace`]: network namespaces that nothing but this process keeps.
//! - [`veth`]: the pair that joins two of them.
//! - [`probe`]: frames that can be told apart, from any source address.
//! - [`wire`]: sends probes at one end, and learns each one's fate behind the filter at the other.
//! - [`generator`]: millions of frames a second from many sources, to learn what a filter bears.
//!
//! Nothing of it has a name in any file system: it all ends with the values that hold it, and with the
//! process, however that ends. Demo, tests and benches stand on it.

mod error;
pub mod generator;
pub mod namespace;
mod offload;
pub mod probe;
pub mod veth;
pub mod wire;

pub use error::TestbedError;
pub use generator::Generator;
pub use namespace::Namespace;
pub use probe::Probe;
pub use veth::Veth;
pub use wire::Wire;
