"""A package is added to a project as the page on use cases says: `uv add --frozen`, `make lock`."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from baked_projects import TEMPLATE, Project

PIN = re.compile(r"^([a-z0-9][\w.-]*?)(?:\[.*\])?==([^ ;]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of empty wheels, one for each that the template pins: what a package index says of them is enough."""
    folder = tmp_path_factory.mktemp("index")
    for name, version in PIN.findall((TEMPLATE / "requirements-dev.lock").read_text("utf-8")):
        stem = f"{name.replace('-', '_').replace('.', '_')}-{version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            info = f"{stem}.dist-info"
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.mark.slow
def test_a_package_is_locked_with_its_hash_and_the_others_keep_their_version(fresh: Project, index: Path) -> None:
    lock = fresh.path / "requirements.lock"
    before = dict(PIN.findall(lock.read_text("utf-8")))
    assert "lightgbm" not in before
    fresh.run("uv", "add", "--quiet", "--frozen", "lightgbm>=4.5")
    offline = {"UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_FIND_LINKS": str(index)}
    fresh.run("make", "lock", **offline)
    text = lock.read_text("utf-8")
    after = dict(PIN.findall(text))
    added = after.pop("lightgbm")
    assert re.search(rf"^lightgbm=={re.escape(added)} \\\n    --hash=sha256:[0-9a-f]{{64}}$", text, re.MULTILINE)
    assert {"duckdb", "pandas", "scikit-learn", "xetrack"} <= after.keys()
    assert {name: before[name] for name in after} == after
    assert "lightgbm" not in (fresh.path / "requirements-search.lock").read_text("utf-8"), "it has what an extra adds"
