//! What a node may rely on, whatever is behind its `Env`: one body of tests, run on each backend that is there.
//!
//! What only one backend can show is tested beside this: faults in the simulator's tests, sockets in `hosts`.

#[cfg(feature = "net")]
#[path = "../certificates/mod.rs"]
mod certificates;
mod disk;
mod messages;
mod nodes;
mod persister;
#[cfg(feature = "net")]
mod real;
#[cfg(feature = "sim")]
mod simulated;
mod world;

/// The same tests for every backend.
macro_rules! conformance {
    ($($file:ident: $($body:ident),+;)+) => {
        #[cfg(feature = "sim")]
        mod on_the_simulator {
            use super::world::World;
            $($(#[test] fn $body() { super::simulated::Simulated::run(super::$file::$body); })+)+
        }
        #[cfg(feature = "net")]
        mod on_the_machine {
            use super::world::World;
            $($(#[test] fn $body() { super::real::Real::run(super::$file::$body); })+)+
        }
    };
}

/// What is said between nodes, once more in TLS.
#[cfg(feature = "net")]
macro_rules! conformance_in_tls {
    ($($file:ident: $($body:ident),+;)+) => {
        mod on_the_machine_in_tls {
            use super::world::World;
            $($(#[test] fn $body() { super::real::Sealed::run(super::$file::$body); })+)+
        }
    };
}

conformance! {
    nodes:
        a_clock_never_goes_back_and_no_sleep_is_early,
        a_sleep_can_be_moved_while_it_waits,
        randomness_is_named_by_its_purpose_and_numbers_are_unique,
        a_task_runs_until_its_boot_ends,
        a_boot_that_is_over_has_no_effect_and_nothing_of_it_returns,
        a_node_that_halts_is_over_and_can_be_started_again;
    messages:
        a_message_arrives_as_it_was_sent,
        messages_arrive_in_order_also_ones_to_oneself,
        a_call_is_answered_by_whom_it_asks,
        a_node_can_call_itself,
        a_call_that_nobody_answers_ends_at_its_deadline,
        a_late_answer_is_dropped,
        dropping_a_recv_loses_nothing,
        dropping_a_call_harms_no_other,
        sending_never_waits,
        a_node_that_was_restarted_is_reached_again;
    disk:
        files_are_written_read_and_cut,
        what_is_appended_and_synced_in_one_stands_behind_what_was_there,
        names_are_changed_listed_and_removed,
        what_is_not_there_is_named_and_harms_nothing,
        what_was_written_survives_the_end_of_a_process,
        a_directory_can_be_claimed_again_by_whoever_has_it_and_by_the_next_boot;
    persister:
        a_fresh_log_is_empty_and_is_read_back_after_a_restart,
        a_torn_tail_is_dropped,
        damage_below_the_mark_is_refused,
        a_log_that_was_rewritten_is_the_new_one,
        a_snapshot_is_read_back,
        a_state_and_its_snapshot_are_saved_as_a_pair;
}

#[cfg(feature = "net")]
conformance_in_tls! {
    nodes:
        a_boot_that_is_over_has_no_effect_and_nothing_of_it_returns;
    messages:
        a_message_arrives_as_it_was_sent,
        messages_arrive_in_order_also_ones_to_oneself,
        a_call_is_answered_by_whom_it_asks,
        a_node_can_call_itself,
        a_call_that_nobody_answers_ends_at_its_deadline,
        a_late_answer_is_dropped,
        dropping_a_recv_loses_nothing,
        dropping_a_call_harms_no_other,
        sending_never_waits,
        a_node_that_was_restarted_is_reached_again;
}
