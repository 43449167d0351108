"""A service in another repository has the wheel of the contracts, pydantic, and nothing else of Herald."""

import json
import subprocess
import sys
import venv
from importlib.metadata import PathDistribution, distribution
from pathlib import Path
from shutil import copy2
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from .contracts_copy import ORIGINAL


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ORIGINAL, check=True, capture_output=True)
    [built] = folder.glob("herald_contracts-*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it requires, copied from the environment of the tests: no network."""
    home = tmp_path_factory.mktemp("elsewhere")
    venv.create(home, with_pip=False)
    [packages] = home.glob("lib/python*/site-packages")
    with ZipFile(wheel) as archive:
        archive.extractall(packages)
    installed = PathDistribution(next(packages.glob("herald_contracts-*.dist-info")))
    for name in required(installed.requires or []):
        install(name, packages)
    script = f"#!{home}/bin/python\nfrom contracts.cli import main\nraise SystemExit(main())\n"
    [entry] = installed.entry_points
    assert (entry.name, entry.value) == ("contracts", "contracts.cli:main")
    (home / "bin/contracts").write_text(script)
    (home / "bin/contracts").chmod(0o755)
    return home / "bin"


def required(requirements: list[str]) -> set[str]:
    """Return the names of all that is required, directly or not."""
    names = {Requirement(each).name for each in requirements if applies(Requirement(each))}
    return names.union(*(required(distribution(name).requires or []) for name in names))


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def install(name: str, packages: Path) -> None:
    for file in distribution(name).files or []:
        if not file.parts[0].startswith(".."):
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            copy2(Path(str(file.locate())), target)


def test_pydantic_is_all_that_it_requires(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith("METADATA")]
        lines = archive.read(metadata).decode().splitlines()

    assert [line for line in lines if line.startswith("Requires-Dist")] == ["Requires-Dist: pydantic>=2.10"]


def test_a_service_elsewhere_decodes_an_event(bin_folder: Path) -> None:
    golden = (ORIGINAL / "golden/user_registered.1.0.json").read_text()
    program = (
        "import json, sys; from contracts import *; print(decode(json.load(sys.stdin), UserRegistered).data.user_id)"
    )

    ended = subprocess.run(
        [bin_folder / "python", "-I", "-c", program], input=golden, capture_output=True, text=True, check=False
    )

    assert (ended.stderr, ended.stdout.strip()) == ("", str(json.loads(golden)["data"]["user_id"]))


@pytest.mark.parametrize(("service", "status"), [("auditor", 0), ("mailer", 2)])
def test_a_service_elsewhere_asks_before_it_deploys(bin_folder: Path, service: str, status: int) -> None:
    arguments = ["can-deploy", "--service", service, "--against", str(ORIGINAL / "schemas")]

    asked = subprocess.run([bin_folder / "contracts", *arguments], capture_output=True, text=True, check=False)

    assert asked.returncode == status, asked.stderr
    assert asked.stdout.startswith("yes: auditor fits ") == (status == 0)
