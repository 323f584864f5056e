"""Which text fits which type: `1.0` is a BIGINT, and `1.5` is none; `007` is one if the base is.

Text fits where nothing of it is lost: no digit, no time of the day, no time zone.
"""

import re

from lineage.tables.parquet_files import NULL_TYPE
from lineage.tables.sql import text

TRIED = (
    NULL_TYPE,
    "BIGINT",
    "UBIGINT",
    "DOUBLE",
    "BOOLEAN",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "VARCHAR",
)
"""Types of a column that nobody knows: the first that fits all its cells counts."""

CLOCK = r"\d\d:\d\d(:\d\d(\.\d{0,%d}0*)?)?"
DAY = r"\d{4}-\d\d-\d\d"
MOMENT = f"{DAY}([ T]{CLOCK})?"

PATTERNS = {
    r"U?(TINY|SMALL|BIG)INT|U?INTEGER": r"[+-]?\d+(\.0*)?",
    "FLOAT|DOUBLE": r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)",
    "BOOLEAN": "true|false|1|0",
    "DATE": rf"{DAY}([ T]00:00(:00(\.0*)?)?)?",
    "TIME": CLOCK % 6,
    "TIMESTAMP_S": MOMENT % 0,
    "TIMESTAMP_MS": MOMENT % 3,
    "TIMESTAMP": MOMENT % 6,
    "TIMESTAMP_NS": MOMENT % 9,
    "TIMESTAMP WITH TIME ZONE": rf"{DAY}[ T]{CLOCK % 6} ?(Z|UTC|[+-]\d\d(:?\d\d)?)",
    "UUID": "[0-9a-f-]{36}",
    NULL_TYPE: "",
    ".*": "$.",  # nothing: text has no word for it
}
"""By a type's name: how its values are spelled, in small letters or capitals."""

BARE = re.compile(r".*INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|BOOLEAN")
"""Types that JSON writes without quotes."""


def value(cell: str, kind: str) -> str:
    """Write the SQL of a cell's value; text stays as it is, and spaces count in text only."""
    return cell if kind == "VARCHAR" else f"TRY_CAST(nullif(trim({cell}), '') AS {kind})"


def misfit(cell: str, spelled: str, kind: str, is_tried: bool) -> str:
    """Write the condition that a cell does not fit a type.

    Args:
        cell: SQL of its text.
        spelled: SQL of its type in JSON; empty: the file has no types.
        kind: the type, as DuckDB calls it.
        is_tried: nobody knows the type. What begins as `007` is a code then, and no number.
    """
    number = value(cell, kind)
    content = f"nullif(trim({cell}), '')"
    is_bare = BARE.fullmatch(kind)
    conditions = []
    if spelled:
        bare = f"{spelled} NOT IN ('VARCHAR', 'OBJECT', 'ARRAY')"
        fits = bare if is_bare else f"{spelled} = 'VARCHAR'"
        conditions.append(f"NOT ({fits} OR {spelled} = 'NULL')")
    if kind != "VARCHAR":
        conditions += [
            f"NOT regexp_full_match({content}, {text(f'(?i){_pattern(kind)}')})",
            f"{content} IS NOT NULL AND {number} IS NULL",
        ]
    if kind in ("FLOAT", "DOUBLE"):
        conditions.append(f"""
            CASE WHEN regexp_full_match({content}, '[+-]?\\d{{16,}}')
                 THEN TRY_CAST({content} AS HUGEINT) IS DISTINCT FROM TRY_CAST({number} AS HUGEINT)
                 ELSE isinf({number}) AND NOT contains(lower({content}), 'inf') END
        """)
    if kind == "FLOAT":
        conditions.append(f"{number}::VARCHAR::DOUBLE <> {value(cell, 'DOUBLE')}")
    if is_tried and is_bare:
        conditions.append(rf"regexp_matches({content}, '^[+-]?0\d')")
    return " OR ".join(f"coalesce({condition}, FALSE)" for condition in conditions) or "FALSE"


def _pattern(kind: str) -> str:
    """Find how the values of a type are spelled."""
    if kind.startswith("DECIMAL"):
        scale = re.split(r"\D+", kind)[2]
        return rf"[+-]?\d*\.?\d{{0,{scale}}}0*"
    return next(pattern for names, pattern in PATTERNS.items() if re.fullmatch(names, kind))
