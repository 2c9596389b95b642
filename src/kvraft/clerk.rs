//! The client: the operations of the service, each as a call.

use super::machine::Kv;
use super::operation::{Answer, Command, Expect, Query, Reply};
use super::server::KINDS;
use crate::rsm::{self, Failure, Patience};
use bytes::Bytes;
use labrpc::{Env, Index};

/// A client of the key/value service. It has one operation under way at a time.
pub struct Clerk(rsm::Clerk<Kv>);

impl Clerk {
    /// A client of these servers. It registers its session with the first command.
    ///
    /// # Panics
    /// If there is no server.
    pub fn new(env: Env, servers: impl Into<rsm::Servers>, patience: Patience) -> Clerk {
        Clerk(rsm::Clerk::new(env, servers, KINDS, patience))
    }

    /// From now on it tries for so long.
    pub fn set_patience(&mut self, patience: Patience) {
        self.0.set_patience(patience);
    }

    /// Executes a command, once. Also returns where in the log it stands.
    ///
    /// # Errors
    /// [`Failure::Unknown`] if it may have been executed; any other if it was not and will not be.
    pub async fn command(&mut self, command: Command) -> Result<(Index, Reply), Failure> {
        match self.0.command(command).await? {
            (_, Reply::TooLarge(refused)) => Err(refused.into()),
            done => Ok(done),
        }
    }

    /// Asks about the map. Also returns the last entry of the log that the map had seen.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn query(&mut self, query: Query) -> Result<(Index, Answer), Failure> {
        self.0.query(query).await
    }

    /// The value of a key, if it is present.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn get(&mut self, key: impl Into<Bytes>) -> Result<Option<Bytes>, Failure> {
        match self.query(Query::Get { key: key.into() }).await? {
            (_, Answer::Value { value, .. }) => Ok(value),
            _ => Err(Failure::Unknown),
        }
    }

    /// The first keys with that prefix, and what [`Command`] says of the rest.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn scan(&mut self, prefix: impl Into<Bytes>, limit: u64) -> Result<Scanned, Failure> {
        match self.query(Query::Scan { prefix: prefix.into(), limit }).await? {
            (index, Answer::Entries { items, more }) => Ok(Scanned { items, more, index }),
            _ => Err(Failure::Unknown),
        }
    }

    /// Gives a key a value. What [`Clerk::command`] says of errors holds for all of these.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Reply, Failure> {
        Ok(self.command(Command::Put { key: key.into(), value: value.into() }).await?.1)
    }

    /// Adds to the end of a key's value.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn append(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Reply, Failure> {
        Ok(self.command(Command::Append { key: key.into(), value: value.into() }).await?.1)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn delete(&mut self, key: impl Into<Bytes>) -> Result<Reply, Failure> {
        Ok(self.command(Command::Delete { key: key.into() }).await?.1)
    }

    /// Gives a key a value if it is as expected.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn cas(
        &mut self,
        key: impl Into<Bytes>,
        expect: Expect,
        value: impl Into<Bytes>,
    ) -> Result<Reply, Failure> {
        Ok(self.command(Command::Cas { key: key.into(), expect, value: value.into() }).await?.1)
    }
}

/// What a scan has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scanned {
    /// Keys and values, in the order of the keys.
    pub items: Vec<(Bytes, Bytes)>,
    /// Whether there are more such keys behind them.
    pub more: bool,
    /// The state that it was read from: the last entry of the log that it had seen.
    pub index: Index,
}
