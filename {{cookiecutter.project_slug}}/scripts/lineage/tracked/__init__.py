"""What Git and DVC have recorded, and the guarded output: the one door for writing what accumulates."""
