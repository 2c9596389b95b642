//! The interpreter of the scripts in `tests/scripts`: several pure cores, one message at a time.
//!
//! There is no simulator here and nothing runs by itself. A script says who is woken, which message arrives,
//! which write becomes durable; the trace says what each server then does. So a script shows one schedule, and
//! all of it.
//!
//! * [`command`]: the language;
//! * [`world`]: the servers of a script, and what it does to them;
//! * [`server`], [`disk`], [`service`], [`pool`]: the parts of the world;
//! * [`say`]: the wording of the trace;
//! * [`judge`]: what must hold in every script.

mod command;
mod disk;
mod judge;
mod pool;
mod say;
mod server;
mod service;
mod world;

use command::Line;
use shardlab::raft::Bug;
use world::World;

/// The trace of a script, on servers with or without a planted bug.
///
/// # Errors
/// The script asks for what makes no sense. The trace up to there, the number of the line and the reason.
pub fn run(script: &str, bug: Option<Bug>) -> Result<String, String> {
    let mut world = World::new(bug);
    let mut trace = String::new();
    for (number, line) in script.lines().enumerate() {
        let wrong = |why: String, trace: &str| format!("{trace}\nline {}: {why}", number + 1);
        match command::parse(line).map_err(|why| wrong(why, &trace))? {
            Line::Prose(prose) => trace += &format!("{prose}\n"),
            Line::Command(command) => {
                trace += &format!("> {}\n", line.trim());
                let outcome = world.execute(&command);
                for said in world.take_said() {
                    trace += &format!("    {said}\n");
                }
                outcome.map_err(|why| wrong(why, &trace))?;
            }
        }
    }
    Ok(trace)
}
