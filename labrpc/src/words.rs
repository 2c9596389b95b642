//! Events in words: a trace of the simulator and a log of a real node say the same of the same.

use crate::event::{Content, Event, Refusal, Role, ShardChange};

impl Event {
    /// What has happened, in words, as all traces and logs say it. `command` says what a command is.
    pub fn words(&self, command: impl Fn(&[u8]) -> String) -> String {
        match self {
            Event::Recovered { term, vote, snapshot: (snapshot, _), last: (last, last_term) } => {
                format!(
                    "starts: {term}, vote {}, snapshot {snapshot}, log ends {last}@{last_term}",
                    vote.map_or("nobody".into(), |vote| vote.to_string())
                )
            }
            Event::Term { term, vote: Some(vote) } => format!("{term}, votes for {vote}"),
            Event::Term { term, vote: None } => format!("{term}"),
            Event::Role { role, term } => match role {
                Role::Leader => format!("LEADER of {term}"),
                Role::Candidate => format!("candidate for {term}"),
                Role::PreCandidate => format!("would be candidate, in {term}"),
                Role::Follower => format!("follower in {term}"),
            },
            Event::VoteRefused { to, term, why } => {
                let why = match why {
                    Refusal::StaleTerm => "its term is over",
                    Refusal::AlreadyVoted => "has voted",
                    Refusal::LogBehind => "its log is behind",
                    Refusal::LeaderHeard => "there is a leader",
                };
                format!("no vote for {to} in {term}: {why}")
            }
            Event::Ignored { from, term } => format!("ignores {from}, {term}"),
            Event::Appended { index, term, content } => {
                let what = match content {
                    Content::Noop => " no-op".into(),
                    Content::Command(bytes) => command(bytes),
                    Content::Membership(members) => format!(" members: {members}"),
                };
                format!("log + {index}@{term}{what}")
            }
            Event::Truncated { from } => format!("log CUT at {from}"),
            Event::Progress { peer, matched, next } => format!("{peer} matches {matched}, next {next}"),
            Event::Committed { index } => format!("commit {index}"),
            Event::Compacted { index, term } => format!("snapshot taken of {index}@{term}"),
            Event::Installed { index, term, kept_suffix } => {
                let log = if *kept_suffix { "log behind it kept" } else { "log discarded" };
                format!("snapshot INSTALLED of {index}@{term}, {log}")
            }
            Event::InstallRefused { index } => format!("snapshot of {index} refused: older"),
            Event::SnapshotSent { to, index } => format!("begins to send {to} the snapshot of {index}"),
            Event::Applied { index } => format!("service is at {index}"),
            Event::ReadIndex { index } => format!("read confirmed at {index}"),
            Event::Transfer { to } => format!("hands leadership to {to}"),
            Event::ConfigAdopted { group, config } => format!("group {group} adopts configuration {config}"),
            Event::ConfigRefused { group, config, why } => {
                format!("group {group} REFUSES configuration {config}: {why}")
            }
            Event::Shard { group, shard, config, change } => {
                format!("group {group}, configuration {config}: shard {shard} {}", change_words(change))
            }
            Event::ShardMissing { group, shard, from, frozen } => {
                format!(
                    "group {group} MISSES shard {shard}: group {from} has nothing of it from configuration {frozen}"
                )
            }
            Event::Halted { why } => format!("STOPS: {why}"),
        }
    }
}

fn change_words(change: &ShardChange) -> String {
    match change {
        ShardChange::Created => "begins, empty".into(),
        ShardChange::Frozen { to: Some(to), hash } => format!("FROZEN for group {to}, content {hash:016x}"),
        ShardChange::Frozen { to: None, hash } => format!("FROZEN for nobody yet, content {hash:016x}"),
        ShardChange::Installed { from, frozen, hash } => {
            format!("INSTALLED from group {from} as of configuration {frozen}, content {hash:016x}")
        }
        ShardChange::Deleted => "deleted".into(),
        ShardChange::Unreadable { from, frozen } => {
            format!("CANNOT BE READ as it came from group {from}, as of configuration {frozen}")
        }
    }
}
