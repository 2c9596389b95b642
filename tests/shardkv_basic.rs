//! Groups, the shard controller and clerks in a simulated world, without the laboratory around them: what each promises,
//! shown once.

mod world;

use labrpc::sim::{Command as Order, Lab, NetWeather, Span};
use labrpc::{Env, NodeId, Rng};
use shardlab::kvraft::{Expect, Reply as KvReply};
use shardlab::raft::Node;
use shardlab::rsm::{Malformed, Observer};
use shardlab::shardkv::{self, Bug, Clerk, Config, Failure, Patience, Settings, Timing};
use shardlab::shardmaster::{self, GroupId, Reply, ShardId};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::controller::{Master, masters, servers_of};
use world::{Cluster, Parts, Service, late_and_deaf, lossy_replies, run};

const SHARDS: u32 = 8;
const GROUPS: u32 = 3;

/// A group: the first on servers 11 to 13, the second from 21 on, and so on.
struct Group;

impl Service for Group {
    type Clerk = Clerk;
    type Bug = Bug;

    async fn boot(env: Env, Parts { raft, options, service, bug }: Parts<Bug>, observer: Observer) -> Node {
        let group = GroupId(u64::from(env.id().0 / 10));
        let settings = Settings { group, shards: SHARDS, sessions: 16, piece: 40, bug: None };
        let mut timing = Timing { poll: ms(40), ..Timing::default() };
        timing.patience.attempt = ms(100);
        let mut config = Config { raft, options, service, settings, masters: masters().into(), timing };
        config.plant(bug);
        shardkv::Server::boot(env, config, Some(observer)).await.unwrap().node().clone()
    }

    fn clerk(env: Env, servers: Vec<NodeId>, patience: Patience) -> Clerk {
        Clerk::new(env, servers, patience)
    }

    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed> {
        shardkv::digest_of_snapshot(content)
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The controller and all groups.
struct Town {
    master: Cluster<Master<SHARDS>>,
    groups: Vec<Cluster<Group>>,
}

impl Town {
    fn start(lab: &Lab, snapshot_after: u64, bug: Option<Bug>) -> Arc<Town> {
        let mut master = Cluster::from(lab, 1, 3);
        master.before_clients = 50;
        master.service.snapshot_after = Some(2_000);
        master.start();
        let group = |number: u32| {
            let mut group = Cluster::from(lab, number * 10 + 1, 3);
            group.before_clients = 60;
            group.service.snapshot_after = Some(snapshot_after);
            group.bug = bug;
            group.start();
            group
        };
        Arc::new(Town { master, groups: (1..=GROUPS).map(group).collect() })
    }

    /// A client of the store.
    async fn client<T, F>(&self, patience: Patience, work: impl FnOnce(Clerk) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        // Which cluster counts the clients is all the same.
        self.groups[0].client_of(masters(), patience, work).await
    }

    /// Who is meant to have what.
    async fn configure<T, F>(&self, work: impl FnOnce(shardmaster::Clerk) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.master.again(work).await
    }

    fn crash(&self, lab: &Lab, nodes: &[NodeId]) {
        nodes.iter().for_each(|&node| lab.order(Order::Crash { node, power: true }));
    }

    fn boot(&self, lab: &Lab, nodes: &[NodeId]) {
        nodes.iter().for_each(|&node| lab.order(Order::Boot { node }));
    }
}

fn group(number: u64) -> (GroupId, Vec<NodeId>) {
    (GroupId(number), servers_of(number))
}

async fn join(mut clerk: shardmaster::Clerk, number: u64) {
    assert!(matches!(clerk.join([group(number)]).await, Ok(Reply::Configured(_))));
}

async fn leave(mut clerk: shardmaster::Clerk, number: u64) {
    assert!(matches!(clerk.leave([GroupId(number)]).await, Ok(Reply::Configured(_))));
}

/// Every key, one in each shard at least, with the value of that round.
async fn write_all(mut clerk: Clerk, round: u64) {
    for key in 0..30 {
        let version = KvReply::Written { version: round };
        assert_eq!(clerk.put(format!("k{key:02}"), format!("{round}")).await, Ok(version));
    }
}

async fn read_all(mut clerk: Clerk, round: u64) {
    let expected = |key| (format!("k{key:02}").into(), format!("{round}").into());
    let all: Vec<_> = (0..30).map(expected).collect();
    let scanned = clerk.scan("k", 1_000).await.unwrap();
    assert!(scanned.items == all && !scanned.more && scanned.places.len() == SHARDS as usize);
    let scanned = clerk.scan("k", 7).await.unwrap();
    assert!(scanned.items == all[..7] && scanned.more);
    for (key, value) in all {
        assert_eq!(clerk.get(key).await, Ok(Some(value)));
    }
}

#[test]
fn every_operation_does_what_it_says_wherever_the_keys_are() {
    run(1, NetWeather::default(), |lab| async move {
        let town = Town::start(&lab, 1 << 20, None);
        town.configure(|clerk| join(clerk, 1)).await;
        let kept = town.client(Patience::default(), |mut clerk| async move {
            assert_eq!(clerk.append("a", "1").await, Ok(KvReply::Written { version: 1 }));
            let failed = KvReply::CasFailed { value: Some("1".into()), version: 1 };
            assert_eq!(clerk.cas("a", Expect::Version(0), "x").await, Ok(failed));
            assert_eq!(clerk.delete("b").await, Ok(KvReply::Deleted { existed: false }));
            let (place, value, version) = clerk.read("a").await.unwrap();
            assert_eq!((place.group, value, version), (GroupId(1), Some("1".into()), 1));
            clerk
        });
        let mut kept = kept.await;
        town.client(Patience::default(), |clerk| write_all(clerk, 1)).await;
        for (round, number) in [(2, 2), (3, 3)] {
            town.configure(move |clerk| join(clerk, number)).await;
            town.client(Patience::default(), move |clerk| read_all(clerk, round - 1)).await;
            town.client(Patience::default(), move |clerk| write_all(clerk, round)).await;
        }
        // Nobody has anything for a while, and then somebody else.
        for number in 1..=3 {
            town.configure(move |clerk| leave(clerk, number)).await;
        }
        let impatient = Patience { deadline: ms(500), ..Patience::default() };
        assert_eq!(
            town.client(impatient, |mut clerk| async move { clerk.get("a").await }).await,
            Err(Failure::Unavailable)
        );
        town.configure(|clerk| join(clerk, 2)).await;
        town.client(Patience::default(), |clerk| read_all(clerk, 3)).await;
        town.client(Patience::default(), |_| async move {
            assert_eq!(kept.append("a", "2").await, Ok(KvReply::Written { version: 2 }));
        })
        .await;
    });
}

/// Group 1 is dead and leaves. For each of 30 keys: whether the group that had it is the dead one, and whether it is served.
fn beside_the_dead(bug: Option<Bug>) -> Vec<(bool, bool)> {
    run(2, NetWeather::default(), move |lab| async move {
        let town = Town::start(&lab, 1 << 20, bug);
        town.configure(|mut clerk| async move {
            let all = [group(1), group(2), group(3)];
            assert!(matches!(clerk.join(all).await, Ok(Reply::Configured(_))));
        })
        .await;
        town.client(Patience::default(), |clerk| write_all(clerk, 1)).await;
        let before = town.configure(|mut clerk| async move { clerk.query(None).await.unwrap() }).await;
        town.crash(&lab, &servers_of(1));
        // Group 1 leaves and cannot hand over; 3 hands over to 2.
        town.configure(|clerk| leave(clerk, 1)).await;
        let third = ShardId(before.shards.iter().position(|owner| *owner == Some(GroupId(3))).unwrap() as u32);
        town.configure(move |mut clerk| async move { clerk.move_shard(third, GroupId(2)).await }).await.unwrap();
        let impatient = Patience { deadline: ms(1_500), ..Patience::default() };
        let served = town.client(impatient, move |mut clerk| async move {
            let mut served = Vec::new();
            for key in 0..30 {
                let key = format!("k{key:02}");
                let owner = before.owner(shardmaster::shard_of(key.as_bytes(), SHARDS));
                served.push((owner == Some(GroupId(1)), clerk.get(key).await.is_ok()));
            }
            served
        });
        let served = served.await;
        town.boot(&lab, &servers_of(1));
        town.client(Patience::default(), |clerk| read_all(clerk, 1)).await;
        served
    })
}

#[test]
fn what_does_not_move_is_served_while_the_source_of_what_moves_is_dead() {
    let served = beside_the_dead(None);
    assert!(served.iter().any(|(is_dead, _)| *is_dead) && served.iter().any(|(is_dead, _)| !is_dead));
    assert!(served.iter().all(|(is_dead, is_served)| is_dead != is_served), "{served:?}");
    if cfg!(feature = "zoo") {
        let stopped = beside_the_dead(Some(Bug::StopTheWorld));
        assert!(stopped.iter().any(|(is_dead, is_served)| !is_dead && !is_served), "{stopped:?}");
    }
}

/// Appends tokens. Which were acknowledged, and which may be there.
async fn tokens(mut clerk: Clerk, client: u64, count: u64) -> (Vec<String>, Vec<String>) {
    let (mut surely, mut perhaps) = (Vec::new(), Vec::new());
    for number in 0..count {
        let token = format!("<{client}.{number}>");
        match clerk.append(format!("t{}", (client + number) % 12), token.clone()).await {
            Ok(_) => surely.push(token),
            Err(Failure::Unknown) => perhaps.push(token),
            Err(_) => {}
        }
    }
    (surely, perhaps)
}

/// Groups come and go and shards are moved.
async fn reconfigure(mut clerk: shardmaster::Clerk, lab: Lab, seed: u64, count: u32) {
    let mut rng = Rng::new(seed, "reconfigure");
    let mut there: Vec<u64> = (1..=u64::from(GROUPS)).collect();
    for _ in 0..count {
        let number = rng.within(1..=GROUPS.into());
        let _ = match (rng.below(3), there.contains(&number)) {
            (0, true) => {
                there.retain(|other| *other != number);
                clerk.leave([GroupId(number)]).await
            }
            (0 | 1, false) => {
                there.push(number);
                clerk.join([group(number)]).await
            }
            _ => clerk.move_shard(ShardId(rng.below(SHARDS.into()) as u32), GroupId(number)).await,
        };
        lab.sleep(ms(rng.within(20..=300))).await;
    }
    let missing = (1..=GROUPS.into()).filter(|number| !there.contains(number)).map(group).collect::<Vec<_>>();
    if !missing.is_empty() {
        clerk.join(missing).await.unwrap();
    }
}

/// Leaders and whole groups lose their power.
async fn outages(town: Arc<Town>, lab: Lab, seed: u64, count: u32) {
    let mut rng = Rng::new(seed, "outages");
    for _ in 0..count {
        lab.sleep(ms(rng.within(100..=500))).await;
        let which = rng.within(1..=GROUPS.into());
        let nodes = match town.groups[which as usize - 1].leader() {
            Some(leader) if rng.chance(500_000) => vec![leader],
            _ => servers_of(which),
        };
        town.crash(&lab, &nodes);
        lab.sleep(ms(rng.within(10..=200))).await;
        town.boot(&lab, &nodes);
    }
}

/// Clients append while groups come, go, and lose their power. What is wrong in the end, or how many tokens were acknowledged.
fn storm(seed: u64, bug: Option<Bug>) -> Result<usize, String> {
    run(seed, lossy_replies(), move |lab| async move {
        let town = Town::start(&lab, 300, bug);
        let all = [group(1), group(2), group(3)];
        town.configure(|mut clerk| async move { clerk.join(all).await.unwrap() }).await;
        let patience = Patience { attempt: ms(80), deadline: ms(8_000), ..Patience::default() };
        let ended = Arc::new(Mutex::new(0));
        lab.spawn(outages(town.clone(), lab.clone(), seed, 10));
        let (moving, moved, beside) = (town.clone(), ended.clone(), lab.clone());
        lab.spawn(async move {
            let lab = beside.clone();
            moving.configure(move |clerk| reconfigure(clerk, lab, seed, 25)).await;
            *moved.lock().unwrap() += 1;
        });
        let clients = (0..4).map(|client| town.client(patience, move |clerk| tokens(clerk, client, 25)));
        let outcomes = futures::future::join_all(clients).await;
        while *ended.lock().unwrap() == 0 {
            lab.sleep(ms(50)).await;
        }
        lab.sleep(ms(2_000)).await;
        come_to_rest(&town, &lab).await?;
        account(&town, outcomes, patience).await
    })
}

/// Tokens that were acknowledged must be there once, others at most once. How many were.
async fn account(
    town: &Town,
    outcomes: Vec<(Vec<String>, Vec<String>)>,
    patience: Patience,
) -> Result<usize, String> {
    let (mut surely, mut perhaps) = (Vec::new(), Vec::new());
    for (sure, unsure) in outcomes {
        surely.extend(sure);
        perhaps.extend(unsure);
    }
    // A third of all answers may be lost, and a scan needs one of each shard.
    let patience = Patience { deadline: ms(20_000), ..patience };
    let all = town.client(patience, |mut clerk| async move { clerk.scan("t", 1_000).await });
    let scanned = all.await.map_err(|failure| format!("the scan: {failure}"))?;
    let values: Vec<u8> = scanned.items.iter().flat_map(|(_, value)| value.to_vec()).collect();
    let values = String::from_utf8(values).unwrap();
    let count = |token: &String| values.matches(token.as_str()).count();
    match (surely.iter().find(|token| count(token) != 1), perhaps.iter().find(|token| count(token) > 1)) {
        (Some(token), _) => Err(format!("{token} was acknowledged and is there {} times", count(token))),
        (_, Some(token)) => Err(format!("{token} is there {} times", count(token))),
        _ => Ok(surely.len()),
    }
}

/// The followers of a group answer late, so commands stand in its log for long, some behind the configuration that takes away
/// what they are about.
fn late_followers(bug: Option<Bug>) -> Result<usize, String> {
    run(4, NetWeather::default(), move |lab| async move {
        let town = Town::start(&lab, 1 << 20, bug);
        town.configure(|clerk| join(clerk, 1)).await;
        town.client(Patience::default(), |clerk| write_all(clerk, 1)).await;
        let leader = town.groups[0].leader().expect("somebody has just acknowledged");
        let [late, _] = late_and_deaf(leader, Span::millis(150));
        lab.order(Order::AddRule(late));
        let patience = Patience { attempt: ms(1_000), ..Patience::default() };
        let clients: Vec<_> =
            (0..8).map(|client| town.client(patience, move |clerk| tokens(clerk, client, 12))).collect();
        let (moving, beside) = (town.clone(), lab.clone());
        lab.spawn(async move {
            for number in [2, 3] {
                beside.sleep(ms(400)).await;
                moving.configure(move |clerk| join(clerk, number)).await;
            }
        });
        let outcomes = futures::future::join_all(clients).await;
        account(&town, outcomes, patience).await
    })
}

#[test]
fn a_command_behind_the_configuration_that_takes_its_shard_away_goes_where_the_shard_goes() {
    assert_eq!(late_followers(None), Ok(96));
    if cfg!(feature = "zoo") {
        let lost = late_followers(Some(Bug::ServeAfterHandoff)).unwrap_err();
        assert!(lost.contains("was acknowledged and is there 0 times"), "{lost}");
    }
}

/// All groups come to the last configuration with nothing under way, and all servers of each to the same state.
async fn come_to_rest(town: &Town, lab: &Lab) -> Result<(), String> {
    let last = town.configure(|mut clerk| async move { clerk.query(None).await.unwrap() }).await;
    for number in 1..=u64::from(GROUPS) {
        let patience = Patience { deadline: ms(3_000), ..Patience::default() };
        let config = last.clone();
        let beside = lab.clone();
        let rests = town.client(patience, move |mut clerk| async move {
            let owned = |shard: &ShardId| config.owner(*shard) == Some(GroupId(number));
            let mut status = None;
            for _ in 0..60 {
                status = clerk.status(servers_of(number)).await.ok();
                let rests = |status: &shardkv::Status| {
                    status.config == config.num
                        && status.rests()
                        && status.owned == (0..SHARDS).map(ShardId).filter(owned).collect::<Vec<_>>()
                };
                if status.as_ref().is_some_and(rests) {
                    return Ok(());
                }
                beside.sleep(ms(250)).await;
            }
            Err(format!("group {number} does not come to rest: {status:?}"))
        });
        rests.await?;
    }
    lab.sleep(ms(1_000)).await;
    for group in &town.groups {
        let states = group.seen(|seen| seen.iter().map(|one| (one.index, one.digest)).collect::<Vec<_>>());
        if states.iter().any(|state| *state != states[0]) {
            return Err(format!("servers of a group differ: {states:?}"));
        }
    }
    let restored = |group: &Cluster<Group>| group.seen(|seen| seen.iter().any(|one| one.restores > 0));
    if !town.groups.iter().any(restored) {
        return Err("nobody goes on from a snapshot".into());
    }
    Ok(())
}

#[test]
fn nothing_is_lost_or_done_twice_while_shards_move_and_servers_crash() {
    for seed in 0..8 {
        match storm(seed, None) {
            Ok(acknowledged) => assert!(acknowledged > 80, "seed {seed}: {acknowledged} of 100"),
            Err(why) => panic!("seed {seed}: {why}"),
        }
    }
}

#[test]
#[cfg(feature = "zoo")]
fn planted_bugs_are_seen_in_the_same_storm() {
    let seen = |bug| (0..6).find_map(|seed| storm(seed, Some(bug)).err());
    for bug in [
        Bug::ServeBeforeData,
        Bug::WriteRevivesDeletedShard,
        Bug::DedupNotMigrated,
        Bug::PullFromUnreadySource,
        Bug::SkipConfigs,
        Bug::ConfigNotInLog,
        Bug::MutualPullDeadlock,
        Bug::MigrationTaskLost,
        Bug::StaleDelete,
        Bug::ShardNeverGced,
    ] {
        assert!(seen(bug).is_some(), "{bug:?}");
    }
}
