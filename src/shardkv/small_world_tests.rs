//! Three groups in a small world without servers, where everything comes twice, late or not at all: nothing may be lost by that,
//! or be done twice, or stay behind.

#[cfg(feature = "zoo")]
use super::bugs::Bug;
use super::machine_tests::{Group, SHARDS, append, configuration, settings};
use super::operation::{Answer, Command, Query, Reply};
use super::settings::Settings;
use crate::rsm::machine::StateMachine;
use crate::rsm::sessions::{Outcome, SessionId};
use crate::shardmaster::types::{ShardConfig, ShardId};
use labrpc::{Event, Rng, ShardChange};
use std::collections::{BTreeMap, VecDeque};

/// What travels in the small world.
#[derive(Clone)]
enum Entry {
    Operate(u64, u64, Command),
    Service(Command),
}

/// A client: its operation under way, if any, and what became of those before.
#[derive(Default)]
struct Client {
    seq: u64,
    waits: Option<Command>,
    acknowledged: Vec<String>,
}

/// Groups whose logs are queues, and a wire that forgets and repeats.
struct Small {
    rng: Rng,
    configs: Vec<ShardConfig>,
    groups: Vec<Group>,
    logs: Vec<VecDeque<Entry>>,
    clients: Vec<Client>,
    /// What was once sent, with whom it was sent to.
    wire: Vec<(usize, Entry)>,
    hashes: BTreeMap<(u32, u64), u64>,
    skips: bool,
    hasty: bool,
}

impl Small {
    fn new(seed: u64, plant: impl Fn(&mut Settings)) -> Small {
        let group = |number| {
            let mut settings = Settings { sessions: 8, piece: 64, ..settings(number) };
            plant(&mut settings);
            Group::new(settings)
        };
        Small {
            rng: Rng::new(seed, "small world"),
            configs: vec![configuration(0, [0; 4])],
            groups: (1..=3).map(group).collect(),
            logs: (0..3).map(|_| VecDeque::new()).collect(),
            clients: (0..4).map(|_| Client::default()).collect(),
            wire: Vec::new(),
            hashes: BTreeMap::new(),
            skips: false,
            hasty: false,
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let at = self.rng.below(3) as usize;
        match self.rng.below(20) {
            0 if self.rng.chance(250_000) => {
                let num = self.configs.len() as u64;
                let owners =
                    if self.rng.chance(200_000) { [0; 4] } else { [(); 4].map(|()| self.rng.within(1..=3)) };
                self.configs.push(configuration(num, owners));
            }
            1 => self.groups[at].restart(),
            2 | 3 if !self.wire.is_empty() => {
                let (to, entry) = self.rng.pick(&self.wire).clone();
                self.send(to, entry);
            }
            4..8 => self.operate(),
            8..10 => self.errands(at),
            _ => (0..2).try_for_each(|_| self.apply(at))?,
        }
        Ok(())
    }

    /// Into the log, if it arrives; and once more, perhaps, at any later time.
    fn send(&mut self, to: usize, entry: Entry) {
        if self.rng.chance(300_000) {
            self.wire.push((to, entry.clone()));
        }
        if let Entry::Operate(session, seq, command) = &entry {
            let leads = self.rng.chance(700_000);
            let known = self.groups[to].state.recall(SessionId(*session), *seq, command, leads);
            if let Some(outcome) = known {
                return self.answer(*session, *seq, &outcome);
            }
        }
        if self.rng.chance(850_000) {
            self.logs[to].push_back(entry);
        }
    }

    fn operate(&mut self) {
        let number = self.rng.below(self.clients.len() as u64) as usize;
        let shard = self.rng.below(SHARDS.into()) as u32;
        let client = &mut self.clients[number];
        if client.waits.is_none() {
            client.seq += 1;
            client.waits = Some(append(shard, &format!("<{number}.{}>", client.seq)));
        }
        let entry = Entry::Operate(number as u64 + 1, client.seq, client.waits.clone().expect("it is there"));
        let to = self.rng.below(3) as usize;
        self.send(to, entry);
    }

    /// The client hears what came of its operation, if the answer arrives.
    fn answer(&mut self, session: u64, seq: u64, outcome: &Outcome<Reply>) {
        let client = &mut self.clients[session as usize - 1];
        let answers = matches!(outcome, Outcome::Done(..) | Outcome::Repeated(..)) && seq == client.seq;
        if answers && client.waits.is_some() && self.rng.chance(700_000) {
            client.waits = None;
            client.acknowledged.push(format!("<{}.{seq}>", session - 1));
        }
    }

    /// What the leader of a group would do.
    fn errands(&mut self, at: usize) {
        let state = &self.groups[at].state;
        let num = state.current().num;
        let coming: Vec<_> =
            state.coming().map(|(shard, source, offset)| (shard, source.clone(), offset)).collect();
        let told: Vec<_> = state.unconfirmed().map(|(shard, source)| (shard, source.clone())).collect();
        let next = if self.skips { self.configs.last() } else { self.configs.get(num.0 as usize + 1) };
        let next = next.filter(|next| next.num > num && coming.is_empty()).cloned();
        next.into_iter().for_each(|next| self.send(at, Entry::Service(Command::Adopt(next))));
        for (shard, source, offset) in coming {
            let from = source.group.0 as usize - 1;
            let answer =
                self.groups[from].state.query(&Query::Pull { shard, config: source.config, offset, most: 64 });
            let Answer::Piece { total, piece } = answer else { continue };
            if self.hasty && offset + piece.len() as u64 >= total {
                self.send(from, Entry::Service(Command::Delete { shard, config: source.config }));
            }
            self.send(at, Entry::Service(Command::Install { shard, config: num, offset, total, piece }));
        }
        for (shard, source) in told {
            let from = source.group.0 as usize - 1;
            self.send(from, Entry::Service(Command::Delete { shard, config: source.config }));
            if !self.groups[from]
                .state
                .frozen()
                .any(|(frozen, config, _)| (frozen, config) == (shard, source.config))
            {
                self.send(at, Entry::Service(Command::Confirm { shard, config: source.config }));
            }
        }
    }

    fn apply(&mut self, at: usize) -> Result<(), String> {
        let Some(entry) = self.logs[at].pop_front() else { return Ok(()) };
        let group = &mut self.groups[at];
        match entry {
            Entry::Service(command) => _ = group.apply(&command),
            Entry::Operate(session, seq, command) => {
                let outcome = group.operate(session, seq, &command);
                self.answer(session, seq, &outcome);
            }
        }
        for event in std::mem::take(&mut self.groups[at].events) {
            let Event::Shard { shard, config, change, .. } = event else { continue };
            match change {
                ShardChange::Frozen { hash, .. } => _ = self.hashes.insert((shard, config), hash),
                ShardChange::Installed { frozen, hash, .. } if self.hashes.get(&(shard, frozen)) != Some(&hash) => {
                    return Err(format!("shard {shard} of configuration {frozen} has come as another one"));
                }
                _ => {}
            }
        }
        self.one_owner()
    }

    fn one_owner(&self) -> Result<(), String> {
        for shard in (0..SHARDS).map(ShardId) {
            let owners = self.groups.iter().filter(|group| group.state.owned().any(|(owned, _)| owned == shard));
            if owners.count() > 1 {
                return Err(format!("{shard} has two owners"));
            }
        }
        Ok(())
    }

    /// All groups come to the end of the configurations, and the wire has been heard out.
    fn settle(&mut self) -> Result<(), String> {
        let owners = if self.configs.len().is_multiple_of(2) { [1, 2, 3, 1] } else { [3, 3, 3, 3] };
        self.configs.push(configuration(self.configs.len() as u64, owners));
        for (to, entry) in self.wire.clone() {
            self.logs[to].push_back(entry);
        }
        for _ in 0..20_000 {
            let at = self.rng.below(3) as usize;
            self.errands(at);
            self.apply(at)?;
            self.apply(at)?;
            let rests = |group: &Group| {
                let state = &group.state;
                let waits = state.coming().count() + state.unconfirmed().count() + state.frozen().count();
                state.current().num.0 as usize + 1 == self.configs.len() && waits == 0
            };
            if self.groups.iter().all(rests) && self.logs.iter().all(VecDeque::is_empty) {
                return Ok(());
            }
        }
        Err("it does not come to rest".into())
    }

    /// Each token stands where it belongs, once if it was acknowledged and else at most once.
    fn account(&self) -> Result<(), String> {
        let owned = || self.groups.iter().flat_map(|group| group.state.owned());
        let all: Vec<u8> =
            owned().flat_map(|(_, shard)| shard.kv().iter()).flat_map(|(_, value, _)| value.to_vec()).collect();
        let all = String::from_utf8(all).map_err(|error| error.to_string())?;
        for (number, client) in self.clients.iter().enumerate() {
            for seq in 1..=client.seq {
                let token = format!("<{number}.{seq}>");
                let (count, surely) = (all.matches(&token).count(), client.acknowledged.contains(&token));
                if count > 1 || (surely && count == 0) {
                    return Err(format!("{token} is there {count} times, acknowledged: {surely}"));
                }
            }
        }
        Ok(())
    }

    fn live(mut self) -> Result<usize, String> {
        for _ in 0..1_500 {
            self.step()?;
        }
        self.settle()?;
        self.account()?;
        Ok(self.clients.iter().map(|client| client.acknowledged.len()).sum())
    }
}

#[test]
fn nothing_is_lost_or_done_twice_wherever_shards_go_and_nothing_stays_behind() {
    let mut acknowledged = 0;
    for seed in 0..150 {
        match Small::new(seed, |_| ()).live() {
            Ok(count) => acknowledged += count,
            Err(why) => panic!("seed {seed}: {why}"),
        }
    }
    assert!(acknowledged > 3_000, "{acknowledged}");
}

#[test]
#[cfg(feature = "zoo")]
fn planted_bugs_lose_something_or_do_it_twice_or_never_come_to_rest() {
    let found = |bug: Bug| {
        let story = |seed| {
            let mut world = Small::new(seed, |settings| settings.bug = Some(bug));
            world.skips = bug == Bug::SkipConfigs;
            world.hasty = bug == Bug::DeleteBeforeInstall;
            world.live().err()
        };
        (0..30).find_map(story)
    };
    let of_the_machine = [
        Bug::ServeBeforeData,
        Bug::ServeAfterHandoff,
        Bug::WriteRevivesDeletedShard,
        Bug::DedupNotMigrated,
        Bug::PullFromUnreadySource,
        Bug::MutualPullDeadlock,
        Bug::SkipConfigs,
        Bug::DeleteBeforeInstall,
        Bug::StaleDelete,
        Bug::ShardNeverGced,
    ];
    for bug in of_the_machine {
        assert!(found(bug).is_some(), "{bug:?}");
    }
}
