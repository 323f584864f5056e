"""Read and write the card of production, `model.json`; `production.make_card` fills it.

It says of the model's run what the row of the run says, by the same names, and its `params` and
`metrics` apart from that. Beside these it holds

- `packages`: versions of those that the run had loaded;
- `input_signature`: columns and dtypes of the training data as `load_data` returns them; null: it
  is no DataFrame, or the run's predictions are not there, which say it;
- `promoted_at`: UTC, ISO 8601; `reason`;
- `replaced`: run id of the model before; null: there was none;
- `by_hand`: a user chose it, so no gate stood against it;
- `compared`: run ids of the models that were compared with it, or that were there when it was
  promoted. They do not challenge it again;
- `compared_under`: test data, evaluation code and rules for which that holds.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from lineage.core import paths
from lineage.core.errors import BadInput, Refused
from lineage.runs.model_origin import METADATA_KEY
from lineage.tables.engine import open_engine
from lineage.tables.sources import read_notes
from lineage.tracked.cache import cached_object
from lineage.tracked.whole_file import write_text

MODEL = "model.bin"
CARD = "model.json"
Card = dict[str, Any]
"""The content of `model.json`."""


def read_card(root: Path) -> Card | None:
    """Read the card of the model in production; None when there is none.

    Raises:
        Refused: it is damaged.
    """
    path = root / paths.PRODUCTION / CARD
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Refused(
            f"{path} is damaged: {error}", f"dvc checkout --force {paths.PRODUCTION}"
        ) from None


def write_card(folder: Path, card: Card) -> None:
    """Write a card into the folder of its model, whole."""
    write_text(folder / CARD, json.dumps(card, indent=2) + "\n")


def as_row(card: Card) -> Card:
    """Give what a card says as a row of `metrics` does: params and metrics by name."""
    return {**card["params"], **card["metrics"], **card}


def read_origin(root: Path, run: Card) -> Card:
    """Read `input_signature` and `packages` from the predictions of a run.

    Args:
        root: the project's root.
        run: its row of `metrics`. Where a rebase took its predictions out, DVC's cache has them;
            where that has not either, nothing is known.
    """
    origin: Card = {"input_signature": None, "packages": {}}
    file = root / paths.PREDICTIONS / f"{run['track_id']}.parquet"
    file = cached_object(root, str(run.get("predictions_hash"))) or file
    with suppress(BadInput), open_engine() as engine:
        origin |= json.loads(read_notes(engine, file).get(METADATA_KEY, "{}"))
    return origin
