"""Situations that once ended wrong, each with the test that asserts the right value; the test belongs to the kind.

`meaning/`: exit 0 and a wrong state. `files/`: rows, digits, zones or metadata lost, files passed over silently, refusals
whose remedy does not help. `machines/`: a ✓ that is not true, data left unversioned.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from baked_projects import TEMPLATE

FEATURES = "merge/test_sqlite_features.py::test_"
BY_HAND = "merge/test_typed_by_hand.py::test_"
INBOX = "merge/test_inbox.py::test_"
SAFE = "setup/test_said_to_be_safe.py::test_"

CASES = {
    "meaning/changed_evaluate": "models/test_like_with_like.py::test_a_changed_evaluate_does_not_promote_a_worse_model",
    "meaning/edited_copy": "merge/test_copies.py::test_an_edited_row_takes_the_place_of_its_version_and_the_rest_stays",
    "meaning/folder_model": "runs/test_saved_models.py::test_a_model_may_be_a_folder",
    "meaning/folder_model that save_model left": "runs/test_saved_models.py::test_whatever_a_killed_save_left_the_next_train_works",
    "meaning/helper_module": "runs/test_code_of_runs.py::test_a_module_beside_experiment_py_is_imported_listed_and_seen_to_change",
    "meaning/inbox": "merge/test_inbox.py::test_corrections_stay_when_their_file_is_tidied_up_or_renamed",
    "meaning/old_tag_without_checkout": "tracked/test_stale_checkout.py::test_old_tag_after_a_batch",
    "meaning/two_meanings_of_a_version": "versions/test_closed_versions.py::test_every_command_means_the_runs_of_the_tag_whatever_rows_say",
    "meaning/two_meanings_of_a_version, new runs": "versions/test_closed_versions.py::test_a_tagged_version_gets_no_new_runs_and_the_command_of_the_message_starts_the_next",
    "meaning/unloadable_model": "runs/test_saved_models.py::test_a_model_that_cannot_be_loaded_never_reaches_production",
    "machines/autocrlf": "setup/test_bake.py::test_line_ends_are_the_committed_ones_whatever_git_is_told",
    "machines/excludesfile": f"{SAFE}what_the_machine_ignores_is_tracked_all_the_same",
    "machines/excludesfile, a clone": f"{SAFE}what_machine_and_repository_around_a_project_ignore_is_tracked_and_a_clone_has_the_data",
    "machines/monorepo-gitignore": f"{SAFE}what_machine_and_repository_around_a_project_ignore_is_tracked_and_a_clone_has_the_data",
    "machines/first-commit": "setup/test_bake.py::test_where_git_knows_only_half_of_who_commits_the_answers_are_the_other_half",
    "machines/hookspath": f"{SAFE}hooks_that_git_would_never_run_are_not_said_to_be_there",
    "machines/safe-directory": "tracked/test_refused_repositories.py::test_a_project_of_another_owner_names_the_exception_that_git_wants",
    "machines/shared-umask": "extras/test_doctor.py::test_a_cache_of_a_group_that_is_closed_to_the_group",
    "files/yaml-numbers": "core/test_params.py::test_values_are_those_that_dvc_reads",
    "files/yaml-numbers of dvc exp run": "core/test_params.py::test_what_dvc_writes_is_a_number",
    "files/yaml-octal-record": "tracked/test_git_and_records.py::test_params_of_a_commit_are_those_that_dvc_reads",
    "files/yaml-octal-record, proved": "extras/test_verify_code.py::test_other_merge_rules_run_the_merges_again_and_the_version_holds",
    "files/yaml-octal-record, the row": "extras/test_verify_code.py::test_a_number_with_a_leading_zero_is_one_value_in_the_row_in_the_lock_and_in_the_proof",
    "files/silent-incoming": f"{INBOX}a_batch_comes_whatever_its_ending_and_its_folder_is_a_column",
    "files/silent-incoming, databases": f"{INBOX}a_database_comes_whatever_its_ending",
    "files/duckdb_source": f"{FEATURES}a_duckdb_file_with_other_schemas_nan_or_nothing_is_named",
    "files/fts4_empty_base": f"{FEATURES}virtual_tables_are_left_out_by_name",
    "files/fts4_empty_base, by hand": f"{BY_HAND}databases_of_which_no_table_is_merged_are_no_mistake",
    "files/generated_column": f"{FEATURES}a_generated_column_arrives_with_its_values",
    "files/generated-columns": f"{FEATURES}a_column_that_the_base_generates_is_not_sent",
    "files/misleading-sqlite, a base in UTF-16": f"{BY_HAND}a_base_in_utf_16_is_blamed_itself_and_the_remedy_works",
    "files/misleading-sqlite, wide": f"{BY_HAND}a_conflict_in_a_wide_table_is_shown_and_the_remedy_is_a_command_that_works",
    "files/misleading-sqlite, STRICT": f"{FEATURES}a_strict_base_gets_columns_of_types_that_it_knows",
    "files/misleading-sqlite, a view": f"{BY_HAND}a_view_in_the_place_of_a_table_is_named_and_the_remedy_works",
    "files/not_null_default": f"{FEATURES}a_default_is_not_a_value_that_somebody_sent",
    "files/utf16": f"{FEATURES}a_database_in_utf_16_is_read",
    "files/utf16, by hand": f"{BY_HAND}a_database_in_utf_16_comes_into_one_in_utf_8",
    "files/integer_real_same_row": "merge/test_rows_without_key.py::test_a_number_and_the_same_number_as_floating_point_are_two_rows_without_types",
    "files/cast-text": "merge/test_equal_values.py::test_cast_text_is_the_same_in_every_time_zone",
    "files/geometry_crs": "tables/test_exact_parquet.py::test_a_geometry_keeps_its_coordinates_and_their_system",
    "files/int96": "tables/test_exact_parquet.py::test_nanoseconds_stored_as_int96_stay",
    "files/int96-more": "tables/test_exact_parquet.py::test_a_rebase_by_nanoseconds_replaces_the_one_row",
    "files/interval": "merge/test_equal_values.py::test_intervals_of_other_units_are_other_values",
    "files/kv-metadata": "merge/test_equal_values.py::test_notes_on_which_all_files_agree_stay_and_others_are_named",
    "files/legacy_timestamp": "tables/test_exact_parquet.py::test_times_of_format_1_are_in_utc",
    "files/pandas_metadata_without_arrow_schema": "merge/test_equal_values.py::test_what_pandas_noted_counts_without_arrows_schema",
    "files/signed_zero": "merge/test_equal_values.py::test_zero_with_a_sign_is_another_value",
    "files/wrong_stats": "tables/test_exact_parquet.py::test_wrong_minima_in_a_footer_hide_no_row",
    "files/wrong_stats_keys": "tables/test_exact_parquet.py::test_wrong_minima_in_a_footer_hide_no_row",
    "files/string_logical_only": "tables/test_exact_parquet.py::test_types_that_only_newer_readers_know_arrive_as_such",
}
"""The test of each case, below `tests/`."""

NAMES = {
    "files": "cast-text duckdb_source fts4_empty_base generated-columns generated_column geometry_crs int96 int96-more"
    " integer_real_same_row interval kv-metadata legacy_timestamp misleading-sqlite not_null_default"
    " pandas_metadata_without_arrow_schema signed_zero silent-incoming string_logical_only utf16 wrong_stats"
    " wrong_stats_keys yaml-numbers yaml-octal-record",
    "machines": "autocrlf excludesfile first-commit hookspath monorepo-gitignore safe-directory shared-umask",
    "meaning": "changed_evaluate edited_copy folder_model helper_module inbox old_tag_without_checkout two_meanings_of_a_version unloadable_model",
}
"""The names of all cases, as their files are called, by folder."""


def names_in(name: str) -> Iterator[str]:
    """Yield the names of the tests of a file."""
    for node in ast.parse((TEMPLATE / "tests" / name).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name


@pytest.mark.parametrize("case", CASES)
def test_every_case_has_its_test(case: str) -> None:
    file, _, test = CASES[case].partition("::")
    assert test in names_in(file)


def test_no_case_is_forgotten_and_none_made_up() -> None:
    known = {f"{folder}/{name}" for folder, names in NAMES.items() for name in names.split()}
    assert {case.partition(" ")[0].rstrip(",") for case in CASES} == known
