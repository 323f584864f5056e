"""One chart of the report as a picture, drawn without a browser."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from lineage.core.console import say
from lineage.core.errors import BadInput
from lineage.core.params import read_params
from lineage.core.paths import DATABASE, PARAMS, TEST_DATA
from lineage.extras.report.chart import Spec, read_chart, read_file
from lineage.extras.report.content import BEST, VERSION_COLUMNS, collect
from lineage.results.version_results import metrics_of
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.version_tags import Tag, tags


def write_picture(
    root: Path,
    name: str,
    of: str | None,
    output: Path,
    asked: Sequence[str],
) -> None:
    """Draw a chart into a file.

    Where there is no database, as on a server that runs checks, the metrics over versions are those
    that Git has of each tag, and of the present commit.

    Args:
        root: the project's root.
        name: of the chart.
        of: what is chosen in the chart: a metric, a version, a name; None: as in the report.
        output: a path that ends in `.png` or `.svg`.
        asked: ids of runs whose curves or predictions are drawn; empty: the first of the report.

    Raises:
        BadInput: there is nothing to draw, no such run or choice, or it is no such file.
    """
    from vl_convert import vegalite_to_png, vegalite_to_svg

    if output.suffix not in (".png", ".svg"):
        raise BadInput(f"{output} is neither a .png nor a .svg")
    is_of_git = name == "versions" and not (root / DATABASE).exists()
    content = content_of_git(root) if is_of_git else collect(root, asked)
    spec = read_chart(content, name, of)
    runs = content["first"][: len(asked) or 1]
    spec["data"] = {"values": list(records(content, spec["data"]["name"], runs))}
    if not spec["data"]["values"]:
        raise BadInput(f"there is nothing to draw as {name} yet")
    themes = json.loads(read_file("themes.json"))
    config = {**themes["light"], "background": "white"}
    if output.suffix == ".svg":
        output.write_text(vegalite_to_svg(spec, config=config), encoding="utf-8")
    else:
        output.write_bytes(vegalite_to_png(spec, config=config, scale=2))
    say(f"wrote {output}")


def records(
    content: Spec,
    table: str,
    runs: Sequence[int],
) -> Iterator[Spec]:
    """Yield the rows of a table by the names of its columns; of some runs, if it is one of runs.

    These have a label.
    """
    for row in content[table]["rows"]:
        record = dict(zip(content[table]["columns"], row))
        number = record.get("run")
        if number in runs:
            place = content["runs"]["columns"].index("track_id")
            record["label"] = content["runs"]["rows"][number][place]
        if number is None or number in runs:
            yield record


def content_of_git(root: Path) -> Spec:
    """Collect what Git knows of the metrics of versions, and of the present commit.

    Only those on one test set are joined.
    """
    params = read_params(root / PARAMS)
    version = params.experiment.version
    known = tags(root)
    known.setdefault(version, Tag(version, "HEAD", "", "", ""))
    points = []
    for tag in known.values():
        test = recorded_md5(root, TEST_DATA, tag.commit) or "unknown"
        about = (f"test data {test[:6]}", tag.commit[:7], BEST)
        points += [(tag.version, *metric, *about) for metric in metrics_of(root, tag).items()]
    return {
        "versions": {"columns": VERSION_COLUMNS, "rows": points},
        "first": [],
        "metric": params.promote.metric,
    }
