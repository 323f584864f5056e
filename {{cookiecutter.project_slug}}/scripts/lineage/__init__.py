"""What the stage scripts and commands share: merging, accumulating and versioning experiments, in rooms."""
