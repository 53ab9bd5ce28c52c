//! Metrics and health over HTTP, for a monitoring system on the same machine.
//!
//! The address must be a loopback one: what is told here says how busy a relay is, and the port takes no passwords.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use hermes_link::quinn::Endpoint;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use prometheus_client::{
    encoding::text::encode,
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, Semaphore, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    committer::WeakCommitter,
    connected::Connected,
    limits::{MONITOR_CONNECTIONS, MONITOR_PATIENCE},
    metrics::Metrics,
    serve::Shared,
    store::{StoreError, fjall::FjallStore},
};

/// The content type of what Prometheus reads (OpenMetrics 1.0).
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until dropped.
pub struct Monitor {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// What is read at each scrape.
struct Watched {
    registry: Registry,
    endpoint: Endpoint,
    committer: WeakCommitter,
    store: FjallStore,
    connected: Arc<Connected>,
    draining: watch::Receiver<bool>,
    connections: Gauge,
    owners: Gauge,
    /// One scrape at a time.
    turn: Mutex<()>,
    store_bytes: Gauge,
}

impl Monitor {
    pub(crate) fn listen(
        address: SocketAddr,
        metrics: &Metrics,
        endpoint: Endpoint,
        shared: Shared,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/metrics", get(scrape))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .with_state(Arc::new(Watched::new(metrics, endpoint, shared)));
        Ok(Self { address, task: tokio::spawn(serve(listener, routes)) })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One answer a connection, few connections at a time, and none for long: any user of the machine can open them, and
/// the store needs the process's descriptors.
async fn serve(listener: TcpListener, routes: Router) {
    let places = Arc::new(Semaphore::new(MONITOR_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors left, for one: it may pass.
            sleep(MONITOR_PATIENCE).await;
            continue;
        };
        let routes = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let mut answering = http1::Builder::new();
            let answering = answering.keep_alive(false).serve_connection(TokioIo::new(stream), routes);
            // Whoever asked sees what is wrong with its end.
            let _ = timeout(MONITOR_PATIENCE, answering).await;
            drop(place);
        });
    }
}

impl Watched {
    fn new(metrics: &Metrics, endpoint: Endpoint, shared: Shared) -> Self {
        let mut registry = Registry::with_prefix("hermes_relay");
        metrics.register(&mut registry);
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let connections = gauge("connections", "Connections of all kinds");
        let owners = gauge("owners_connected", "Owners of mailboxes that are connected");
        let store_bytes = Gauge::default();
        let help = "Size of the store on the disk";
        registry.register_with_unit("store", help, Unit::Bytes, store_bytes.clone());
        let Shared { committer, store, connected, draining, .. } = shared;
        let committer = committer.downgrade();
        Self {
            registry,
            endpoint,
            committer,
            store,
            connected,
            draining,
            connections,
            owners,
            turn: Mutex::default(),
            store_bytes,
        }
    }

    fn look(&self) -> Result<(), StoreError> {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.connections, self.endpoint.open_connections() as u64);
        set(&self.owners, self.connected.count() as u64);
        set(&self.store_bytes, self.store.disk_bytes()?);
        Ok(())
    }
}

async fn scrape(State(watched): State<Arc<Watched>>) -> impl IntoResponse {
    let _turn = watched.turn.lock().await;
    let looking = watched.clone();
    let text = tokio::task::spawn_blocking(move || {
        let watched = looking;
        watched.look().ok()?;
        let mut text = String::new();
        encode(&mut text, &watched.registry).ok()?;
        Some(text)
    });
    match text.await {
        Ok(Some(text)) => Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], text)),
        _ => Err((StatusCode::INTERNAL_SERVER_ERROR, "the store cannot be read\n")),
    }
}

/// Whether the process is worth keeping: one whose store has failed has to be started again.
async fn healthz(State(watched): State<Arc<Watched>>) -> impl IntoResponse {
    match watched.committer.has_ended() {
        false => (StatusCode::OK, "ok\n"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "the store failed\n"),
    }
}

/// Whether clients should be sent here.
async fn readyz(State(watched): State<Arc<Watched>>) -> impl IntoResponse {
    match (watched.committer.has_ended(), *watched.draining.borrow()) {
        (false, false) => (StatusCode::OK, "ready\n"),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "the store failed\n"),
    }
}
