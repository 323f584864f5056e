"""Where the model in production comes from: each link with its hash; the models before it."""

import json
from contextlib import suppress
from operator import itemgetter
from pathlib import Path

from lineage.core.errors import LineageError
from lineage.core.paths import EXPERIMENT, PRODUCTION, TEST_DATA, TRAIN_DATA
from lineage.extras.report.details import Rows, Tables
from lineage.models.model_card import CARD, MODEL, Card, read_card
from lineage.results.leaderboard import present_conditions
from lineage.tables.sources import read_sources
from lineage.tracked.cache import object_path, read_listing
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.version_tags import Tag, tags

TAG_COLUMNS = ("version", "day", "commit", "description")
LINK_COLUMNS = ("link", "what", "hash", "state")
CARD_COLUMNS = ("promoted_at", "track_id", "version", "reason")
HASHED = {
    "model_hash": ("model", f"{PRODUCTION}/{MODEL}"),
    "evaluate_hash": ("evaluation", f"evaluate() of {EXPERIMENT}"),
    "test_hash": ("test data", TEST_DATA),
    "data_hash": ("training data", TRAIN_DATA),
}
"""What a card names by a hash."""


def add_provenance(root: Path, tables: Tables) -> list[str]:
    """Add the tags, the chain behind the model in production, and the models before it.

    Args:
        root: the project's root.
        tables: what the page shows, by name.

    Returns:
        ids of the runs whose models are or were in production, the newest first.

    Raises:
        Refused: Git does not answer, or the card of production is damaged.
    """
    known = tags(root)
    newest_first = list(known.values())[::-1]
    cards: dict[str, Card] = {}
    promoted = []
    for card in (read_card(root), *(card_at(root, tag) for tag in newest_first)):
        if card:
            cards.setdefault(card["promoted_at"], card)
            promoted += [card["track_id"], card["replaced"]]
    present = next(iter(cards.values()), None)
    links = links_behind(root, present, known.get(present["version"])) if present else ()
    listed = [(tag.version, tag.day, tag.commit[:7], tag.text) for tag in newest_first]
    tables["tags"] = TAG_COLUMNS, listed
    tables["chain"] = LINK_COLUMNS, links
    tables["cards"] = CARD_COLUMNS, list(map(itemgetter(*CARD_COLUMNS), cards.values()))
    return promoted


def card_at(root: Path, tag: Tag) -> Card | None:
    """Read the card of the model that a tag records; None where it is not in the cache."""
    with suppress(LineageError, OSError, ValueError, LookupError):
        folder = recorded_md5(root, PRODUCTION, tag.commit)
        files = read_listing(object_path(root, str(folder)))
        return dict(json.loads(object_path(root, files[CARD]).read_bytes()))
    return None


def links_behind(root: Path, card: Card, tag: Tag | None) -> Rows:
    """Yield the links from a model to its run, code and data: what it is, its hash, its state."""
    changes = " with changes that were not committed" if card["git_dirty"] else ""
    yield "run", card["track_id"], "", f"promoted {card['promoted_at']}: {card['reason']}"
    yield "version", card["version"], tag and tag.commit, tag.text if tag else "not tagged yet"
    yield "code", "commit", card["git_commit"], f"as it ran{changes}"
    present = {**present_conditions(root), "data_hash": recorded_md5(root, TRAIN_DATA)}
    with suppress(OSError):
        present["model_hash"] = path_md5(root / PRODUCTION / MODEL)
    for name, (link, what) in HASHED.items():
        which = "as it" if present.get(name) == card[name] else "another one"
        yield link, what, card[name], f"{which} lies here"
    if present["data_hash"] == card["data_hash"]:
        with suppress(LineageError, OSError):
            for source in read_sources(root / TRAIN_DATA).values():
                yield "merged from", source.name, source.md5, f"{source.rows} rows {source.rule}"
