"""The fenced blocks of the documentation, and how they are run.

In the order of a page, in one empty folder: a block with a ``title`` becomes a file of that name; ``python`` is run,
and what it prints is a ``text`` block right behind it; of ``sh`` and ``bash`` every line is run; of ``console`` every
line that begins with ``$``, and what stands below it is what it prints. There ``...`` leaves lines out, and at the end
of a line the rest of it; ``# exit status 1`` behind a command says how it ends. A comment ``<!-- not run: why -->``
before a block keeps it from being run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

RUN = ("sh", "bash", "console", "python")
"""Kinds of blocks that are commands."""

_FENCE = re.compile(r"```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?")
_MARK = re.compile(r"<!-- not run:(?P<reason>.*)-->")
_STATUS = re.compile(r"\s+# exit status (\d+)$")
_COMPILING = re.compile(r"accelsim: compiling .*\n")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        where: Page and line.
        language: Word behind the fence.
        title: Name of the file that it is; empty if none.
        text: What is in it.
        reason: Why it is not run; None if it is.
        behind: Whether nothing but empty lines is between it and the block before.
    """

    where: str
    language: str
    title: str
    text: str
    reason: str | None
    behind: bool


@dataclass(frozen=True)
class Command:
    """A command, how it ends, and what it prints (None: anything)."""

    where: str
    line: str
    status: int
    output: str | None


def pages() -> list[Path]:
    """Return all pages that people read: the documentation's and those at the top."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    number, last_end = 0, -1
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        if fence is None:
            number += 1
            continue
        end = lines.index("```", number)
        mark = _MARK.fullmatch(lines[number - 1]) if number else None
        found.append(
            Block(
                where=f"{page.relative_to(ROOT)}:{number + 1}",
                language=fence["language"],
                title=fence["title"] or "",
                text="".join(line + "\n" for line in lines[number + 1 : end]),
                reason=mark["reason"].strip() if mark else None,
                behind=last_end >= 0 and not any(line.strip() for line in lines[last_end + 1 : number]),
            )
        )
        number = last_end = end
        number += 1
    return found


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a block of a shell."""
    if block.language != "console":
        for line in block.text.splitlines():
            if line.strip() and not line.startswith("#"):
                yield Command(block.where, line.replace(".venv/bin/", ""), 0, None)
        return
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        status = _STATUS.search(line)
        yield Command(block.where, _STATUS.sub("", line), int(status[1]) if status else 0, output)


def run_page(page: Path, folder: Path) -> int:
    """Run a page in a folder; return how many commands that were."""
    count = 0
    printed = ""
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "text" and block.behind and printed:
            check_output(Command(block.where, "python", 0, block.text), printed)
        printed = ""
        if block.reason is not None or block.title or block.language not in RUN:
            continue
        if block.language == "python":
            printed = _run(Command(block.where, "", 0, None), [sys.executable, "-c", block.text], folder)
            count += 1
            continue
        for command in commands(block):
            output = _run(command, ["bash", "-c", command.line], folder)
            check_output(command, output)
            count += 1
    return count


def _run(command: Command, arguments: list[str], folder: Path) -> str:
    """Run a command; return what it prints on either stream."""
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"PATH": paths, "COLUMNS": "200", "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    output = _COMPILING.sub("", done.stdout)
    if done.returncode != command.status:
        raise AssertionError(
            f"{command.where}: `{command.line}` ended with {done.returncode}, not {command.status}:\n{output}"
        )
    return output


def check_output(command: Command, output: str) -> None:
    """Check that a command has printed what stands below it."""
    if command.output is None:
        return
    wanted = "".join(_pattern(line) for line in command.output.splitlines())
    printed = "".join(line.rstrip() + "\n" for line in output.splitlines())
    if re.fullmatch(wanted, printed) is None:
        raise AssertionError(f"{command.where}: `{command.line}` prints something else:\n{printed}")


def _pattern(line: str) -> str:
    if line == "...":
        return r"(?:.*\n)*?"
    if line.endswith(" ..."):
        return re.escape(line.removesuffix(" ...")) + r".*\n"
    return re.escape(line.rstrip()) + r"\n"
