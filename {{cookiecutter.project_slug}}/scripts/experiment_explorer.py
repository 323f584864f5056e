"""Look at runs and versions, and bring them back: list, show, diff, get, verify, and so on.

Extras bring the commands, each in its own `commands.py`.
"""

from lineage.core.extra_commands import ExtraCommands

app = ExtraCommands(
    "Look at past experiments and bring them back; the working tree is left alone.",
    {
        "list": "show.commands",
        "report": "report.commands",
        "plot": "report.commands",
        "evaluate": "show.commands",
        "show": "show.commands",
        "conflicts": "git_merge.commands",
        "diff": "compare.commands",
        "get": "retrieve.commands",
        "checkout": "retrieve.commands",
        "worktrees": "retrieve.commands",
        "cleanup": "retrieve.commands",
        "verify": "verify.commands",
    },
)

if __name__ == "__main__":
    app()
