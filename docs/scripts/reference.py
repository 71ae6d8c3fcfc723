"""Pages of the site that are made from the code: keys of files, columns, metrics, the Python API.

Types, defaults and limits come from the annotations that check the files themselves; what a field means, from the
docstring of its class. A field that no docstring explains fails the build.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click
import griffe
import msgspec
from msgspec.inspect import type_info

import accelsim
from accelsim.report.text import markdown_table
from accelsim.typecheck import expected

GENERATED = "<!-- Made from the code by docs/scripts/reference.py. -->\n\n"

API_BESIDE = (
    "accelsim.engine.executed.execute_all",
    "accelsim.explore.front",
    "accelsim.mapping.search.search",
    "accelsim.mapping.nest",
    "accelsim.report.roofline_table",
    "accelsim.workload.batch_norm.fold_batch_norms",
    "accelsim.workload.memory",
    "accelsim.workload.onnx.import_onnx",
    "accelsim.workload.pytorch.import_torch",
    "accelsim.workload.storage",
    "accelsim.workload.storage_plan",
    "accelsim.workload.weights",
    "accelsim.errors",
)
"""Names beside the public API that pages of the site use."""


@dataclass(frozen=True)
class Section:
    """A kind of mapping in a file.

    Attributes:
        title: Heading.
        type_: The class that it becomes.
        without: Fields that another section has.
    """

    title: str
    type_: type
    without: tuple[str, ...] = ()


def pages() -> dict[str, str]:
    """Return all generated pages: path -> Markdown."""
    return {
        "reference/hardware-keys.md": _hardware_page(),
        "reference/network-keys.md": _network_page(),
        "reference/explore-keys.md": _explore_page(),
        "reference/storage-keys.md": _storage_page(),
        "reference/cli.md": _commands_page(),
        "reference/columns.md": _columns_page(),
        "reference/families.md": _families_page(),
        "reference/api.md": _api_page(),
    }


def _hardware_page() -> str:
    from accelsim.hardware import parts  # noqa: PLC0415 - a build must not load everything for one page

    sections = [
        Section("The file", parts.Description),
        Section("mac", parts.Mac),
        Section("memories", parts.Memory),
        Section("fanouts", parts.Fanout),
        Section("axes of a fan-out", parts.AxisSpec),
        Section("dataflows", parts.Dataflow),
    ]
    return _keys("Keys of a hardware file", "[Describing an accelerator](../hardware.md) explains them.", sections)


def _network_page() -> str:
    from accelsim.workload import layer_list, loader, network  # noqa: PLC0415

    family = Section("A file with a family", loader.NetworkFacts)
    listed = Section("A file with a list of layers", layer_list.LayerList)
    facts = Section("facts", network.Fact)
    common = Section("Every layer", layer_list.LayerSpec)
    known = tuple(field.name for field in msgspec.structs.fields(layer_list.LayerSpec))
    ops = [Section(f"op: {tag}", spec, known) for tag, spec in _layer_specs(layer_list.LayerSpec)]
    note = "[Networks](../networks.md) explains them by example."
    return _keys("Keys of a network file", note, [family, listed, facts, common, *ops])


def _layer_specs(base: type) -> Iterator[tuple[str, type]]:
    """Yield every kind of layer with the word that selects it."""
    for spec in base.__subclasses__():
        yield str(spec.__struct_config__.tag), spec  # type: ignore[attr-defined]
        yield from _layer_specs(spec)


def _explore_page() -> str:
    from accelsim.explore import space  # noqa: PLC0415
    from accelsim.explore.metrics import METRICS  # noqa: PLC0415

    sections = [
        Section("The file", space.Space),
        Section("axes", space.Axis),
        Section("constraints", space.Bound),
        Section("sampler", space.Sampling),
    ]
    page = _keys("Keys of a space file", "[Exploring designs](../exploring.md) explains them.", sections)
    rows = [(f"`{name}`", metric.unit, metric.help) for name, metric in METRICS.items()]
    return page + "\n## Metrics\n\n" + markdown_table(("metric", "unit", "meaning"), rows)


def _storage_page() -> str:
    from accelsim.workload import storage, storage_plan  # noqa: PLC0415

    sections = [Section("The file", storage_plan.StoragePlan), Section("default, layers", storage_plan.LayerStorage)]
    page = _keys("Keys of a storage plan", "[Bits, zeros and layouts](../importing.md) explains them.", sections)
    names = ", ".join(f"`{entry.value}`" for entry in storage.WeightFormat)
    return f"{page}\nFormats: {names}.\n"


def _commands_page() -> str:
    """Return the page of the command line: what ``--help`` says of every command."""
    from accelsim.cli import app  # noqa: PLC0415

    lead = (
        "Data goes to standard output, everything else to standard error. Exit status: 0 done, 1 an input was wrong\n"
        "(one sentence), 2 wrong usage.\n\n"
        "`ACCELSIM_CACHE_DIR` moves the cache of solved layers, `ACCELSIM_NO_CACHE=1` turns it off,\n"
        "`ACCELSIM_THREADS` says how many layers are solved at a time, `NUMBA_CACHE_DIR` moves compiled kernels.\n"
    )
    context = click.Context(app, info_name="accelsim")
    parts = [GENERATED, "# Command line\n\n", lead]
    for name in app.list_commands(context):
        command = app.commands[name]
        own = click.Context(command, info_name=f"accelsim {name}", parent=None)
        usage = " ".join(command.collect_usage_pieces(own))
        parts.append(f"\n## accelsim {name}\n\n```text\naccelsim {name} {usage}\n```\n\n{_help_text(command)}\n\n")
        rows = [_option_row(option, own) for option in command.get_params(own) if isinstance(option, click.Option)]
        parts.append(markdown_table(("option", "value", "if left out", "meaning"), rows))
    return "".join(parts)


def _help_text(command: click.Command) -> str:
    """Return a command's help; a paragraph that keeps its lines becomes a block."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        "```text\n" + text.removeprefix("\b\n") + "\n```" if text.startswith("\b\n") else text for text in paragraphs
    )


def _option_row(option: click.Option, context: click.Context) -> tuple[str, str, str, str]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        value = ""
    elif isinstance(option.type, click.Choice):
        value = ", ".join(map(str, option.type.choices))
    else:
        value = option.type.name + (", repeatable" if option.multiple else "")
    default = option.get_default(context) if option.show_default else None
    return names, value, "required" if option.required else _default(default), option.help or ""


def _columns_page() -> str:
    from accelsim.report.roofline_table import COLUMNS as ROOFLINE  # noqa: PLC0415
    from accelsim.report.tables import COMPARISON_COLUMNS  # noqa: PLC0415
    from accelsim.result import COLUMNS  # noqa: PLC0415

    parts = [GENERATED, "# Columns of tables\n"]
    for title, columns in (("run", COLUMNS), ("compare", COMPARISON_COLUMNS), ("roofline", ROOFLINE)):
        rows = [(f"`{name}`", column.unit, column.help) for name, column in columns.items()]
        parts += [f"\n## accelsim {title}\n\n", markdown_table(("column", "unit", "meaning"), rows)]
    return "".join(parts)


def _families_page() -> str:
    from accelsim.workload.zoo import FAMILIES, builder  # noqa: PLC0415

    parts = [GENERATED, "# Families and their parameters\n"]
    for family in FAMILIES:
        build = builder(family)
        meant = _documented(build, "parameters")
        parts += [f"\n## {family}\n\n{_first_paragraph(build)}\n\n"]
        rows = [
            (f"`{name}`", _default(parameter.default), meant.get(name, ""))
            for name, parameter in inspect.signature(build).parameters.items()
        ]
        parts.append(markdown_table(("parameter", "if left out", "meaning"), rows))
    return "".join(parts)


def _api_page() -> str:
    homes = {name: f"accelsim.{home}.{name}" for name, home in accelsim._HOMES.items()}
    public = [homes[name] for name in sorted(accelsim.__all__, key=str.lower)]
    entries = "\n\n".join(f"::: {name}" for name in public)
    beside = "\n\n".join(f"::: {name}" for name in API_BESIDE)
    lead = (
        "What `from accelsim import ...` gives; it is imported on first use. Errors are at the end. Everything else\n"
        "may change between versions."
    )
    return f"{GENERATED}# Python API\n\n{lead}\n\n{entries}\n\n## Beside the public API\n\n{beside}\n"


def _keys(title: str, lead: str, sections: list[Section]) -> str:
    parts = [GENERATED, f"# {title}\n\n{lead} Any other key is refused.\n"]
    for section in sections:
        parts += [f"\n## {section.title}\n\n{_first_paragraph(section.type_)}\n"]
        rows = list(_rows(section))
        if rows:
            parts += ["\n", markdown_table(("key", "value", "if left out", "meaning"), rows)]
    return "".join(parts)


def _rows(section: Section) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for every field: key, what is allowed, default, meaning."""
    info: Any = type_info(section.type_)
    meant = _documented(section.type_, "attributes")
    for field in info.fields:
        name = field.name
        if name in section.without:
            continue
        if name not in meant:
            raise LookupError(f"{section.type_.__qualname__}.{name}: the docstring does not say what it is")
        allowed = re.sub(r"(?<=that matches )\S+", r"`\g<0>`", expected(field.type))
        yield f"`{field.encode_name}`", allowed, _default_of(field), meant[name]


def _default_of(field: Any) -> str:
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        return "empty"
    return _default(field.default)


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if value is None or value in ("", ()):
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, msgspec.Struct):
        return "empty"
    return f"`{', '.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"


def _documented(thing: Any, kind: str) -> dict[str, str]:
    """Return name -> meaning from the section ``kind`` of a docstring; a class has its bases' too."""
    bases = [base for base in reversed(thing.__mro__) if base.__doc__] if isinstance(thing, type) else [thing]
    meant: dict[str, str] = {}
    for base in bases:
        sections = griffe.Docstring(inspect.cleandoc(base.__doc__ or "")).parse("google", warnings=False)
        entries: Mapping[str, str] = {
            entry.name.lstrip("*"): _one_line(entry.description)
            for section in sections
            if section.kind.value == kind
            for entry in section.value
        }
        meant |= entries
    return meant


def _first_paragraph(thing: Any) -> str:
    doc = inspect.cleandoc(thing.__doc__ or "")
    paragraphs = doc.split("\n\n")
    kept = [text for text in paragraphs[:2] if not text.startswith(("Attributes:", "Args:", "Returns:", "Raises:"))]
    return _code("\n\n".join(textwrap.fill(text, 118) for text in kept))


def _one_line(text: str) -> str:
    return _code(" ".join(text.split()))


def _code(text: str) -> str:
    """Turn reStructuredText's double backquotes into Markdown's."""
    return text.replace("``", "`")
