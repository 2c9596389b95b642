//! The finale: what every run must end with, whatever happened in it.
//!
//! 1. **Core.** Only a majority is healed; the rest stays dead or cut off. It must elect a leader and commit.
//!    (A majority that is fully connected always can: one of its logs is the most up-to-date, and all others
//!    may vote for it.)
//! 2. **Converge.** Everything is healed, clients are silent, and all servers must come to the same state. What
//!    needs a client's next command to catch up has not caught up. Where somebody wants another membership, that must come
//!    about first; those who belong to the cluster by then are all servers.
//! 3. **Serve.** A fresh command is committed and applied everywhere.
//! 4. **Account.** That everything acknowledged is still there is checked all along: see the check
//!    `acked-survives` and, since nothing committed may ever change, `committed-immutable`.

use super::control::{Control, Stop};
use super::watcher::Watcher;
use crate::oracle::Known;
use labrpc::sim::{Command, DiskWeather, NetWeather, NodeSet, Span};
use labrpc::{Index, NodeId, Term, Time};
use std::time::Duration;

impl Control {
    /// See the module.
    pub async fn finale(&mut self) -> Result<(), Stop> {
        let finale = self.plan.finale.clone();
        self.disarm_triggers();
        self.judge_crash_points();
        self.lab.order(Command::DisarmCrashes);
        if let Some(core) = &finale.core {
            let core = self.resolve_aloud(core);
            self.lab.note(None, &format!("PHASE core: only {core} is healed"));
            self.heal_core(core);
            for part in self.parts_or_all(core) {
                if self.is_majority("core", part) {
                    self.demand_progress(part, finale.within.0, "with a healed majority").await?;
                }
            }
        }
        self.shared.set_quiet();
        self.lab.note(None, "PHASE converge: all is healed and quiet");
        self.heal_all();
        self.demand_membership(finale.within.0).await?;
        if finale.converge {
            self.converge(finale.within.0).await?;
        }
        if finale.serve {
            self.lab.note(None, "PHASE serve");
            for sound in self.sound() {
                if self.is_majority("serve", sound) {
                    self.demand_progress(sound, finale.within.0, "with all healed").await?;
                }
            }
        }
        Ok(())
    }

    /// The core's part of each group that it has a part of. A core of nobody is not passed over in silence.
    fn parts_or_all(&self, core: NodeSet) -> Vec<NodeSet> {
        if core.is_empty() { vec![core] } else { self.parts(core) }
    }

    /// Of fewer nothing can be demanded, and it is not their fault.
    fn is_majority(&self, phase: &str, nodes: NodeSet) -> bool {
        let enough =
            nodes.iter().next().is_some_and(|node| self.known(node, |known| known.electorate().decides(nodes)));
        if !enough {
            self.unmet(format!("{phase}: {nodes} are no majority"));
        }
        enough
    }

    /// All servers but those whose disks the plan has damaged: they stay down.
    fn all_sound(&self) -> NodeSet {
        let damaged = self.lab.with_hook(|watcher: &mut Watcher| watcher.troubles.damaged());
        self.all().minus(damaged)
    }

    /// The same by groups, members only; of a group in which all are damaged, nobody.
    fn sound(&self) -> Vec<NodeSet> {
        let sound = self.all_sound();
        self.parts(self.all()).into_iter().map(|group| self.members(group).and(sound)).collect()
    }

    /// Those of a group who belong to its cluster by what is committed.
    pub fn members(&self, group: NodeSet) -> NodeSet {
        let of = |node: NodeId| self.known(node, |known| known.electorate().members);
        group.iter().next().map_or(NodeSet::NONE, of)
    }

    /// What the administrator wanted last must come true when nothing is in its way.
    async fn demand_membership(&mut self, patience: Duration) -> Result<(), Stop> {
        let deadline = self.lab.now() + patience;
        let fulfilled = |control: &mut Control| control.shared.wish.pending().is_none().then_some(());
        if self.until(deadline, fulfilled).await.is_some() {
            return Ok(());
        }
        match self.shared.wish.pending() {
            Some(wish) if wish.minus(self.all_sound()).is_empty() => {
                self.violate("progress", format!("all healed, and after {patience:?} the voters are not {wish}"))
            }
            _ => {
                self.unmet("membership: somebody whose disk is damaged was wanted".into());
                Ok(())
            }
        }
    }

    fn calm(&self, nodes: NodeSet) {
        self.lab.order(Command::Net(NetWeather::default()));
        self.lab.with_hook(|watcher: &mut Watcher| watcher.troubles.heal(nodes));
        for node in nodes.iter() {
            self.lab.order(Command::Disk { node, weather: DiskWeather::default() });
            self.shared.set_lag(node, None);
            self.lab.order(Command::Service { node, span: Span::ZERO, kinds: Vec::new() });
            self.lab.order(Command::Resume { node });
            self.lab.order(Command::Boot { node });
        }
    }

    fn heal_core(&mut self, core: NodeSet) {
        let rest = self.all().minus(core);
        self.remove_rules();
        self.lab.order(Command::Mend { from: core, to: core });
        self.lab.order(Command::Cut { from: core, to: rest });
        self.lab.order(Command::Cut { from: rest, to: core });
        self.calm(core);
    }

    fn heal_all(&mut self) {
        self.remove_rules();
        self.heal();
        let sound = self.all_sound();
        self.calm(sound);
    }

    /// Rules are faults too. What they hold stays held: it is lost for good.
    fn remove_rules(&mut self) {
        self.judge_rules(None);
        self.lab.order(Command::RemoveAllRules);
    }

    /// All groups converge at the same time.
    async fn converge(&mut self, patience: Duration) -> Result<(), Stop> {
        let deadline: Time = self.lab.now() + patience;
        for (sound, group) in self.sound().into_iter().zip(1..) {
            if self.is_majority("converge", sound)
                && let Some(why) = self.is_kept_apart(sound, deadline).await
            {
                let of = if self.plan.groups == 1 { String::new() } else { format!("in group {group} ") };
                self.violate("convergence", format!("all healed and quiet for {patience:?}, and {of}{why}"))?;
            }
        }
        let settled = |control: &mut Control| {
            control.lab.with_hook(|watcher: &mut Watcher| watcher.ownership.unsettled()).is_none().then_some(())
        };
        if self.until(deadline, settled).await.is_none() {
            let why = self.lab.with_hook(|watcher: &mut Watcher| watcher.ownership.unsettled());
            let why = why.unwrap_or_else(|| "shards were on their way until a moment ago".into());
            self.violate("convergence", format!("all healed and quiet for {patience:?}, and {why}"))?;
        }
        Ok(())
    }

    /// Why members among these servers of one group have not come to the same state by then, if they have not.
    async fn is_kept_apart(&mut self, nodes: NodeSet, deadline: Time) -> Option<String> {
        let differ = |control: &Control, (leader, term): (NodeId, Term)| {
            // Who belongs to the cluster may be settled only now: a change that was under way is committed, or not.
            control.known(leader, |known| differing(known, known.electorate().members.and(nodes), term))
        };
        let same = |control: &mut Control| {
            let leader = control.leader_of(nodes)?;
            differ(control, leader).is_none().then_some(())
        };
        if self.until(deadline, same).await.is_some() {
            return None;
        }
        Some(match self.leader_of(nodes) {
            None => "there is no leader".into(),
            Some(leader) => differ(self, leader).unwrap_or_else(|| "they differed until a moment ago".into()),
        })
    }
}

/// What keeps servers of one group from being in the same state as the leader of a term, if anything does.
fn differing(known: &Known, nodes: NodeSet, term: Term) -> Option<String> {
    let commit = known.commit();
    let mut ends: Vec<(Index, Term)> = Vec::new();
    for node in nodes.iter() {
        let server = known.server(node);
        if !server.up {
            return Some(format!("{node} is down"));
        }
        if server.applied < commit {
            return Some(format!("{node} has applied {}; {commit} is committed", server.applied));
        }
        let durable = &server.durable;
        if durable.term != term {
            return Some(format!("{node} is in {}; the leader is in {term}", durable.term));
        }
        ends.push((durable.log.last(), durable.log.last_term()));
    }
    if ends.iter().any(|end| *end != ends[0]) {
        return Some(format!("their logs end at {ends:?}"));
    }
    None
}
