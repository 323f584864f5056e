"""What the stage scripts and commands share: every rule about merging, accumulating and versioning experiments.

Layers, each importing only from itself and the ones below it; a test of the template holds this list:

verbs      merging training promotion listing project_setup model_listing tagging retrieval exploring proof worktree_start worktree_collect worktree_finish lock_merge doctor
parts      branch_point merge_tables appending merge_parquet arrow_types parquet_files column_types incoming_tables duckdb_source merge_plan report leaderboard sessions progress production candidates model_card versions comparison worktrees
plumbing   backup objects accumulate recording databases records params repository layout secrets s3_remote experiment_file model_files workers
ground     sql errors cli steps version_names
"""
