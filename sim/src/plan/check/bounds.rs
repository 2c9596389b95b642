//! That what a plan asks for is within bounds: no spread is upside down, nothing lasts longer than the run may,
//! nothing is so large that it ends in an allocation and not in a verdict.
//!
//! A plan beyond these bounds does not run for ever or end the process: it is refused. Nor may one be run that no
//! Raft could stand, for the laboratory would put the blame on Raft.

use super::size::{Scope, least, most};
use super::{PlanError, refuse};
use crate::plan::{Act, Fault, Knobs, Moment, Op, Plan, Reaction, Selector, Step, Trigger, What};
use labrpc::sim::{DiskWeather, Limits, NetWeather, Span, Spread, Tail};

type Outcome = Result<(), PlanError>;

/// Certainty, in parts per million.
const CERTAIN: u32 = 1_000_000;
/// No run may be given more virtual time. A million jumps of a clock by as much are still far from the 584 years
/// at which nanoseconds overflow.
const LONGEST: Span = Span::secs(3_600);
/// Of events in all, of events in a millisecond, of bytes sent.
const MOST_EVENTS: u64 = 1_000_000_000;
const MOST_EVENTS_PER_MS: u64 = 1_000_000;
const MOST_BYTES_SENT: u64 = 1 << 40;
/// Steps, commands and operations in all, each counted as often as it is repeated.
const MOST_STEPS: u64 = 1_000_000;
/// One command. [`labgob::LIMIT`], 64 MiB, is for all that is written or sent at once.
const LARGEST_COMMAND: u32 = 1 << 20;
/// All commands together, since a server may write all that it has into one record.
const MOST_OF_COMMANDS: u64 = 32 << 20;
/// The ballast of a snapshot, which is one value, and in how many pieces it may have to be sent.
const LARGEST_BALLAST: u32 = 16 << 20;
const LARGEST_CHUNK: u32 = 1 << 20;
const MOST_PIECES: u32 = 10_000;
/// Shards of a store.
const MOST_SHARDS: u32 = 1_024;
/// Entries that wait for the service, and appends on the way.
const MOST_WAITING: u32 = 1_000_000;
/// The service of every server takes at most so long for an entry, in the finale too. One of them can be slower:
/// the finale ends that.
const LONGEST_LAG: Span = Span::secs(1);
/// For one message. With more, a heartbeat each is all that a server gets done.
const LONGEST_BUSY: Span = Span::millis(50);
/// Bytes in a second on a link. With less, a heartbeat takes longer than an election timeout.
const LEAST_BANDWIDTH: u64 = 1_000;
/// Rates of clocks. Beyond, no election timeout is long enough.
const CLOCK_RATES: std::ops::RangeInclusive<u32> = 100_000..=10_000_000;

/// All of a plan.
pub(super) fn all(plan: &Plan) -> Outcome {
    limits(&plan.limits)?;
    let bounds = Bounds { plan, longest: plan.limits.time };
    bounds.knobs(&plan.knobs)?;
    bounds.net("net", &plan.net)?;
    bounds.disk("disk", &plan.disk)?;
    for (at, (node, ppm)) in plan.clocks.iter().enumerate() {
        let place = format!("clocks[{at}]");
        if plan.group_of(*node).is_none() {
            return refuse(&place, format!("there is no {node} among {} servers", plan.server_count()));
        }
        clock_rate(&place, *ppm)?;
    }
    let mut work = Work::default();
    for (at, Fault { at: when, act }) in plan.faults.iter().enumerate() {
        let place = format!("faults[{at}]");
        bounds.span(&format!("{place}.at"), *when)?;
        bounds.act(&place, act)?;
        work = work.and(Work::of_act(act));
    }
    for (at, trigger) in plan.triggers.iter().enumerate() {
        bounds.trigger(&format!("triggers[{at}]"), trigger)?;
    }
    for (at, client) in plan.clients.iter().enumerate() {
        let place = format!("clients[{at}]");
        bounds.span(&format!("{place}.from"), client.from)?;
        bounds.somebody(&format!("{place}.talks_to"), &client.talks_to)?;
        for (at, op) in client.ops.iter().enumerate() {
            let place = format!("{place}.ops[{at}]");
            let (Op::Write { after, .. } | Op::Read { after } | Op::Kv { after, .. }) = op;
            bounds.span(&place, *after)?;
            let size = if let Op::Write { size, .. } = op { *size } else { 0 };
            command(&place, size)?;
            work = work.and(Work { steps: 1, bytes: size.into() });
        }
    }
    bounds.steps("script", &plan.script)?;
    work.and(Work::of_steps(&plan.script)).judge()?;
    bounds.finale()
}

fn limits(limits: &Limits) -> Outcome {
    let Limits { time, events, events_per_ms, bytes } = *limits;
    if time == Span::ZERO || time > LONGEST {
        return refuse(
            "limits.time",
            format!("a run may take {time}; write more than nothing and at most {LONGEST}"),
        );
    }
    within("limits.events", events, 1, MOST_EVENTS)?;
    within("limits.events_per_ms", events_per_ms, 1, MOST_EVENTS_PER_MS)?;
    within("limits.bytes", bytes, 1, MOST_BYTES_SENT)
}

fn within<T: PartialOrd + std::fmt::Display>(place: &str, found: T, least: T, most: T) -> Outcome {
    if found < least || found > most {
        return refuse(place, format!("{found} is not between {least} and {most}"));
    }
    Ok(())
}

fn chance(place: &str, ppm: u32) -> Outcome {
    if ppm > CERTAIN {
        return refuse(place, format!("{ppm} ppm; {CERTAIN} is certain already"));
    }
    Ok(())
}

fn clock_rate(place: &str, ppm: u32) -> Outcome {
    if !CLOCK_RATES.contains(&ppm) {
        let (least, most) = (CLOCK_RATES.start(), CLOCK_RATES.end());
        return refuse(place, format!("a clock at {ppm} ppm; it runs at {least} to {most}"));
    }
    Ok(())
}

fn command(place: &str, size: u32) -> Outcome {
    if size > LARGEST_COMMAND {
        return refuse(place, format!("a command of {size} bytes; it has at most {LARGEST_COMMAND}"));
    }
    Ok(())
}

/// What a plan asks for, repetitions counted.
#[derive(Clone, Copy, Default)]
struct Work {
    steps: u64,
    bytes: u64,
}

impl Work {
    fn and(self, other: Work) -> Work {
        Work { steps: self.steps.saturating_add(other.steps), bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn times(self, times: u32) -> Work {
        Work { steps: self.steps.saturating_mul(times.into()), bytes: self.bytes.saturating_mul(times.into()) }
    }

    fn of_act(act: &Act) -> Work {
        match act {
            Act::Propose { count, size, .. } => Work { steps: 1, bytes: (*size).into() }.times(*count),
            _ => Work { steps: 1, bytes: 0 },
        }
    }

    fn of_steps(steps: &[Step]) -> Work {
        let of = |step: &Step| match step {
            Step::Do(act) => Work::of_act(act),
            Step::Agree { count, size, .. } => Work { steps: 1, bytes: (*size).into() }.times(*count),
            // Going round takes something, even if there is nothing to do.
            Step::Repeat { times, steps } => Work { steps: 1, bytes: 0 }.and(Work::of_steps(steps)).times(*times),
            _ => Work { steps: 1, bytes: 0 },
        };
        steps.iter().map(of).fold(Work::default(), Work::and)
    }

    fn judge(self) -> Outcome {
        if self.steps > MOST_STEPS {
            let steps = self.steps;
            return refuse(
                "script",
                format!("{steps} steps and commands, repeated ones too; at most {MOST_STEPS}"),
            );
        }
        if self.bytes > MOST_OF_COMMANDS {
            let bytes = self.bytes;
            return refuse("script", format!("{bytes} bytes of commands in all; at most {MOST_OF_COMMANDS}"));
        }
        Ok(())
    }
}

struct Bounds<'a> {
    plan: &'a Plan,
    /// Nothing lasts longer than the run may.
    longest: Span,
}

impl Bounds<'_> {
    fn span(&self, place: &str, span: Span) -> Outcome {
        if span > self.longest {
            return refuse(place, format!("{span}; the run may take {} (limits.time)", self.longest));
        }
        Ok(())
    }

    fn patience(&self, place: &str, span: Span) -> Outcome {
        if span == Span::ZERO {
            return refuse(place, "nothing comes about in no time".into());
        }
        self.span(place, span)
    }

    fn spread(&self, place: &str, spread: Spread) -> Outcome {
        if spread.min > spread.max {
            return refuse(
                place,
                format!("its shortest, {}, is longer than its longest, {}", spread.min, spread.max),
            );
        }
        self.span(place, spread.max)
    }

    fn tails(&self, place: &str, tails: &[Tail]) -> Outcome {
        for (at, tail) in tails.iter().enumerate() {
            chance(&format!("{place}[{at}].ppm"), tail.ppm)?;
            self.spread(&format!("{place}[{at}].delay"), tail.delay)?;
        }
        Ok(())
    }

    fn net(&self, place: &str, net: &NetWeather) -> Outcome {
        self.spread(&format!("{place}.delay"), net.delay)?;
        chance(&format!("{place}.drop"), net.drop)?;
        chance(&format!("{place}.drop_reply"), net.drop_reply)?;
        chance(&format!("{place}.duplicate"), net.duplicate)?;
        self.tails(&format!("{place}.tails"), &net.tails)?;
        self.tails(&format!("{place}.reply_tails"), &net.reply_tails)?;
        net.bandwidth
            .map_or(Ok(()), |bytes| within(&format!("{place}.bandwidth"), bytes, LEAST_BANDWIDTH, u64::MAX))
    }

    fn disk(&self, place: &str, disk: &DiskWeather) -> Outcome {
        self.spread(&format!("{place}.write"), disk.write)?;
        self.spread(&format!("{place}.sync"), disk.sync)?;
        self.tails(&format!("{place}.tails"), &disk.tails)?;
        chance(&format!("{place}.keep"), disk.keep)?;
        chance(&format!("{place}.tear"), disk.tear)?;
        chance(&format!("{place}.write_error"), disk.write_error)?;
        chance(&format!("{place}.sync_error"), disk.sync_error)
    }

    fn knobs(&self, knobs: &Knobs) -> Outcome {
        self.spread("knobs.election", knobs.election)?;
        self.patience("knobs.election", knobs.election.min)?;
        self.patience("knobs.heartbeat", knobs.heartbeat)?;
        if knobs.heartbeat >= knobs.election.min {
            let (heartbeat, election) = (knobs.heartbeat, knobs.election.min);
            return refuse("knobs.heartbeat", format!("{heartbeat}: followers campaign after {election} already"));
        }
        let or_none = |place, count: Option<u32>| count.map_or(Ok(()), |count| within(place, count, 1, u32::MAX));
        or_none("knobs.max_entries", knobs.max_entries)?;
        or_none("knobs.inputs_per_ready", knobs.inputs_per_ready)?;
        or_none("knobs.snapshot_every", knobs.snapshot_every)?;
        within("knobs.max_inflight", knobs.max_inflight, 1, MOST_WAITING)?;
        within("knobs.max_unapplied", knobs.max_unapplied, 1, MOST_WAITING)?;
        within("knobs.chunk", knobs.chunk, 1, LARGEST_CHUNK)?;
        within("knobs.snapshot_ballast", knobs.snapshot_ballast, 0, LARGEST_BALLAST)?;
        let pieces = knobs.snapshot_ballast / knobs.chunk;
        if pieces > MOST_PIECES {
            let why = format!("{pieces} pieces of knobs.chunk, {} bytes; at most {MOST_PIECES}", knobs.chunk);
            return refuse("knobs.snapshot_ballast", why);
        }
        self.spread("knobs.apply_lag", knobs.apply_lag)?;
        if knobs.apply_lag.max > LONGEST_LAG {
            let lag = knobs.apply_lag.max;
            return refuse(
                "knobs.apply_lag",
                format!("{lag} for each entry; at most {LONGEST_LAG} (see slow-service)"),
            );
        }
        within("knobs.shards", knobs.shards, 1, MOST_SHARDS)?;
        within("knobs.piece", knobs.piece, 1, LARGEST_CHUNK)?;
        self.patience("knobs.client_timeout", knobs.client_timeout)?;
        self.patience("knobs.client_patience", knobs.client_patience)?;
        if knobs.client_timeout < Span::millis(1) {
            return refuse("knobs.client_timeout", format!("{}; at least 1ms", knobs.client_timeout));
        }
        Ok(())
    }

    /// Whom one waits for, or asks, must be somebody.
    fn somebody(&self, place: &str, who: &Selector) -> Outcome {
        if most(who, &Scope::all(self.plan)) == 0 {
            return refuse(place, format!("`{who}` is nobody"));
        }
        Ok(())
    }

    fn act(&self, place: &str, act: &Act) -> Outcome {
        let at = |field: &str| format!("{place}.{field}");
        match act {
            Act::CrashAt { nth, back_after, .. } => {
                within(&at("crash-at.nth"), *nth, 1, u32::MAX)?;
                back_after.map_or(Ok(()), |span| self.span(&at("crash-at.back_after"), span))
            }
            Act::ClockRate { ppm, .. } => clock_rate(&at("clock-rate.ppm"), *ppm),
            Act::ClockJump { by, .. } => self.span(&at("clock-jump.by"), *by),
            Act::Disk { weather, .. } => self.disk(&at("disk.weather"), weather),
            Act::Hush(span) => self.span(&at("hush"), *span),
            Act::StallDisk { span, .. } => self.span(&at("stall-disk.span"), *span),
            Act::Busy { each, .. } => {
                self.span(&at("busy.each"), *each)?;
                if *each > LONGEST_BUSY {
                    return refuse(&at("busy.each"), format!("{each} for each message; at most {LONGEST_BUSY}"));
                }
                Ok(())
            }
            Act::SlowService { lag, .. } => self.spread(&at("slow-service.lag"), *lag),
            Act::Net(weather) => self.net(&at("net"), weather),
            Act::Rule { chance: ppm, take, what, .. } => {
                ppm.map_or(Ok(()), |ppm| chance(&at("rule.chance"), ppm))?;
                take.map_or(Ok(()), |take| within(&at("rule.take"), take, 1, u32::MAX))?;
                match what {
                    What::Delay(spread) | What::Duplicate(spread) => self.spread(&at("rule.what"), *spread),
                    What::Pass | What::Drop | What::Hold => Ok(()),
                }
            }
            Act::Reconfigure { voters } => {
                if self.plan.voters.is_none() {
                    return refuse(
                        &at("reconfigure"),
                        "there are no spares: say `voters`, who belongs to the cluster in the beginning".into(),
                    );
                }
                if *voters == Selector::None { Ok(()) } else { self.somebody(&at("reconfigure.voters"), voters) }
            }
            Act::Propose { count, size, .. } => {
                within(&at("propose.count"), *count, 1, u32::MAX)?;
                command(&at("propose.size"), *size)
            }
            _ => Ok(()),
        }
    }

    fn trigger(&self, place: &str, trigger: &Trigger) -> Outcome {
        self.span(&format!("{place}.rest"), trigger.rest)?;
        trigger.chance.map_or(Ok(()), |ppm| chance(&format!("{place}.chance"), ppm))?;
        trigger.take.map_or(Ok(()), |take| within(&format!("{place}.take"), take, 1, u32::MAX))?;
        for (nth, Reaction { after, act }) in trigger.then.iter().enumerate() {
            let place = format!("{place}.then[{nth}]");
            self.spread(&format!("{place}.after"), *after)?;
            self.act(&place, act)?;
        }
        Ok(())
    }

    fn steps(&self, place: &str, steps: &[Step]) -> Outcome {
        steps.iter().enumerate().try_for_each(|(at, step)| self.step(&format!("{place}[{at}]"), step))
    }

    fn step(&self, place: &str, step: &Step) -> Outcome {
        match step {
            Step::Do(act) => self.act(place, act),
            Step::Sleep(span) | Step::ExpectStableTerm { span } => self.span(place, *span),
            Step::WaitLeader { of, within } => {
                self.somebody(place, of)?;
                self.patience(&format!("{place}.within"), *within)
            }
            Step::ExpectNoLeader { after, .. } => self.span(&format!("{place}.after"), *after),
            Step::Agree { count, size, via, within: patience, .. } => {
                within(&format!("{place}.count"), *count, 1, u32::MAX)?;
                command(&format!("{place}.size"), *size)?;
                self.somebody(&format!("{place}.via"), via)?;
                self.patience(&format!("{place}.within"), *patience)
            }
            Step::ExpectCommitted { within, .. }
            | Step::AwaitClients { within }
            | Step::ExpectDisk { within, .. } => self.patience(&format!("{place}.within"), *within),
            Step::ExpectCount { at_least: Some(least), at_most: Some(most), .. } if least > most => {
                refuse(place, format!("at least {least} and at most {most}"))
            }
            Step::ExpectNone { .. } | Step::ExpectCount { .. } | Step::ExpectRefused(_) => Ok(()),
            Step::Await { event, within: patience, .. } => {
                match event {
                    Moment::Held { count, .. } => within(&format!("{place}.count"), *count, 1, u32::MAX)?,
                    Moment::LeaderAmong(who) => self.somebody(place, who)?,
                    _ => {}
                }
                self.patience(&format!("{place}.within"), *patience)
            }
            Step::Repeat { times, steps } => {
                within(&format!("{place}.times"), *times, 1, u32::MAX)?;
                self.steps(&format!("{place}.repeat"), steps)
            }
        }
    }

    fn finale(&self) -> Outcome {
        let (finale, plan) = (&self.plan.finale, self.plan);
        self.patience("finale.within", finale.within)?;
        let demands = finale.core.is_some() || finale.converge || finale.serve;
        if demands && finale.within.0 < plan.knobs.election.max.0 * 2 {
            let why =
                format!("{} are too short for two election timeouts of {}", finale.within, plan.knobs.election.max);
            return refuse("finale.within", why);
        }
        let Some(core) = &finale.core else { return Ok(()) };
        let needed = plan.majority();
        // Of a group that it leaves out nothing is demanded.
        if plan.groups > 1 && most(core, &Scope::all(plan)) == 0 {
            return refuse("finale.core", format!("`{core}` is nobody"));
        }
        for group in 1..=plan.groups {
            let scope = Scope::group(plan, group);
            let most = most(core, &scope);
            if most < needed && (most > 0 || plan.groups == 1) {
                let count = if least(core, &scope) == most { "" } else { "at most " };
                let of = if plan.groups == 1 { String::new() } else { format!(" of group {group}") };
                return refuse(
                    "finale.core",
                    format!("`{core}` are {count}{most} of {} servers{of}; a majority is {needed}", plan.servers),
                );
            }
        }
        Ok(())
    }
}
