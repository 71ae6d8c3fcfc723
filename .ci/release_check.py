"""Is what would be released whole? Builds it as a release would, and looks at the result.

    python .ci/release_check.py [--keep FOLDER] [--no-install]

Builds the source distribution, and the wheel from it; checks metadata and description with twine; that the wheel has
every module and data file of the checkout and nothing else; that versions agree (package, CITATION.cff); then installs
the wheel into an empty environment without extras, and runs it from an empty folder. Needs build and twine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

DATA = {"hwconfigs": "accelsim/_data/hwconfigs", "networks": "accelsim/_data/networks"}
"""Folders of the checkout, and where they are in the wheel."""

LARGEST_WHEEL_BYTES = 3_000_000
"""A wheel larger than this has something in it that it should not have."""


def run(*command: str | Path, **options: object) -> str:
    """Run a command and return what it prints; a failure ends the check."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def tracked(*folders: str) -> set[str]:
    """Return the files of some folders that git knows."""
    return set(run("git", "-C", ROOT, "ls-files", *folders).splitlines())


def expected_in_wheel() -> set[str]:
    """Return the names that the wheel must have beside its own metadata."""
    names = {name for name in tracked("accelsim") if not name.endswith(".gitignore")}
    for folder, inside in DATA.items():
        names |= {f"{inside}/{Path(name).name}" for name in tracked(folder) if name.endswith(".yaml")}
    return names


def check_wheel(wheel: Path) -> None:
    """Check the wheel's contents and size."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
        licence = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    wanted = expected_in_wheel()
    if names != wanted:
        missing, spare = sorted(wanted - names), sorted(names - wanted)
        sys.exit(f"{wheel.name}: missing {missing[:10]}, not in the checkout {spare[:10]}")
    if not licence or "py.typed" not in {Path(name).name for name in names}:
        sys.exit(f"{wheel.name}: has no licence or no py.typed")
    if wheel.stat().st_size > LARGEST_WHEEL_BYTES:
        sys.exit(f"{wheel.name}: has {wheel.stat().st_size} bytes, at most {LARGEST_WHEEL_BYTES} are expected")
    version = re.search(r"^Version: (.*)$", text, re.MULTILINE)
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    code = re.search(r'^__version__ = "(.*)"$', (ROOT / "accelsim" / "__init__.py").read_text("utf-8"), re.MULTILINE)
    versions = [match[1] if match else None for match in (version, cited, code)]
    if len(set(versions)) != 1:
        sys.exit(f"versions of metadata, CITATION.cff and accelsim/__init__.py differ: {versions}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.2f} MB, version {versions[0]}")


def check_source(source: Path) -> None:
    """Check that the source distribution has what is needed to build and test, and nothing that git does not know."""
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()} - {"", "PKG-INFO"}
        files = {name for name in names if not any(other.startswith(f"{name}/") for other in names)}
    spare = files - tracked()
    missing = {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md"} - files
    if spare or missing:
        sys.exit(f"{source.name}: missing {sorted(missing)}, not in the checkout {sorted(spare)[:10]}")
    print(f"{source.name}: {len(files)} files, {source.stat().st_size / 1e6:.2f} MB")


def check_installed(wheel: Path, folder: Path) -> None:
    """Install the wheel alone and use it from an empty folder."""
    venv.create(folder / "venv", with_pip=True)
    bin_ = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(bin_ / "python", "-m", "pip", "install", "--quiet", wheel)
    empty = folder / "empty"
    empty.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["ACCELSIM_CACHE_DIR"] = str(folder / "cache")
    text = run(bin_ / "accelsim", "run", "alexnet", "--hw", "8x8_32KB", "--format", "json", cwd=empty, env=environment)
    totals = json.loads(text)["totals"]
    found = json.loads(run(bin_ / "accelsim", "doctor", "--format", "json", cwd=empty, env=environment))
    if not found["ok"] or totals["macs"] != 724406816:
        sys.exit(f"the installed wheel does not work: {found['problems']}, {totals}")
    print(f"installed without extras: alexnet takes {totals['cycles']:,} cycles")


def main() -> None:
    """Build into a folder and check what comes out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder for what is built (default: thrown away)")
    parser.add_argument("--no-install", action="store_true", help="leave out what an installation takes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        built = arguments.keep or Path(scratch, "dist")
        run(sys.executable, "-m", "build", "--outdir", built, ROOT)
        print(run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()).strip())
        check_source(next(built.glob("*.tar.gz")))
        (wheel,) = built.glob("*.whl")
        check_wheel(wheel)
        if not arguments.no_install:
            check_installed(wheel, Path(scratch))


if __name__ == "__main__":
    main()
