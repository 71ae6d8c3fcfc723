"""What this installation consists of and whether it works: versions, extras, caches, cores.

Nothing here may need more than the standard library to be imported, since it is asked when something else is broken.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from accelsim import __version__
from accelsim.errors import AccelsimError

KERNELS = ("accelsim.mapping.kernels", "accelsim.engine.array_kernels")
"""A module of compiled functions of every package that has some: numba keeps those of a package in one folder."""

MODULES = {"ruamel-yaml": "ruamel.yaml"}
"""What packages are imported as, where that is not their name."""

MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package that accelsim uses.

    Attributes:
        name: Its name in the package index.
        required: What accelsim asks for, such as ``>=1.26``; empty: any version.
        version: What is installed, None if nothing.
        problem: Why it cannot be used; empty if it can.
    """

    name: str
    required: str
    version: str | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class Extra:
    """An optional part of accelsim.

    Attributes:
        name: Its name, as in ``accelsim[onnx]``.
        packages: What it needs.
        installed: Whether all of that is there, in a version that will do.
        install: The command that installs it.
    """

    name: str
    packages: tuple[Package, ...]
    installed: bool
    install: str


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that something is kept in between runs.

    Attributes:
        what: What it keeps.
        path: Where it is.
        size_bytes: Size of what it keeps.
        writable: Whether files can be added (of a folder that does not exist yet: whether it can be made).
        note: Which variable moves it or turns it off, or what does so now.
    """

    what: str
    path: str
    size_bytes: int
    writable: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What ``accelsim doctor`` prints.

    Attributes:
        accelsim: Version and place of the installation.
        python: Version and place of the interpreter.
        machine: Operating system and processor.
        cpus: Cores that this process may use.
        threads: Layers that are solved at a time.
        packages: What is always needed.
        extras: Optional parts.
        folders: What is kept between runs.
        problems: A sentence for everything that is required and broken; empty if all works.
    """

    accelsim: str
    python: str
    machine: str
    cpus: int
    threads: int
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    folders: tuple[Folder, ...]
    problems: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"schema": 1, "ok": not self.problems, **asdict(self)}

    def lines(self) -> list[str]:
        """Return the diagnosis as text."""
        width = max(len(package.name) for package in self.packages)
        extras = max((len(extra.name) for extra in self.extras), default=0)
        return [
            f"accelsim  {self.accelsim}",
            f"python    {self.python}",
            f"machine   {self.machine}, {self.cpus} cores, {self.threads} layers at a time (ACCELSIM_THREADS)",
            "",
            "packages",
            *(f"  {package.name:{width}}  {_state(package)}" for package in self.packages),
            "",
            "extras",
            *(f"  {extra.name:{extras}}  {_extra_state(extra)}" for extra in self.extras),
            "",
            "kept between runs",
            *(line for folder in self.folders for line in _folder_lines(folder)),
            "",
            *(self.problems or ("everything that is required works",)),
        ]


def diagnose() -> Diagnosis:
    """Look at this installation; nothing is changed, and what is broken is told, not raised."""
    requirements = metadata.requires("accelsim") if _is_installed("accelsim") else None
    packages = tuple(
        _package(name, wanted, imported=True) for name, wanted, extra in _parsed(requirements) if not extra
    )
    llvm = _package("llvmlite", "", imported=True)
    folders, problems = _folders()
    return Diagnosis(
        accelsim=f"{__version__} in {Path(__file__).parent}",
        python=f"{platform.python_version()} ({platform.python_implementation()}) in {sys.executable}",
        machine=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpus=_cpus(),
        threads=_threads(),
        packages=(*packages, llvm),
        extras=tuple(_extras(requirements)),
        folders=tuple(folders),
        problems=(
            *_installation_problems(requirements),
            *(f"{package.name} {package.problem}" for package in (*packages, llvm) if package.problem),
            *problems,
        ),
    )


def _installation_problems(requirements: list[str] | None) -> Iterator[str]:
    if requirements is None:
        yield "accelsim is not installed in this Python: python -m pip install accelsim"
    from accelsim.data import data_files  # noqa: PLC0415 - see the module

    for kind in ("hwconfigs", "networks"):
        try:
            files = data_files(kind)
        except AccelsimError as wrong:
            yield str(wrong)
        else:
            if not files:
                yield f"accelsim's {kind} are empty: install it again"


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _parsed(requirements: Iterable[str] | None) -> Iterator[tuple[str, str, str]]:
    """Yield name (with extras in brackets), version and extra of what the metadata asks for.

    The metadata are our own, so that the few forms in pyproject.toml are all that there are.
    """
    for requirement in requirements or ():
        asked, _, marker = requirement.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        match = re.match(r"\s*([\w.\-]+(?:\[[^\]]*\])?)\s*(.*?)\s*$", asked)
        assert match, requirement
        yield match[1], match[2].strip("()"), extra[1] if extra else ""


def _package(name: str, wanted: str, *, imported: bool = False) -> Package:
    """Look at one package; ``imported``: also whether it can be imported."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Package(name=name, required=wanted, version=None, problem="is not installed")
    problem = ""
    if not _is_enough(version, wanted):
        problem = f"{version} is too old: accelsim needs {wanted}"
    elif imported:
        try:
            import_module(MODULES.get(name, name))
        except Exception as wrong:  # whatever it is, it is what the user has to know
            reason = str(wrong).strip().splitlines()
            problem = f"{version} cannot be imported: {reason[0] if reason else type(wrong).__name__}"
    return Package(name=name, required=wanted, version=version, problem=problem)


def _is_enough(version: str, wanted: str) -> bool:
    """Whether a version is at least what ``>=1.26`` asks for."""
    if not wanted.startswith(">="):
        return True
    return _release(version) >= _release(wanted[2:])


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(?:\.\d+)*", version.strip())
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def _extras(requirements: list[str] | None) -> Iterator[Extra]:
    asked: dict[str, list[tuple[str, str]]] = {}
    for name, wanted, extra in _parsed(requirements):
        if extra:
            asked.setdefault(extra, []).append((name, wanted))
    for extra in asked:
        packages = tuple(dict.fromkeys(_packages_of(extra, asked)))
        yield Extra(
            name=extra,
            packages=packages,
            installed=all(package.version is not None and not package.problem for package in packages),
            install=f"pip install 'accelsim[{extra}]'",
        )


def _packages_of(extra: str, asked: dict[str, list[tuple[str, str]]]) -> Iterator[Package]:
    for name, wanted in asked.get(extra, ()):
        own = re.fullmatch(r"accelsim\[(.*)\]", name)
        if own:
            for part in own[1].split(","):
                yield from _packages_of(part.strip(), asked)
        else:
            yield _package(name.partition("[")[0], wanted)


def _folders() -> tuple[list[Folder], list[str]]:
    """Return the folders, and what is broken about them."""
    folders, problems = [], []
    # Only imports of packages that are reported as broken themselves can fail here.
    with suppress(ImportError):
        from accelsim import cache  # noqa: PLC0415 - see the module

        where = cache.cache_folder()
        off = "ACCELSIM_NO_CACHE=1 turns it off" if cache.enabled() else "off: ACCELSIM_NO_CACHE is set"
        note = f"{_moved_by('ACCELSIM_CACHE_DIR')}, {off}"
        folders.append(_folder("solved layers", where, ("mappings.sqlite*",), note))
    try:
        for module in KERNELS:
            functions = vars(import_module(module)).values()
            kept = (getattr(getattr(function, "_cache", None), "cache_path", None) for function in functions)
            path = next(filter(None, kept), None)
            if path is not None:  # NUMBA_DISABLE_JIT compiles nothing
                what = f"compiled kernels of {module.rpartition('.')[0]}"
                folders.append(_folder(what, Path(path), ("*.nbi", "*.nbc"), _moved_by("NUMBA_CACHE_DIR")))
    except ImportError:
        pass  # numba's own fault is reported as such
    except RuntimeError as wrong:
        problems.append(f"numba finds no folder for compiled kernels ({wrong}): set NUMBA_CACHE_DIR to one")
    return folders, problems


def _moved_by(variable: str) -> str:
    return f"{variable} says where" if os.environ.get(variable) else f"{variable} moves it"


def _folder(what: str, path: Path, patterns: Iterable[str], note: str) -> Folder:
    size = 0
    with suppress(OSError):
        size = sum(file.stat().st_size for pattern in patterns for file in path.glob(pattern))
    return Folder(what=what, path=str(path), size_bytes=size, writable=_is_writable(path), note=note)


def _is_writable(path: Path) -> bool:
    """Whether a file can be made in a folder, or in the nearest one above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _cpus() -> int:
    with suppress(AttributeError):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _threads() -> int:
    try:
        from accelsim.simulation import solver_threads  # noqa: PLC0415 - see the module
    except ImportError:
        return 0
    return solver_threads()


def _state(package: Package) -> str:
    wanted = f" ({package.required})" if package.required else ""
    return f"{package.problem}{wanted}" if package.problem else f"{package.version}{wanted}"


def _extra_state(extra: Extra) -> str:
    if extra.installed:
        return ", ".join(f"{package.name} {package.version}" for package in extra.packages)
    missing = ", ".join(package.name for package in extra.packages if package.problem)
    return f"without {missing}: {extra.install}"


def _folder_lines(folder: Folder) -> list[str]:
    state = "writable" if folder.writable else "NOT writable, so nothing is kept"
    return [
        f"  {folder.what}: {folder.size_bytes / MEGABYTE:.1f} MB, {state} ({folder.note})",
        f"    {folder.path}",
    ]
