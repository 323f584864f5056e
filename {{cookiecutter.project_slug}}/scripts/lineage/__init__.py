"""What the stage scripts and commands share: every rule about merging, accumulating and versioning experiments.

Layers, each importing only from the ones below it:

verbs      training, promotion, merge_tables, merge_parquet, report, leaderboard, connection
plumbing   accumulate, records, recording, databases, sql, params, repository, layout, secrets
ground     errors, cli
"""
