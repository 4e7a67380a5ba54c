//! A TCP server on a free port of this machine that plays one scene per request and remembers what it saw.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use url::Url;

/// What the server does once a request is there.
pub(crate) enum Act {
    /// Sends these bytes, an answer's head with the word that the connection ends, and ends it in order.
    Say(String),
    /// Sends these bytes, and waits for the next request on the same connection.
    Keep(String),
    /// Sends these bytes, and resets the connection.
    Reset(String),
    /// Sends these bytes, and then nothing, for ever.
    Stall(String),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Request line and headers.
    pub(crate) head: String,
    /// As much as its length says.
    pub(crate) body: String,
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
}

impl Seen {
    /// The value of a header, if it came.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// Method and target.
    pub(crate) fn line(&self) -> String {
        self.head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned()
    }
}

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Plays what `scene` returns for the request and its number, from 0.
    pub(crate) fn start(scene: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (scene, shared) = (Arc::new(scene), Arc::clone(&seen));
        let address = listen(move |connection, stream| {
            let (scene, seen) = (Arc::clone(&scene), Arc::clone(&shared));
            thread::spawn(move || serve(stream, connection, &seen, &*scene));
        });
        Self { address, seen }
    }

    /// Says the same to every request.
    pub(crate) fn saying(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::start(move |_, _| Act::Say(answer.clone()))
    }

    /// Its URL, over plain HTTP.
    pub(crate) fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).unwrap()
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// An answer with this status and body, and its right length.
pub(crate) fn answer(status: u16, body: &str) -> String {
    with(status, "", body)
}

/// An answer with further headers, each ending in `\r\n`.
pub(crate) fn with(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Whatever\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// A server that speaks no HTTP: takes one connection, hands over the first bytes that come, says `reply` and ends it,
/// or says nothing and keeps it.
pub(crate) fn mute(reply: Option<&'static [u8]>) -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let (send, first_bytes) = mpsc::channel();
    let held = Mutex::new(Vec::new());
    let address = listen(move |_, mut stream| {
        let mut bytes = vec![0; 4096];
        let count = stream.read(&mut bytes).unwrap_or(0);
        bytes.truncate(count);
        drop(send.send(bytes));
        match reply {
            Some(reply) => drop(stream.write_all(reply)),
            None => held.lock().unwrap().push(stream),
        }
    });
    (address, first_bytes)
}

/// An address on which nobody listens.
pub(crate) fn nobody() -> Url {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Url::parse(&format!("http://{address}/")).unwrap()
}

fn listen(mut take: impl FnMut(usize, TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            take(number, stream);
        }
    });
    address
}

fn serve(mut stream: TcpStream, connection: usize, all: &Mutex<Vec<Seen>>, scene: &dyn Fn(&Seen, usize) -> Act) {
    while let Some(seen) = receive(&mut stream, connection) {
        let number = {
            let mut all = all.lock().unwrap();
            all.push(seen.clone());
            all.len() - 1
        };
        let act = scene(&seen, number);
        let bytes = match &act {
            // Or the client keeps a connection that is about to end.
            Act::Say(bytes) => &bytes.replacen("\r\n", "\r\nconnection: close\r\n", 1),
            Act::Keep(bytes) | Act::Reset(bytes) | Act::Stall(bytes) => bytes,
        };
        drop(stream.write_all(bytes.as_bytes()));
        match act {
            // Closed with the request's last byte unread, a socket sends a reset.
            Act::Reset(_) => return,
            Act::Say(_) => {
                finish(&mut stream, &seen);
                return;
            }
            Act::Keep(_) => finish(&mut stream, &seen),
            Act::Stall(_) => loop {
                thread::park();
            },
        }
    }
}

/// Reads a request up to its last byte but one, if it has a body.
fn receive(stream: &mut TcpStream, connection: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let mut seen = Seen { head: String::from_utf8(head).unwrap(), body: String::new(), connection };
    let length: usize = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length.saturating_sub(1)];
    stream.read_exact(&mut body).ok()?;
    seen.body = String::from_utf8(body).unwrap();
    if length > 0 {
        seen.body.push('}');
    }
    Some(seen)
}

fn finish(stream: &mut TcpStream, seen: &Seen) {
    let mut last = [0; 1];
    if !seen.body.is_empty() {
        drop(stream.read_exact(&mut last));
    }
}
