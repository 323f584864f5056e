"""The charts, as Vega-Lite by Altair. Each reads named data sets, which are tables of the content.

Names that users gave are values in the data, or of a param, and never part of an expression.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import altair as alt

LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#FFFFFF")
"""The colours of Okabe and Ito, which colour-blind people tell apart, on white and on black."""

AXIS_WIDTH = 120
HEIGHT = 300
MOST_CLASSES = 60
"""More numbers than that are drawn as points, not as a matrix."""

Spec = dict[str, Any]
"""A chart in Vega-Lite, without its data."""


def all_charts(content: Spec) -> dict[str, Spec]:
    """Draw up all charts; each is named as the table that it shows."""
    logged = dict.fromkeys(row[2] for row in content["curves"]["rows"])
    with alt.utils.schemapi.debug_mode(False):  # a check of each part by JSON schema takes a second
        charts = {
            "versions": versions(content["metrics"], content["metric"]),
            "sweeps": sweeps(content["sweeps"]["rows"], content["metric"]),
            "curves": curves(list(logged)),
            "cells": confusion(content["cells"]["rows"]),
        }
        size = {"width": "container", "height": HEIGHT}
        return {name: {**size, **chart.to_dict()} for name, chart in charts.items()}


def themes() -> dict[str, Spec]:
    """Give the configurations for a light and for a dark page."""
    light = theme("#24292f", "#d0d7de", LIGHT, ("#a8bdd0", "#08306b"))
    dark = theme("#e6edf3", "#444c56", DARK, ("#4a6179", "#a5f3fc"))
    return {"light": light, "dark": dark}


def theme(ink: str, lines: str, palette: Sequence[str], ramp: Sequence[str]) -> Spec:
    """Make a configuration of Vega: transparent, with a colour for text and one for lines.

    Classes have a colour of `palette`, numbers one between those of `ramp`.
    """
    text = {"labelColor": ink, "titleColor": ink, "labelLimit": 400}
    return {
        "background": None,
        "axis": {**text, "gridColor": lines, "domainColor": lines, "tickColor": lines},
        "legend": {**text, "symbolFillColor": ink, "orient": "top"},
        "view": {"stroke": None},
        "text": {"color": ink},
        "tick": {"color": ink},
        "mark": {"tooltip": {"content": "data"}},
        "scale": {"zero": False},
        "range": {"category": palette, "ramp": ramp},
    }


def choice(name: str, options: Sequence[str], value: str | None) -> alt.Parameter:
    """Make a list to choose from, whose value expressions know by a name."""
    bound = alt.binding_select(options=list(options), name=f"{name} ")
    return alt.param(name=name, bind=bound, value=value)


def chosen_rows(table: str, condition: str) -> alt.Chart:
    """Begin a chart of the rows of a table for which an expression holds."""
    return alt.Chart(alt.NamedData(table)).transform_filter(condition)


def versions(metrics: Sequence[str], metric: str | None) -> alt.LayerChart:
    """Draw a metric over versions, a line for all that was measured alike."""
    points = chosen_rows("versions", "datum.metric == metric").encode(
        x=alt.X("version:N", sort=None),
        y=alt.Y("value:Q", title=None),
        color="measured on:N",
    )
    lines = points.transform_filter("datum.state != 'promoted'").mark_line()
    marks = points.mark_point(filled=True, size=110, opacity=1).encode(shape="state:N")
    return alt.layer(lines, marks).add_params(choice("metric", metrics, metric))


def sweeps(lines: Sequence[Sequence[Any]], score: str | None) -> alt.LayerChart:
    """Draw parallel coordinates: a line for each run of a version, real values on each axis."""
    names = list(dict.fromkeys(line[0] for line in lines))
    axes = list(dict.fromkeys(line[2] for line in lines))
    labels = chosen_rows("axes", "datum.version == version").encode(
        x=alt.X("axis:N", sort=axes, title=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("position:Q", axis=None),
    )
    is_chosen = "indexof(chosen, datum.track_id) >= 0"
    runs = labels.properties(data=alt.NamedData("sweeps")).mark_line()
    runs = runs.encode(
        detail="track_id:N",
        color=alt.Color("score:Q", title=score),
        strokeWidth=alt.condition(is_chosen, alt.value(5), alt.value(1.5)),
    )
    ticks = labels.mark_tick(thickness=2, width=10)
    texts = labels.mark_text(align="left", dx=9).encode(text="label:N")
    chart = alt.layer(runs, ticks, texts).properties(width=alt.Step(AXIS_WIDTH))
    newest = choice("version", names, next(iter(names), None))
    return chart.add_params(newest, alt.param(name="chosen", value=[]))


def curves(names: Sequence[str]) -> alt.Chart:
    """Draw what runs logged by a name, over their steps."""
    points = chosen_rows("curves", "datum.name == logged").encode(
        x="step:Q",
        y=alt.Y("value:Q", title=None),
        color=alt.Color("label:N", title="run"),
    )
    first = choice("logged", names, next(iter(names), None))
    return points.mark_line(point=alt.OverlayMarkDef(size=12)).add_params(first)


def confusion(rows: Sequence[Sequence[Any]]) -> alt.LayerChart | alt.Chart:
    """Draw how often each class was predicted as which; numbers of all sizes, as points.

    Args:
        rows: number of a run, actual, predicted, how many items.
    """
    pairs = zip(*(row[1:3] for row in rows))
    classes = list(dict.fromkeys(chain.from_iterable(pairs)))
    cells = alt.Chart(alt.NamedData("cells"))
    if len(classes) > MOST_CLASSES and all(map(is_number, classes)):
        return cells.mark_point(filled=True).encode(x="actual:Q", y="predicted:Q")
    cells = cells.transform_joinaggregate(most="max(items)").encode(
        x=alt.X("predicted:N", sort=classes), y=alt.Y("actual:N", sort=classes)
    )
    colour = alt.Color("items:Q", legend=None).scale(scheme="viridis", domainMin=0)
    ink = alt.condition("datum.items > datum.most / 2", alt.value("black"), alt.value("white"))
    layers = [cells.mark_rect().encode(color=colour)]
    if len(classes) <= MOST_CLASSES // 3:
        layers.append(cells.mark_text().encode(text="items:Q", color=ink))
    never = alt.ViewBackground(fill="#440154")  # where viridis begins
    return alt.layer(*layers).properties(view=never)


def is_number(label: str | None) -> bool:
    """Tell a label that is a number, or missing, from other text."""
    try:
        float(label or 0)
    except ValueError:
        return False
    return True
