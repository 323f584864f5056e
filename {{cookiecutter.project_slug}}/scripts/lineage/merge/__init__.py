"""What merge and rebase mean, for every kind of file, and where a copy began."""
