//! Carrying out a script: waiting for what must come about, and demanding it.

use super::control::{Control, Proposed, Stop};
use super::watcher::{Traffic, Watcher};
use crate::oracle::hash_of_command;
use crate::plan::{Moment, Otherwise, Selector, Step};
use crate::raft::Part;
use labrpc::sim::{Face, NodeSet, Span};
use labrpc::{Direction, Kind, NodeId, Term, Time};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

/// How long a command may take to be applied everywhere before it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

impl Control {
    /// All steps, in order.
    pub fn steps<'a>(&'a mut self, steps: &'a [Step]) -> Pin<Box<dyn Future<Output = Result<(), Stop>> + 'a>> {
        Box::pin(async move {
            for step in steps {
                self.step(step).await?;
            }
            Ok(())
        })
    }

    async fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match step {
            Step::Do(act) => {
                self.act(act).await;
                Ok(())
            }
            Step::Sleep(span) => {
                self.lab.sleep(span.0).await;
                Ok(())
            }
            Step::WaitLeader { of, within } => self.wait_leader(of, *within).await,
            Step::ExpectNoLeader { of, after } => self.expect_no_leader(of, *after).await,
            Step::ExpectStableTerm { span } => self.expect_stable_term(*span).await,
            Step::Agree { count, size, via, on, within } => {
                for _ in 0..*count {
                    self.agree(*size, via, on, *within).await?;
                }
                Ok(())
            }
            Step::ExpectCommitted { tag, on, within } => self.expect_committed(tag, on, *within).await,
            Step::ExpectNone { tag } => self.expect_none(tag),
            Step::ExpectCount { .. } => self.expect_count(step),
            Step::Await { event, within, or } => self.wait_for(event, *within, *or).await,
            Step::AwaitClients { within } => self.await_clients(*within).await,
            Step::ExpectRefused(who) => self.expect_refused(who).await,
            Step::ExpectDisk { on, at_most, within } => self.expect_disk(on, *at_most, *within).await,
            Step::Repeat { times, steps } => {
                for _ in 0..*times {
                    self.steps(steps).await?;
                }
                Ok(())
            }
        }
    }

    // --- leaders

    async fn wait_leader(&mut self, of: &Selector, patience: Span) -> Result<(), Stop> {
        let deadline = self.lab.now() + patience.0;
        let lead = |control: &mut Control| {
            let nodes = control.resolve(of);
            control.leaders_among(nodes)
        };
        match self.until(deadline, lead).await {
            Some(leaders) => {
                for (node, term) in leaders {
                    self.lab.note(None, &format!("there is a leader: {node} in {term}"));
                }
                Ok(())
            }
            None => {
                let nodes = self.resolve(of);
                let lacks = |part: &NodeSet| self.leader_of(*part).is_none();
                let part = self.parts(nodes).into_iter().find(lacks).unwrap_or(nodes);
                self.violate("progress", format!("no leader among {part} within {patience}"))
            }
        }
    }

    /// Who leads among these: in each group that some of them are of. None: in one of them nobody, or they are nobody.
    fn leaders_among(&self, nodes: NodeSet) -> Option<Vec<(NodeId, Term)>> {
        let leaders: Option<Vec<_>> = self.parts(nodes).into_iter().map(|part| self.leader_of(part)).collect();
        leaders.filter(|leaders| !leaders.is_empty())
    }

    async fn expect_no_leader(&mut self, of: &Selector, after: Span) -> Result<(), Stop> {
        let nodes = self.resolve_aloud(of);
        self.lab.sleep(after.0).await;
        let leads = |part: NodeSet| self.leader_of(part).map(|leader| (leader, part.len()));
        match self.parts(nodes).into_iter().find_map(leads) {
            None => Ok(()),
            Some(((node, term), size)) => self
                .violate("agreement", format!("{node} leads {term} among {size} servers, which are no majority")),
        }
    }

    async fn expect_stable_term(&mut self, span: Span) -> Result<(), Stop> {
        let groups = self.parts(self.all());
        let before = self.common_terms(&groups)?;
        self.lab.sleep(span.0).await;
        let after = self.common_terms(&groups)?;
        for (before, after) in before.into_iter().zip(after) {
            if let Some((before, after)) = before.zip(after)
                && before != after
            {
                let detail = format!("without any fault the term went from {before} to {after} within {span}");
                self.violate("message-count", detail)?;
            }
        }
        Ok(())
    }

    /// The term that all servers of each of these groups are in that run. None: there is no such, and the demand is
    /// switched off.
    fn common_terms(&mut self, groups: &[NodeSet]) -> Result<Vec<Option<Term>>, Stop> {
        groups.iter().map(|group| self.common_term(*group)).collect()
    }

    fn common_term(&mut self, group: NodeSet) -> Result<Option<Term>, Stop> {
        let up = self.up().and(self.members(group));
        let terms: BTreeSet<Term> =
            up.iter().filter_map(|node| self.state_of(node)).map(|(term, _)| term).collect();
        match (terms.first(), terms.len()) {
            (Some(term), 1) => Ok(Some(*term)),
            _ => {
                let detail = format!("servers that can talk to each other are in terms {terms:?}");
                self.violate("agreement", detail).map(|()| None)
            }
        }
    }

    fn state_of(&self, node: NodeId) -> Option<(Term, bool)> {
        self.shared.peer(&self.lab, node).map(|peer| peer.state())
    }

    // --- agreement

    /// A command in each group that must apply one; for nobody in particular, in the first.
    async fn agree(&mut self, size: u32, via: &Selector, on: &Selector, patience: Span) -> Result<(), Stop> {
        let on = self.resolve(on);
        if on.is_empty() {
            return self.agree_in(1, size, via, on, patience).await;
        }
        for part in self.parts(on) {
            let group = part.iter().next().and_then(|node| self.plan.group_of(node));
            self.agree_in(group.expect("a part has somebody in it"), size, via, part, patience).await?;
        }
        Ok(())
    }

    /// Puts a command into the log of whoever leads, until it is applied everywhere: the course's `one`.
    async fn agree_in(
        &mut self,
        group: u32,
        size: u32,
        via: &Selector,
        on: NodeSet,
        patience: Span,
    ) -> Result<(), Stop> {
        let group: NodeSet = self.plan.group_ids(group).into_iter().collect();
        let command = self.fresh_command(size);
        let hash = hash_of_command(&command);
        let deadline = self.lab.now() + patience.0;
        while self.lab.now() < deadline {
            let via = self.resolve(via).and(group);
            let Some((leader, _)) = self.until(deadline, |control| control.leader_of(via)).await else { break };
            let Some(index) = self.start_on(leader, command.clone()).await else {
                self.lab.sleep(Duration::from_millis(20)).await;
                continue;
            };
            let patience = deadline.min(self.lab.now() + TRY_AGAIN);
            let proposed = Proposed { hash, index, at: leader };
            if self.until_applied(on, proposed, patience).await {
                return Ok(());
            }
        }
        self.violate("progress", format!("a command was not applied on {on} within {patience}"))
    }

    async fn expect_committed(&mut self, tag: &str, on: &Selector, patience: Span) -> Result<(), Stop> {
        let deadline = self.lab.now() + patience.0;
        let proposed = self.tags.get(tag).cloned().unwrap_or_default();
        let on = self.resolve(on);
        for command in proposed {
            if !self.until_applied(on, command, deadline).await {
                let index = command.index;
                let detail =
                    format!("what was proposed as `{tag}` ({index}) was not applied on {on} within {patience}");
                self.violate("agreement", detail)?;
            }
        }
        Ok(())
    }

    fn expect_none(&mut self, tag: &str) -> Result<(), Stop> {
        let proposed = self.tags.get(tag).cloned().unwrap_or_default();
        let is_there = |command: &&Proposed| {
            let hash = self.known(command.at, |known| known.committed(command.index).map(|entry| entry.hash));
            hash == Some(command.hash)
        };
        match proposed.iter().find(is_there).copied() {
            None => Ok(()),
            Some(Proposed { index, .. }) => {
                let detail = format!("what was proposed as `{tag}` is committed at {index}, and must not be");
                self.violate("agreement", detail)
            }
        }
    }

    // --- counts

    fn expect_count(&mut self, step: &Step) -> Result<(), Stop> {
        let Step::ExpectCount { since, parts, at_most, at_least, bytes } = step else { return Ok(()) };
        let now = self.lab.with_hook(|watcher: &mut Watcher| watcher.traffic());
        let (now, base) = (self.sum(&now, parts), self.sum(&self.counts[since], parts));
        let (messages, sent) = (now.messages - base.messages, now.bytes - base.bytes);
        let wrong = if at_most.is_some_and(|most| messages > most) {
            format!("{messages} messages since `{since}`; at most {} are allowed", at_most.unwrap_or_default())
        } else if at_least.is_some_and(|least| messages < least) {
            format!("{messages} messages since `{since}`; at least {} are needed", at_least.unwrap_or_default())
        } else if bytes.is_some_and(|most| sent > most) {
            format!("{sent} bytes since `{since}`; at most {} are allowed", bytes.unwrap_or_default())
        } else {
            return Ok(());
        };
        self.violate("message-count", wrong)
    }

    fn sum(&self, table: &[(Kind, Direction, Traffic)], parts: &[Part]) -> Traffic {
        let plays = |part: &Part, kind: &Kind, direction: &Direction| {
            self.shared.system.kinds(*part).contains(kind) && part.directions().contains(direction)
        };
        let is_counted = |(kind, direction, _): &&(Kind, Direction, Traffic)| {
            parts.is_empty() || parts.iter().any(|part| plays(part, kind, direction))
        };
        table.iter().filter(is_counted).fold(Traffic::default(), |sum, (_, _, kind)| Traffic {
            messages: sum.messages + kind.messages,
            bytes: sum.bytes + kind.bytes,
        })
    }

    // --- moments

    async fn wait_for(&mut self, moment: &Moment, patience: Span, or: Otherwise) -> Result<(), Stop> {
        let deadline = self.lab.now() + patience.0;
        let has_come = |control: &mut Control| control.has_come(moment).then_some(());
        if self.until(deadline, has_come).await.is_some() {
            return Ok(());
        }
        let detail = format!("within {patience} it did not happen that {moment:?}");
        match or {
            Otherwise::Violation => self.violate("progress", detail),
            Otherwise::GoOn => {
                self.unmet(detail);
                Ok(())
            }
            Otherwise::Skip => {
                self.lab.note(None, &format!("{detail}; the rest of the script is left out"));
                Err(Stop::Skip)
            }
        }
    }

    fn has_come(&mut self, moment: &Moment) -> bool {
        match moment {
            Moment::Down(who) => self.resolve(who).and(self.up()).is_empty(),
            Moment::Up(who) => self.resolve(who).minus(self.up()).is_empty(),
            Moment::Held { rule, count } => self.lab.view(|view| view.held(rule)) >= *count as usize,
            Moment::CaughtUp(who) => {
                let who = self.resolve(who);
                who.iter()
                    .all(|node| self.known(node, |known| known.server(node).durable.log.last() >= known.commit()))
            }
            Moment::Stored { tag, on } => {
                let on = self.resolve(on);
                let tagged = self.tags.get(tag).cloned().unwrap_or_default();
                !tagged.is_empty() && on.iter().all(|node| self.is_stored(&tagged, node))
            }
            Moment::Reconfigured => self.shared.wish.pending().is_none(),
            Moment::Answered { client, count } => self.shared.answered(*client) >= *count,
            Moment::LeaderAmong(who) => {
                let who = self.resolve(who);
                self.leaders_among(who).is_some()
            }
            Moment::Snapshot(who) => {
                let who = self.resolve(who);
                who.iter().all(|node| self.known(node, |known| known.server(node).durable.log.base.0 > 0))
            }
        }
    }

    /// Whether the disk of a server holds those of these commands that were proposed to its group, of which there must
    /// be some.
    fn is_stored(&self, tagged: &[Proposed], node: NodeId) -> bool {
        let group = self.group_of(node);
        self.known(node, |known| {
            let log = &known.server(node).durable.log;
            let holds = |command: &Proposed| {
                log.get(command.index).map_or(command.index <= log.base, |item| item.hash == command.hash)
            };
            let mut own = tagged.iter().filter(|command| group.contains(command.at)).peekable();
            own.peek().is_some() && own.all(holds)
        })
    }

    async fn await_clients(&mut self, patience: Span) -> Result<(), Stop> {
        let deadline = self.lab.now() + patience.0;
        let done = |control: &mut Control| (control.shared.busy_clients() == 0).then_some(());
        match self.until(deadline, done).await {
            Some(()) => Ok(()),
            None => {
                let busy = self.shared.busy_clients();
                self.violate("progress", format!("{busy} clients were not done within {patience}"))
            }
        }
    }

    async fn expect_refused(&mut self, who: &Selector) -> Result<(), Stop> {
        let who = self.resolve_aloud(who);
        let deadline = self.lab.now() + Duration::from_secs(2);
        let refused = |control: &mut Control| {
            let refused = control.lab.with_hook(|watcher: &mut Watcher| watcher.troubles.refused());
            (who.minus(refused).is_empty() && who.and(control.up()).is_empty()).then_some(())
        };
        match self.until(deadline, refused).await {
            Some(()) => Ok(()),
            None => self.violate("agreement", format!("{who} started from a damaged disk")),
        }
    }

    async fn expect_disk(&mut self, on: &Selector, at_most: u64, patience: Span) -> Result<(), Stop> {
        let on = self.resolve_aloud(on);
        let largest = |control: &Control| {
            let held = |node| {
                control.lab.view(|view| {
                    let disk = view.disk(node, Face::Durable);
                    disk.files().filter_map(|file| disk.read(file)).map(|content| content.len() as u64).sum::<u64>()
                })
            };
            on.iter().map(|node| (held(node), node)).max()
        };
        let deadline = self.lab.now() + patience.0;
        let small =
            |control: &mut Control| largest(control).is_none_or(|(bytes, _)| bytes <= at_most).then_some(());
        if self.until(deadline, small).await.is_some() {
            return Ok(());
        }
        match largest(self) {
            Some((bytes, node)) => self.violate(
                "disk-size",
                format!("{node} holds {bytes} bytes after {patience}; {at_most} are allowed"),
            ),
            None => Ok(()),
        }
    }

    /// A fresh command that must be applied on all of these, who are of one group, whoever leads.
    pub async fn demand_progress(&mut self, on: NodeSet, patience: Duration, phase: &str) -> Result<(), Stop> {
        let deadline: Time = self.lab.now() + patience;
        let command = self.fresh_command(16);
        let hash = hash_of_command(&command);
        loop {
            let leader = self.until(deadline, |control| control.leader_of(on)).await;
            let Some((leader, term)) = leader else {
                return self.violate("progress", format!("{phase}: no leader among {on} within {patience:?}"));
            };
            if let Some(index) = self.start_on(leader, command.clone()).await {
                let patience = deadline.min(self.lab.now() + TRY_AGAIN);
                let proposed = Proposed { hash, index, at: leader };
                if self.until_applied(on, proposed, patience).await {
                    return Ok(());
                }
            }
            if self.lab.now() >= deadline {
                let detail = format!(
                    "{phase}: {leader} leads {term}, but no command was applied on {on} within {patience:?}"
                );
                return self.violate("progress", detail);
            }
            self.lab.sleep(Duration::from_millis(50)).await;
        }
    }
}
