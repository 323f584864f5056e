"""Results read back: nothing in this room changes a run or a database.

- `leaderboard`: the rows of `metrics`, best first; what “best” means; the names of metrics; how
  runs are compared and chosen: under equal conditions, on the validation side.
- `version_results`: the runs of a version, which are those that its tag holds.
- `plots`: the small files that DVC shows: `results/metrics.json` and the data of its plots.

You may add a plot: write its CSV in `plots.write_reports`, and name it in `dvc.yaml`. Databases are
opened read-only, only runs that can be compared are ranked with each other, and a run without a
number to compare is listed last, never left out.
"""
