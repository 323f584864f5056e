"""Under which test data and evaluation code a run was measured, and which lie here now."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from lineage.core.code_hash import evaluate_hash
from lineage.core.errors import BadInput
from lineage.core.paths import TEST_DATA
from lineage.tracked.hashes import file_md5

Row = dict[str, Any]
"""A row of `metrics`: its columns by name."""


def conditions_of(run: Row) -> str:
    """Say under which conditions a run was measured.

    Example: `test data 7ffe0c, evaluation code 8549af`, the first six digits of both hashes.
    """
    test = str(run.get("test_hash"))[:6]
    return f"test data {test}, evaluation code {str(run.get('evaluate_hash'))[:6]}"


def present_conditions(root: Path) -> Row:
    """Hash the test data and the evaluation code that lie in the project now.

    Returns:
        `test_hash` and `evaluate_hash`; nothing when one of them is missing or cannot be read.
    """
    with suppress(OSError, BadInput):
        return {"test_hash": file_md5(root / TEST_DATA), "evaluate_hash": evaluate_hash(root)}
    return {}
