"""A key of `model` that the code never reads is named, and no other is."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from baked_projects import SOURCE, Project
from ruamel.yaml import YAML

from lineage.core.code_hash import code_files
from lineage.extras.unread_params.unread import unread as unread_keys
from lineage.extras.unread_params.unread import warn_of_unread

MODEL = {"C": 1.0, "max_itr": 50, "tree": {"depth": 3, "leafs": 4, "loss": {"kind": "l2"}}}


def unread(fit: str, model: dict[str, Any] = MODEL, **modules: str) -> str:
    code = "from typing import Any\n\n" + fit
    text = "\n".join(ast.unparse(ast.parse(text)) for text in (code, *modules.values()))
    return " ".join(unread_keys(model, text)).replace("model.", "")


NAMED = {
    "a key": ("    Model(params['C'], params.get('max_iter', 100)); params['tree']['x']; print(**params['tree'])", "max_itr"),
    "a section": ("    return params['C'], params['max_itr']", "tree"),
    "in a section": ("    a = params['tree']['depth'] or params['tree'].pop('leaves', 1)\n    return params['C'], params['max_itr']", "tree.leafs tree.loss"),
    "by a key that was checked": ("    if 'C' in params:\n        Model(params['C'])\n    Model(**params['tree'])", "max_itr"),
    "of a function of the project": ("    return make(train, params)\n\ndef make(data, params):\n    return params['C'], dict(params['tree'])", "max_itr"),
    "of the run": ("    return params['C'], list(run.params['tree'])", "max_itr"),
    "of a recursive function": ("    return fit(train, params) or params['C'] or list(params['tree'])", "max_itr"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "named"), NAMED.values(), ids=NAMED.keys())
def test_a_key_that_is_never_read(body: str, named: str) -> None:
    assert unread(f"def fit(train, params):\n{body}\n") == named


def test_a_key_that_a_module_beside_reads() -> None:
    fit = "from network import make\n\ndef fit(train, params, run):\n    return make(params, run)\n"
    assert unread(fit, network="def make(params, run):\n    return params['C'], params['tree'].items()\n") == "max_itr"
    assert unread(fit, network="class make:\n    pass\n") == "", "what is no function may do anything with it"


WHOLE = {
    "unpacked": "Model(**params)",
    "copied": "dict(params)['C']",
    "copied by copy": "copy.copy(params)['C']",
    "its own copy": "params.copy()['C']",
    "joined": "({**params, 'a': 1})",
    "or'ed": "params | {}",
    "looped over": "[print(key) for key in params]",
    "items": "params.items()",
    "by a name that is not known": "[params[name] for name in names]",
    "got by a name that is not known": "params.get(name)",
    "handed to a library": "library.train(params)",
    "handed to one by name": "train(config=params)",
    "unpacked into a function of the project": "helper(*params)",
    "handed to a function that takes any": "helper(params)",
    "kept": "{'params': params}",
    "returned": "(yield params)",
    "of the run": "run.params.items()",
    "by another name": "p = params",
    "by another name in another function": "make(params)\n\ndef make(config):\n    pass",
    "changed": "params.update(C=1)",
}


@pytest.mark.parametrize("expression", WHOLE.values(), ids=WHOLE.keys())
def test_params_that_are_handed_on_whole_may_all_be_read(expression: str) -> None:
    assert (
        unread(f"def helper(*any):\n    pass\n\ndef fit(train, params, run):\n    params['C']\n    {expression}\n")
        == ""
    )


@pytest.mark.parametrize("fit", ["fit = make_fit()", "from elsewhere import fit", "def fit(*arguments):\n    pass"])
def test_nothing_is_said_where_the_code_cannot_be_followed(fit: str) -> None:
    assert unread(f"{fit}\n") == ""


def test_keys_that_the_template_reads_count_as_read() -> None:
    assert unread("def fit(train, params):\n    params['C']\n", {"name": "ridge", "seed": 1, "C": 1, "sed": 2}) == "sed"


@pytest.mark.parametrize(
    "folder",
    [".", *(f"examples/{name}" for name in ("boosting", "neural-net", "neural-net/torch", "regression", "text"))],
)
def test_the_sample_and_the_examples_read_all_their_keys(folder: str) -> None:
    place = SOURCE / folder
    params = (place if (place / "params.yaml").exists() else place.parent) / "params.yaml"
    text = re.sub(r"\{\{.*?\}\}", "''", params.read_text(encoding="utf-8"))
    model = YAML(typ="safe").load(text)["model"]
    assert model and unread((place / "experiment.py").read_text(encoding="utf-8"), model) == ""
    assert unread((SOURCE / "experiment.py").read_text(encoding="utf-8"), {**model, "sed": 1}) != ""


def test_one_line_names_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    code = b"def fit(train, params):\n    params.get('max_iter', 9), params['C'], params['tree'].get('leaves')\n"
    warn_of_unread(MODEL, {"experiment.py": code})
    named = "model.max_itr, model.tree.depth, model.tree.leafs, model.tree.loss"
    assert capsys.readouterr().err == f"warning: params.yaml: the code never reads {named}\n"


@pytest.mark.slow
def test_a_sweep_over_a_mistyped_key_is_named_once_and_goes_on(light_trained: Project) -> None:
    light_trained.set_param("model", {"name": "ridge", "C": 1.0, "max_iter": 3, "gama": 1.0})
    light_trained.set_param("sweep.grid", {"model.gama": [1.0, 2.0]})
    printed = light_trained.script("train")
    assert printed.count("never reads") == 1
    assert "warning: params.yaml: the code never reads model.gama\n" in printed
    assert "[2/2]" in printed and code_files(light_trained.path).keys() == {"experiment.py"}
