"""Plan, train and record runs: one process, one database and one model for each."""
