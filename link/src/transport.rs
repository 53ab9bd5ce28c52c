//! QUIC's parameters: windows sized for small frames, so that an idle client costs a relay about 48 KiB.

use std::sync::Arc;

use quinn::{IdleTimeout, TransportConfig, VarInt};

use crate::limits;

pub(crate) fn client() -> Arc<TransportConfig> {
    let mut transport = shared();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(limits::RELAY_STREAMS))
        .stream_receive_window(VarInt::from_u32(limits::CLIENT_WINDOW))
        .receive_window(VarInt::from_u32(limits::CLIENT_WINDOW))
        .send_window(limits::CLIENT_SEND_WINDOW)
        .keep_alive_interval(Some(limits::KEEP_ALIVE));
    Arc::new(transport)
}

pub(crate) fn server() -> Arc<TransportConfig> {
    let mut transport = shared();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits::CLIENT_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(limits::RELAY_STREAM_WINDOW))
        .receive_window(VarInt::from_u32(limits::RELAY_FIRST_WINDOW))
        .send_window(limits::RELAY_ANSWERS_WINDOW);
    Arc::new(transport)
}

fn shared() -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(limits::IDLE).ok();
    transport
        .max_idle_timeout(idle)
        .initial_rtt(limits::INITIAL_RTT)
        .datagram_receive_buffer_size(None)
        // The spin bit shows the round-trip time to everyone on the path.
        .allow_spin(false)
        // One system call for a burst of packets: worth a factor of four on the sending side.
        .enable_segmentation_offload(true);
    transport
}
