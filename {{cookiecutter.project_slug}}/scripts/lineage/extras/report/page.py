"""The page of the report, which opens without a network: template, data, and scripts inside."""

import json
import re
import webbrowser
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

from lineage.core.console import progress, say
from lineage.extras.report.chart import CHARTS, read_chart, read_file
from lineage.extras.report.content import collect
from lineage.extras.report.vega_script import vega_script
from lineage.tracked.whole_file import write_text


def write_report(
    root: Path,
    output: Path,
    asked: Sequence[str],
    opened: bool,
) -> None:
    """Write the page.

    Args:
        root: the project's root.
        output: the file to write.
        asked: ids of runs whose details must be in it.
        opened: whether to show it in a browser.

    Raises:
        BadInput: there is no such run, or no database.
    """
    with progress("collecting what the page shows"):
        content = collect(root, asked)
        charts = {name: read_chart(content, name) for name in CHARTS}
        content |= {
            "charts": charts,
            "themes": json.loads(read_file("themes.json")),
        }
        parts = {
            "style": read_file("page.css"),
            "table_style": bundled("dt_bundle.css"),
            "vega": vega_script(root),
            "tables": bundled("dt_bundle.js"),
            "content": json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"),
            "script": read_file("page.js"),
        }
        page = re.sub(r"@@(\w+)@@", lambda found: parts[found[1]], read_file("page.html"))
        write_text(output, page)
    say(f"wrote {output}: {len(content['runs']['rows'])} runs, {len(page) / 1e6:.1f} MB")
    if opened:
        webbrowser.open(output.resolve().as_uri())


def bundled(name: str) -> str:
    """Read a file of ITables, which brings DataTables along; importing it would take a second."""
    path = distribution("itables").locate_file(f"itables/html/{name}")
    return Path(str(path)).read_text("utf-8")
