"""What MkDocs does beside rendering: adds the pages made from the code, the committed reports, and equations."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import latex2mathml.converter
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]

REPORTS = ("squeezenext", "eyeriss", "networks", "roofline", "explore")
"""Reports that the site shows as they are committed."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add generated pages and the reports, pictures included."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        from reference import pages  # noqa: PLC0415 - beside this file, which is no package
    finally:
        del sys.path[0]
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    for report in REPORTS:
        for source in sorted((ROOT / "reports" / report).iterdir()):
            if source.suffix in (".md", ".png"):
                path = f"reports/{report}/{source.name}"
                files.append(File.generated(config, path, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Put in the reports' goals, and let links that leave docs/ for the reports find them in the site."""
    markdown = re.sub(r"<!-- goals of: (\w+) -->", lambda match: _goals(match[1]), markdown)
    depth = page.file.src_uri.count("/")
    return markdown.replace("](" + "../" * (depth + 1) + "reports/", "](" + "../" * depth + "reports/")


def _goals(report: str) -> str:
    """Return the table of goals of a committed report."""
    text = (ROOT / "reports" / report / "README.md").read_text(encoding="utf-8")
    return text.split("## Goals\n", 1)[1].split("\n## ", 1)[0].strip()


def equation(source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
    """Return a fenced block of LaTeX as MathML, which browsers draw without scripts."""
    return f'<div class="equation">{latex2mathml.converter.convert(source, display="block")}</div>'
