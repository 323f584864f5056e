"""Secrets in a DVC configuration file, which would be committed."""

import re
from pathlib import Path

SECRET_OPTION = re.compile(
    "access_key_id|secret_access_key|session_token|sse_customer_key|password|passphrase|token"
    "|account_key|sas_token|connection_string|client_secret|gdrive_client_secret|oss_key_id"
    "|oss_key_secret|custom_auth_header",
    re.IGNORECASE,
)
"""Options of DVC remotes that are secret (dvc.org/doc/command-reference/remote/modify).

The Git hook `dvc-secrets` in .pre-commit-config.yaml refuses the same.
"""

SECTION = re.compile(r"""\['?(\w+)(?:\s+"(.*?)")?'?\]""")
OPTION = re.compile(r"""[#;\s]*(\w+)\s*=\s*["']?([^"'\s].*)""")
"""An option with a value; one that is commented out counts, since it is committed too."""

USER_INFO = re.compile(r"[a-z0-9+]+://[^/@\s]*:[^/@\s]+@", re.IGNORECASE)
"""A URL that begins with a name and a password."""


def find_secrets(config: Path) -> list[str]:
    """List the options of a DVC configuration file that hold a secret, without their values.

    An example is `remote.storage.password`.

    Args:
        config: the file; a missing one holds none.
    """
    if not config.is_file():
        return []
    found = []
    section = ""
    for line in config.read_text(encoding="utf-8", errors="replace").splitlines():
        if header := SECTION.match(line.strip()):
            section = "".join(f"{part}." for part in header.groups() if part)
        elif option := OPTION.match(line):
            name, value = option.groups()
            if SECRET_OPTION.fullmatch(name) or USER_INFO.match(value):
                found.append(section + name.lower())
    return found
