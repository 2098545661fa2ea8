//! One question to rtnetlink, asked and answered.

use rtnetlink::Handle;

use super::error::DatapathError;

/// Runs `work` with a netlink connection to the network namespace of the calling thread.
///
/// Blocks until done, on a runtime of its own: not to be called from inside one.
pub(crate) fn netlink<T>(
    what: &str,
    work: impl AsyncFnOnce(Handle) -> Result<T, rtnetlink::Error>,
) -> Result<T, DatapathError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(DatapathError::system("starting to talk to the kernel"))?;
    runtime.block_on(async {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(DatapathError::system("opening netlink"))?;
        let connection = tokio::spawn(connection);
        let result = work(handle).await;
        connection.abort();
        result.map_err(|error| DatapathError::System {
            what: what.to_owned(),
            source: into_io(error),
        })
    })
}

/// The kernel's error number where there is one, so that callers and messages see what it said.
fn into_io(error: rtnetlink::Error) -> std::io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => std::io::Error::other(other),
    }
}
