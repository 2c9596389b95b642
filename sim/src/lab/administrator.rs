//! The administrator of a cluster: wants certain servers to be its voters, and goes there one change after the other.
//!
//! It knows no more than an administrator does: it asks somebody who says that it leads, whether or not that is still so,
//! and asks again until it is told that the wish is fulfilled.

use super::control::{Control, within};
use crate::oracle::Electorate;
use crate::plan::Selector;
use labrpc::NodeId;
use labrpc::Rng;
use labrpc::sim::NodeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the administrator wants.
#[derive(Default)]
pub(super) struct Wish(Mutex<Option<NodeSet>>);

impl Wish {
    fn get(&self) -> MutexGuard<'_, Option<NodeSet>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has not come true yet.
    pub fn pending(&self) -> Option<NodeSet> {
        *self.get()
    }

    /// It is so; if nothing else is wanted by now.
    fn fulfilled(&self, wish: NodeSet) {
        self.get().take_if(|wanted| *wanted == wish);
    }
}

impl Control {
    /// Something else is wanted from now on; of nobody there can be no cluster, and nothing is wanted any more.
    pub fn reconfigure(&mut self, voters: &Selector) {
        let voters = self.resolve_aloud(voters);
        *self.shared.wish.get() = Some(voters).filter(|voters| !voters.is_empty());
    }

    /// Lets the administrator begin, where there is anything to change.
    pub fn start_administrator(&self) {
        if self.plan.voters.is_none() {
            return;
        }
        let mut hands = self.hands();
        let mut rng = Rng::new(self.plan.seed, "administrator");
        self.lab.spawn(async move {
            loop {
                hands.lab.sleep(rng.between(Duration::from_millis(10), Duration::from_millis(100))).await;
                if let Some(wish) = hands.shared.wish.pending() {
                    hands.go_on(&mut rng, wish).await;
                }
            }
        });
    }

    /// It was said that this has come true, and so it must be what is committed. (Nobody else changes anything.)
    fn judge(&mut self, wish: NodeSet) {
        let Some(node) = wish.iter().next() else { return };
        let now = self.known(node, |known| known.electorate().clone());
        if (now.voters, now.members) != (wish, wish) {
            let Electorate { voters, members } = now;
            let _ = self.violate(
                "agreement",
                format!(
                    "the administrator is told that the voters are {wish}; they are {voters}, of members {members}"
                ),
            );
        }
    }

    /// Asks somebody who says that it leads for one step.
    async fn go_on(&mut self, rng: &mut Rng, wish: NodeSet) {
        let leads = |node: &NodeId| self.shared.peer(&self.lab, *node).is_some_and(|peer| peer.state().1);
        let leaders: Vec<NodeId> = self.up().iter().filter(leads).collect();
        if leaders.is_empty() {
            return;
        }
        let Some(peer) = self.shared.peer(&self.lab, *rng.pick(&leaders)) else { return };
        // It answers at once or, if it crashes or stands still meanwhile, never.
        let patience = self.lab.now() + Duration::from_millis(50);
        let answer = within(&self.lab, patience, peer.step_towards(wish.iter().collect())).await.flatten();
        if answer == Some(true) {
            self.lab.note(None, &format!("the voters are {wish}"));
            self.judge(wish);
            self.shared.wish.fulfilled(wish);
        }
    }
}
