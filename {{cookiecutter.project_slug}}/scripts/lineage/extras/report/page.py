"""The page of the report, which opens without a network: template, data, and scripts inside."""

import json
import re
import webbrowser
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lineage.core.console import progress, say
from lineage.extras.report.charts import all_charts, themes
from lineage.extras.report.content import collect
from lineage.extras.report.vega_script import vega_script
from lineage.tracked.whole_file import write_text


def write_report(root: Path, output: Path, asked: Sequence[str], opened: bool) -> None:
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
        content |= {"charts": all_charts(content), "themes": themes()}
        here = Path(__file__).parent
        parts = {
            "title": content["project"],
            "style": (here / "page.css").read_text("utf-8"),
            "table_style": bundled("dt_bundle.css"),
            "vega": vega_script(root),
            "tables": bundled("dt_bundle.js"),
            "content": json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"),
            "script": (here / "page.js").read_text("utf-8"),
        }
        template = (here / "page.html").read_text("utf-8")
        page = re.sub(r"@@(\w+)@@", lambda found: parts[found[1]], template)
        write_text(output, page)
    say(f"wrote {output}: {len(content['runs']['rows'])} runs, {len(page) / 1e6:.1f} MB")
    if opened:
        webbrowser.open(output.resolve().as_uri())


def bundled(name: str) -> str:
    """Read a file of ITables, which brings DataTables along; importing it would take a second."""
    spec = find_spec("itables")
    folder = Path(str(spec and spec.origin)).parent
    return (folder / "html" / name).read_text("utf-8")
