//! A server that does as it is told, over TLS, with a certificate of an authority of its own; and a proxy before it.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::NamedTempFile;

/// Whose names the certificate has.
const HOSTS: [&str; 11] = [
    "127.0.0.1",
    "localhost",
    "download.maxmind.com",
    "download.db-ip.com",
    "ipinfo.io",
    "ftp.afrinic.net",
    "ftp.apnic.net",
    "ftp.arin.net",
    "ftp.lacnic.net",
    "ftp.ripe.net",
    "cdn.jsdelivr.net",
];

/// What somebody asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A header; `""` if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        headers
            .find(|(other, _)| other == name)
            .map_or("", |(_, value)| value)
    }

    /// The first byte that is asked for, and the version that it must be of.
    fn range(&self) -> Option<(usize, &str)> {
        let first = self.header("range").strip_prefix("bytes=")?;
        let first = first.strip_suffix('-')?.parse().ok()?;
        Some((first, self.header("if-range")))
    }
}

/// What it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
    /// After how many bytes of the body the connection ends.
    cut: Option<usize>,
    /// How long to wait before each byte.
    drip: Option<Duration>,
}

impl Answer {
    /// Only a status.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut: None,
            drip: None,
        }
    }

    /// A body, with its length.
    pub(crate) fn body(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = format!("content-length: {}", body.len());
        Self {
            body,
            ..Self::status(200).with(&length)
        }
    }

    /// A body in chunks, whose length nobody says; `ends` says whether the last one is sent.
    pub(crate) fn chunks(body: &[u8], ends: bool) -> Self {
        let mut chunked = Vec::new();
        for chunk in body.chunks(4096) {
            chunked.extend(format!("{:x}\r\n", chunk.len()).bytes());
            chunked.extend(chunk);
            chunked.extend(b"\r\n");
        }
        if ends {
            chunked.extend(b"0\r\n\r\n");
        }
        Self {
            body: chunked,
            ..Self::status(200).with("transfer-encoding: chunked")
        }
    }

    /// What a server of files answers: all, the rest, or that nothing is newer.
    pub(crate) fn file(request: &Request, content: &[u8], etag: &str) -> Self {
        if request.header("if-none-match") == etag {
            return Self::status(304).with(&format!("etag: {etag}"));
        }
        let length = content.len();
        let answer = match request.range() {
            Some((first, version)) if version == etag && first >= length => {
                return Self::status(416).with(&format!("content-range: bytes */{length}"));
            }
            Some((first, version)) if version == etag => {
                let range = format!("bytes {first}-{}/{length}", length - 1);
                Self::body(&content[first..]).part_of(&range)
            }
            _ => Self::body(content),
        };
        answer.with(&format!("etag: {etag}"))
    }

    /// The body is these bytes of a file.
    pub(crate) fn part_of(mut self, range: &str) -> Self {
        self.status = 206;
        self.with(&format!("content-range: {range}"))
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::status(302).with(&format!("location: {to}"))
    }

    pub(crate) fn with(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    /// The connection ends after so many bytes of the body.
    pub(crate) fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// The body comes byte by byte.
    pub(crate) fn drip(mut self, pause: Duration) -> Self {
        self.drip = Some(pause);
        self
    }

    fn send(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", self.status);
        if self.body.is_empty() && ![304, 416].contains(&self.status) {
            head.push_str("content-length: 0\r\n");
        }
        for header in &self.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        let body = &self.body[..self.cut.unwrap_or(self.body.len())];
        match self.drip {
            None => stream.write_all(body)?,
            Some(pause) => {
                for byte in body {
                    stream.write_all(&[*byte])?;
                    stream.flush()?;
                    thread::sleep(pause);
                }
            }
        }
        stream.flush()
    }
}

/// A version by what it says.
pub(crate) fn etag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:x}\"", hasher.finish())
}

/// A server: each request, with its number from 0 on, is answered by a function.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    authority: NamedTempFile,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn new(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let (config, authority) = certified();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&requests);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, asked, answer) =
                    (Arc::clone(&config), Arc::clone(&asked), Arc::clone(&answer));
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    let mut stream = StreamOwned::new(connection, stream);
                    // A client may hang up, and one that does not trust us does.
                    let Ok(request) = read(&mut stream) else {
                        return;
                    };
                    let number = {
                        let mut asked = asked.lock().unwrap();
                        asked.push(request.clone());
                        asked.len() - 1
                    };
                    let answer = answer(&request, number);
                    if answer.send(&mut stream).is_ok() && answer.cut.is_none() {
                        stream.conn.send_close_notify();
                        let _ = stream.flush();
                    }
                });
            }
        });
        Self {
            address,
            authority,
            requests,
        }
    }

    /// One that always has the same file.
    pub(crate) fn of_file(content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        Self::new(move |request, _| Answer::file(request, &content, "\"1\""))
    }

    /// An address on it.
    pub(crate) fn url(&self, target: &str) -> String {
        format!("https://{}{target}", self.address)
    }

    /// The certificate of whom to trust.
    pub(crate) fn authority(&self) -> &Path {
        self.authority.path()
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn certified() -> (Arc<ServerConfig>, NamedTempFile) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "an authority of the tests");
    let key = KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&key).unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate.pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(HOSTS.map(str::to_owned)).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone()],
            key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    (Arc::new(config), file)
}

/// Reads a request, which has no body.
fn read(stream: &mut impl Read) -> io::Result<Request> {
    let mut lines = Vec::new();
    let mut reader = BufReader::with_capacity(1, stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let target = lines[0].split(' ').nth(1).unwrap().to_owned();
    let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
    let headers = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Request { target, headers })
}

/// A proxy that leads all who ask for any host to one server.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    hosts: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let hosts = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&hosts);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Ok(request) = read(&mut stream) else {
                    continue;
                };
                asked.lock().unwrap().push(request.target);
                let answered = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
                let (Ok(()), Ok(server)) = (answered, TcpStream::connect(server)) else {
                    continue;
                };
                for (mut from, mut to) in [
                    (stream.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, stream),
                ] {
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Write);
                    });
                }
            }
        });
        Self { address, hosts }
    }

    /// Whom somebody asked for.
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.hosts.lock().unwrap().clone()
    }
}
