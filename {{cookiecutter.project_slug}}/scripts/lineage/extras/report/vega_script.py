"""Make the scripts of Vega by vl-convert, once, and keep them where `dvc plots show` looks, too."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from lineage.core.paths import find_root
from lineage.tracked.whole_file import write_text

VEGA = ".dvc/tmp/vega.js"
"""They are kept since making them takes two seconds; `.dvc/plots/page.html` names this path."""


def vega_script(root: Path) -> str:
    """Read the scripts of Vega, Vega-Lite and Vega-Embed; make them where they are not kept."""
    first = f"// vl-convert {version('vl-convert-python')}\n"
    kept = root / VEGA
    script = kept.read_text("utf-8") if kept.exists() else ""
    if script.startswith(first):
        return script
    from vl_convert import javascript_bundle

    bundle: Any = javascript_bundle  # its stub asks for what it does not need
    script = first + bundle().replace("</script", "<\\/script")
    kept.parent.mkdir(exist_ok=True)
    write_text(kept, script)
    return script


if __name__ == "__main__":
    vega_script(find_root())
