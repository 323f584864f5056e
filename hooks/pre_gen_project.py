"""Check all answers before anything is rendered: every problem is one line with its remedy."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

RENDERED = r"""{{ cookiecutter | tojson }}"""
ANSWERS = json.loads(RENDERED) if RENDERED[:2] == '{"' else {}  # imported as it lies here, to check single answers

TEXTS = (
    "project_name",
    "project_slug",
    "description",
    "author_name",
    "author_email",
    "dvc_remote_url",
    "s3_endpoint_url",
    "s3_region",
    "shared_cache_dir",
)
SCHEMES = (
    "s3",
    "gs",
    "azure",
    "gdrive",
    "oss",
    "ssh",
    "hdfs",
    "webhdfs",
    "http",
    "https",
    "webdav",
    "webdavs",
    "remote",
)
"""Schemes of DVC remotes (dvc.org/doc/user-guide/data-management/remote-storage)."""

SLUG = re.compile(r"[a-z][a-z0-9_-]{0,99}")
MAIL = re.compile(r"""[^@\s"'\\<>,;]+@[^@\s"'\\<>,;]+\.[^@\s"'\\<>,;.]+""")
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
REGION = re.compile(r"[a-z0-9-]*")
LINE_BREAKS = "\n\r\t"
UNQUOTABLE = "\"'\\\n\r\t"


def find_problems(answers: dict[str, str]) -> list[str]:
    """List what is wrong with the answers, each as one line that ends in its remedy.

    Args:
        answers: the questions' names and their answers.
    """
    problems = [problem for name in TEXTS for problem in check_characters(name, answers[name])]
    if problems:
        return problems
    if not answers["project_name"].strip():
        problems.append("project_name: is empty; give the project a name")
    if not SLUG.fullmatch(answers["project_slug"]):
        problems.append(
            f"project_slug: {answers['project_slug']!r} cannot be a folder and package name;"
            " use lower-case letters, digits and hyphens, beginning with a letter, as in digit-experiments"
        )
    if not answers["author_name"].strip():
        problems.append("author_name: is empty; say who runs the experiments")
    if not MAIL.fullmatch(answers["author_email"]):
        problems.append(
            f"author_email: {answers['author_email']!r} is not an e-mail address; use one like ada@example.com"
        )
    problems += check_remote(answers["dvc_remote_url"])
    problems += check_endpoint(answers["s3_endpoint_url"], answers["dvc_remote_url"])
    if not REGION.fullmatch(answers["s3_region"]):
        problems.append(
            f"s3_region: {answers['s3_region']!r} is not a region; use one like eu-central-1, or leave it empty"
        )
    return problems + check_cache(answers["shared_cache_dir"])


def check_characters(name: str, value: str) -> list[str]:
    """Refuse characters that YAML and TOML cannot hold; line breaks are welcome in prose."""
    for character in value:
        category = unicodedata.category(character)
        if (category in ("Cc", "Cs", "Zl", "Zp", "Cn") and character not in LINE_BREAKS) or character == "\ufeff":
            return [f"{name}: holds the control character U+{ord(character):04X}; take it out"]
    return []


def is_unquotable(value: str) -> bool:
    """Tell whether a value cannot stand in DVC's configuration, which also replaces `%(name)s`."""
    return "%(" in value or any(character in value for character in UNQUOTABLE)


def check_remote(url: str) -> list[str]:
    """Check the DVC remote's URL, or folder."""
    if not url.strip() or is_unquotable(url):
        return [f"dvc_remote_url: {url!r} cannot be a remote; use a folder, s3://bucket/prefix, or another DVC URL"]
    if "://" not in url:
        return []
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        return [f"dvc_remote_url: DVC has no remote {parts.scheme}://; use a folder or one of {', '.join(SCHEMES)}"]
    if parts.password or (parts.scheme == "s3" and "@" in parts.netloc):
        return [
            "dvc_remote_url: holds a secret, and would be committed; leave it out, credentials are set later by make setup"
        ]
    if not parts.netloc or (parts.scheme == "s3" and not BUCKET.fullmatch(parts.netloc)):
        return [f"dvc_remote_url: {url!r} names no valid bucket or host; use one like s3://my-bucket/my-project"]
    return []


def check_endpoint(endpoint: str, remote: str) -> list[str]:
    """Check the S3 endpoint."""
    if not endpoint:
        return []
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, valid = urlsplit(""), False
    if not valid or is_unquotable(endpoint) or " " in endpoint:
        return [f"s3_endpoint_url: {endpoint!r} is not a URL; use one like https://s3.example.com, or leave it empty"]
    if parts.username or parts.password:
        return [
            "s3_endpoint_url: holds a secret, and would be committed; leave it out, credentials are set later by make setup"
        ]
    if not remote.startswith("s3://"):
        return [
            f"s3_endpoint_url: is given, but dvc_remote_url is {remote!r}; use s3://bucket/prefix there, or leave this empty"
        ]
    return []


def check_cache(folder: str) -> list[str]:
    """Check that the shared cache can be made and written."""
    remedy = "use a folder you can write to, like ~/.dvc/shared-cache"
    if is_unquotable(folder):
        return [f"shared_cache_dir: {folder!r} cannot be a cache; {remedy}"]
    path = Path(os.path.expanduser(folder))  # noqa: PTH111 — an unknown ~user stays as it is, and is refused below
    if not folder.strip() or not path.is_absolute():
        return [f"shared_cache_dir: {folder!r} is not an absolute path; {remedy}"]
    while not os.path.lexists(path):
        path = path.parent
    if not path.is_dir():
        return [f"shared_cache_dir: {path} is not a folder; {remedy}"]
    if not os.access(path, os.W_OK | os.X_OK):
        return [f"shared_cache_dir: {path} is not writable; {remedy}"]
    return []


def main() -> int:
    """Print the problems, if any."""
    problems = find_problems(ANSWERS)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
