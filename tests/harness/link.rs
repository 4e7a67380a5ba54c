//! A stretch of network: a port in front of another one, that can be cut and slowed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes at once.
    Fair,
    /// Everything passes so much later, piece by piece.
    Slow(Duration),
    /// Connections break, and none can be made.
    Cut,
}

/// The stretch; dropping it closes it.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    port: watch::Sender<u16>,
    _open: JoinSet<()>,
}

impl Link {
    /// A stretch before `port` of this machine.
    pub async fn before(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::Fair);
        let (port, leads_to) = watch::channel(port);
        let mut open = JoinSet::new();
        open.spawn(serve(listener, leads_to, seen));
        Ok(Self { address, weather, port, _open: open })
    }

    /// The port that leads through it.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Leads new connections to another port, as a failover does.
    pub fn lead_to(&self, port: u16) {
        self.port.send_replace(port);
    }

    /// Changes the weather, for what is under way too.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn serve(listener: TcpListener, port: watch::Receiver<u16>, weather: watch::Receiver<Weather>) {
    let mut open = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        if *weather.borrow() != Weather::Cut {
            open.spawn(pass(near, *port.borrow(), weather.clone()));
        }
    }
}

async fn pass(near: TcpStream, port: u16, weather: watch::Receiver<Weather>) {
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    // Small packets must not wait for each other: a link is not to be slower than it is told.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    let mut cut = weather.clone();
    tokio::select! {
        _ = cut.wait_for(|weather| *weather == Weather::Cut) => {}
        () = pump(from_near, to_far, weather.clone()) => {}
        () = pump(from_far, to_near, weather) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, weather: watch::Receiver<Weather>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let now = *weather.borrow();
        if let Weather::Slow(delay) = now {
            sleep(delay).await;
        }
        if to.write_all(piece.get(..length).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}
