//! Groups that were set up wrongly, have moved, or speak another language: what is said of it, and what goes on all the same.

mod world;

use labrpc::sim::{
    Command as Order, DiskWeather, Finished, Hook, Lab, Limits, NetWeather, Observed, Setup, Span, Stamp, View,
    run as simulate,
};
use labrpc::{Env, Event, Index, NodeId, ShardChange};
use shardlab::kvraft::Reply as KvReply;
use shardlab::raft::Node;
use shardlab::rsm::{self, Malformed, Observer, Request, Response};
use shardlab::shardkv::{
    self, Answer, Clerk, Command, Config, Failure, MIGRATION_KINDS, Patience, Query, Reply as ShardReply, Settings,
    ShardKv, Timing,
};
use shardlab::shardmaster::{ConfigNum, GroupId, Reply, ShardId, shard_of};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::controller::{Master, masters, servers_of};
use world::{Cluster, Parts, Service, late_and_deaf};

const SHARDS: u32 = 8;

/// A group that was made for so many shards: the first on servers 11 to 13, and so on.
struct Group<const MADE_FOR: u32>;

/// Its leaders go on leading when nobody answers them any more, as Raft without check-quorum does.
#[derive(Clone, Copy)]
struct Stubborn;

impl<const MADE_FOR: u32> Service for Group<MADE_FOR> {
    type Clerk = Env;
    type Bug = Stubborn;

    async fn boot(env: Env, parts: Parts<Stubborn>, observer: Observer) -> Node {
        let Parts { mut raft, options, service, bug } = parts;
        raft.check_quorum = bug.is_none();
        let group = GroupId(u64::from(env.id().0 / 10));
        let settings = Settings { group, shards: MADE_FOR, ..Settings::default() };
        let timing = Timing { poll: ms(40), ..Timing::default() };
        let config = Config { raft, options, service, settings, masters: masters().into(), timing };
        shardkv::Server::boot(env, config, Some(observer)).await.unwrap().node().clone()
    }

    /// What its clients are is for each test to say.
    fn clerk(env: Env, _: Vec<NodeId>, _: Patience) -> Env {
        env
    }

    fn digest_of_snapshot(content: &[u8]) -> Result<u64, Malformed> {
        shardkv::digest_of_snapshot(content)
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn controller(lab: &Lab) -> Cluster<Master<SHARDS>> {
    let mut master = Cluster::from(lab, 1, 3);
    master.before_clients = 100;
    master.start();
    master
}

fn group<const MADE_FOR: u32>(lab: &Lab, number: u32) -> Cluster<Group<MADE_FOR>> {
    group_that_is(None, lab, number)
}

fn group_that_is<const MADE_FOR: u32>(bug: Option<Stubborn>, lab: &Lab, number: u32) -> Cluster<Group<MADE_FOR>> {
    let mut group = Cluster::from(lab, number * 10 + 1, 3);
    group.bug = bug;
    group.before_clients = 100 * number + 100;
    group.start();
    group
}

async fn join(master: &Cluster<Master<SHARDS>>, group: u64, servers: Vec<NodeId>) {
    let reply = master.again(move |mut clerk| async move { clerk.join([(GroupId(group), servers)]).await });
    assert!(matches!(reply.await, Ok(Reply::Configured(_))));
}

async fn leave(master: &Cluster<Master<SHARDS>>, group: u64) {
    let reply = master.again(move |mut clerk| async move { clerk.leave([GroupId(group)]).await });
    assert!(matches!(reply.await, Ok(Reply::Configured(_))));
}

/// A client of the store.
async fn client<const N: u32, T, F>(beside: &Cluster<Group<N>>, work: impl FnOnce(Clerk) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    beside.again(|env| work(Clerk::new(env, masters(), Patience::default()))).await
}

/// What servers have said that nobody should have to hear.
type Complaints = Arc<Mutex<Vec<Event>>>;

struct Listener(Complaints);

impl Hook for Listener {
    fn observe(&mut self, _: Stamp, seen: &Observed<'_>, _: &View<'_>, _: &mut Vec<Order>) {
        if let Observed::Emitted { event, .. } = seen
            && matches!(
                event,
                Event::ConfigRefused { .. }
                    | Event::ShardMissing { .. }
                    | Event::Shard { change: ShardChange::Unreadable { .. }, .. }
            )
        {
            self.0.lock().unwrap().push((*event).clone());
        }
    }
}

/// What comes of it, and what was complained of.
fn heard<T, F>(main: impl FnOnce(Lab) -> F + Send + 'static) -> (T, Vec<Event>)
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let complaints = Complaints::default();
    let hook = Box::new(Listener(complaints.clone()));
    let thread = std::thread::spawn(move || {
        let setup = Setup { seed: 1, schedule: 1, net: NetWeather::default(), limits: Limits::default(), hook };
        let Finished { outcome, .. } = simulate(setup, main);
        outcome.unwrap_or_else(|ending| panic!("{ending:?}"))
    });
    let outcome = thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload));
    let complaints = complaints.lock().unwrap().clone();
    (outcome, complaints)
}

#[test]
fn a_group_that_was_made_for_another_number_of_shards_says_so_and_so_do_its_clients() {
    let (failures, complaints) = heard(|lab| async move {
        let master = controller(&lab);
        let group = group::<4>(&lab, 1);
        join(&master, 1, servers_of(1)).await;
        let written = client(&group, |mut clerk| async move { clerk.put("a", "1").await }).await;
        let read = client(&group, |mut clerk| async move { clerk.get("a").await }).await;
        lab.sleep(ms(2_000)).await;
        [written.unwrap_err(), read.unwrap_err()]
    });
    assert_eq!(failures, [Failure::OtherShards { group: 1, has: 4, controller: 8 }; 2]);
    assert_eq!(
        failures[0].to_string(),
        "unknown: group 1 was made for 4 shards, and its controller for 8: it serves none of them"
    );
    // Once for each leader: nobody is in doubt, and nobody's log is flooded.
    let why = "it is of 8 shards, and the group was made for 4".to_string();
    assert_eq!(complaints, [Event::ConfigRefused { group: 1, config: 1, why }]);
}

/// A server that is alone cannot say how its group is, and says how it is itself.
#[test]
fn whoever_looks_at_a_server_is_told_what_it_has_and_nothing_is_written() {
    heard(|lab| async move {
        let master = controller(&lab);
        let group = group::<SHARDS>(&lab, 1);
        join(&master, 1, servers_of(1)).await;
        client(&group, |mut clerk| async move { clerk.put("a", "1").await.unwrap() }).await;
        lab.sleep(ms(1_000)).await;
        for node in [12, 13] {
            lab.order(Order::Crash { node: NodeId(node), power: true });
        }
        let before = group.seen(|seen| seen[0].index);
        let ask = |request: Request<Command, Query>| {
            group.again(move |env: Env| async move {
                let body = labgob::encode(&request).unwrap();
                let answer = env.call(NodeId(11), shardkv::KINDS.query, body, env.now() + ms(1_000)).await.ok()?;
                labgob::decode::<Response<ShardReply, Answer>>(&answer).ok()
            })
        };
        let Some(Response::Read { index, answer: Answer::Status(status) }) =
            ask(Request::Look(Query::Status)).await
        else {
            panic!("it says how it is");
        };
        assert_eq!((index, status.config, status.owned.len()), (before, ConfigNum(1), SHARDS as usize));
        assert!(!matches!(ask(Request::Query(Query::Status)).await, Some(Response::Read { .. })));
        assert_eq!(group.seen(|seen| seen[0].index), before);
    });
}

/// Group 2 joins under servers that are not its own. It does not know, and takes the shards that it gets. When it leaves, nobody
/// finds it; when it joins again where it is, it is found. What was read in the end, and what was complained of.
fn joined_elsewhere(group_of_the_servers: u64) -> (Result<usize, Failure>, Vec<Event>) {
    heard(move |lab| async move {
        let master = controller(&lab);
        let (one, _two) = (group::<SHARDS>(&lab, 1), group::<SHARDS>(&lab, 2));
        let _three = group::<SHARDS>(&lab, 3);
        join(&master, 1, servers_of(1)).await;
        client(&one, |mut clerk| async move {
            for key in 0..30 {
                assert_eq!(clerk.put(format!("k{key}"), "x").await, Ok(KvReply::Written { version: 1 }));
            }
        })
        .await;
        join(&master, 2, servers_of(group_of_the_servers)).await;
        lab.sleep(ms(3_000)).await;
        leave(&master, 2).await;
        lab.sleep(ms(3_000)).await;
        join(&master, 2, servers_of(2)).await;
        lab.sleep(ms(10_000)).await;
        client(&one, |mut clerk| async move { clerk.scan("k", 100).await.map(|found| found.items.len()) }).await
    })
}

#[test]
fn what_a_group_keeps_is_found_where_it_has_joined_since() {
    let nobody = 9;
    assert_eq!(joined_elsewhere(nobody), (Ok(30), vec![]));
    let (found, complaints) = joined_elsewhere(3);
    assert_eq!(found, Ok(30), "whoever does not have it is not all that is asked");
    let missing = |event: &Event| matches!(event, Event::ShardMissing { group: 1, from: 2, frozen: 3, .. });
    assert!(!complaints.is_empty() && complaints.iter().all(missing), "{complaints:?}");
}

/// How often the beginning of each shard was asked for.
type Asked = Arc<Mutex<[u32; SHARDS as usize]>>;

/// A server that has whatever it is asked for, each shard in so many pieces, and none of it can be read, except for one shard.
fn stranger(lab: &Lab, node: NodeId, pieces: u64, readable: ShardId, asked: Asked) {
    let booter: labrpc::sim::Booter = Arc::new(move |env: Env| {
        let asked = asked.clone();
        Box::pin(async move {
            env.clone().spawn(async move {
                loop {
                    let request = env.accept().await;
                    let response = match labgob::decode::<Request<Command, Query>>(&request.body) {
                        Ok(Request::Query(Query::Pull { shard, offset, most, .. })) => {
                            asked.lock().unwrap()[shard.slot()] += u32::from(offset == 0);
                            let (total, piece) = if shard == readable {
                                let empty = shardkv::Shard::empty().save();
                                (empty.len() as u64, empty)
                            } else {
                                (pieces * most, vec![7; most as usize])
                            };
                            Response::Read { index: Index(1), answer: Answer::Piece { total, piece: piece.into() } }
                        }
                        Ok(Request::Tell(_)) => {
                            Response::Done { index: Index(1), reply: ShardReply::Changed(true) }
                        }
                        _ => Response::Busy,
                    };
                    env.reply(&request, labgob::encode::<Response<ShardReply, Answer>>(&response).unwrap());
                }
            });
        })
    });
    lab.add_node(node, DiskWeather::default(), booter);
    lab.order(Order::Boot { node });
}

/// A group takes over all shards from the stranger.
fn taken_from_a_stranger(pieces: u64) {
    let (asked, complaints) = heard(move |lab| async move {
        let asked = Asked::default();
        let last = ShardId(SHARDS - 1);
        stranger(&lab, NodeId(91), pieces, last, asked.clone());
        let master = controller(&lab);
        let one = group::<SHARDS>(&lab, 1);
        join(&master, 9, vec![NodeId(91)]).await;
        leave(&master, 9).await;
        join(&master, 1, servers_of(1)).await;
        lab.sleep(ms(5_000)).await;
        let key = (0..).map(|key| format!("k{key}")).find(|key| shard_of(key.as_bytes(), SHARDS) == last).unwrap();
        let written = client(&one, |mut clerk| async move { clerk.put(key, "x").await }).await;
        assert_eq!(written, Ok(KvReply::Written { version: 1 }), "there is room for it beside the others");
        lab.sleep(ms(60_000)).await;
        *asked.lock().unwrap()
    });
    assert!(asked.iter().all(|times| *times > 0), "{asked:?}");
    assert!(asked.iter().all(|times| *times < 30), "{asked:?}");
    let unreadable = |event: &Event| {
        matches!(event, Event::Shard { group: 1, change: ShardChange::Unreadable { from: 9, .. }, .. })
    };
    assert!(complaints.len() > 10 && complaints.iter().all(unreadable), "{complaints:?}");
}

#[test]
fn what_cannot_be_read_is_reported_fetched_ever_more_seldom_and_keeps_nothing_else_waiting() {
    taken_from_a_stranger(1);
}

/// One of them alone would fill the window.
#[test]
fn nor_do_shards_of_many_pieces_that_cannot_be_read() {
    taken_from_a_stranger(2 * Timing::default().window as u64);
}

/// The followers of a group answer late, and somebody tells it to delete a copy again and again. All that tells it once.
#[test]
fn what_a_group_is_told_again_while_it_is_under_way_is_not_put_into_its_log_again() {
    let (entries, _) = heard(|lab| async move {
        let _master = controller(&lab);
        let one = group::<SHARDS>(&lab, 1);
        lab.sleep(ms(2_000)).await;
        let leader = one.leader().expect("nobody was disturbed");
        let before = one.seen(|seen| seen.iter().map(|seen| seen.index).max()).unwrap();
        let [late, _] = late_and_deaf(leader, Span::millis(150));
        lab.order(Order::AddRule(late));
        let patience = Patience { attempt: ms(50), pause: ms(10), ..Patience::default() };
        let told = one.again(move |env| async move {
            let mut clerk = rsm::Clerk::<ShardKv>::new(env, vec![leader], MIGRATION_KINDS, patience);
            clerk.tell(Command::Delete { shard: ShardId(1), config: ConfigNum(0) }).await
        });
        assert!(matches!(told.await, Ok((_, ShardReply::Changed(false)))));
        lab.sleep(ms(4_000)).await;
        one.seen(|seen| seen.iter().map(|seen| seen.index).max()).unwrap().0 - before.0
    });
    assert_eq!(entries, 1);
}

/// A leader is cut off from its group and does not notice. It has never heard that its group has shards, and says so whoever asks.
#[test]
fn a_client_does_not_believe_for_ever_a_leader_that_is_cut_off() {
    let (written, _) = heard(|lab| async move {
        let master = controller(&lab);
        let two = group_that_is::<SHARDS>(Some(Stubborn), &lab, 2);
        lab.sleep(ms(2_000)).await;
        let stale = two.leader().expect("nobody was disturbed");
        let others: Vec<NodeId> = servers_of(2).into_iter().filter(|server| *server != stale).collect();
        for &other in others.iter().chain(&masters()) {
            lab.order(Order::Cut { from: stale.into(), to: other.into() });
            lab.order(Order::Cut { from: other.into(), to: stale.into() });
        }
        join(&master, 2, [stale].into_iter().chain(others).collect()).await;
        lab.sleep(ms(3_000)).await;
        client(&two, |mut clerk| async move { clerk.put("a", "1").await }).await
    });
    assert_eq!(written, Ok(KvReply::Written { version: 1 }));
}
