//! A way between two processes that can be closed while they go on: what a cut cable, a firewall
//! or a dead gateway is to those at its ends.

use crate::{Trouble, until};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Whether anything gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Everything does.
    Open,
    /// Connections are accepted, and what is sent is never heard of again.
    Silent,
    /// Connections are closed, and new ones refused.
    Refusing,
}

/// A relay of TCP connections. It goes when this goes.
#[derive(Debug)]
pub struct Gate {
    addr: SocketAddr,
    way: watch::Sender<Way>,
    _task: JoinSet<()>,
}

impl Gate {
    /// An open gate to an address.
    ///
    /// # Errors
    /// No free port.
    pub async fn to(target: SocketAddr) -> Result<Self, Trouble> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (way, seen) = watch::channel(Way::Open);
        let mut task = JoinSet::new();
        task.spawn(listen(listener, target, seen));
        Ok(Self { addr, way, _task: task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Opens or closes it; returns when that is so.
    ///
    /// # Errors
    /// That it does not happen.
    pub async fn set(&self, way: Way) -> Result<(), Trouble> {
        self.way.send_replace(way);
        until("the gate is as it should be", async || {
            let accepts = TcpStream::connect(self.addr).await.is_ok();
            (accepts == (way != Way::Refusing)).then_some(())
        })
        .await
    }
}

async fn listen(listener: TcpListener, target: SocketAddr, mut way: watch::Receiver<Way>) {
    let Ok(addr) = listener.local_addr() else { return };
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if *way.borrow_and_update() == Way::Refusing {
            listener = None;
            connections.abort_all();
        } else if listener.is_none() {
            listener = TcpListener::bind(addr).await.ok();
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = way.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
            Some((near, _)) = accept => {
                connections.spawn(relay(near, target, way.clone()));
            }
        }
    }
}

/// Ends with either of its ends. One that has swallowed something is no good any more: it ends when
/// the gate opens again.
async fn relay(near: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    let since = *way.borrow_and_update();
    let Ok(far) = TcpStream::connect(target).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let (there, back) = (way.clone(), way.clone());
    let opens = async {
        let mut last = since;
        while way.changed().await.is_ok() {
            let now = *way.borrow_and_update();
            if last == Way::Silent && now == Way::Open {
                return;
            }
            last = now;
        }
    };
    tokio::select! {
        () = opens => {}
        () = pump(near_in, far_out, there) => {}
        () = pump(far_in, near_out, back) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: watch::Receiver<Way>,
) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else { return };
        let is_open = *way.borrow() == Way::Open;
        if is_open && to.write_all(bytes.get(..count).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> Result<(SocketAddr, JoinSet<()>), Trouble> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                connections.spawn(async move {
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        Ok((addr, tasks))
    }

    async fn is_echoed(stream: &mut TcpStream) -> bool {
        let mut byte = [0];
        stream.write_all(b"x").await.is_ok() && stream.read_exact(&mut byte).await.is_ok()
    }

    #[tokio::test]
    async fn a_gate_opens_and_closes() -> Result<(), Trouble> {
        let (addr, _server) = echo().await?;
        let gate = Gate::to(addr).await?;
        let mut old = TcpStream::connect(gate.addr()).await?;
        assert!(is_echoed(&mut old).await);
        gate.set(Way::Silent).await?;
        old.write_all(b"lost").await?;
        let mut silent = TcpStream::connect(gate.addr()).await?;
        silent.write_all(b"lost").await?;
        gate.set(Way::Open).await?;
        for stream in [&mut old, &mut silent] {
            assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        }
        let mut new = TcpStream::connect(gate.addr()).await?;
        assert!(is_echoed(&mut new).await);
        gate.set(Way::Refusing).await?;
        assert!(!is_echoed(&mut new).await);
        assert!(TcpStream::connect(gate.addr()).await.is_err());
        Ok(())
    }
}
