"""Start extras/doctor/command.py, which says what is wrong with this project or machine.

Only `--send` changes anything: it sends what version tags name to the remote.
"""

from lineage.core.extra_commands import run_extra

if __name__ == "__main__":
    run_extra("doctor.command")
