"""Answers that cannot work are refused before anything is rendered, word by word, and nothing stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from baked_projects import TEMPLATE, Bakery, load_hook

TEXTS = ("project_", "description:", "author_", "dvc_", "s3_", "shared_")

REFUSED = {
    "slug with spaces": (
        {"project_slug": "My Project"},
        "project_slug: 'My Project' cannot be a folder and package name; use lower-case letters, digits and hyphens,"
        " beginning with a letter, as in digit-experiments",
    ),
    "slug with a digit first": (
        {"project_slug": "9lives"},
        "project_slug: '9lives' cannot be a folder and package name; use lower-case letters, digits and hyphens,"
        " beginning with a letter, as in digit-experiments",
    ),
    "name of blanks": (
        {"project_name": " ", "project_slug": "x"},
        "project_name: is empty; give the project a name",
    ),
    "no author": ({"author_name": " "}, "author_name: is empty; say who runs the experiments"),
    "mail without a host": (
        {"author_email": "ada"},
        "author_email: 'ada' is not an e-mail address; use one like ada@example.com",
    ),
    "mail with a quote": (
        {"author_email": 'a"b@example.com'},
        "author_email: 'a\"b@example.com' is not an e-mail address; use one like ada@example.com",
    ),
    "no remote": (
        {"dvc_remote_url": " "},
        "dvc_remote_url: ' ' cannot be a remote; use a folder, s3://bucket/prefix, or another DVC URL",
    ),
    "unknown scheme": (
        {"dvc_remote_url": "ftp://host/x"},
        "dvc_remote_url: DVC has no remote ftp://; use a folder or one of s3, gs, azure, gdrive, oss, ssh, hdfs, webhdfs,"
        " http, https, webdav, webdavs, remote",
    ),
    "no bucket": (
        {"dvc_remote_url": "s3:///prefix"},
        "dvc_remote_url: 's3:///prefix' names no valid bucket or host; use one like s3://my-bucket/my-project",
    ),
    "invalid bucket": (
        {"dvc_remote_url": "s3://My_Bucket!/x"},
        "dvc_remote_url: 's3://My_Bucket!/x' names no valid bucket or host; use one like s3://my-bucket/my-project",
    ),
    "key in the remote": (
        {"dvc_remote_url": "s3://key:word@bucket/x"},
        "dvc_remote_url: holds a secret, and would be committed; leave it out, credentials are set later by make setup",
    ),
    "endpoint that is no URL": (
        {"dvc_remote_url": "s3://bucket", "s3_endpoint_url": "localhost:9000"},
        "s3_endpoint_url: 'localhost:9000' is not a URL; use one like https://s3.example.com, or leave it empty",
    ),
    "endpoint with a key": (
        {"dvc_remote_url": "s3://bucket", "s3_endpoint_url": "http://key:word@localhost:9000"},
        "s3_endpoint_url: holds a secret, and would be committed; leave it out, credentials are set later by make setup",
    ),
    "endpoint without S3": (
        {"dvc_remote_url": "../remote", "s3_endpoint_url": "http://localhost:9000"},
        "s3_endpoint_url: is given, but dvc_remote_url is '../remote'; use s3://bucket/prefix there, or leave this empty",
    ),
    "region with blanks": (
        {"s3_region": "eu central"},
        "s3_region: 'eu central' is not a region; use one like eu-central-1, or leave it empty",
    ),
    "relative cache": (
        {"shared_cache_dir": "cache"},
        "shared_cache_dir: 'cache' is not an absolute path; use a folder you can write to, like ~/.dvc/shared-cache",
    ),
    "cache whose name DVC would replace": (
        {"shared_cache_dir": "/tmp/%(user)s"},
        "shared_cache_dir: '/tmp/%(user)s' cannot be a cache; use a folder you can write to, like ~/.dvc/shared-cache",
    ),
    "cache below a file": (
        {"shared_cache_dir": "/dev/null/cache"},
        "shared_cache_dir: /dev/null is not a folder; use a folder you can write to, like ~/.dvc/shared-cache",
    ),
    "cache of a user who is not": (
        {"shared_cache_dir": "~nobody-of-that-name/cache"},
        "shared_cache_dir: '~nobody-of-that-name/cache' is not an absolute path; use a folder you can write to, like"
        " ~/.dvc/shared-cache",
    ),
    "control character": (
        {"description": "a\x07b"},
        "description: holds the control character U+0007; take it out",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("answers", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_one_line(bake: Bakery, tmp_path: Path, answers: dict[str, str], message: str) -> None:
    done = bake.cookiecutter(into=tmp_path / "here", code=1, **answers)
    assert message in done.stderr.splitlines()
    assert [line for line in done.stderr.splitlines() if line.startswith(TEXTS)] == [message]
    said = done.stdout + done.stderr
    assert "pre_gen_project.py" not in said, "the hook itself failed"
    assert "Traceback" not in said and "Hook script failed (exit status: 1)\n" in said
    assert list((tmp_path / "here").iterdir()) == []
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    """Root may write anywhere, so the check runs as an ordinary user."""
    load_hook("pre_gen_project", tmp_path)
    code = "import os, sys, pre_gen_project_rendered as hook\nif os.getuid() == 0: os.setuid(65534)\n"
    code += "print(*hook.check_cache(sys.argv[1]), sep='\\n')"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        words = [sys.executable, "-B", "-c", code, f"{folder}/cache"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"shared_cache_dir: {folder} is not writable; use a folder you can write to, like ~/.dvc/shared-cache\n"
    )


def test_all_problems_are_shown_at_once(bake: Bakery, tmp_path: Path) -> None:
    done = bake.cookiecutter(code=1, into=tmp_path / "here", project_slug="A", author_email="b", s3_region="C D")
    names = [line.split(":")[0] for line in done.stderr.splitlines() if line.startswith(TEXTS)]
    assert names == ["project_slug", "author_email", "s3_region"]


def test_an_existing_folder_is_not_touched(bake: Bakery, tmp_path: Path) -> None:
    mine = tmp_path / "here/digit-experiments/notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = bake.cookiecutter(code=1, into=tmp_path / "here")
    assert "already exists" in done.stdout + done.stderr
    assert [path.name for path in mine.parent.iterdir()] == ["notes.txt"]


def test_at_most_ten_questions_each_with_a_human_text() -> None:
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    public = [name for name in questions if not name.startswith("_")]
    assert public == [
        "project_name", "project_slug", "description", "author_name", "author_email",
        "dvc_remote_url", "s3_endpoint_url", "s3_region", "shared_cache_dir", "license",
    ]  # fmt: skip
    assert list(questions["__prompts__"]) == public
    assert all(
        str(text["__prompt__"] if isinstance(text, dict) else text)[0].isupper()
        for text in questions["__prompts__"].values()
    )
