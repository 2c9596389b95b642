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

/// Changes of who belongs to the cluster.
mod membership {
    crate::common::scenarios! {
        membership_dead_server,
        membership_one_to_five,
        membership_leaders_go,
        membership_learner_far_behind,
        membership_removed_unheard,
        membership_chaos,
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
    let tested = [networks::NAMES, disks::NAMES, membership::NAMES, chaos::NAMES];
    common::all_are_tested(&[sim::scenario::Group::Ours], &tested);
}
