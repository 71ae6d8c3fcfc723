"""Do the files around a release agree with each other?"""

import re
import tomllib
from pathlib import Path

import accelsim
from accelsim.yamlio import read_yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_is_every_python_that_is_promised_tested_on_every_system():
    """The job definition and the wheel's classifiers name the same versions."""
    # Not through read_yaml alone: YAML's `on` is text in version 1.2, as GitHub reads it.
    jobs = read_yaml(ROOT / ".github" / "workflows" / "ci.yml").data["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]
    promised = [entry.rpartition(" ")[2] for entry in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", entry)]
    assert matrix["python"] == promised
    assert matrix["python"][0] == PROJECT["requires-python"].removeprefix(">=")
    assert [system.partition("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]


def test_are_the_oldest_versions_that_are_promised_tested():
    """A lower bound that nobody tries is a guess."""
    jobs = read_yaml(ROOT / ".github" / "workflows" / "ci.yml").data["jobs"]
    command = next(step["run"] for step in jobs["small"]["steps"] if "pip install" in step.get("run", ""))
    for requirement in PROJECT["dependencies"]:
        name, _, version = requirement.partition(">=")
        assert f"'{name}=={version}.*'" in command


def test_do_the_versions_agree():
    cited = read_yaml(ROOT / "CITATION.cff").data
    assert cited["version"] == PROJECT["version"] == accelsim.__version__
    assert cited["license"] == PROJECT["license"]
