"""Find secrets in a tracked DVC configuration file."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

SECRET_OPTIONS = frozenset(
    {
        "access_key_id",
        "secret_access_key",
        "session_token",
        "sse_customer_key",
        "password",
        "passphrase",
        "token",
        "account_key",
        "sas_token",
        "connection_string",
        "client_secret",
        "gdrive_client_secret",
        "oss_key_id",
        "oss_key_secret",
        "custom_auth_header",
    }
)
"""Options of DVC remotes that are secret (dvc.org/doc/command-reference/remote/modify)."""

USER_INFO = re.compile(r"^[a-z0-9+]+://[^/@\s]*:[^/@\s]+@", re.IGNORECASE)


def find_secrets(config: Path) -> list[str]:
    """List the options of a DVC configuration file that hold a secret, as `section.option`; their values are not shown.

    Args:
        config: the file; a missing one holds none.
    """
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        text = "\n".join(line.strip() for line in config.read_text(encoding="utf-8").splitlines())
        parser.read_string(text)
    except FileNotFoundError:
        return []
    except configparser.Error:
        return [
            name.lower()
            for name in re.findall(r"^(\w+)\s*=\s*\S", text, re.MULTILINE)
            if name.lower() in SECRET_OPTIONS
        ]
    found = []
    for section in parser.sections():
        for option, value in parser.items(section):
            if value and (option in SECRET_OPTIONS or USER_INFO.match(value.strip("\"'"))):
                found.append(f"{section}.{option}")
    return found
