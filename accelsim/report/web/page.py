"""Puts the page together: template, style, scripts, plotting library and data in one file without any link."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import MissingExtraError
from accelsim.report.files import versions
from accelsim.report.web.data import operand_names, page_data

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from accelsim.result import Result

SCRIPTS = ("start.js", "text.js", "charts.js", "table.js", "layer.js", "page.js")
"""The page's own scripts, in the order in which they run."""

LIVE_SCRIPTS = (*SCRIPTS, "live.js")
"""Those of the live page."""

CONTENT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src {connect}; base-uri 'none'; form-action 'none'"
)
"""What a browser lets the page do: run what it holds, and load nothing."""


def report_html(results: Sequence[Result], *, command: str = "", baseline: str | None = None) -> str:
    """Return one self-contained page about results: no other file and no network is needed to open it.

    Args:
        results: One or more results.
        command: The command line that asked for it, for the provenance.
        baseline: Name of the network that counts as 1; None takes the fastest on each accelerator.

    Raises:
        MissingExtraError: Jinja2 or plotly is not installed.
    """
    names = list(dict.fromkeys(result.network.name for result in results))
    machines = list(dict.fromkeys(result.hardware.name for result in results))
    title = f"{', '.join(names)} on {', '.join(machines)}"
    return render(page_data(results, baseline), title=title, command=command, scripts=SCRIPTS)


def render(
    data: Mapping[str, Any],
    *,
    title: str,
    command: str,
    scripts: Sequence[str],
    controls: Sequence[Mapping[str, Any]] = (),
    own: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """Return the page.

    Args:
        data: What ``page_data`` returns.
        title: What the page is about.
        command: The command line that asked for it.
        scripts: Names of the scripts to run.
        controls: Controls of the live page; none for a page that stands by itself.
        own: For every accelerator of the live page, its file's values of what the controls set.

    Raises:
        MissingExtraError: Jinja2 or plotly is not installed.
    """
    library = plotting_library()
    template, safe = _template()
    page: str = template.render(
        title=title,
        command=command,
        versions=versions(),
        policy=CONTENT_POLICY.format(connect="'self'" if controls else "'none'"),
        style=safe(static_text("page.css")),
        script=safe("\n".join(static_text(name) for name in scripts)),
        library=packed(library),
        data=packed(json.dumps(data, allow_nan=False, separators=(",", ":")).encode()),
        columns=data["columns"],
        totals=data["totals"],
        roofline=data["roofline"],
        metrics=data["metrics"],
        operands=operand_names(),
        controls=controls,
        own=own or {},
    )
    return page


def _template() -> tuple[Template, type[Markup]]:
    """Return the page's template, and what marks the package's own style and scripts as not to be escaped."""
    try:
        import jinja2  # noqa: PLC0415 - an extra
        from markupsafe import Markup  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(_missing("Jinja2")) from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("accelsim.report.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2"), Markup


def plotting_library() -> bytes:
    """Return the script of plotly.js (MIT licence), as the package plotly carries it.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    spec = find_spec("plotly")  # importing it would take a second, and only one of its files is wanted
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path.read_bytes()
    raise MissingExtraError(_missing("plotly"))


def packed(content: bytes) -> str:
    """Return content compressed, as text that a script element may hold; browsers unpack it themselves."""
    return base64.b64encode(gzip.compress(content, compresslevel=9, mtime=0)).decode()


def static_text(name: str) -> str:
    """Return a style sheet or a script of the page."""
    return (resources.files("accelsim.report.web") / "static" / name).read_text(encoding="utf-8")


def _missing(package: str) -> str:
    return f"the page needs {package}, which is not installed: pip install 'accelsim[report]'"
