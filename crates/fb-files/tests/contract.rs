//! The contract suite against every storage.

mod suite;
mod support;

macro_rules! contract_tests {
    ($($place:ident),+) => {
        $(contract_tests! { @each $place;
            what_was_written_is_read, pieces_of_any_size_make_one_content, ranges_are_exact,
            a_range_behind_the_end_says_that_the_content_is_damaged, what_is_missing_is_not_found,
            the_first_content_of_an_id_stays, nobody_sees_half_a_content, an_upload_that_is_given_up_leaves_nothing,
            an_upload_whose_write_was_dropped_cannot_be_finished, a_read_has_a_limit,
            a_removed_content_is_gone_with_its_variants, variants_are_replaced, names_of_variants_are_checked,
            lists_are_in_order_and_go_on, apps_are_separate, a_check_leaves_nothing, many_uploads_and_downloads_at_once
        })+
    };
    (@each $place:ident; $($test:ident),+) => {
        mod $place {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let place = super::$place();
                    crate::suite::$test(place.0).await;
                }
            )+
        }
    };
}

contract_tests!(local, s3);

fn local() -> (fb_files::FileStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_owned();
    let files = fb_files::FileStore::local(move |app| data.join("apps").join(app.as_str()).join("files"));
    (files, directory)
}

fn s3() -> (fb_files::FileStore, ()) {
    (support::s3::file_store(), ())
}
