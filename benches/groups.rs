//! Whether groups work side by side, and what it takes to move a shard: in virtual time, so that both are the same everywhere.
//!
//! `cargo bench --bench groups`

#[path = "../tests/common/scale.rs"]
mod scale;

use scale::{ROUND_TRIP, move_of, rate};

/// The allocator of the laboratory's program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keys of the shard that moves.
const KEYS: usize = 100_000;

fn main() {
    println!("64 clients, 64 shards, groups of three; each server takes 20 ms of virtual time for each request");
    println!("groups  operations a second  of one group's");
    let mut one = None;
    for groups in [1, 2, 4, 8, 16] {
        let rate = rate(groups);
        let times = rate / *one.get_or_insert(rate);
        println!("{groups:>6} {rate:>20.0} {times:>14.2}  {}", "#".repeat((times * 4.0).round() as usize));
    }
    println!();
    let moved = move_of(KEYS);
    let (bytes, wire) = (moved.bytes, moved.wire);
    println!(
        "a shard of {KEYS} keys moves: {bytes} bytes, round trips of {ROUND_TRIP:?}, {wire:.1?} for all bytes on a link"
    );
    let (took, aim) = (moved.took, moved.aim());
    println!("from both groups having the configuration to serving: {took:.1?}; aim: at most {aim:.1?}");
    for (when, times) in [("meanwhile", &moved.meanwhile), ("before and after", &moved.otherwise)] {
        let (count, median, worst) = (times.len(), times[times.len() / 2], times[times.len() - 1]);
        println!("operations on other shards, {when}: {count} of them, median {median:.1?}, worst {worst:.1?}");
    }
    println!("worst against worst: {:.2}; aim: at most 2", moved.worst());
}
