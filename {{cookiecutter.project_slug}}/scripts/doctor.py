"""Say what is wrong with this project or machine, and which command helps.

Only `--send` changes anything: it sends what version tags name to the remote.
"""

from lineage.core.console import needs_extra

if __name__ == "__main__":
    with needs_extra("doctor"):
        from lineage.extras.doctor.command import app
    app()
