"""The commands `report`, which writes the page, and `plot`, which draws one chart as a picture."""

import json
import re
import webbrowser
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Annotated, get_args

from vl_convert import vegalite_to_png, vegalite_to_svg

from lineage.core.console import Argument, Option, new_app, progress, say
from lineage.core.errors import BadInput
from lineage.core.paths import DATABASE, find_root
from lineage.extras.report.chart import Chart, Spec, read_chart, read_file

TABLES = Path(str(distribution("itables").locate_file("itables/html")))
"""DataTables comes along with ITables, which would take a second to import."""

app = new_app()
Runs = Annotated[list[str] | None, Option(help="A run's id, as in list; again for more.")]


@app.command()
def report(
    output: Annotated[Path, Option("--output", "-o", help="The page.")] = Path("report.html"),
    run: Runs = None,
    open: Annotated[bool, Option("--open", help="Show it in a browser.")] = False,
) -> None:
    """Write one page that shows everything, and opens without a network."""
    from lineage.extras.report.content import collect
    from lineage.extras.report.vega_script import vega_script
    from lineage.tracked.whole_file import write_text

    root = find_root()
    with progress("collecting what the page shows"):
        content = collect(root, run or ())
        content["charts"] = {name: read_chart(content, name) for name in get_args(Chart)}
        content["themes"] = json.loads(read_file("themes.json"))
        parts = {
            "style": read_file("page.css"),
            "table_style": read_file(TABLES / "dt_bundle.css"),
            "vega": vega_script(root),
            "tables": read_file(TABLES / "dt_bundle.js"),
            "content": json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"),
            "script": read_file("page.js"),
        }
        page = re.sub(r"@@(\w+)@@", lambda found: parts[found[1]], read_file("page.html"))
        write_text(output, page)
    say(f"wrote {output}: {len(content['runs']['rows'])} runs, {len(page) / 1e6:.1f} MB")
    if open:
        webbrowser.open(output.resolve().as_uri())


@app.command()
def plot(
    chart: Annotated[Chart, Argument(help="What to draw.")] = "versions",
    of: Annotated[
        str | None, Argument(help="The metric, version, or name that was logged.")
    ] = None,
    output: Annotated[Path, Option("--output", "-o", help=".png or .svg.")] = Path("plot.png"),
    run: Runs = None,
) -> None:
    """Draw a chart of the report into a file."""
    from lineage.extras.report.content import collect, content_of_git

    if output.suffix not in (".png", ".svg"):
        raise BadInput(f"{output} is neither a .png nor a .svg")
    root = find_root()
    is_of_git = chart == "versions" and not (root / DATABASE).exists()
    content = content_of_git(root) if is_of_git else collect(root, run or ())
    spec = read_chart(content, chart, of)
    runs = content["first"][: len(run or ()) or 1]
    values = list(records(content, spec["data"]["name"], runs))
    if not values:
        raise BadInput(f"there is nothing to draw as {chart} yet")
    spec["data"] = {"values": values}
    config = {**json.loads(read_file("themes.json"))["light"], "background": "white"}
    if output.suffix == ".svg":
        output.write_text(vegalite_to_svg(spec, config=config), encoding="utf-8")
    else:
        output.write_bytes(vegalite_to_png(spec, config=config, scale=2))
    say(f"wrote {output}")


def records(content: Spec, table: str, runs: Sequence[int]) -> Iterator[Spec]:
    """Yield the rows of a table by the names of its columns; of some runs, if it is one of runs.

    These have a label.
    """
    columns, rows = content[table].values()
    for row in rows:
        record = dict(zip(columns, row))
        number = record.get("run")
        if number is None:
            yield record
        elif number in runs:
            yield {**record, "label": content["ids"][number]}
