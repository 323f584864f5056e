"""Where the model in production comes from: each link with its hash; the models before it."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from lineage.core.errors import LineageError
from lineage.core.paths import EXPERIMENT, PRODUCTION, TEST_DATA, TRAIN_DATA
from lineage.models.model_card import CARD, MODEL, Card, read_card
from lineage.results.chosen_by import present_conditions
from lineage.tables.parts import parts_of
from lineage.tables.sources import read_sources
from lineage.tracked.cache import cached_object, recorded_manifest
from lineage.tracked.hashes import path_md5
from lineage.tracked.recorded import recorded_md5
from lineage.tracked.version_tags import Tag, tags

TAG_COLUMNS = ("version", "day", "commit", "description")
LINK_COLUMNS = ("link", "what", "hash", "state")
CARD_COLUMNS = ("promoted at", "run", "version", "reason")


def add_provenance(root: Path, content: dict[str, Any]) -> list[str]:
    """Add the tags, the chain behind the model in production, and the models before it.

    Args:
        root: the project's root.
        content: what the page shows.

    Returns:
        ids of the runs whose models are or were in production, the newest first.

    Raises:
        Refused: Git does not answer, or the card of production is damaged.
    """
    known = tags(root)
    cards = list(cards_of(root, list(known.values())))
    links = list(links_behind(root, cards[0], known)) if cards else []
    lines = [
        (card["promoted_at"], card["track_id"], card["version"], card["reason"]) for card in cards
    ]
    listed = [(tag.version, tag.day, tag.commit[:7], tag.text) for tag in known.values()]
    content["tags"] = {"columns": TAG_COLUMNS, "rows": listed[::-1]}
    content["chain"] = {"columns": LINK_COLUMNS, "rows": links}
    content["cards"] = {"columns": CARD_COLUMNS, "rows": lines}
    ids = chain.from_iterable((card["track_id"], card["replaced"]) for card in cards)
    return [name for name in dict.fromkeys(ids) if name]


def cards_of(root: Path, known: list[Tag]) -> Iterator[Card]:
    """Yield the cards of production, here and at each tag, the newest first; those in the cache."""
    seen = set()
    for card in [read_card(root), *(card_at(root, tag) for tag in reversed(known))]:
        if card and card["promoted_at"] not in seen:
            seen.add(card["promoted_at"])
            yield card


def card_at(root: Path, tag: Tag) -> Card | None:
    """Read the card of the model that a tag records; None where it is not in the cache."""
    with suppress(LineageError, OSError, ValueError):
        folder = recorded_md5(root, PRODUCTION, tag.commit) or ""
        files = recorded_manifest(root, folder) or {}
        found = cached_object(root, files.get(CARD, ""))
        return dict(json.loads(found.read_bytes())) if found else None
    return None


def links_behind(root: Path, card: Card, known: dict[str, Tag]) -> Iterator[tuple[Any, ...]]:
    """Yield the links from a model to its run, code and data: what it is, its hash, its state."""
    model = f"{PRODUCTION}/{MODEL}"
    present = {**present_conditions(root), "data_hash": recorded_md5(root, TRAIN_DATA)}
    if (root / model).exists():
        present["model_hash"] = path_md5(root / model)
    tag = known.get(card["version"])
    yield "model", model, card["model_hash"], state(card, present, "model_hash")
    yield "run", card["track_id"], "", f"promoted {card['promoted_at']}: {card['reason']}"
    yield "version", card["version"], tag and tag.commit, tag.text if tag else "not tagged yet"
    changes = " with changes that were not committed" if card["git_dirty"] else ""
    yield "code", "commit", card["git_commit"], f"as it ran{changes}"
    evaluation = f"evaluate() of {EXPERIMENT}"
    yield "evaluation", evaluation, card["evaluate_hash"], state(card, present, "evaluate_hash")
    yield "test data", TEST_DATA, card["test_hash"], state(card, present, "test_hash")
    yield "training data", TRAIN_DATA, card["data_hash"], state(card, present, "data_hash")
    if present["data_hash"] == card["data_hash"]:
        with suppress(LineageError, OSError):
            for source in read_sources(parts_of(root / TRAIN_DATA)[-1]).values():
                yield "merged from", source.name, source.md5, f"{source.rows} rows {source.rule}"


def state(card: Card, present: dict[str, Any], name: str) -> str:
    """Say whether what a card names by its hash is what lies in the project."""
    return "as it lies here" if present.get(name) == card[name] else "another one lies here"
