"""Look at models, copy one out, promote one, keep or drop candidates: a command for each.

Extras bring the commands.
"""

from lineage.core.extra_commands import ExtraCommands

app = ExtraCommands(
    "Keep models as candidates, put one into production, look at them, copy one out.",
    {
        "promote": "model_manager.commands",
        "add-candidate": "model_manager.commands",
        "prune": "model_manager.commands",
        "list": "show.model_commands",
        "info": "show.model_commands",
        "download": "show.model_commands",
    },
)

if __name__ == "__main__":
    app()
