//! Bugs in nodes that are real processes: so that those who test a cluster can see that their test sees something.
//!
//! They are those of the laboratory, and there are none without the feature `zoo`.

use crate::{raft, rsm, shardkv, shardmaster};

/// A bug that is planted in a node when it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planted(Whose);

/// Where it sits. A node without that part does not have it. (The store keeps its sessions itself, with what moves: bugs of the sessions that
/// services share are the controller's.)
#[cfg_attr(not(feature = "zoo"), allow(dead_code, reason = "nobody can name one"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    Raft(raft::Bug),
    Services(rsm::Bug),
    Controller(shardmaster::Bug),
    Group(shardkv::Bug),
}

impl Planted {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Whose::Raft(bug) => bug.name(),
            Whose::Services(bug) => bug.name(),
            Whose::Controller(bug) => bug.name(),
            Whose::Group(bug) => bug.name(),
        }
    }

    pub(super) fn in_controller(self, config: &mut shardmaster::Config) {
        match self.0 {
            Whose::Raft(bug) => config.raft.bug = Some(bug),
            Whose::Services(bug) => config.service.bug = Some(bug),
            Whose::Controller(bug) => config.plant(Some(bug)),
            Whose::Group(_) => {}
        }
    }

    pub(super) fn in_group(self, config: &mut shardkv::Config) {
        match self.0 {
            Whose::Raft(bug) => config.raft.bug = Some(bug),
            Whose::Services(bug) => config.service.bug = Some(bug),
            Whose::Group(bug) => config.plant(Some(bug)),
            Whose::Controller(_) => {}
        }
    }
}

#[cfg(feature = "zoo")]
impl std::str::FromStr for Planted {
    type Err = String;

    /// The bug of that name, if it is one that nodes can have.
    fn from_str(name: &str) -> Result<Planted, String> {
        let raft = raft::Bug::every().find(|bug| bug.name() == name).map(Whose::Raft);
        // This one is made by clients.
        let service = rsm::Bug::of_name(name).filter(|bug| *bug != rsm::Bug::RetryNewSeq).map(Whose::Services);
        let controller = shardmaster::Bug::of_name(name).map(Whose::Controller);
        let group = shardkv::Bug::of_name(name).map(Whose::Group);
        let found = raft.or(service).or(controller).or(group).map(Planted);
        found.ok_or_else(|| format!("nodes have no bug `{name}`: name one that the laboratory lists"))
    }
}

#[cfg(all(test, feature = "zoo"))]
mod tests {
    use super::*;

    #[test]
    fn a_bug_goes_by_the_name_that_it_has_in_the_laboratory() {
        let names = [
            raft::Bug::every().map(raft::Bug::name).collect::<Vec<_>>(),
            shardmaster::Bug::ALL.iter().map(|bug| bug.name()).collect(),
            shardkv::Bug::ALL.iter().map(|bug| bug.name()).collect(),
            rsm::Bug::ALL.iter().map(|bug| bug.name()).filter(|name| *name != "retry-new-seq").collect(),
        ];
        for name in names.concat() {
            assert_eq!(name.parse::<Planted>().map(Planted::name), Ok(name));
        }
        assert!("retry-new-seq".parse::<Planted>().is_err() && "none".parse::<Planted>().is_err());
    }
}
