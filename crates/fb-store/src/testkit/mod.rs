//! The contract suite: what every backend has to do, as tests.
//!
//! A backend implements [`Place`] for its tests and writes one line:
//!
//! ```ignore
//! fb_store::contract_tests!(TemporaryDirectory::new());
//! ```

#![expect(clippy::unwrap_used, reason = "this is test code, though in a library")]

mod bench;
mod fixtures;
mod uploads;

pub mod buckets;
pub mod contents;
pub mod feed;
pub mod file_lists;
pub mod files;
pub mod indexes;
pub mod nodes;
pub mod reads;
pub mod records;
pub mod rules;
pub mod schema;
pub mod writes;

use std::sync::Arc;

pub use bench::{Bench, CommitLog, ManualClock};
pub use fixtures::{filter, query, schema_with, todo_class, user};

use crate::{BoxFuture, Node};

/// An empty place for data that can be opened again and again.
pub trait Place: Send + Sync + 'static {
    /// Opens it. What was opened before has been closed and dropped.
    fn open(&self) -> Arc<dyn Node>;
}

/// Runs one test of the suite in a runtime of its own.
pub fn run<P: Place>(place: P, test: impl FnOnce(Bench) -> BoxFuture<'static, ()>) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async move {
        let bench = Bench::new(Box::new(place)).await;
        test(bench).await;
    });
}

/// Writes the tests of the suite, one for each of its functions. The argument makes an empty [`testkit::Place`](crate::testkit::Place).
#[macro_export]
macro_rules! contract_tests {
    ($place:expr) => {
        $crate::contract_tests! { @each $place;
            writes: insert_update_and_delete, an_insert_under_a_taken_id_is_refused, a_version_mismatch_changes_nothing,
                a_batch_is_atomic, a_failing_batch_does_not_harm_its_neighbours, a_write_that_keeps_is_not_recorded,
                an_object_cannot_change_its_key, a_panicking_decision_harms_only_itself, moments_grow_strictly,
                object_rules_refuse_writes, records_are_written_as_expected, records_and_objects_are_one_batch,
                concurrent_increments_are_all_counted, keys_are_never_repeated, concurrently_allocated_keys_differ,
                an_empty_batch_is_nothing;
            reads: reads_see_acknowledged_writes, limits_are_exact_under_object_rules, scans_follow_the_keys,
                the_oldest_come_first,
                an_empty_class_is_empty, filters_and_orders_work, hostile_texts_are_data;
            records: records_are_listed_by_key, a_record_expires, a_record_is_prolonged, expired_records_are_removed;
            rules: restricted_reads_agree_with_the_rules, the_first_rules_of_a_class,
                rules_are_in_force_after_a_restore;
            feed: changes_are_in_order_without_gaps, stamps_grow_although_the_clock_goes_back,
                the_observer_sees_what_the_feed_says, snapshots_know_their_position,
                snapshots_of_nothing_have_a_position,
                a_panicking_observer_does_no_harm,
                notes_are_on_the_changes_before_them;
            schema: writes_checked_under_an_old_schema_are_refused, an_alteration_from_another_revision_is_refused,
                objects_are_rewritten, a_dropped_class_leaves_deletes, writes_go_along_with_an_alteration,
                a_refused_write_refuses_the_alteration, a_refused_alteration_refuses_its_writes, writes_racing_an_alteration_fit_the_schema;
            indexes: unique_values_are_enforced, a_unique_index_needs_unique_values, indexes_are_replaced,
                an_index_waits_for_its_field, element_and_geo_indexes_change_no_result;
            files: files_are_written_replaced_and_deleted, writes_of_files_are_in_the_feed, files_survive_a_restart,
                s04_file_writes_take_their_permission, s04_rules_of_files_are_in_force, s04_a_decision_keeps_to_its_action,
                one_of_many_first_uploads_wins, a_panicking_decision_about_a_file_harms_only_itself;
            buckets: buckets_are_written_and_listed, a_bucket_is_ensured, a_bucket_and_its_first_file_are_one_batch,
                a_file_needs_a_bucket, a_bucket_is_deleted;
            contents: contents_are_listed_while_no_file_has_them, a_content_must_have_been_announced,
                contents_are_given_up_and_forgotten, unused_contents_are_selected_by_time,
                a_failing_batch_leaves_the_contents_alone;
            file_lists: files_are_listed_by_folder, file_lists_have_pages, names_of_files_are_data,
                s04_unreadable_files_are_not_listed, pages_of_random_files_are_the_list;
            nodes: everything_survives_a_restart, a_closed_store_is_unavailable, apps_are_created_and_deleted,
                apps_are_separate, node_records_are_swapped, a_backup_is_restored;
        }
    };
    (@each $place:expr; $($module:ident: $($test:ident),+;)+) => {
        $(mod $module {
            #[allow(unused_imports, reason = "the place may be named with or without a path")]
            use super::*;
            $(#[test]
            fn $test() {
                $crate::testkit::run($place, |bench| Box::pin($crate::testkit::$module::$test(bench)));
            })+
        })+
    };
}
