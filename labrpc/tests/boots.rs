//! A crash takes effect inside the operation that it strikes: from that instant the boot has no effect.

mod world;

use labrpc::sim::{Command, CrashPoint, DiskWeather, Edge, Effect, NetWeather, Span};
use labrpc::{Env, Event, Index, Kind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::{S1, S2, booter, start, world};

const PING: Kind = Kind::new("ping");

/// Has one effect of that label, and then many more of every sort, without and with awaits in between.
async fn effects_of_every_sort(env: Env, first: Effect) {
    let disk = env.disk();
    match first {
        Effect::Send => env.send(S2, PING, vec![0]),
        Effect::Call => drop(env.call(S2, PING, vec![0], env.now() + Duration::from_millis(50)).await),
        Effect::Reply => {
            let request = env.accept().await;
            env.reply(&request, vec![0]);
        }
        Effect::Emit => env.emit(&Event::Applied { index: Index(1) }),
        Effect::Write => drop(disk.append("f", vec![0]).await),
        Effect::Truncate => drop(disk.truncate("old", 1).await),
        Effect::Rename => drop(disk.rename("old", "new").await),
        Effect::Remove => drop(disk.remove("old").await),
        Effect::Sync => drop(disk.sync("old").await),
        Effect::SyncDir => drop(disk.sync_dir().await),
    }
    env.send(S2, PING, vec![1]);
    env.emit(&Event::Applied { index: Index(2) });
    let after = env.clone();
    env.spawn(async move { after.send(S2, PING, vec![2]) });
    let _ = disk.append("g", vec![1]).await;
    let _ = disk.sync("g").await;
    env.send(S2, PING, vec![3]);
}

/// Sends from `Drop`, as a program might that says goodbye.
struct Goodbye(Env);

impl Drop for Goodbye {
    fn drop(&mut self) {
        self.0.send(S2, PING, vec![9]);
        self.0.emit(&Event::Applied { index: Index(9) });
    }
}

/// The log of a run in which S1 is crashed at its first effect of that label.
fn crashed_at(effect: Effect, edge: Edge, power: bool, latency: bool) -> Vec<String> {
    let (_, log, _) = world(1, NetWeather::default(), move |lab| async move {
        let boot = Arc::new(Mutex::new(0));
        let victim = booter(move |env| {
            let boot = {
                let mut boot = boot.lock().unwrap();
                *boot += 1;
                *boot
            };
            async move {
                match boot {
                    // The first boot prepares a durable file.
                    1 => {
                        env.disk().append("old", vec![7; 9]).await.unwrap();
                        env.disk().sync("old").await.unwrap();
                        env.disk().sync_dir().await.unwrap();
                    }
                    2 => {
                        let _goodbye = Goodbye(env.clone());
                        effects_of_every_sort(env, effect).await;
                        std::future::pending::<()>().await;
                    }
                    _ => {}
                }
            }
        });
        let caller = booter(|env| async move {
            loop {
                let _ = env.call(S1, PING, vec![0], env.now() + Duration::from_millis(20)).await;
            }
        });
        start(&lab, S1, victim);
        start(&lab, S2, caller);
        lab.sleep(Duration::from_secs(1)).await;
        lab.order(Command::Crash { node: S1, power: false });
        if latency {
            let slow = labrpc::sim::Spread::millis(5, 5);
            lab.order(Command::Disk {
                node: S1,
                weather: DiskWeather { write: slow, sync: slow, ..DiskWeather::default() },
            });
        }
        let point = CrashPoint { node: S1, effect, on: String::new(), nth: 1, edge, power, back_after: None };
        lab.order(Command::CrashAt(point));
        lab.order(Command::Boot { node: S1 });
        lab.sleep(Duration::from_secs(1)).await;
        lab.note(None, "reboot");
        lab.order(Command::Boot { node: S1 });
        lab.sleep(Duration::from_secs(1)).await;
    });
    log
}

/// What S1 itself did to the world, as opposed to what was done to it.
fn is_effect_of_s1(line: &str) -> bool {
    let own = line.contains("Emitted { node: S1") || line.contains("Disk { node: S1");
    own || (line.contains("Sent") && line.contains("from: S1"))
}

#[test]
fn a_node_crashed_inside_any_effect_has_no_later_one() {
    for effect in Effect::ALL {
        for edge in [Edge::Before, Edge::After] {
            for (power, latency) in [(false, false), (true, false), (true, true), (false, true)] {
                let log = crashed_at(effect, edge, power, latency);
                let case = format!("{edge:?} {effect:?}, power {power}, latency {latency}");
                // The second crash: the first one ended the boot that prepared the disk.
                let at = log.iter().enumerate().filter(|(_, line)| line.contains("Crashed { node: S1")).nth(1);
                let (at, crash) = at.unwrap_or_else(|| panic!("{case}: never struck\n{log:#?}"));
                assert!(crash.contains(&format!("power: {power}")), "{case}");
                let reboot = log.iter().position(|line| line.contains("\"reboot\"")).unwrap();
                let late: Vec<_> = log[at..reboot].iter().filter(|line| is_effect_of_s1(line)).collect();
                assert!(late.is_empty(), "{case}: effects after the crash: {late:#?}");
                let booted = log.iter().enumerate().filter(|(_, line)| line.contains("Booting { node: S1")).nth(1);
                let (booted, _) = booted.expect("it was booted again");
                let had: Vec<_> = log[booted..at].iter().filter(|line| is_effect_of_s1(line)).collect();
                assert_eq!(had.is_empty(), edge == Edge::Before, "{case}: {had:#?}");
            }
        }
    }
}

#[test]
fn a_boot_begins_after_the_one_before_is_silent_and_with_a_number_of_its_own() {
    let (boots, _, _) = world(1, NetWeather::default(), |lab| async move {
        let boots = Arc::new(Mutex::new(Vec::new()));
        let seen = boots.clone();
        start(
            &lab,
            S1,
            booter(move |env| {
                let seen = seen.clone();
                async move {
                    seen.lock().unwrap().push((env.boot().0, env.rng("x").below(u64::MAX)));
                    let _goodbye = Goodbye(env.clone());
                    loop {
                        env.sleep(Duration::from_millis(1)).await;
                        env.send(S2, PING, vec![env.boot().0 as u8]);
                    }
                }
            }),
        );
        for _ in 0..3 {
            lab.sleep(Duration::from_millis(10)).await;
            lab.order(Command::Crash { node: S1, power: false });
            lab.order(Command::Boot { node: S1 });
        }
        lab.sleep(Duration::from_millis(10)).await;
        boots.lock().unwrap().clone()
    });
    assert_eq!(boots.iter().map(|(boot, _)| *boot).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(boots.windows(2).all(|pair| pair[0].1 != pair[1].1), "each boot has its own randomness");
}

#[test]
fn a_paused_node_stands_still_and_then_finds_everything_at_once() {
    let (_, log, _) = world(1, NetWeather::default(), |lab| async move {
        start(
            &lab,
            S2,
            booter(|env| async move {
                loop {
                    env.recv().await;
                    env.emit(&Event::Applied { index: Index(1) });
                }
            }),
        );
        start(
            &lab,
            S1,
            booter(|env| async move {
                loop {
                    env.send(S2, PING, vec![1]);
                    env.sleep(Duration::from_millis(10)).await;
                }
            }),
        );
        lab.sleep(Duration::from_millis(100)).await;
        lab.order(Command::Pause { node: S2 });
        lab.sleep(Duration::from_millis(100)).await;
        lab.note(None, "resume");
        lab.order(Command::Resume { node: S2 });
        lab.sleep(Duration::from_millis(1)).await;
        lab.note(None, "end");
    });
    let find = |text: &str| log.iter().position(|line| line.contains(text)).unwrap();
    let handled = |part: &[String]| part.iter().filter(|line| line.contains("Emitted { node: S2")).count();
    assert_eq!(handled(&log[find("Paused")..find("\"resume\"")]), 0);
    assert!(handled(&log[find("\"resume\"")..find("\"end\"")]) >= 9, "what queued up comes as a burst");
}

#[test]
fn a_disk_that_stalls_holds_everything_back_and_then_completes() {
    let (_, log, _) = world(1, NetWeather::default(), |lab| async move {
        start(
            &lab,
            S1,
            booter(|env| async move {
                for n in 0..5 {
                    env.sleep(Duration::from_millis(10)).await;
                    env.disk().append("f", vec![n]).await.unwrap();
                    env.disk().sync("f").await.unwrap();
                    env.emit(&Event::Applied { index: Index(n.into()) });
                }
            }),
        );
        lab.sleep(Duration::from_millis(15)).await;
        lab.order(Command::StallDisk { node: S1, span: Span::secs(2) });
        lab.sleep(Duration::from_millis(1_900)).await;
        lab.note(None, "still");
        lab.sleep(Duration::from_millis(500)).await;
    });
    let still = log.iter().position(|line| line.contains("\"still\"")).unwrap();
    let done = |part: &[String]| part.iter().filter(|line| line.contains("Emitted")).count();
    assert_eq!((done(&log[..still]), done(&log[still..])), (1, 4));
}
