//! The network as quinn sees it. Everything that knows quinn's traits is in this file.

use std::{
    fmt,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use hermes_link::quinn::{
    AsyncUdpSocket, Endpoint, EndpointConfig, TokioRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Network;

impl Network {
    /// An endpoint for outgoing connections of `host`, at a port of its own.
    pub fn endpoint(&self, host: IpAddr) -> io::Result<Endpoint> {
        let address = SocketAddr::new(host, self.lock().port());
        let socket = Arc::new(Socket::open(self, address));
        Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
    }

    /// The socket of the server, whether it ran before or not.
    pub fn server_socket(&self) -> Arc<dyn AsyncUdpSocket> {
        Arc::new(Socket::open(self, Self::server()))
    }
}

struct Socket {
    network: Network,
    address: SocketAddr,
    number: u64,
    /// Until the next packet arrives.
    next: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl Socket {
    fn open(network: &Network, address: SocketAddr) -> Self {
        let number = network.lock().bind(address);
        Self { network: network.clone(), address, number, next: Mutex::default() }
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut state = self.network.lock();
        if state.inbox(self.address, self.number).is_some() {
            state.send(self.address, transmit.destination, transmit.contents, Instant::now());
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        let mut state = self.network.lock();
        let Some(inbox) = state.inbox(self.address, self.number) else { return Poll::Pending };
        let mut received = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some(first) = inbox.packets.first_entry().filter(|first| first.key().0 <= now) else { break };
            let packet = first.remove();
            let len = packet.bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&packet.bytes[..len]);
            *meta = RecvMeta { addr: packet.from, len, stride: len, ecn: None, dst_ip: None };
            received += 1;
        }
        if received > 0 {
            return Poll::Ready(Ok(received));
        }
        let _after_the_lock = inbox.reader.replace(context.waker().clone());
        let next = inbox.packets.first_key_value().map(|((at, _), _)| *at);
        drop(state);
        let mut timer = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *timer = next.map(|at| Box::pin(sleep_until(at)));
        if timer.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready()) {
            // It became due between the two looks at the clock.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut state = self.network.lock();
        if state.inbox(self.address, self.number).is_some() {
            let closed = state.inboxes.remove(&self.address);
            drop(state);
            // Wakers are somebody's code, and not for the lock.
            drop(closed);
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Socket").field(&self.address).finish()
    }
}

/// A packet that finds no room is lost and not waited for.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
