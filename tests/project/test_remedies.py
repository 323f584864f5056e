"""Every remedy is typed in the state in which it is printed.

`STATES` here, and in the files beside this one that are named for what they are about, hold ways into an error; its remedy
is typed as it is printed, and then the command works. A remedy that has no row there is typed by the test that `TYPED`
names.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import test_remedies_merge
import test_remedies_results
import test_remedies_runs
import test_remedies_setup
import test_remedies_worktrees
from baked_projects import TEMPLATE, Project, copy_project
from remedies import GAP, SCRIPTS, State, database, go_through, remedies_of

TYPED = {
    "python …": "test_what_is_not_python_is_named",
    "mv … ….old": "test_a_rebase_by_hand_asks_with_counts",
    "mv … …": "test_a_folder_without_a_record_is_no_folder_of_parts",
    "dvc checkout …": "test_a_missing_output_that_the_cache_has_needs_only_a_checkout",
    "dvc checkout --force …": "test_results_edited_by_hand_are_not_built_on",
    r"sed -i 's|^      - experiment.py$|&…|' dvc.yaml": "test_a_module_beside_experiment_py_is_imported_listed_and_seen_to_change",
    "make setup EXTRAS=…": "test_each_extra_can_be_deleted_alone_and_the_others_work",
    "make setup && . .venv/bin/activate": "test_make_setup_finishes_it",
    "git checkout -- experiment.py": "test_what_is_wrong_with_it",
    "python experiment.py": "test_what_is_wrong_with_it",
    "write in params.yaml: version: …": "test_a_version_that_is_an_alias_is_left_to_its_writer",
    "dvc repro": "test_next_follows_the_highest_and_must_not_pass_a_free_version_of_the_results",
    "python scripts/experiment_explorer.py list": "test_versions_without_tag_are_compared_by_their_rows",
    "give the column one type in all files": "test_no_remedy_is_named_that_changes_nothing",
    ", or: …": "test_in_the_pipeline_the_remedy_is_a_key_of_params",
    "dvc push": "test_a_pull_from_this_machines_cache_says_so_when_the_remote_lacks_it",
    "python scripts/version_tag.py --suggest": "test_each_refusal_names_its_command_and_makes_no_tag",
    "dvc pull …": "test_clone_that_pulled_only_a_part_refuses_to_start_over",
    "git merge …": "test_it_names_the_merge_that_makes_it_usable_and_then_it_is",
    "drop a batch into data/incoming/": "test_an_empty_folder_of_batches",
    "sqlite3 … 'PRAGMA journal_mode = DELETE'": "test_a_log_that_a_crashed_writer_left_is_not_replayed_over_the_merged_file",
    "correct the incoming file, or choose other key columns: …": "test_the_remedy_of_a_rebase_names_its_key",
    "dvc checkout --force models/production": "test_a_damaged_card_or_a_clone_without_data_is_said",
    "git fetch --all": "test_one_that_only_a_colleagues_commit_records_comes_with_a_fetch",
    "git fetch --all --tags": "test_a_commit_is_named_where_no_tag_is_and_a_fetch_where_no_commit_is",
    "write to exactly the path that it is given": "test_a_model_that_cannot_be_had_again_is_a_failed_run_and_the_next_train_works",
    "python scripts/train.py --debug": "test_a_failed_run_is_recorded_with_its_error_and_the_others_finish",
    "dvc config --local … VALUE": "test_setup_refuses_to_go_on_with_a_secret_in_the_committed_configuration",
    "install git, then: make setup": "test_without_git_rendering_succeeds_and_setup_finishes_it",
    "split it in two tables with one key, or merge it as parquet": "test_as_many_columns_come_as_sqlite_can_number_and_more_are_refused_by_name",
    "replace or remove …": "test_a_file_with_a_damaged_page_is_named",
    "close the program that writes to it, then try again": "test_a_locked_or_broken_source_is_named_and_not_the_base",
    "git status": "test_a_repository_that_git_cannot_read_is_not_taken_for_none",
    "wait for it, or end that process; then try again": "test_a_lock_that_is_held_names_its_holder",
    "cp -r … ….mine": "test_results_edited_by_hand_are_not_built_on",
    "dvc commit --force": "test_a_promotion_that_dvc_did_not_record_says_how_to_go_on",
    "sed -i …d … && make setup": "test_files_that_the_project_itself_ignores_are_named_and_can_be_tracked",
    "git config core.excludesFile /dev/null && make setup": "test_a_folder_that_a_rule_of_the_machine_hides_from_dvc_is_named_and_the_remedy_works",
    "git fetch --unshallow --tags": "test_from_a_subfolder_a_linked_worktree_and_a_shallow_clone",
    "python scripts/version_tag.py --start": "test_a_tagged_version_gets_no_new_runs_and_the_command_of_the_message_starts_the_next",
    "try again": "test_rows_written_during_a_merge_are_not_overwritten",
    "python scripts/version_tag.py --renumber": "test_a_renumbering_that_was_killed_at_any_write_is_completed_by_the_same_command",
    "set experiment.version: … in params.yaml, then: dvc repro": "test_next_follows_the_highest_and_must_not_pass_a_free_version_of_the_results",
    "python scripts/version_tag.py --version …": "test_next_follows_the_highest_and_must_not_pass_a_free_version_of_the_results",
    'python scripts/version_tag.py … --commit "message"': "test_next_follows_the_highest_and_must_not_pass_a_free_version_of_the_results",
    "git add them, or name them in .gitignore": "test_next_follows_the_highest_and_must_not_pass_a_free_version_of_the_results",
    "git pull --no-rebase … …": "test_the_second_to_push_a_number_gets_another_and_nothing_is_lost",
    "export DASK_JOBQUEUE__SLURM__CORES=4 DASK_JOBQUEUE__SLURM__MEMORY=16GB": "test_batch_jobs_of_slurm_are_the_workers",
    "find … -type d -exec chmod g+rwxs {} +": "test_a_cache_of_a_group_that_is_closed_to_the_group",
    "mkdir -p … && cp -rn …/. … && cp …/.dvc/config.local …/.dvc && cd … && dvc checkout --allow-missing": "test_a_worktree_with_a_cache_of_its_own",
    "export SQLITE_TMPDIR=.": "test_a_full_disk_for_temporary_files_is_told_and_another_place_helps",
    "cat …": "test_parts_that_do_not_fit_are_named",
    "git worktree add … -b … && cp .dvc/config.local ……/.dvc && cd …… && dvc checkout --allow-missing": "test_no_commit_yet_and_no_repository_of_its_own",
    "sed -i 's/data_test_overlap: fail/data_test_overlap: exclude/' params.yaml": "test_a_leak_stops_the_pipeline_until_somebody_decides",
    "python scripts/model_manager.py promote --run-id … && dvc repro": "test_an_incumbent_that_cannot_be_measured_again_is_said_in_words",
    "sed -i '/^validation:/,/^$/ { s/fraction: [^ ,}]*/fraction: 0.0/; s/after: [^#,}]*/after: null / }' params.yaml && dvc repro": "test_an_experiment_that_splits_by_itself_is_chosen_by_its_own_metric",
    "sed -i '/^promote:/,$ s/strategy: rebase/strategy: merge/' params.yaml && dvc repro": "test_an_incumbent_that_cannot_be_measured_again_is_said_in_words",
    "git bundle create ../….bundle --all": "test_push_sends_what_the_tag_names_then_commit_and_tag_and_a_colleague_gets_it",
    "sed -i 's/^  …: fail/  …: incoming/' params.yaml": "test_the_remedy_of_a_conflict_sets_the_key_of_the_stage_and_no_other",
    "sqlite3 … 'DROP …'": "test_a_view_in_the_place_of_a_table_is_named_and_the_remedy_works",
    'git config --global user.name "…" && git config --global user.email "…"': "test_who_commits_is_asked_for_by_the_command_that_says_it",
    "git diff; dvc status": "test_params_or_data_that_change_during_the_runs_are_not_taken_for_what_ran",
    "unset CUDA_VISIBLE_DEVICES": "test_more_gpus_than_are_visible_are_refused_with_a_command_that_helps",
    "dvc config --local cache.type reflink,copy && dvc checkout --relink": "test_link_types_are_tried",
    "^\t(.+)$": "test_a_project_of_another_owner_names_the_exception_that_git_wants",
    "git push --all … && git push --tags …": "test_commits_and_tags_that_the_remote_lacks_are_counted",
    "git add --force … && git commit -m 'Track what was ignored'": "test_files_that_the_project_itself_ignores_are_named_and_can_be_tracked",
    "dvc repro --force --single-item train && dvc repro": "test_code_that_did_not_run_is_not_tagged",
    "git remote add origin URL && python scripts/version_tag.py --version … --push": "test_push_sends_what_the_tag_names_then_commit_and_tag_and_a_colleague_gets_it",
    "python scripts/version_tag.py --renumber --description …": "test_the_second_to_push_a_number_gets_another_and_nothing_is_lost",
    'lineage.sql("DESCRIBE metrics")': "test_what_is_wrong_is_said_with_what_helps",
    "write the file anew": "test_metadata_that_arrow_cannot_read",
    "write the file anew, with times as TIMESTAMP, not as INT96": "test_types_that_pyarrow_would_lose_are_refused_beside_them",
    "split the column in two": "test_far_times_stay_and_are_refused_only_beside_nanoseconds",
    "give the column one type": "test_a_column_of_numbers_and_text_is_refused_by_name",
    "close the program that writes to it": "test_a_duckdb_file_that_is_open_elsewhere_is_refused",
    "dask scheduler": "test_a_scheduler_that_dies_costs_no_run_that_has_ended",
    "make setup EXTRAS=cluster": "test_workers_that_cannot_do_runs_are_named_and_one_that_can_does_them",
    "dvc pull data/train.parquet": "test_what_the_cache_lacks_is_fetched_and_verified",
    "cp THEIR.db results/incoming/ && dvc repro": "test_candidates_from_elsewhere_never_overwrite",
    "git add dvc.lock && git commit": "test_a_sweep_of_thirty_keeps_the_five_with_the_smallest_loss",
    "set merge.data_layout: parts in params.yaml, then: dvc repro": "test_the_story_of_data_that_grow_as_parts",
    'cd … && git commit --no-verify --all -m "Collect …"': "test_what_main_has_to_do_first_is_typed_as_it_is_printed",
    "delete or rename it on one side": "test_what_main_has_to_do_first_is_typed_as_it_is_printed",
    "./scripts/finish_worktree.sh … --collect…": "test_what_main_cannot_take_leaves_main_as_it_was",
    "./scripts/finish_worktree.sh … --collect": "test_an_experiment_that_only_corrected_a_row_of_main_brings_the_correction_home",
    "cd … && make doctor": "test_collect_brings_everything_home_and_finishes",
    "dvc status": "test_a_failure_half_way_leaves_nothing_behind",
    "make doctor": "test_a_failure_half_way_leaves_nothing_behind",
    "git switch …": "test_a_remedy_around_worktrees_works",
    "mv … ELSEWHERE": "test_a_remedy_around_worktrees_works",
    'dvc repro && git commit --all -m "…"': "test_a_remedy_around_worktrees_works",
    "python scripts/experiment_explorer.py conflicts": "test_a_cell_that_main_and_an_experiment_changed_waits_for_a_decision",
    "make setup EXTRAS=git_merge": "test_each_extra_can_be_deleted_alone_and_the_others_work",
    "dvc fetch && dvc checkout": "test_links_that_lead_nowhere",
    "dvc fetch": "test_a_missing_object_is_fetched_and_a_damaged_one_is_found",
    "rm -f … && dvc fetch": "test_a_missing_object_is_fetched_and_a_damaged_one_is_found",
    "python scripts/doctor.py --send": "test_tags_that_were_never_pushed_or_whose_objects_are_gone",
    "git ls-remote …": "test_commits_and_tags_that_the_remote_lacks_are_counted",
    "git remote add origin URL && …": "test_history_without_a_git_remote_is_in_this_folder_only",
    "git show …:./…": "test_links_and_tags_without_a_lock",
    "git ls-tree -r --name-only …": "test_links_and_tags_without_a_lock",
    "python scripts/experiment_explorer.py show --version …": "test_a_missing_artifact_lists_near_matches",
    "python scripts/version_tag.py --version … --push": "test_what_verify_advises_is_typed_and_then_the_version_holds",
    "python scripts/experiment_explorer.py checkout --version …": "test_what_verify_advises_is_typed_and_then_the_version_holds",
    "python scripts/version_tag.py --start patch && dvc repro": "test_what_verify_advises_is_typed_and_then_the_version_holds",
    "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…": "test_a_remote_that_cannot_be_used_is_said_in_one_line_and_changes_nothing",
    "make setup PROFILE=name": "test_a_remote_that_cannot_be_used_is_said_in_one_line_and_changes_nothing",
    "cruft link URL": "test_what_stands_in_the_way_is_said_in_one_line",
    "make update": "test_what_stands_in_the_way_is_said_in_one_line",
    "git add --all && git commit --message '…'": "test_what_stands_in_the_way_is_said_in_one_line",
    "git add --all && git commit --message '…' && make update": "test_files_that_both_changed_are_named",
    "git checkout --theirs -- … && make lock": "test_files_that_both_changed_are_named",
    "git diff -- …": "test_files_that_both_changed_are_named",
}  # fmt: skip
"""By remedy, as `remedies_of` writes it: the test that types it as it is printed, from the state in which it is printed."""


MERGE = "python scripts/merge_artifacts.py --exp-db e.db --output-db o.db --strategy"
EXPLORE = "python scripts/experiment_explorer.py"
TAG = "python scripts/version_tag.py"
TAKEN = database("e.db", 'CREATE TABLE t (id TEXT PRIMARY KEY, "lineage row" INT)')
FREE = """sqlite3 e.db 'ALTER TABLE "t" RENAME COLUMN "lineage row" TO "lineage row_"'"""
PLAIN = database("e.db", "CREATE TABLE t (id TEXT PRIMARY KEY)")
BATCH = "cp examples/batches/batch_002.parquet data/incoming"
STATES = {
    "neither all nor some versions": State("dvc push --quiet", f"{EXPLORE} verify", f"{EXPLORE} verify --all", then=None),
    "no option": State("", TAG, f"{TAG} --help", then=None),
    "no output": State("", "python scripts/merge_artifacts.py", "python scripts/merge_artifacts.py --help", then=None),
    "no source": State(
        "", "python scripts/merge_artifacts.py --strategy merge --output-db o.db", "python scripts/merge_artifacts.py --help", then=None
    ),
    "elsewhere": State("", "P=$PWD && cd / && python $P/scripts/version_tag.py --list", "cd PROJECT", then=f"{TAG} --list"),
    "neither run nor version": State(
        "", "python scripts/model_manager.py download --output m.bin", "python scripts/model_manager.py list", then=None
    ),
    "no runs": State("rm results/runs/*", "python scripts/merge_results.py", "dvc checkout results/runs"),
    "memory that is no size": State(
        BATCH,
        "LINEAGE_MEMORY_LIMIT=much python scripts/merge_data.py",
        "export LINEAGE_MEMORY_LIMIT=4GB",
        then="python scripts/merge_data.py",
    ),
    "a column with a name of ours": State(TAKEN, f"{MERGE} merge", FREE),
    "a key that no table has": State(
        PLAIN,
        f"{MERGE} rebase --key-columns x --yes",
        "sqlite3 e.db .schema",
        then=f"{MERGE} rebase --key-columns id --yes",
    ),
    "a remote whose package is not here": State(
        "dvc remote add --default --local odd gs://bucket/x",
        f"{TAG} --version e0.1.0 --push",
        "dvc remote list",
        then=None,
    ),
    "no remote to send to": State(
        "dvc remote remove storage",
        "python scripts/doctor.py --send",
        "dvc remote add --default storage URL",
        then="{ python scripts/doctor.py --send || true; } | grep '^sent 21 objects of version tags to the remote$'",
    ),
    "a dvc.yaml that DVC cannot read": State(
        "echo x >> dvc.yaml", f"{TAG} --next patch", "dvc status", "dvc status || git checkout -- dvc.yaml"
    ),
    "added rows, and no recorded version to compare": State(
        "mkdir -p ../digit-experiments-remote && mv ../cache/files ../digit-experiments-remote/ && "
        "cp data/train.parquet t && rm data/train.parquet && python -c '"
        "import pandas as pd; pd.read_parquet(\"t\").to_parquet(\"data/train.parquet\")'",
        "python scripts/merge_data.py",
        "dvc fetch data/train.parquet",
    ),
    "a link that leads nowhere": State(
        "ln -sf nowhere data/incoming/batch_001.parquet", "python scripts/merge_data.py", "dvc checkout"
    ),
    "another database": State(
        "", f"{TAG} --list --db other.db", "leave --db out", f"{TAG} --list", None
    ),
}  # fmt: skip

ROOMS = (
    test_remedies_merge,
    test_remedies_results,
    test_remedies_runs,
    test_remedies_setup,
    test_remedies_worktrees,
)


def is_like(text: str) -> re.Pattern[str]:
    """What a remedy looks like once its gaps are filled."""
    return re.compile(".*".join(map(re.escape, text.split(GAP))), re.DOTALL)


def test_every_remedy_is_typed() -> None:
    tests = [path.read_text(encoding="utf-8") for path in (TEMPLATE / "tests").rglob("*.py") if path != Path(__file__)]
    said = "\n".join(tests)
    tables = (STATES, *(module.STATES for module in ROOMS))
    rows = [state.remedy for table in tables for state in table.values()]
    found = dict(map(reversed, remedies_of(SCRIPTS)))
    assert len(found) > 150
    for text, place in found.items():
        is_row = any(map(is_like(text).fullmatch, rows))
        assert is_row or text in TYPED, f"{place}: no test has typed {text!r}: add a way into that error to STATES"
    for text, test in TYPED.items():
        assert text in found and f"def {test}(" in said, f"{text!r}, or {test}, is no more: take it out of TYPED"


@pytest.mark.parametrize("state", STATES)
def test_a_remedy_is_typed_as_it_is_printed_and_then_the_command_works(
    state: str, tagged_original: Project, tmp_path: Path
) -> None:
    go_through(copy_project(tagged_original, tmp_path), STATES[state])
