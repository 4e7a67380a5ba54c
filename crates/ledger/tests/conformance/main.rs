//! What every ledger keeps, whoever implements it. Each case is written once and runs on each of them.
//!
//! The lists below are the table of contents; the case is the function of that name in the file of that theme.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a case that cannot go on has failed"
)]

mod account;
mod admission;
mod bench;
mod callbacks;
mod compaction;
mod flags;
mod forgetting;
mod forgotten;
mod gate;
mod hints;
mod interleavings;
mod lease;
mod polls;
mod put;
mod random;
mod reading;
mod redis_cluster;
mod redis_server;
mod rest;
mod restated;
mod runs;
mod slots;
mod store;
mod store_itself;
mod strays;
mod submission;
mod terms;
mod transfer;
mod unreadable;
mod upgrade;

macro_rules! conformance {
    ($($theme:ident { $($case:ident)+ })+) => {
        conformance!(@on sqlite $($theme { $($case)+ })+);
        conformance!(@on redis $($theme { $($case)+ })+);
        // Three servers are many for one case: the cases of a theme share them, each with a queue of its own.
        mod redis_cluster_of_three {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $theme() {
                let cluster = crate::bench::cluster().await;
                $(crate::$theme::$case(&crate::bench::Bench::on(&cluster, stringify!($case)).await).await;)+
            })+
        }
    };
    (@on $ledger:ident $($theme:ident { $($case:ident)+ })+) => {
        mod $ledger {
            $(mod $theme { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$theme::$case(&crate::bench::Bench::$ledger().await).await;
                }
            )+ })+
        }
    };
}

conformance! {
    store {
        time_does_not_run_backwards
        a_ledger_is_bound_at_its_first_use_and_checked_afterwards
        a_ledger_keeps_its_id_from_its_first_binding_on
        a_file_counts_its_grants_and_an_older_copy_of_it_counted_fewer
        the_salt_is_the_ledgers_own
        what_is_stored_is_there_for_a_second_handle_and_after_reopening
        a_ledger_of_an_unknown_format_is_refused_and_left_alone
        only_one_process_works_on_a_file
        a_change_that_makes_something_due_wakes_whoever_waits
    }
    forgotten {
        a_forgotten_attempt_is_kept_while_its_job_is_being_submitted
        a_forgotten_attempt_that_is_told_after_the_other_ended_is_kept_as_well
    }
    admission {
        staged_jobs_are_seen_by_nobody_until_they_are_published
        all_batches_of_an_admission_are_published_at_once
        jobs_are_stored_in_order
        known_jobs_are_left_as_they_are_and_counted
        a_job_with_other_content_is_a_conflict
        a_job_whose_name_is_written_differently_is_a_conflict
        staging_again_after_a_lost_answer_stores_nothing_twice
        the_same_name_twice_in_a_chunk_is_stored_once
        publishing_again_changes_nothing
        publishing_what_was_never_staged_is_refused
        only_one_admission_stages_into_a_batch_at_a_time
        what_was_not_published_is_dropped_and_its_ids_are_free
        abandoning_leaves_what_is_published
        abandoning_does_not_touch_another_admission
        a_second_admission_goes_behind_the_first
        comparing_stores_nothing_and_sees_only_what_is_published
    }
    submission {
        a_grant_is_submitting_with_its_token_as_the_intent
        a_grant_brings_the_spec
        a_token_that_was_granted_gets_the_same_grant_again
        a_token_whose_job_was_claimed_by_somebody_else_gets_nothing
        a_grant_that_is_asked_for_again_after_its_time_is_none
        a_claim_is_confirmed_as_long_as_its_attempt_is_open_and_no_other_is
        higher_priorities_go_first_and_then_file_order
        what_is_staged_does_not_go_before_it_is_published
        a_delayed_job_waits_for_its_time
        many_delayed_jobs_become_ready_over_several_claims
        a_retried_job_goes_before_later_ones_of_its_priority
        only_the_named_batches_are_served
        a_small_batch_does_not_wait_for_a_large_one
        a_batch_that_comes_late_does_not_catch_up
        without_a_job_no_slot_is_taken
        an_orphaned_submission_is_found_by_the_follow_lane
        a_claim_changes_the_version
    }
    lease {
        due_jobs_are_leased_earliest_first
        a_leased_job_is_given_to_nobody_else
        a_job_is_due_again_when_its_lease_ends
        an_ended_lease_is_held_until_somebody_else_claims
        deliveries_are_counted_until_the_holder_puts
        the_next_due_time_is_told
        a_renewed_lease_lasts_longer
        a_lost_lease_is_not_renewed
        a_released_job_is_due_now
        a_submitting_job_is_not_released
        lanes_do_not_mix
        specs_are_brought_where_they_are_needed
        a_claim_takes_no_more_than_it_may
    }
    put {
        a_put_with_an_old_version_changes_nothing
        a_put_with_a_lost_fence_changes_nothing
        a_lost_fence_is_told_before_an_old_version
        repeating_a_put_is_ok
        a_holders_put_ends_its_lease
        a_put_by_another_leaves_the_lease_alone
        what_another_made_due_on_a_leased_job_is_not_lost
        a_put_by_another_that_moves_the_job_to_another_lane_ends_the_lease
        a_put_by_another_that_ends_the_job_ends_the_lease
        a_put_on_a_submitting_job_keeps_the_intent
        a_put_that_leaves_submitting_clears_the_intent
        a_task_belongs_to_one_job_only
        a_token_is_found_while_its_attempt_is_open
        counts_follow_every_put
        a_job_that_does_not_exist_is_changed
    }
    restated {
        a_known_job_that_is_to_be_worked_at_otherwise_is_no_conflict_and_not_new
        what_is_said_anew_is_set_and_known_from_then_on
        what_a_person_set_stays_until_the_file_says_otherwise
        it_is_set_in_every_state_but_done_and_cancelled_and_moves_no_job
        what_is_said_anew_during_a_paid_call_loses_neither
        a_change_that_was_faster_is_not_undone_by_what_is_said_anew
        a_lease_goes_on_while_something_is_said_anew
        a_compact_job_is_known_however_it_is_to_be_worked_at
        an_open_attempt_is_found_by_its_token_after_something_is_said_anew
    }
    reading {
        jobs_are_read_by_their_folded_names
        a_page_walks_in_file_order_over_more_than_a_thousand_jobs
        a_page_of_one_state_holds_only_that_state
        pages_of_what_is_unknown_are_empty
        batches_are_listed_oldest_first
        a_leased_job_says_until_when
    }
    rest {
        a_batch_comes_to_rest_with_its_last_job_and_leaves_it_with_one_that_is_taken_up
        what_is_at_rest_is_listed_where_it_is_asked_for
        flags_leave_a_batch_at_rest_but_for_a_cancellation
        only_what_may_be_made_compact_is_listed_for_that
    }
    flags {
        a_paused_batch_gets_no_submissions
        a_paused_batch_is_still_followed
        a_cancelling_batch_gets_no_submissions
        resuming_ends_a_cancellation
        flags_are_listed
        an_unknown_batch_has_no_flags
    }
    slots {
        every_slot_that_goes_by_has_its_reason
        slots_that_nobody_asked_for_are_counted
        a_slot_that_was_of_no_use_is_not_called_used
        slow_answers_cost_slots_and_are_named
        too_many_lowers_the_allowance_for_all
        another_refusal_leaves_the_allowance_alone
        a_lowered_allowance_is_kept_by_the_slots
    }
    terms {
        a_new_batch_has_the_usual_terms
        terms_are_listed_and_what_is_not_named_stays
        terms_hold_before_the_first_job_is_visible
        an_unknown_batch_has_no_terms
        batches_share_the_slots_by_weight
        a_batch_of_higher_priority_goes_first
        a_batch_of_low_priority_that_comes_late_does_not_starve_its_like
        submissions_begin_and_end_with_the_span
        a_span_of_another_schedule_changes_nothing
        a_batch_that_was_paused_says_why
        a_budget_is_never_exceeded_and_what_comes_back_is_used
        a_budget_that_is_raised_lets_its_batch_go_on
        a_job_without_a_price_waits_where_there_is_a_budget
        what_is_set_aside_is_in_the_record_until_it_is_refused
        a_day_has_its_own_budget
        prices_that_were_asked_for_stay
        a_batch_over_budget_goes_on_once_its_dear_job_is_cancelled
        a_batch_over_budget_goes_on_once_its_dear_job_waits_for_a_time
        a_batch_over_budget_goes_on_once_a_cheap_job_comes_first
        a_batch_over_budget_goes_on_once_a_cheap_job_is_admitted_before_it
        a_batch_over_budget_goes_on_once_prices_fall
        a_doubt_that_turns_out_refused_comes_back_to_its_batch_and_its_day
        a_job_that_waited_for_a_price_leaves_nothing_behind
        a_job_without_a_price_that_waits_for_a_time_keeps_its_wait
        a_job_without_a_price_goes_once_no_budget_needs_one
    }
    account {
        settings_hold_for_all_and_what_was_before_is_told
        what_workers_say_of_themselves_is_known_to_all
        slots_are_evenly_spaced
        never_more_than_n_arrivals_are_younger_than_w
        a_call_that_hangs_costs_one_place_until_it_is_over
        a_submission_that_never_left_costs_nothing
        a_bound_of_arrival_is_never_raised
        the_fastest_answers_to_all_machines_bound_the_arrival
        the_cap_counts_what_is_in_flight
        a_place_in_flight_ends_by_itself
        a_repeated_put_settles_once
    }
    gate {
        a_closed_gate_lets_nothing_through_and_then_exactly_one
        a_healthy_trial_opens_the_gate
        a_trial_that_is_refused_closes_the_gate_for_twice_as_long
        closing_a_closed_gate_changes_nothing
        a_trial_that_never_ends_does_not_close_the_gate_for_ever
        credits_that_are_back_let_one_through_at_once
        a_worker_that_is_turned_away_closes_a_gate_that_would_let_one_through
        a_trial_that_says_nothing_lets_another_through
        three_troubles_in_a_row_close_the_gate
        troubles_close_the_gate_for_as_long_as_the_service_asks
        a_healthy_answer_forgets_troubles
    }
    upgrade {
        an_upgrade_takes_a_slot_and_no_place_in_flight
        what_became_of_an_upgrade_call_is_told_with_its_put
        an_upgrade_that_waits_for_a_slot_goes_before_submissions
        upgrades_that_wait_come_back_one_after_the_other
        an_upgrade_waits_for_the_gate_and_may_be_the_one_that_tries_it
        an_upgrade_that_does_not_count_in_the_pace_waits_for_nothing
        only_a_held_job_with_a_video_gets_leave_for_an_upgrade
    }
    callbacks {
        the_callback_of_the_latest_submission_is_remembered_for_all
        a_job_in_doubt_may_be_due_to_be_looked_at
    }
    polls {
        the_limit_of_polls_holds_for_all_and_follows_the_cap_until_it_is_told
        no_more_than_a_seconds_worth_is_followed_at_once
        a_backlog_is_followed_at_the_limit
        a_clock_that_was_ahead_neither_lifts_the_limit_nor_stops_everything
    }
    hints {
        what_was_seen_is_added_up_for_all_by_kind
        nothing_of_what_many_tell_at_once_is_lost
        kinds_that_nobody_told_of_for_long_are_forgotten
        a_hint_is_replaced_only_by_who_knows_what_it_says
    }
    strays {
        a_settled_job_may_be_due_for_a_task_beside_its_own
        a_settled_job_whose_worker_died_comes_back_and_stays_settled
        a_claim_of_nothing_tells_when_the_next_job_is_due
    }
    interleavings {
        two_claimers_never_get_the_same_submission
        two_claimers_never_get_the_same_job
        no_change_is_lost_among_many
        a_worker_that_is_slow_does_not_overwrite_its_successor
        evidence_is_stored_even_if_the_lease_was_lost
        admissions_and_claims_at_once
    }
    compaction {
        a_compacted_job_is_what_it_was_without_its_history_and_spec
        only_done_jobs_of_that_version_are_compacted
        compacting_again_changes_nothing
        what_is_not_compact_yet_is_listed_in_file_order
        the_same_content_is_known_and_other_content_is_a_conflict
        a_late_change_is_stored_and_the_job_can_be_compacted_again
        a_put_at_an_old_version_does_not_change_a_compacted_job
        the_task_of_a_compacted_job_belongs_to_no_other
        many_jobs_are_compacted_in_any_order_and_all_are_known
    }
    forgetting {
        a_settled_batch_is_forgotten_and_its_ids_are_new
        a_batch_with_open_jobs_is_not_forgotten
        a_batch_with_a_job_that_is_due_all_the_same_is_not_forgotten
        a_batch_with_a_late_stray_beside_a_compact_job_is_not_forgotten
        a_batch_that_is_being_admitted_to_is_not_forgotten
        a_change_of_a_forgotten_job_is_refused
        clearing_away_leaves_other_batches_and_their_tasks
    }
    unreadable {
        a_submission_whose_spec_cannot_be_read_costs_nothing_and_stops_nobody
        a_record_that_cannot_be_read_is_not_submitted_again
        a_record_that_cannot_be_read_is_not_followed_and_stops_nobody
        a_video_whose_spec_cannot_be_read_is_saved_once_it_can_be
        an_orphan_that_cannot_be_read_is_in_flight_for_no_longer_than_one_in_doubt
        a_page_leaves_out_what_cannot_be_read_and_goes_on_behind_it
        what_can_be_read_again_is_no_longer_listed
    }
    runs {
        a_run_is_shown_and_remembered_in_one_step
        a_run_that_others_dealt_with_is_not_shown
        a_template_that_is_gone_has_no_runs
        a_run_whose_admission_was_dropped_is_not_remembered
        a_template_that_was_stopped_meanwhile_has_no_runs
    }
    transfer {
        everything_goes_along_to_the_other_kind_and_back
        what_was_imported_is_worked_on_as_before
        a_moved_ledger_changes_no_more_and_can_be_read
        a_ledger_that_changed_since_its_export_is_not_moved
        an_export_is_as_of_one_moment_or_refused
        a_ledger_that_somebody_works_on_is_not_moved
        only_an_empty_ledger_is_imported_to
        a_file_that_is_cut_off_or_edited_is_refused
        an_import_that_was_cut_off_goes_on_and_nothing_else_uses_its_target
        of_two_files_one_is_imported_and_nothing_is_exported_on_the_way
        another_import_takes_over_until_the_source_was_given_up
        without_its_source_an_import_is_a_copy_until_a_person_agreed
        what_is_being_admitted_is_left_out
        times_of_a_clock_that_was_ahead_delay_nothing
    }
    random {
        counts_equal_a_recount_after_any_sequence
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ledgers_do_the_same_step_by_step() {
    random::both_ledgers_agree(&bench::Bench::sqlite().await, &bench::Bench::redis().await).await;
}
