"""What the wheel declares about itself, and what `pyproject.toml` says twice because it must."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, distributions
from importlib.resources import files
from pathlib import Path

import pytest

import unifetch

PYPROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))


def test_the_lowest_environment_pins_the_floors_of_the_extras() -> None:
    """`tox -e lowest` tests with exactly the versions that the extras name as their oldest."""
    extras = {name: extra for name, extra in PYPROJECT["project"]["optional-dependencies"].items() if name != "all"}
    floors = [requirement.replace(">=", "==", 1) for extra in extras.values() for requirement in extra]

    assert PYPROJECT["dependency-groups"]["lowest"] == floors


@pytest.fixture
def wheel() -> Distribution:
    """What is installed; tox installs the built wheel, an editor may run the tests on the source tree."""
    found = list(distributions(name="unifetch-http"))
    return found[0] if found else pytest.skip("unifetch-http is not installed")


def test_the_distribution_has_no_dependencies(wheel: Distribution) -> None:
    """Everything that the wheel requires belongs to an extra."""
    unconditional = [requirement for requirement in wheel.requires or () if "extra ==" not in requirement]

    assert unconditional == []


def test_the_distribution_knows_its_version_and_is_typed(wheel: Distribution) -> None:
    """The version of the wheel is the package's own, and type checkers may read its annotations."""
    assert wheel.version == unifetch.__version__
    assert wheel.metadata["Requires-Python"] == ">=3.11"
    assert files("unifetch").joinpath("py.typed").is_file()


def test_a_commit_is_checked_with_the_tools_of_continuous_integration() -> None:
    """The hooks before a commit run the versions that `tox -e lint` runs."""
    hooks = (Path(__file__).parent.parent / ".pre-commit-config.yaml").read_text("utf-8")
    pinned = set(re.findall(r'additional_dependencies: \["([^"]+)"\]', hooks))

    assert set(PYPROJECT["dependency-groups"]["lint"]) == pinned
