//! A client's socket that loses some of what it is given, so that what arrives of a stream has gaps.

use std::{
    fmt,
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use hermes_link::quinn::{
    AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, TokioRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};

/// What becomes of datagrams.
const ALL: u32 = 0;
const EVERY_OTHER: u32 = 1;
const NONE: u32 = 2;

/// Says what becomes of an endpoint's datagrams.
#[derive(Clone, Debug)]
pub struct Loss(Arc<AtomicU32>);

impl Loss {
    /// The first of two is lost, so that the beginning is.
    pub fn every_other(&self) {
        self.0.store(EVERY_OTHER, Ordering::Release);
    }

    /// Nothing leaves any more: what is missing stays missing.
    pub fn everything(&self) {
        self.0.store(NONE, Ordering::Release);
    }
}

/// An endpoint that loses nothing yet.
pub fn endpoint() -> (Endpoint, Loss) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let loss = Loss(Arc::new(AtomicU32::new(ALL)));
    let inner = TokioRuntime.wrap_udp_socket(socket).unwrap();
    let socket = Arc::new(Gapped { inner, loss: loss.clone(), sent: AtomicU32::new(0) });
    let runtime = Arc::new(TokioRuntime);
    (Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, runtime).unwrap(), loss)
}

struct Gapped {
    inner: Arc<dyn AsyncUdpSocket>,
    loss: Loss,
    /// Since the loss began.
    sent: AtomicU32,
}

impl fmt::Debug for Gapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gapped").finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for Gapped {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let is_lost = match self.loss.0.load(Ordering::Acquire) {
            ALL => false,
            EVERY_OTHER => self.sent.fetch_add(1, Ordering::Relaxed).is_multiple_of(2),
            _ => true,
        };
        if is_lost { Ok(()) } else { self.inner.try_send(transmit) }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }
}
