//! What happened, in numbers.

use std::fmt;

/// The harm that was done.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) killed: u32,
    pub(crate) stopped: u32,
    pub(crate) terminated: u32,
    pub(crate) redis_killed: u32,
    pub(crate) rewound: u32,
    pub(crate) network: u32,
    pub(crate) service: u32,
    pub(crate) commands: u32,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { killed, stopped, terminated, redis_killed, rewound, network, service, commands } = self;
        write!(
            f,
            "workers killed {killed}, stopped {stopped}, terminated {terminated}; Redis killed {redis_killed}, \
             put back to an earlier state {rewound}; \
             network cut or slowed {network}; service changed {service}; commands {commands}"
        )
    }
}
