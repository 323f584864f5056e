"""Read a chart (`charts/*.json`), and fill its drop-down lists: metrics, versions, logged names."""

import json
from pathlib import Path
from typing import Any, Literal

from lineage.core.errors import BadInput

Spec = dict[str, Any]
"""A chart in Vega-Lite, without its data."""

Chart = Literal["versions", "sweeps", "curves", "confusion"]


def read_chart(content: Spec, name: str, of: str | None = None) -> Spec:
    """Read a chart of the folder `charts`, and list what may be chosen in it.

    A list to choose from is named as the column that it is about. What users named is a value in
    it, and never part of an expression.

    Args:
        content: what the page shows.
        name: a `Chart`.
        of: what is chosen; None: the metric by which models are judged, or the first.

    Raises:
        BadInput: it is not in the list.
    """
    file = "regression" if name == "confusion" and content["regression"] else name
    text = read_file(f"charts/{file}.json")
    spec: Spec = json.loads(text.replace('"<METRIC>"', json.dumps(content["metric"])))
    table = content[spec["data"]["name"]]
    for param in spec.get("params", []):
        if bind := param.get("bind"):
            place = table["columns"].index(param["name"])
            options = dict.fromkeys(row[place] for row in table["rows"])
            bind["options"] = list(options)
            param["value"] = of or param.get("value", next(iter(options), None))
            if of and of not in options:
                raise BadInput(f"{of!r} is not drawn; there is: {', '.join(options)}")
    return spec


def read_file(name: str | Path) -> str:
    """Read a file that lies beside this one, or elsewhere if its path says so."""
    return (Path(__file__).parent / name).read_text("utf-8")
