//! A thread that exposes metrics for as long as a process looks after filters.
//!
//! It shares with that process what it knows of its work, and nothing else: neither waits for the other, whatever is asked
//! and however long a reload takes. The kernel's side it reads back from pins, as `geodrop status` does.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    MetricsError, Snapshot, Work, endpoint, file,
    text::{self, Format},
};
use crate::{datapath::pins::Root, policy::config::MetricsSettings};

/// How often the file is written.
const PERIOD: Duration = Duration::from_secs(15);

/// Why there is no text.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What metrics are made of.
pub(super) struct Source {
    root: Root,
    work: Arc<Mutex<Work>>,
    /// One reads at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Source {
    /// All metrics at this instant.
    pub(super) async fn text(self: &Arc<Self>, format: Format) -> Result<String, Failure> {
        let _turn = self.turn.lock().await;
        let source = Arc::clone(self);
        // Asking the kernel takes event loops of its own.
        tokio::task::spawn_blocking(move || source.read(format)).await?
    }

    fn read(&self, format: Format) -> Result<String, Failure> {
        let work = locked(&self.work).clone();
        let snapshot = Snapshot::read(&self.root, Some(work))?;
        Ok(text::write(snapshot, format)?)
    }
}

/// What whoever panicked left is as good as ever: it is replaced whole.
fn locked(work: &Mutex<Work>) -> MutexGuard<'_, Work> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells of what goes wrong while nobody asks.
pub type Report = fn(&str);

/// Exposes metrics, where settings say so.
pub struct Service {
    root: Root,
    work: Arc<Mutex<Work>>,
    report: Report,
    settings: MetricsSettings,
    listener: Option<TcpListener>,
    thread: Option<Thread>,
}

/// Settings that can be put in force, for all that they need is there.
pub struct Prepared {
    settings: MetricsSettings,
    listener: Option<TcpListener>,
    thread: Option<Thread>,
}

impl Service {
    /// One that exposes nothing yet.
    #[must_use]
    pub fn new(root: Root, report: Report) -> Self {
        Self {
            root,
            work: Arc::default(),
            report,
            settings: MetricsSettings::default(),
            listener: None,
            thread: None,
        }
    }

    /// Changes what the process knows of its work.
    pub fn note(&self, change: impl FnOnce(&mut Work)) {
        change(&mut locked(&self.work));
    }

    /// Gets ready what settings need; `None` if they are those that are in force.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened at, or the file not be written; then all is as it was.
    pub fn prepare(&self, settings: MetricsSettings) -> Result<Option<Prepared>, MetricsError> {
        if settings == self.settings {
            return Ok(None);
        }
        let listener = match (settings.address, &self.listener) {
            (None, _) => None,
            (Some(address), Some(listener)) if self.settings.address == Some(address) => {
                Some(clone(listener, address)?)
            }
            (Some(address), _) => Some(endpoint::listen(address)?),
        };
        if let Some(path) = &settings.file {
            file::check(path)?;
        }
        let thread = self.start(listener.as_ref(), &settings)?;
        Ok(Some(Prepared {
            settings,
            listener,
            thread,
        }))
    }

    /// Puts in force what was got ready.
    pub fn adopt(&mut self, prepared: Prepared) {
        let Prepared {
            settings,
            listener,
            thread,
        } = prepared;
        // What it has left to do is done before the file may be removed.
        drop(std::mem::replace(&mut self.thread, thread));
        if let Some(thread) = &mut self.thread {
            thread.begin();
        }
        if self.settings.file != settings.file {
            self.remove_file();
        }
        self.listener = listener;
        self.settings = settings;
    }

    fn start(
        &self,
        listener: Option<&TcpListener>,
        settings: &MetricsSettings,
    ) -> Result<Option<Thread>, MetricsError> {
        let listener = match (listener, settings.address) {
            (Some(listener), Some(address)) => Some(clone(listener, address)?),
            _ => None,
        };
        if listener.is_none() && settings.file.is_none() {
            return Ok(None);
        }
        let source = Source {
            root: self.root.clone(),
            work: Arc::clone(&self.work),
            turn: tokio::sync::Mutex::default(),
        };
        let file = settings.file.clone();
        let thread = Thread::start(Arc::new(source), listener, file, self.report);
        thread.map(Some).map_err(MetricsError::Thread)
    }

    fn remove_file(&self) {
        if let Some(path) = &self.settings.file {
            file::remove(path);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.thread.take());
        self.remove_file();
    }
}

fn clone(listener: &TcpListener, address: SocketAddr) -> Result<TcpListener, MetricsError> {
    let clone = listener.try_clone();
    clone.map_err(|source| MetricsError::Bind { address, source })
}

/// The thread, which does nothing before it is told to begin, and ends when this is dropped.
struct Thread {
    begin: Option<oneshot::Sender<()>>,
    end: Option<oneshot::Sender<()>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    fn start(
        source: Arc<Source>,
        listener: Option<TcpListener>,
        file: Option<PathBuf>,
        report: Report,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            listener
                .map(tokio::net::TcpListener::from_std)
                .transpose()?
        };
        let (begin, told) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let work = move || {
            runtime.block_on(async {
                if told.await.is_err() {
                    return;
                }
                let serve = async {
                    match &listener {
                        Some(listener) => match endpoint::serve(listener, &source).await {},
                        None => std::future::pending().await,
                    }
                };
                let write = async {
                    match &file {
                        Some(path) => keep_written(path, &source, report).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    _ = ended => {}
                    () = serve => {}
                    () = write => {}
                }
            });
        };
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(work)?;
        Ok(Self {
            begin: Some(begin),
            end: Some(end),
            handle: Some(thread),
        })
    }

    fn begin(&mut self) {
        if let Some(begin) = self.begin.take() {
            // If it is not there any more it has panicked.
            let _ = begin.send(());
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop((self.begin.take(), self.end.take()));
        if let Some(thread) = self.handle.take() {
            // It cannot panic, and if it did, nothing would be left to do.
            let _ = thread.join();
        }
    }
}

/// Writes the file again and again.
async fn keep_written(path: &Path, source: &Arc<Source>, report: Report) {
    let mut said = None;
    let mut interval = tokio::time::interval(PERIOD);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let written = match source.text(Format::Prometheus).await {
            Ok(text) => file::write(path, &text).map_err(Failure::from),
            Err(error) => Err(error),
        };
        // Once, and not each time.
        let failure = written.err().map(|error| error.to_string());
        if let Some(failure) = failure
            .as_ref()
            .filter(|failure| said.as_ref() != Some(*failure))
        {
            report(failure);
        }
        said = failure;
    }
}
