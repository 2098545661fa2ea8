//! When something happens to interfaces: RTNETLINK's multicast group of links.

use std::{fmt, pin::Pin};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use rtnetlink::MulticastGroup;

use super::error::DatapathError;

/// Tells that interfaces appeared, went, were renamed or changed otherwise. Which, and how, is to be asked for: events may
/// be lost where there are many, and what they tell of may have changed again.
pub struct LinkEvents {
    messages: Pin<Box<dyn Stream<Item = ()>>>,
}

impl fmt::Debug for LinkEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkEvents").finish_non_exhaustive()
    }
}

impl LinkEvents {
    /// Listens from now on, in the network namespace of the calling thread. To be called in an event loop of tokio's, which
    /// also must run for events to be told.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new() -> Result<Self, DatapathError> {
        let (connection, _, messages) =
            rtnetlink::new_multicast_connection(&[MulticastGroup::Link])
                .map_err(DatapathError::system("listening for changes of interfaces"))?;
        tokio::spawn(connection);
        Ok(Self {
            messages: Box::pin(messages.map(drop)),
        })
    }

    /// Waits until something has happened since this returned the last time.
    pub async fn next(&mut self) {
        if self.messages.next().await.is_none() {
            // The connection broke. Whoever also looks from time to time goes on.
            std::future::pending::<()>().await;
        }
        // One look is enough for all that has happened until now.
        while let Some(Some(())) = self.messages.next().now_or_never() {}
    }
}
