//! Addresses of loopback that belong to one testbed.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::topology::SERVICES;

/// A network of 256 addresses in 127.0.0.0/8. On addresses that nobody else uses, ports stay free while nobody listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    network: u32,
}

/// Testbeds of this process so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

impl Addresses {
    /// A network that another process or another testbed of this one hardly has.
    pub(super) fn of_this_process() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Spread over 2¹⁶ networks by a multiplication (Knuth, The Art of Computer Programming 3, 6.4).
        let spread = std::process::id().wrapping_add(count << 22).wrapping_mul(2_654_435_761) >> 16;
        // The second number is not 0: 127.0 is everybody's.
        Self { network: 0x7f00_0000 | (spread | 0x0100) << 8 }
    }

    fn host(self, number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(self.network | number))
    }

    pub(super) fn zookeeper(self) -> IpAddr {
        self.host(1)
    }

    pub(super) fn prometheus(self) -> IpAddr {
        self.host(2)
    }

    pub(super) fn proxy(self) -> IpAddr {
        self.host(3)
    }

    pub(super) fn load(self) -> IpAddr {
        self.host(4)
    }

    pub(super) fn service(self, service: &str) -> IpAddr {
        let place = SERVICES.iter().position(|name| *name == service).unwrap_or(SERVICES.len());
        self.host(10 + u32::try_from(place).unwrap_or_default())
    }
}

/// A port that is free at `host`, for programs that do not tell which one they took.
pub(super) fn free_port(host: IpAddr) -> io::Result<SocketAddr> {
    TcpListener::bind((host, 0))?.local_addr()
}
