//! What every decoder of shardlab must hold for whatever bytes.
//!
//! Each property is one function that takes bytes: to it they are a tape of decisions, of what is written, how it is damaged
//! and how it is cut. A fuzzer looks for bytes for which it does not hold; the tests of `labrpc` and of `shardlab` include the
//! same files and feed them bytes at random, so that they hold between two campaigns of the fuzzer too.
//!
//! The modules name each other with `super`, since those tests have them elsewhere.

pub mod draw;
pub mod frames;
pub mod gauge;
pub mod handshake;
pub mod messages;
pub mod tape;
pub mod wal;
