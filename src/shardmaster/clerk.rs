//! The client: the operations of the shard controller, each as a call.

use super::machine::ShardMaster;
use super::operation::{Command, Query, Reply};
use super::server::KINDS;
use super::types::{ConfigNum, GroupId, ShardConfig, ShardId};
use crate::rsm::{self, Failure, Patience};
use labrpc::{Env, Index, NodeId};

/// A client of the shard controller. It has one operation under way at a time.
pub struct Clerk(rsm::Clerk<ShardMaster>);

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
        self.0.command(command).await
    }

    /// The configuration with that number; none, or one that there is not yet: the latest. Also returns the last entry of
    /// the log that the controller had seen.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn read(&mut self, num: Option<ConfigNum>) -> Result<(Index, ShardConfig), Failure> {
        self.0.query(Query(num)).await
    }

    /// What [`Clerk::read`] does, without the entry.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn query(&mut self, num: Option<ConfigNum>) -> Result<ShardConfig, Failure> {
        Ok(self.read(num).await?.1)
    }

    /// Adds groups. What [`Clerk::command`] says of errors holds for all of these.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn join(
        &mut self,
        groups: impl IntoIterator<Item = (GroupId, Vec<NodeId>)>,
    ) -> Result<Reply, Failure> {
        Ok(self.command(Command::Join { groups: groups.into_iter().collect() }).await?.1)
    }

    /// Removes groups.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn leave(&mut self, groups: impl IntoIterator<Item = GroupId>) -> Result<Reply, Failure> {
        Ok(self.command(Command::Leave { groups: groups.into_iter().collect() }).await?.1)
    }

    /// Gives a shard to a group.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn move_shard(&mut self, shard: ShardId, to: GroupId) -> Result<Reply, Failure> {
        Ok(self.command(Command::Move { shard, to }).await?.1)
    }
}
