//! What a group does with each command.

#[cfg(feature = "zoo")]
use super::bugs::Bug;
use super::machine::ShardKv;
use super::operation::{Answer, Command, Query, Reply};
use super::settings::Settings;
use super::shard::Done;
use crate::kvraft::operation as kv;
use crate::rsm::machine::StateMachine;
use crate::rsm::sessions::{Outcome, SessionId};
use crate::shardmaster::types::{ConfigNum, GroupId, ShardConfig, ShardId, shard_of};
use bytes::Bytes;
use labrpc::{Event, Index, NodeId, ShardChange};

pub(super) const SHARDS: u32 = 4;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A key of that shard.
fn key(shard: u32) -> String {
    let mut keys = (0..).map(|number| format!("k{number}"));
    keys.find(|key| shard_of(key.as_bytes(), SHARDS) == ShardId(shard)).expect("they are spread over all shards")
}

/// A configuration with these owners; 0 is nobody.
pub(super) fn configuration(num: u64, owners: [u64; SHARDS as usize]) -> ShardConfig {
    let servers = |group: u64| vec![NodeId(group as u32 * 10)];
    let groups = if owners == [0; 4] { 0 } else { 3 };
    ShardConfig {
        num: ConfigNum(num),
        shards: owners.iter().map(|owner| (*owner > 0).then_some(GroupId(*owner))).collect(),
        groups: (1..=groups).map(|group| (GroupId(group), servers(group))).collect(),
    }
}

/// A group, and how many entries it has applied.
pub(super) struct Group {
    pub settings: Settings,
    pub state: ShardKv,
    index: Index,
    pub events: Vec<Event>,
}

impl Group {
    pub fn new(settings: Settings) -> Group {
        Group { settings, state: ShardKv::new(&settings), index: Index(0), events: Vec::new() }
    }

    fn of(group: u64) -> Group {
        Group::new(settings(group))
    }

    pub fn apply(&mut self, command: &Command) -> Reply {
        self.index = self.index.next();
        let reply = self.state.apply(self.index, command);
        self.events.extend(self.state.take_events());
        self.has_its_digest();
        reply
    }

    /// However it came to be: what is kept up to date is what would be counted now.
    fn has_its_digest(&self) {
        assert_eq!(self.state.digest(), self.state.digest_from_scratch());
    }

    fn adopt(&mut self, num: u64, owners: [u64; 4]) -> bool {
        self.apply(&Command::Adopt(configuration(num, owners))) == Reply::Changed(true)
    }

    pub fn operate(&mut self, session: u64, seq: u64, command: &Command) -> Outcome<Reply> {
        self.index = self.index.next();
        let outcome = self.state.operate(self.index, SessionId(session), seq, command);
        self.has_its_digest();
        outcome
    }

    fn append(&mut self, shard: u32, session: u64, seq: u64) -> Outcome<Reply> {
        self.operate(session, seq, &append(shard, "x"))
    }

    fn get(&self, shard: u32) -> Answer {
        self.state.query(&Query::Get { key: bytes(&key(shard)) })
    }

    fn pull(&self, shard: u32, config: u64, offset: u64) -> Answer {
        self.state.query(&Query::Pull { shard: ShardId(shard), config: ConfigNum(config), offset, most: 7 })
    }

    fn delete(&mut self, shard: u32, config: u64) -> Reply {
        self.apply(&Command::Delete { shard: ShardId(shard), config: ConfigNum(config) })
    }

    /// The part that it waits for next, as the source gives it.
    fn missing(&self, shard: u32, source: &Group) -> Command {
        let mut coming = self.state.coming();
        let (shard, from, offset) = coming.find(|coming| coming.0 == ShardId(shard)).expect("it is coming");
        assert_eq!(from.group, source.settings.group);
        match source.pull(shard.0, from.config.0, offset) {
            Answer::Piece { total, piece } => {
                Command::Install { shard, config: self.state.current().num, offset, total, piece }
            }
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, shard: u32, source: &Group) {
        while self.state.coming().any(|coming| coming.0 == ShardId(shard)) {
            let command = self.missing(shard, source);
            assert_eq!(self.apply(&command), Reply::Changed(true));
        }
    }

    pub fn restart(&mut self) {
        let (snapshot, digest) = (self.state.snapshot(), self.state.digest());
        self.state = ShardKv::restore(&self.settings, &snapshot).expect("it was made a moment ago");
        assert_eq!((self.state.snapshot(), self.state.digest()), (snapshot, digest));
        self.has_its_digest();
    }
}

pub(super) fn settings(group: u64) -> Settings {
    Settings { group: GroupId(group), shards: SHARDS, sessions: 3, piece: 7, bug: None }
}

pub(super) fn append(shard: u32, token: &str) -> Command {
    Command::Client(kv::Command::Append { key: bytes(&key(shard)), value: bytes(token) })
}

fn written(group: u64, version: u64) -> Reply {
    Reply::Done(Done { group: GroupId(group), reply: kv::Reply::Written { version } })
}

fn value(text: &str, version: u64) -> Answer {
    Answer::Found(kv::Answer::Value { value: (version > 0).then(|| bytes(text)), version })
}

const fn wrong(config: u64) -> Reply {
    Reply::WrongGroup { config: ConfigNum(config), shards: SHARDS }
}

const fn not_ready(config: u64) -> Reply {
    Reply::NotReady { config: ConfigNum(config) }
}

/// Groups 1 and 2, where 1 has all shards, an `x` in each.
fn two() -> (Group, Group) {
    let (mut one, mut two) = (Group::of(1), Group::of(2));
    for group in [&mut one, &mut two] {
        assert!(group.adopt(1, [1; 4]));
    }
    for shard in 0..SHARDS {
        assert_eq!(one.append(shard, 5, u64::from(shard) + 1), Outcome::Done(one.index, written(1, 1)));
    }
    (one, two)
}

#[test]
fn a_shard_is_served_where_it_is_and_by_nobody_while_it_moves() {
    let (mut one, mut two) = two();
    assert_eq!(two.append(0, 9, 1), Outcome::Refused(wrong(1)));
    assert!(two.adopt(2, [2, 1, 1, 1]));
    assert_eq!(one.get(0), value("x", 1), "as far as that group knows");
    assert_eq!(one.pull(0, 2, 0), Answer::NotReady { config: ConfigNum(1) }, "it would change after that");
    assert_eq!(
        (two.append(0, 9, 1), two.get(0)),
        (Outcome::Refused(not_ready(2)), Answer::NotReady { config: ConfigNum(2) })
    );
    assert!(one.adopt(2, [2, 1, 1, 1]));
    assert_eq!(
        (one.append(0, 9, 1), one.get(0)),
        (Outcome::Refused(wrong(2)), Answer::WrongGroup { config: ConfigNum(2), shards: SHARDS })
    );
    assert_eq!(one.append(1, 9, 1), Outcome::Done(one.index, written(1, 2)), "what stays is served all the time");
    two.fetch(0, &one);
    assert_eq!(two.append(0, 9, 1), Outcome::Done(two.index, written(2, 2)), "what was refused was not remembered");
    assert_eq!(two.get(0), value("xx", 2));
}

#[test]
fn configurations_are_adopted_one_by_one_and_none_while_something_is_coming() {
    let (mut one, mut two) = two();
    assert!(!one.adopt(1, [2; 4]) && !one.adopt(3, [2; 4]), "neither again nor too early");
    assert!(one.adopt(2, [2, 2, 1, 1]) && one.adopt(3, [1, 2, 1, 1]), "what has gone keeps nobody waiting");
    assert!(!one.adopt(4, [1; 4]), "what comes does");
    assert!(two.adopt(2, [2, 2, 1, 1]) && !two.adopt(3, [1, 2, 1, 1]));
    two.fetch(0, &one);
    assert!(!two.adopt(3, [1, 2, 1, 1]), "all that comes");
    two.fetch(1, &one);
    assert!(two.adopt(3, [1, 2, 1, 1]));
    one.fetch(0, &two);
    assert!(one.adopt(4, [1; 4]));
    let digest = one.state.digest();
    let other = ShardConfig { shards: vec![None; 5], ..configuration(5, [1; 4]) };
    assert_eq!((one.apply(&Command::Adopt(other)), one.state.digest()), (Reply::Changed(false), digest));
}

#[test]
fn parts_of_a_shard_are_taken_once_and_in_order_across_restarts_and_each_shard_as_it_is_whole() {
    let (mut one, mut two) = two();
    assert!(one.adopt(2, [2, 2, 1, 1]) && two.adopt(2, [2, 2, 1, 1]));
    let (mut parts, mut first) = (0, None);
    while two.state.coming().any(|(shard, ..)| shard == ShardId(0)) {
        let part = two.missing(0, &one);
        assert_eq!(two.apply(&part), Reply::Changed(true));
        let digest = two.state.digest();
        assert_eq!(two.apply(&part), Reply::Changed(false), "again");
        assert_eq!(two.apply(first.get_or_insert(part)), Reply::Changed(false), "out of order");
        assert_eq!(two.state.digest(), digest);
        two.restart();
        parts += 1;
    }
    assert!(parts > 3, "{parts}");
    assert_eq!(two.get(0), value("x", 1));
    assert_eq!(two.get(1), Answer::NotReady { config: ConfigNum(2) }, "the other one has not come");
    assert_eq!(
        two.append(0, 5, 1).map(|_| ()),
        Outcome::Repeated(Index(2), ()),
        "it was executed where it came from"
    );
    one.restart();
    assert_eq!(one.state.frozen().count(), 2);
}

#[test]
fn a_shard_comes_as_it_was_frozen_with_sessions_and_watermark() {
    let (mut one, mut two) = two();
    for session in [6, 7, 8] {
        one.append(0, session, 1);
    }
    assert_eq!(one.append(0, 4, 1), Outcome::Expired, "5 is forgotten, and whoever is older may be");
    assert_eq!(one.append(0, 9, 3), Outcome::Done(one.index, written(1, 5)), "6 goes for this one");
    assert!(one.adopt(2, [2, 1, 1, 1]) && two.adopt(2, [2, 1, 1, 1]));
    two.fetch(0, &one);
    assert_eq!([4, 5, 6].map(|session| two.append(0, session, 1)), [const { Outcome::Expired }; 3]);
    assert_eq!(two.append(0, 7, 1), Outcome::Repeated(Index(7), written(1, 3)), "as its own group would say it");
    assert_eq!(two.append(0, 9, 2), Outcome::Stale);
    assert_eq!(two.append(0, 10, 1), Outcome::Done(two.index, written(2, 6)));
    let change = |group: &Group| match group.events.last() {
        Some(Event::Shard { change, shard: 0, config: 2, .. }) => change.clone(),
        other => panic!("{other:?}"),
    };
    let ShardChange::Frozen { to: Some(2), hash } = change(&one) else { panic!("{:?}", change(&one)) };
    assert_eq!(change(&two), ShardChange::Installed { from: 1, frozen: 2, hash });
}

#[test]
fn an_older_session_that_is_new_to_a_shard_makes_room_by_forgetting_another() {
    let mut one = Group::of(1);
    assert!(one.adopt(1, [1; 4]));
    for session in [20, 30, 40, 10] {
        assert_eq!(one.append(0, session, 1), Outcome::Done(one.index, written(1, one.index.0 - 1)));
    }
    assert_eq!(one.append(0, 10, 1), Outcome::Repeated(Index(5), written(1, 4)), "the newcomer stays");
    assert_eq!(one.append(0, 20, 2), Outcome::Expired);
    assert_eq!(one.state.owned().map(|(_, shard)| shard.sessions()).max(), Some(3));
}

#[test]
fn to_delete_a_shard_that_came_back_deletes_only_the_copy_that_is_meant() {
    let (mut one, mut two) = two();
    assert!(one.adopt(2, [2, 1, 1, 1]) && two.adopt(2, [2, 1, 1, 1]));
    assert_eq!(one.delete(0, 3), not_ready(2), "nobody can have that already");
    two.fetch(0, &one);
    assert_eq!(two.state.unconfirmed().count(), 1);
    two.append(0, 9, 1);
    assert!(one.adopt(3, [1; 4]) && two.adopt(3, [1; 4]));
    one.fetch(0, &two);
    assert!(one.adopt(4, [2, 1, 1, 1]));
    let frozen = |group: &Group| group.state.frozen().map(|(_, config, _)| config.0).collect::<Vec<_>>();
    assert_eq!(frozen(&one), [2, 4]);
    assert_eq!([one.delete(0, 2), one.delete(0, 2)], [Reply::Changed(true), Reply::Changed(false)]);
    assert_eq!(frozen(&one), [4]);
    assert_eq!(one.pull(0, 2, 0), Answer::Gone);
    assert!(two.adopt(4, [2, 1, 1, 1]), "its own copy waits for nobody");
    two.fetch(0, &one);
    assert_eq!(
        (two.delete(0, 3), two.delete(0, 2), two.get(0)),
        (Reply::Changed(true), Reply::Changed(false), value("xx", 2))
    );
    for config in [2, 4] {
        let confirm = Command::Confirm { shard: ShardId(0), config: ConfigNum(config) };
        assert_eq!([two.apply(&confirm), two.apply(&confirm)], [Reply::Changed(true), Reply::Changed(false)]);
    }
    assert!(two.state.unconfirmed().next().is_none() && two.state.frozen().next().is_none());
}

#[test]
fn two_that_exchange_shards_do_not_wait_for_each_other() {
    let (mut one, mut two) = two();
    assert!(one.adopt(2, [2, 1, 1, 1]) && two.adopt(2, [2, 1, 1, 1]));
    two.fetch(0, &one);
    assert!(one.adopt(3, [1, 2, 1, 1]) && two.adopt(3, [1, 2, 1, 1]));
    one.fetch(0, &two);
    two.fetch(1, &one);
    assert_eq!((one.get(0), two.get(1)), (value("x", 1), value("x", 1)));
}

#[test]
fn what_belongs_to_nobody_stays_where_it_was_until_somebody_gets_it() {
    let (mut one, mut two) = two();
    let steps = [(2, [0; 4]), (3, [0; 4]), (4, [1, 2, 2, 2])];
    for (num, owners) in steps {
        assert!(one.adopt(num, owners) && two.adopt(num, owners));
        one.restart();
        two.restart();
    }
    assert_eq!(one.get(0), value("x", 1), "it has it already");
    let of_shard = |event: &Event| match event {
        Event::Shard { shard: 0, config, .. } => Some((event.name(), *config)),
        _ => None,
    };
    let told: Vec<_> = one.events.iter().filter_map(of_shard).collect();
    let back = [("shard-installed", 4), ("shard-deleted", 2)];
    assert_eq!(told, [&[("shard-created", 1), ("shard-frozen", 2)], &back[..]].concat());
    for shard in 1..SHARDS {
        two.fetch(shard, &one);
        assert_eq!(two.get(shard), value("x", 1));
        assert_eq!(one.delete(shard, 2), Reply::Changed(true), "it was frozen when it became nobody's");
    }
    assert!(one.state.frozen().next().is_none());
}

#[test]
fn who_may_give_which_command() {
    let (mut one, _) = two();
    let delete = Command::Delete { shard: ShardId(0), config: ConfigNum(1) };
    assert!(ShardKv::may_be_told(&delete) && !ShardKv::may_be_told(&append(0, "x")));
    assert!(!ShardKv::may_be_told(&Command::Adopt(configuration(2, [2; 4]))));
    let digest = one.state.digest();
    assert_eq!(
        one.operate(5, 9, &Command::Adopt(configuration(2, [2; 4]))),
        Outcome::Refused(Reply::Changed(false))
    );
    assert_eq!((one.apply(&append(0, "x")), one.state.digest()), (Reply::Changed(false), digest));
}

#[test]
fn damaged_snapshots_are_refused() {
    let (mut one, mut two) = two();
    assert!(one.adopt(2, [2, 1, 1, 1]) && two.adopt(2, [2, 1, 1, 1]));
    for group in [&one, &two] {
        let whole = group.state.snapshot();
        for length in 0..whole.len() {
            assert!(ShardKv::restore(&group.settings, &whole[..length]).is_err(), "{length} of {}", whole.len());
        }
        assert!(ShardKv::restore(&group.settings, &[&whole[..], &[0]].concat()).is_err());
    }
}

#[test]
#[cfg(feature = "zoo")]
fn a_group_that_stops_the_world_does_not_serve_what_it_has() {
    let mut two = Group::new(Settings { bug: Some(Bug::StopTheWorld), ..settings(2) });
    assert!(two.adopt(1, [1, 2, 1, 1]));
    assert_eq!(two.get(1), value("", 0));
    assert!(two.adopt(2, [2, 2, 1, 1]));
    assert_eq!(two.get(1), Answer::NotReady { config: ConfigNum(2) });
}
