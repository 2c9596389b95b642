//! The finale: what every run must end with, whatever happened in it.
//!
//! 1. **Core.** Only a majority is healed; the rest stays dead or cut off. It must elect a leader and commit.
//!    (A majority that is fully connected always can: one of its logs is the most up-to-date, and all others
//!    may vote for it.)
//! 2. **Converge.** Everything is healed, clients are silent, and all servers must come to the same state. What
//!    needs a client's next command to catch up has not caught up.
//! 3. **Serve.** A fresh command is committed and applied everywhere.
//! 4. **Account.** That everything acknowledged is still there is checked all along: see the check
//!    `acked-survives` and, since nothing committed may ever change, `committed-immutable`.

use super::control::{Control, Stop};
use super::watcher::Watcher;
use crate::oracle::Known;
use labrpc::sim::{Command, DiskWeather, NetWeather, NodeSet};
use labrpc::{Index, Time};
use std::time::Duration;

impl Control {
    /// See the module.
    pub async fn finale(&mut self) -> Result<(), Stop> {
        let finale = self.plan.finale.clone();
        self.lab.order(Command::DisarmCrashes);
        if let Some(core) = &finale.core {
            let core = self.resolve_aloud(core);
            self.lab.note(None, &format!("PHASE core: only {core} is healed"));
            self.heal_core(core);
            self.demand_progress(core, finale.within.0, "with a healed majority").await?;
        }
        self.shared.set_quiet();
        self.lab.note(None, "PHASE converge: all is healed and quiet");
        self.heal_all();
        if finale.converge {
            self.converge(finale.within.0).await?;
        }
        if finale.serve {
            self.lab.note(None, "PHASE serve");
            let all = self.all_sound();
            self.demand_progress(all, finale.within.0, "with all healed").await?;
        }
        Ok(())
    }

    /// All servers but those whose disks the plan has damaged: they stay down.
    fn all_sound(&self) -> NodeSet {
        let damaged = self.lab.with_hook(|watcher: &mut Watcher| watcher.damaged);
        self.all().minus(damaged)
    }

    fn calm(&self, nodes: NodeSet) {
        self.lab.order(Command::Net(NetWeather::default()));
        for node in nodes.iter() {
            self.lab.order(Command::Disk { node, weather: DiskWeather::default() });
            self.shared.set_lag(node, None);
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
        self.lab.order(Command::RemoveAllRules);
    }

    async fn converge(&mut self, patience: Duration) -> Result<(), Stop> {
        let all = self.all_sound();
        let deadline: Time = self.lab.now() + patience;
        let same = |control: &mut Control| {
            let leader = control.leader_of(all)?;
            control.known(|known| differing(known, all).is_none().then_some(leader))
        };
        if self.until(deadline, same).await.is_some() {
            return Ok(());
        }
        let why = match (self.leader_of(all), self.known(|known| differing(known, all))) {
            (None, _) => "there is no leader".into(),
            (_, Some(why)) => why,
            (_, None) => "they differed until a moment ago".into(),
        };
        Err(self.violate("convergence", format!("all healed and quiet for {patience:?}, and {why}")))
    }
}

/// What keeps servers from being in the same state, if anything does.
fn differing(known: &Known, nodes: NodeSet) -> Option<String> {
    let commit = known.commit();
    for node in nodes.iter() {
        let server = known.server(node);
        if !server.up {
            return Some(format!("{node} is down"));
        }
        if server.applied < commit {
            return Some(format!("{node} has applied {}; {commit} is committed", server.applied));
        }
    }
    let lasts: Vec<Index> = nodes.iter().map(|node| known.server(node).durable.log.last()).collect();
    if lasts.iter().any(|last| *last != lasts[0]) {
        return Some(format!("their logs end at {lasts:?}"));
    }
    None
}
