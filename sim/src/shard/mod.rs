//! The little that the laboratory asks of a sharded service: that a controller can be told who joins, leaves and gets
//! what, and be asked for its configurations; and, of servers that say what becomes of shards, that it is right.
//!
//! Groups are named by their numbers in the plan.

mod configs;

pub use configs::{Config, Configs};

use crate::kv::{ClerkSetup, Lost};
use futures::future::BoxFuture;
use labrpc::{Env, Time};
use std::fmt;

/// A shard controller that the laboratory can run.
pub trait ControllerSystem: Send + Sync {
    /// A client of it, on a node of its own.
    fn controller(&self, env: Env, setup: ClerkSetup) -> Box<dyn Controller>;
}

/// A client's side of the controller: one thing at a time.
pub trait Controller: Send {
    /// Asks for one thing. Whoever drops the future does not know what has become of it.
    fn ask<'a>(&'a mut self, ask: &'a Ask, deadline: Time) -> BoxFuture<'a, Result<Answer, Lost>>;
}

/// What a controller is asked.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Ask {
    /// These groups are there from now on.
    Join(Vec<u32>),
    /// These are not, from now on.
    Leave(Vec<u32>),
    /// This shard is that group's.
    Move(u32, u32),
    /// The configuration of that number; none: the latest.
    Config(Option<u64>),
}

/// What it answers.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Answer {
    /// That has made the configuration of this number.
    Made(u64),
    /// That makes no sense, and has changed nothing.
    Senseless,
    /// The configuration.
    Config(Config),
}

/// Numbers with commas in between.
struct List<'a>(&'a [u32]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join(", "))
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Join(groups) => write!(f, "join of {}", List(groups)),
            Ask::Leave(groups) => write!(f, "leave of {}", List(groups)),
            Ask::Move(shard, group) => write!(f, "move of shard {shard} to {group}"),
            Ask::Config(Some(num)) => write!(f, "configuration {num}"),
            Ask::Config(None) => f.write_str("the latest configuration"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Made(num) => write!(f, "that is configuration {num}"),
            Answer::Senseless => f.write_str("that makes no sense"),
            Answer::Config(Config { num, shards, .. }) => {
                let owner = |owner: &Option<u32>| owner.map_or("-".into(), |group| group.to_string());
                write!(f, "configuration {num}: {}", shards.iter().map(owner).collect::<Vec<_>>().join(" "))
            }
        }
    }
}
