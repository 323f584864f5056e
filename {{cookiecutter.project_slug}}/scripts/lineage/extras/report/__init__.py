"""One page that shows a project, and pictures of its charts.

`experiment_explorer.py report` and `experiment_explorer.py plot` make them.

- `content.py` collects what the page shows: runs, best first, versions and sweeps.
- `provenance.py` says where the model in production comes from, and which were there before.
- `details.py` reads what is large, of some runs only: predictions, learning curves, artifacts.
- `charts` says what each chart draws, a file of Vega-Lite each; no data are in it.
- `themes.json` has the colours of Okabe and Ito, which colour-blind people tell apart, on white and
  on black.
- `chart.py` reads one of them, and lists what may be chosen in it.
- `commands.py` writes the page: `page.html`, `page.css` and `page.js`, with the data and the
  scripts of Vega and DataTables inside; or draws one chart into a file, without a browser.
- `vega_script.py` keeps the scripts of Vega in `.dvc/tmp`, for `dvc plots show`, too.

You may add a chart: a file in `charts`, its data in `content.py`, its place in `page.html`.

The folder promises that a page opens without a network, that text of users is never markup or
code, that equal results give equal bytes, and that a page says what it leaves out.
"""
