//! A peer that is not blocked, and the server that it talks to.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::super::{blocked::Blocked, rig::Rig};
use anyhow::Context as _;
use geodrop::testbed::veth::End;

/// How long an answer is waited for.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// How much time is between two questions.
const INTERVAL: Duration = Duration::from_micros(500);

/// How much is written and read at a time.
const PIECE: usize = 64 << 10;

/// A peer and its server, at the two ends of a pair.
#[derive(Debug)]
pub struct Peer<'a> {
    rig: &'a Rig,
    ends: Ends<'a>,
}

impl<'a> Peer<'a> {
    /// Gives both ends of a pair addresses in one network, from the space that is not blocked. The pair is to have one queue.
    ///
    /// # Errors
    ///
    /// When nothing is left that is not blocked, and when the kernel refuses.
    pub fn new(rig: &'a Rig, blocked: &Blocked) -> anyhow::Result<Self> {
        let (at_client, at_server) = addresses(blocked).context("everything is blocked")?;
        let [client, server] = rig.ends();
        for (end, address) in [(client, at_client), (server, at_server)] {
            end.add_address(network(address)?)?;
            end.disable_segmentation()?;
        }
        let ends = Ends {
            client,
            server,
            address: at_server.into(),
        };
        Ok(Self { rig, ends })
    }

    /// The pair.
    pub(super) const fn rig(&self) -> &Rig {
        self.rig
    }

    /// Where they are.
    pub(super) const fn ends(&self) -> Ends<'a> {
        self.ends
    }
}

/// Where a peer and its server are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<'a> {
    client: &'a End,
    server: &'a End,
    /// The server's.
    address: IpAddr,
}

impl Ends<'_> {
    /// Connects the peer, lets `work` use the connection, and ends it.
    pub(super) fn connected<T>(
        self,
        work: impl FnOnce(&Connection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let (listener, answering) = self.server.run(|| {
            anyhow::Ok((
                TcpListener::bind((self.address, 0))?,
                UdpSocket::bind((self.address, 0))?,
            ))
        })??;
        let (transfer, answers) = (listener.local_addr()?, answering.local_addr()?);
        let (sending, asking) = self.client.run(|| connect(transfer, answers))??;
        let (receiving, _) = listener.accept().context("accepting the peer")?;
        for socket in [&sending, &receiving] {
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
        }
        asking.set_nonblocking(true)?;
        answering.set_read_timeout(Some(PATIENCE))?;
        let connection = Connection {
            sending,
            asking,
            received: AtomicU64::new(0),
        };
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let servers = [
                scope.spawn(|| receive(receiving, &connection.received, &done)),
                scope.spawn(|| answer(&answering, &done)),
            ];
            let result = work(&connection);
            done.store(true, Ordering::Relaxed);
            for server in servers {
                let panicked = |_| Err(anyhow::anyhow!("a thread of the peer's server panicked"));
                server.join().unwrap_or_else(panicked)?;
            }
            result
        })
    }
}

/// Two neighbours that are not blocked, neither of them the first or the last of a network of 24 bits.
fn addresses(blocked: &Blocked) -> Option<(Ipv4Addr, Ipv4Addr)> {
    blocked.allowed.iter().find_map(|address| {
        let next = Ipv4Addr::from_bits(address.to_bits().checked_add(1)?);
        let is_inside = matches!(address.octets()[3], 1..=253);
        (is_inside && !blocked.holds(next)).then_some((*address, next))
    })
}

fn network(address: Ipv4Addr) -> anyhow::Result<ipnet::IpNet> {
    Ok(ipnet::Ipv4Net::new(address, 24)?.into())
}

/// Connects to where bytes go, and to where questions are answered, from this thread's namespace.
fn connect(transfer: SocketAddr, answers: SocketAddr) -> anyhow::Result<(TcpStream, UdpSocket)> {
    let sending = TcpStream::connect_timeout(&transfer, CONNECTING);
    let sending = sending.context("connecting the peer with its server")?;
    let asking = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    asking.connect(answers)?;
    Ok((sending, asking))
}

/// How long connecting may take: there is no flood yet.
const CONNECTING: Duration = Duration::from_secs(2);

/// A peer that is connected.
#[derive(Debug)]
pub(super) struct Connection {
    sending: TcpStream,
    asking: UdpSocket,
    /// How many bytes the server has read.
    received: AtomicU64,
}

impl Connection {
    /// Sends by TCP for so long; returns how many megabits a second the server received.
    #[expect(
        clippy::cast_precision_loss,
        reason = "fewer than 2^53 bytes in some milliseconds"
    )]
    pub(super) fn transfer(&self, time: Duration) -> anyhow::Result<f64> {
        let piece = vec![0; PIECE];
        let begin = Instant::now();
        let before = self.received.load(Ordering::Relaxed);
        while begin.elapsed() < time {
            match (&self.sending).write(&piece) {
                Err(error) if is_timeout(&error) => {}
                written => {
                    written.context("sending by TCP")?;
                }
            }
        }
        let bytes = self.received.load(Ordering::Relaxed).wrapping_sub(before);
        Ok(bytes as f64 * 8e-6 / begin.elapsed().as_secs_f64())
    }

    /// Asks a question every [`INTERVAL`] for so long, whether or not those before it were answered: who waited for answers would
    /// ask little where they are slow. Returns how long each answer took, [`PATIENCE`] for those that did not come.
    pub(super) fn ask(&self, time: Duration) -> anyhow::Result<Vec<Duration>> {
        let begin = Instant::now();
        let mut asked: Vec<Instant> = Vec::new();
        let mut times: Vec<Duration> = Vec::new();
        loop {
            let now = Instant::now();
            let is_over = now - begin >= time;
            let last = asked.last().copied().unwrap_or(begin);
            if is_over && now - last >= PATIENCE {
                return Ok(times);
            }
            if !is_over && (asked.is_empty() || now - last >= INTERVAL) {
                self.asking
                    .send(&asked.len().to_be_bytes())
                    .context("asking by UDP")?;
                asked.push(now);
                times.push(PATIENCE);
            }
            while let Some(number) = self.answer()? {
                if let (Some(asked), Some(time)) = (asked.get(number), times.get_mut(number)) {
                    *time = asked.elapsed().min(PATIENCE);
                }
            }
            // The core is the server's, too.
            thread::yield_now();
        }
    }

    /// The number of a question that was answered, if an answer is there.
    fn answer(&self) -> anyhow::Result<Option<usize>> {
        let mut answer = [0; 8];
        match self.asking.recv(&mut answer) {
            Err(error) if is_timeout(&error) => Ok(None),
            received => {
                received.context("waiting for an answer by UDP")?;
                Ok(Some(usize::from_be_bytes(answer)))
            }
        }
    }
}

/// Reads what comes by TCP, and counts it.
fn receive(mut stream: TcpStream, received: &AtomicU64, done: &AtomicBool) -> anyhow::Result<()> {
    let mut piece = vec![0; PIECE];
    while !done.load(Ordering::Relaxed) {
        match stream.read(&mut piece) {
            Err(error) if is_timeout(&error) => {}
            read => {
                let bytes = read.context("receiving by TCP")?;
                received.fetch_add(u64::try_from(bytes)?, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

/// Answers each question with itself.
fn answer(socket: &UdpSocket, done: &AtomicBool) -> anyhow::Result<()> {
    let mut question = [0; 8];
    while !done.load(Ordering::Relaxed) {
        match socket.recv_from(&mut question) {
            Err(error) if is_timeout(&error) => {}
            received => {
                let (_, asker) = received.context("receiving a question")?;
                socket.send_to(&question, asker).context("answering")?;
            }
        }
    }
    Ok(())
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
