//! A cluster of processes that is treated badly while clients use it.
//!
//! * `plan`: what is done to it, drawn from a seed before it begins;
//! * `nemesis`: doing it, to processes and to the configuration;
//! * `links`: between nodes, to be cut where the machine allows it;
//! * `load`: what clients ask for;
//! * `account`: whether every acknowledged append is there, once;
//! * `run`: all of it together.

pub mod account;
pub mod links;
pub mod load;
pub mod nemesis;
pub mod plan;
pub mod run;
