"""One chart of the report as a picture, drawn without a browser."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lineage.core.console import say
from lineage.core.errors import BadInput
from lineage.core.params import read_params
from lineage.core.paths import DATABASE, PARAMS, TEST_DATA
from lineage.extras.report.charts import all_charts, themes
from lineage.extras.report.content import VERSION_COLUMNS, collect
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.version_tags import Tag, tags
from lineage.versions.show import metrics_of

Spec = dict[str, Any]
WIDTH = 640
READ = {
    "versions": ("versions",),
    "sweeps": ("sweeps", "axes"),
    "curves": ("curves",),
    "confusion": ("cells",),
}
"""The tables that each chart draws, by the name that users give it; the first one names it."""


def write_picture(
    root: Path, name: str, of: str | None, output: Path, asked: Sequence[str]
) -> None:
    """Draw a chart into a file.

    Where there is no database, as on a server that runs checks, the metrics over versions are those
    that Git has of each tag, and of the present commit.

    Args:
        root: the project's root.
        name: one of `READ`.
        of: what is chosen in the chart: a metric, a version, a name; None: as in the report.
        output: a path that ends in `.png` or `.svg`.
        asked: ids of runs whose curves or predictions are drawn; empty: the first of the report.

    Raises:
        BadInput: there is nothing to draw, no such run or choice, or it is no such file.
    """
    from vl_convert import vegalite_to_png, vegalite_to_svg

    if output.suffix not in (".png", ".svg"):
        raise BadInput(f"{output} is neither a .png nor a .svg")
    without = name == "versions" and not (root / DATABASE).exists()
    content = content_of_git(root) if without else collect(root, asked)
    spec = all_charts(content)[READ[name][0]]
    if spec["width"] == "container":
        spec["width"] = WIDTH
    runs = set(content["first"][: len(asked) or 1])
    spec["datasets"] = {table: records(content, table, runs) for table in READ[name]}
    if not spec["datasets"][READ[name][0]]:
        raise BadInput(f"there is nothing to draw as {name} yet")
    choose(spec, of)
    config = {**themes()["light"], "background": "white"}
    if output.suffix == ".svg":
        output.write_text(vegalite_to_svg(spec, config=config), encoding="utf-8")
    else:
        output.write_bytes(vegalite_to_png(spec, config=config, scale=2))
    say(f"wrote {output}")


def choose(spec: Spec, of: str | None) -> None:
    """Choose in the list of a chart, if it has one; raises `BadInput` where it is not in it."""
    for param in spec.get("params", []):
        options = param.get("bind", {}).get("options", [])
        if of is not None and options:
            if of not in options:
                raise BadInput(f"{of!r} is not drawn; there is: {', '.join(options)}")
            param["value"] = of


def records(content: Spec, table: str, runs: set[int]) -> list[Spec]:
    """Read the rows of a table by the names of its columns; of runs that are drawn, if it has runs.

    Runs of learning curves have a label.
    """
    columns = content[table]["columns"]
    rows = [dict(zip(columns, row)) for row in content[table]["rows"]]
    if columns[0] != "run":
        return rows
    kept = [row for row in rows if row["run"] in runs]
    place = content["runs"]["columns"].index("track_id")
    return [{**row, "label": content["runs"]["rows"][row["run"]][place]} for row in kept]


def content_of_git(root: Path) -> Spec:
    """Collect what Git knows of the metrics of versions, and of the present commit."""
    promote = read_params(root / PARAMS)
    points = list(points_of_git(root, promote.experiment.version))
    content: Spec = {name: {"rows": []} for name in ("cells", "curves", "sweeps")}
    content["versions"] = {"columns": VERSION_COLUMNS, "rows": points}
    names = dict.fromkeys(point[1] for point in points)
    return {**content, "first": [], "metrics": list(names), "metric": promote.promote.metric}


def points_of_git(root: Path, version: str) -> Iterator[Sequence[Any]]:
    """Yield the points of metrics over versions; only those on one test set are joined."""
    known = tags(root)
    known.setdefault(version, Tag(version, "HEAD", "", "", ""))
    for tag in known.values():
        test = recorded_md5(root, TEST_DATA, tag.commit) or "unknown"
        for name, value in metrics_of(root, tag).items():
            own = (f"test data {test[:6]}", tag.commit[:7])
            yield (tag.version, name, value, *own, "best of its version")
