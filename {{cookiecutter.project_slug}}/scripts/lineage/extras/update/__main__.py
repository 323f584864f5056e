"""The options of `make update`; `template` and `new_keys` do the work."""

import os
import sys
from typing import Annotated

from lineage.core.console import Option, new_app
from lineage.core.paths import find_root

app = new_app("Bring in what is new in the template; what is yours stays (docs/updating.md).")


@app.command()
def update(
    finish: Annotated[bool, Option("--finish", help="Only what follows cruft.")] = False,
) -> None:
    """Let cruft change the template's files, then add the new keys of params.yaml."""
    root = find_root()
    if finish:
        from lineage.extras.update.new_keys import add_new_keys
        from lineage.extras.update.template import say_what_came

        add_new_keys(root)
        say_what_came(root)
    else:
        from lineage.extras.update.template import bring_template

        bring_template(root)
        # the code that lies here is the newer one now, which knows its new keys
        os.execv(sys.executable, [sys.executable, "-m", "lineage.extras.update", "--finish"])


if __name__ == "__main__":
    app()
