"""Which strategy fits, as a dry run recommends it."""

from collections.abc import Sequence

from lineage.merge.plan import Plan


def recommend(plans: Sequence[Plan]) -> str:
    """Say which strategy fits, and why: by what `merge` would do, whichever was asked for."""
    for plan in plans:
        if plan.new_columns and plan.missing_columns:
            old = ", ".join(plan.missing_columns)
            new = ", ".join(plan.new_columns)
            return (
                f"rebase: {plan.name} seems to have renamed {old} to {new};"
                " merge would keep both, each half empty"
            )
    conflicts = sum(plan.differing for plan in plans)
    added = sum(plan.added for plan in plans)
    if conflicts:
        return (
            f"rebase: {conflicts} incoming rows have known keys and changed values,"
            " which merge would not take"
        )
    if added:
        return f"merge: the {added} rows that come are new"
    return "neither: everything is there already"
