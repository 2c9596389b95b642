//! Scenarios of the first lab that other ports left out: partitions of every shape, crooked clocks, lying disks,
//! crashes at any effect, and everything at once.

mod common;

/// Networks, clocks and clients.
mod networks {
    crate::common::scenarios! {
        single_server,
        even_clusters,
        one_way_partition,
        bridge,
        ring_of_majorities,
        rejoin_quietly,
        dead_minority,
        paused_leader,
        crooked_clocks,
        leader_transfer,
        duplicated_messages,
        heavy_tails,
        bouncing_leadership,
        stale_reads,
    }
}

/// Crashes and disks.
mod disks {
    crate::common::scenarios! {
        crash_at_any_effect,
        torn_tails,
        power_failure_after_ack,
        slow_disks,
        stalled_disk,
        failing_disks,
        damaged_log,
        slow_service_snapshot,
    }
}

/// Everything at once.
mod chaos {
    crate::common::scenarios! {
        chaos,
        chaos_snapshot,
    }
}

#[test]
fn every_scenario_is_tested() {
    common::all_are_tested(&[sim::scenario::Group::Ours], &[networks::NAMES, disks::NAMES, chaos::NAMES]);
}
