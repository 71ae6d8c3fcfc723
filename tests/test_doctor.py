"""Does ``accelsim doctor`` tell what is there and what is broken, and do shells complete what they should?"""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata

import pytest

import accelsim
from accelsim import doctor

ACCELSIM = [sys.executable, "-m", "accelsim.cli"]


@pytest.fixture
def run(tmp_path):
    """Run accelsim in an empty folder; returns the finished process."""

    def call(*arguments, **environment):
        return subprocess.run(
            [*ACCELSIM, *arguments],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return call


def test_does_it_report_versions_extras_caches_and_cores(run, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "mappings.sqlite").write_bytes(b"x" * 2_500_000)
    process = run("doctor", "--format", "json", ACCELSIM_CACHE_DIR=str(cache))
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert found["ok"]
    assert found["problems"] == []
    assert found["accelsim"].startswith(accelsim.__version__)
    versions = {package["name"]: package["version"] for package in found["packages"]}
    for name in ("click", "numpy", "numba", "llvmlite", "pandas", "ruamel-yaml"):
        assert versions[name] == metadata.version(name)
    assert found["cpus"] >= 1
    folders = {folder["what"]: folder for folder in found["folders"]}
    solved = folders["solved layers"]
    assert (solved["path"], solved["size_bytes"], solved["writable"]) == (str(cache), 2_500_000, True)
    assert "ACCELSIM_CACHE_DIR says where" in solved["note"]
    assert any("kernels" in what for what in folders)


def test_does_it_say_how_to_install_what_is_missing(monkeypatch):
    """An extra is installed if all that it needs is there, its own extras included."""
    installed = metadata.version

    def without_onnx(name):
        if name == "onnx":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", without_onnx)
    found = doctor.diagnose()
    extras = {extra.name: extra for extra in found.extras}
    assert not extras["onnx"].installed
    assert not extras["all"].installed
    assert extras["onnx"].install == "pip install 'accelsim[onnx]'"
    assert any("without onnx: pip install 'accelsim[onnx]'" in line for line in found.lines())
    assert not found.problems


@pytest.mark.parametrize(
    ("version", "problem"),
    [(None, "msgspec is not installed"), ("0.18.9", "msgspec 0.18.9 is too old: accelsim needs >=0.19")],
)
def test_is_something_required_that_is_broken_a_problem(monkeypatch, version, problem):
    installed = metadata.version

    def other(name):
        if name != "msgspec":
            return installed(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", other)
    assert doctor.diagnose().problems == (problem,)


def test_is_a_package_that_cannot_be_imported_told_with_exit_status_1(run, tmp_path):
    """A broken pandas does not break the command that says so."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "pandas.py").write_text("raise ImportError('libfoo.so is missing')\n")
    process = run("doctor", PYTHONPATH=str(broken))
    assert process.returncode == 1
    assert "pandas" in process.stdout
    assert process.stderr.count("\n") == 1
    assert "cannot be imported: libfoo.so is missing" in process.stderr


def test_is_a_cache_that_cannot_be_written_told_but_no_failure(run, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    process = run("doctor", ACCELSIM_CACHE_DIR=str(blocked / "cache"), ACCELSIM_NO_CACHE="1")
    assert process.returncode == 0, process.stderr
    assert "NOT writable" in process.stdout
    assert "off: ACCELSIM_NO_CACHE is set" in process.stdout


def test_is_it_told_if_numba_finds_no_folder_for_kernels(monkeypatch):
    def refuse(name):
        raise RuntimeError("no locator available")

    monkeypatch.setattr(doctor, "import_module", refuse)
    folders, problems = doctor._folders()
    assert [folder.what for folder in folders] == ["solved layers"]
    assert "no locator available" in problems[0]


def test_can_the_doctor_be_imported_without_any_package():
    """It is asked when packages are broken, so that it may need none of them itself."""
    names = ("numpy", "numba", "pandas", "msgspec", "rich", "click")
    code = f"import sys, accelsim.doctor; print([name for name in {names} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def completed(run, line: str) -> list[str]:
    """Return what bash would be offered at the end of a line."""
    words = line.split(" ")
    process = run(_ACCELSIM_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert process.stderr == ""
    return [offer.partition(",")[2] for offer in process.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("accelsim comp", ["compare", "completion"]),
        ("accelsim run mobilenet_v2", ["mobilenet_v2"]),
        ("accelsim compare alexnet mobilenet_v2", ["mobilenet_v2"]),
        ("accelsim run alexnet --hw 16", ["16x16_128KB"]),
        ("accelsim run alexnet --objective e", ["energy", "edp"]),
        ("accelsim run alexnet --dataflow os_moc", ["os_moc_sop", "os_moc_mop"]),
        ("accelsim hw nvdla_s", ["nvdla_small"]),
        ("accelsim completion f", ["fish"]),
    ],
)
def test_are_commands_and_names_completed(run, line, offers):
    found = completed(run, line)
    assert set(offers) <= set(found)
    assert all(name.startswith(line.rpartition(" ")[2]) for name in found)


def test_are_files_offered_where_no_name_fits(run):
    process = run(_ACCELSIM_COMPLETE="bash_complete", COMP_WORDS="accelsim run my_net", COMP_CWORD="2")
    assert process.stdout == "file,my_net\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_is_the_script_one_that_its_shell_can_read(run, shell):
    """The shell itself checks the syntax, where it is installed; the script asks accelsim in every case."""
    process = run("completion", shell)
    assert process.returncode == 0, process.stderr
    assert f"_ACCELSIM_COMPLETE={shell}_complete" in process.stdout
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=process.stdout, text=True, check=True, timeout=60)


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="needs bash and POSIX programs")
def test_does_bash_complete_with_the_script(run, tmp_path):
    """What the documentation says to put into ~/.bashrc fills bash's list of answers."""
    (tmp_path / "accelsim").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m accelsim.cli "$@"\n')
    (tmp_path / "accelsim").chmod(0o755)
    script = (
        'eval "$(accelsim completion bash)"\ncomplete -p accelsim\n'
        "COMP_WORDS=(accelsim run squeezenext23v) COMP_CWORD=2\n_accelsim_completion accelsim\necho ${COMPREPLY[@]}\n"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    registered, names = done.stdout.splitlines()
    assert "_accelsim_completion" in registered
    assert {"squeezenext23v4", "squeezenext23v5"} <= set(names.split())


def test_is_an_unknown_shell_wrong_usage(run):
    process = run("completion", "tcsh")
    assert process.returncode == 2
    assert "'bash', 'zsh', 'fish'" in process.stderr
