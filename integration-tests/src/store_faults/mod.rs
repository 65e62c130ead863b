//! Faults that a store must survive, on the real server: killed, without power, damaged.
//!
//! | module | what it holds |
//! |---|---|
//! | [`records`] | what is written: records with numbered versions |
//! | [`history`] | which versions were asked for and acknowledged, and when |
//! | [`load`] | clients that write until the server is gone |
//! | [`audit`] | whether a server has what was acknowledged |
//! | [`profiler`] | the server under test |
//! | [`kills`] | SIGKILL under load |
//! | [`recorded_disk`] | what a process did to its files, as told by `shim.c`, and the files that a power failure leaves |
//! | [`power`] | power failures under load |
//! | [`damage`] | damaged files |

pub mod audit;
pub mod damage;
pub mod history;
pub mod kills;
pub mod load;
pub mod power;
pub mod profiler;
pub mod recorded_disk;
pub mod records;
