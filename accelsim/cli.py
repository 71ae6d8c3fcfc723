"""The command line: parses, calls the API, prints. Data to standard output, everything else to standard error."""

from __future__ import annotations

import functools
import json
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from accelsim import __version__
from accelsim.cli_explore import explore_command
from accelsim.completion import DATAFLOW, HARDWARE, NETWORK, OBJECTIVE, SHELLS, script
from accelsim.errors import AccelsimError, InputError
from accelsim.options import ManyHardware, selection_of, selection_options

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console

    from accelsim.report.selection import Selection
    from accelsim.result import Result
    from accelsim.workload.network import Network

FORMATS = click.Choice(["table", "csv", "json", "parquet"])
DATA_FORMATS = click.Choice(["table", "csv", "json"])


class _Group(click.Group):
    """A group whose commands end with an accelsim error, not click's silence, when standard output is closed."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read standard output has left; the interpreter's own flush at exit must not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise AccelsimError("standard output was closed before everything was printed") from None
        return value


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="accelsim")
def app() -> None:
    """Simulate convolutional networks on PE-array accelerators: time, energy, traffic, layer by layer."""


_hardware_option = click.option(
    "--hw", "hardware", type=HARDWARE, required=True, help="Accelerator: a name (see `accelsim hw`) or a YAML file."
)


def _simulation_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that ``run`` and ``compare`` share."""
    for option in (
        click.option(
            "--dataflow",
            type=DATAFLOW,
            default="best",
            show_default=True,
            help="Best of the hardware's, one by name, or any.",
        ),
        click.option("--objective", type=OBJECTIVE, default="cycles", show_default=True, help="cycles, energy or edp."),
        click.option("--batch", type=int, help="Images at a time (default: 1, or as the storage plan says)."),
        click.option("--mapping-space", help="uniform or uneven places of tiles (default: the hardware's)."),
        click.option("--search-limit", type=int, help="Bounds a layer after which a mapping need not be proven best."),
    ):
        command = option(command)
    return command


_storage_option = click.option(
    "--storage", type=click.Path(), help="YAML file of how operands lie in DRAM: bits, zeros, layouts, by layer."
)


def _import_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of importing a model; they arrive together as ``importing``."""

    @functools.wraps(command)
    def collected(*arguments: Any, input_shape: str | None, dim: tuple[str, ...], strict: bool, **options: Any) -> None:
        sizes = (entry.partition("=") for entry in dim)
        given = {
            "input_shape": None if input_shape is None else [_size(size) for size in input_shape.split("x")],
            "dims": {axis: _size(size) for axis, _, size in sizes} or None,
            "strict": strict or None,
        }
        importing = {key: value for key, value in given.items() if value is not None}
        command(*arguments, importing=importing, **options)

    for option in (
        click.option("--input-shape", help="Of a model: shape of one image, such as 3x224x224."),
        click.option("--dim", multiple=True, help="Of an ONNX file: NAME=SIZE of an axis left open; repeatable."),
        click.option("--strict", is_flag=True, help="Of a model: an unknown operator is an error."),
    ):
        collected = option(collected)
    return collected


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) < 10**9:
        raise InputError(f"a size must be a positive whole number, got {text!r}")
    return int(text)


def _imported(network: str, importing: dict[str, Any]) -> Network | str:
    """Return a model imported with its options; any other network as it is."""
    if not importing:
        return network
    from accelsim.workload.loader import is_model, load_network  # noqa: PLC0415

    if not is_model(network):
        option = next(iter(importing)).replace("dims", "dim").replace("_", "-")
        raise InputError(f"--{option} is for ONNX files and PyTorch modules, {network!r} is neither")
    return load_network(network, **importing)


@app.command("import", short_help="Turn an ONNX file or a PyTorch module into a network file.")
@click.argument("model")
@click.option("-o", "--output", type=click.Path(), help="File to write (default: standard output).")
@click.option("--name", help="Name of the network (default: the model's file or factory).")
@click.option("--fold-batch-norm", is_flag=True, help="Leave out batch norms that fold into the layer before.")
@click.option("--weights", type=click.Path(), help="Of an ONNX file: measure its weights into this storage plan.")
@_import_options
def import_command(
    model: str,
    output: str | None,
    name: str | None,
    fold_batch_norm: bool,
    weights: str | None,
    importing: dict[str, Any],
) -> None:
    """Turn MODEL into a YAML file that lists its layers, and say what became of every node.

    MODEL is an ONNX file, or package.module:factory of a PyTorch module, whose code is run.
    """
    from accelsim.workload.layer_list_writer import to_yaml  # noqa: PLC0415
    from accelsim.workload.loader import is_model, load_model  # noqa: PLC0415

    if not is_model(model):
        raise InputError(f"{model!r} is neither an ONNX file (.onnx) nor package.module:factory of a PyTorch module")
    imported = load_model(model, name=name, **importing)
    network = imported.network
    if fold_batch_norm:
        from accelsim.workload.batch_norm import fold_batch_norms  # noqa: PLC0415

        network = fold_batch_norms(network)
    text = to_yaml(network, comment=f"Imported from {os.path.basename(model)} by accelsim {__version__}.")
    if output is not None:
        _write_text(output, text)
    if weights is not None:
        from accelsim.workload.weights import measure_onnx, storage_text  # noqa: PLC0415

        if not model.endswith(".onnx"):
            raise InputError("--weights is for ONNX files; measure_torch measures a PyTorch module")
        _write_text(weights, storage_text(measure_onnx(model, imported)))
    click.echo("\n".join(imported.summary()), err=True)
    if output is None:
        click.echo(text, nl=False)


def _write_text(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as wrong:
        raise InputError(f"{path}: cannot be written: {wrong.strerror}") from None


@app.command(short_help="Run a network on an accelerator.")
@click.argument("network", type=NETWORK)
@_hardware_option
@_simulation_options
@click.option("--engine", default="analytical", show_default=True, help="Engine that computes the costs.")
@click.option("--mapping", "mappings", type=click.Path(), help="YAML file of mappings by layer, taken as they are.")
@_storage_option
@_import_options
@click.option("--out", type=click.Path(), help="Folder for tables, plots and a manifest.")
@selection_options
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="What to print.")
def run(network: str, hardware: str, out: str | None, format_: str, importing: dict[str, Any], **options: Any) -> None:
    """Run NETWORK on an accelerator and print a row per layer.

    NETWORK is a name, a YAML or ONNX file, a family, or package.module:factory of a PyTorch module, whose code is run.
    """
    from accelsim.result import COLUMNS  # noqa: PLC0415
    from accelsim.simulation import simulate  # noqa: PLC0415 - numba is loaded only where it is used

    selection = selection_of(options, COLUMNS, format_)
    if out is not None:
        from accelsim.report.files import check_folder  # noqa: PLC0415

        check_folder(out)
    _refuse_binary_terminal(format_)
    with _progress(f"{network} on {hardware}") as advance:
        result = simulate(_imported(network, importing), hardware, progress=advance, **options)
    _print_result(result, format_, selection)
    if out is not None:
        paths = result.save(out, command=_command_text())
        click.echo(f"wrote {len(paths)} files to {out}", err=True)


@app.command("map", short_help="Show the best mapping of one layer.")
@click.argument("network", type=NETWORK)
@click.argument("layer")
@_hardware_option
@_simulation_options
@_storage_option
@click.option("--plot", type=click.Path(), help="Picture of the nest and of how full memories are: PNG, SVG or PDF.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "yaml", "json"]),
    default="text",
    show_default=True,
    help="yaml: what `accelsim run --mapping` takes back.",
)
@click.option("--top", type=int, help="Show this many mappings instead, each the best of its kind.")
@click.option("--front", is_flag=True, help="Show those instead that none beats in both cycles and energy.")
@click.option("--tolerance", type=float, help="Of a front: the share that may be missed (default: 0.01).")
def map_command(
    network: str,
    layer: str,
    hardware: str,
    plot: str | None,
    format_: str,
    top: int | None,
    front: bool,
    tolerance: float | None,
    **options: Any,
) -> None:
    """Show how LAYER of NETWORK runs best: the loop nest, what is kept where, and how full the memories are.

    With --top or --front, a table of several mappings: by cycles, energy and what is unrolled along the array's axes.
    """
    from accelsim.report.layer_map import map_layer, plot_map  # noqa: PLC0415 - numba is loaded only where it is used

    if top is not None or front:
        _map_several(network, layer, hardware, plot, format_, top, front, tolerance, options)
        return
    _refuse_tolerance(tolerance)
    found = map_layer(network, layer, hardware, **options)
    if plot is not None:
        plot_map(found, plot)
    if format_ == "yaml":
        click.echo(found.yaml(), nl=False)
    elif format_ == "json":
        click.echo(json.dumps(found.data(), indent=1, allow_nan=False))
    else:
        click.echo("\n".join(found.lines()))


def _refuse_tolerance(tolerance: float | None) -> None:
    if tolerance is not None:
        raise InputError(f"--tolerance is a front's, got {tolerance:g} without --front")


def _map_several(
    network: str,
    layer: str,
    hardware: str,
    plot: str | None,
    format_: str,
    top: int | None,
    front: bool,
    tolerance: float | None,
    options: dict[str, Any],
) -> None:
    """Print several mappings of a layer: the best by kind, or the front."""
    from accelsim.report.layer_maps import map_front, map_top, plot_maps  # noqa: PLC0415 - numba

    if top is not None and front:
        raise InputError("--top and --front ask for different tables; give one")
    if format_ == "yaml":
        raise InputError("--format yaml holds one mapping for every layer; with --top or --front take text or json")
    if front:
        objective = options.pop("objective")
        if click.get_current_context().get_parameter_source("objective") is not ParameterSource.DEFAULT:
            raise InputError(f"a front is of cycles and energy; leave --objective {objective} out, or take --top")
        found = map_front(network, layer, hardware, tolerance=0.01 if tolerance is None else tolerance, **options)
    else:
        _refuse_tolerance(tolerance)
        found = map_top(network, layer, hardware, top=top or 0, **options)
    if plot is not None:
        plot_maps(found, plot)
    click.echo(json.dumps(found.data(), indent=1, allow_nan=False) if format_ == "json" else "\n".join(found.lines()))


@app.command("verify", short_help="Run both engines and compare them.")
@click.argument("network", type=NETWORK)
@_hardware_option
@_simulation_options
@_storage_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the integers that are computed with.")
@click.option("--format", "format_", type=DATA_FORMATS, default="table", show_default=True, help="What to print.")
def verify_command(network: str, hardware: str, seed: int, format_: str, **options: Any) -> None:
    """Execute NETWORK with real numbers; exit status 0 only if outputs and counts are equal and cycles within 1%."""
    from accelsim.report.tables import to_csv  # noqa: PLC0415
    from accelsim.report.verify import columns, verify  # noqa: PLC0415 - numba is loaded only where it is used

    with _progress(f"{network} on {hardware}, executed") as advance:
        found = verify(network, hardware, seed=seed, progress=advance, **options)
    rows = found.records()
    if format_ == "json":
        click.echo(json.dumps({"schema": 1, "agrees": found.agrees, "layers": rows}, indent=1, allow_nan=False))
    elif format_ == "csv":
        click.echo(to_csv(rows), nl=False)
    else:
        _print_columns(columns(found))
        _print_lines(found.lines())
    if not found.agrees:
        raise AccelsimError(f"{network} on {hardware}: the engines do not agree")


@app.command("trace", short_help="Execute one layer and write what happened when.")
@click.argument("network", type=NETWORK)
@click.argument("layer")
@_hardware_option
@_simulation_options
@_storage_option
@click.option("--dram", "dram_name", help="DRAM with banks behind the DMA: ddr4 or lpddr4 (default: a bandwidth).")
@click.option("--out", default="trace", show_default=True, type=click.Path(), help="Folder to write to.")
def trace_command(network: str, layer: str, hardware: str, dram_name: str | None, out: str, **options: Any) -> None:
    """Execute LAYER of NETWORK: a table of events, a trace for ui.perfetto.dev, and a timeline."""
    from accelsim.engine.dram import dram  # noqa: PLC0415
    from accelsim.report.layer_trace import trace_layer  # noqa: PLC0415 - numba is loaded only where it is used

    banks = None if dram_name is None else dram(dram_name)
    for path in trace_layer(network, layer, hardware, out, dram=banks, **options):
        click.echo(str(path))


@app.command("compare", cls=ManyHardware, short_help="Compare networks and accelerators.")
@click.argument("networks", type=NETWORK, nargs=-1, required=True)
@click.option("--hw", "hardware", type=HARDWARE, multiple=True, required=True, help="Accelerators: names or files.")
@click.option("--baseline", help="Network that counts as 1 (default: the fastest on each accelerator).")
@_simulation_options
@click.option("--plot", type=click.Path(), help="Picture of accuracy against time and energy: a PNG, SVG or PDF file.")
@selection_options
@click.option("--format", "format_", type=DATA_FORMATS, default="table", show_default=True, help="What to print.")
def compare_command(
    networks: tuple[str, ...],
    hardware: tuple[str, ...],
    baseline: str | None,
    plot: str | None,
    format_: str,
    **options: Any,
) -> None:
    """Compare NETWORKS on one or more accelerators, relative to the fastest or to a baseline.

    The column Pareto says in which cost (time, energy) no network on the same accelerator beats one of the same
    published accuracy or above.
    """
    from accelsim.report.tables import (  # noqa: PLC0415
        COMPARISON_COLUMNS,
        comparison_columns,
        comparison_rows,
        to_csv,
    )
    from accelsim.simulation import compare  # noqa: PLC0415

    selection = selection_of(options, COMPARISON_COLUMNS, format_)
    with _progress("compare") as advance:
        results = compare(networks, hardware, progress=advance, **options)
    names = [result.network.name for result in results]
    if baseline is not None:
        baseline = _baseline_name(baseline, names)
    rows = comparison_rows(results, baseline)
    if format_ == "json":
        click.echo(json.dumps({"schema": 1, "baseline": baseline, "rows": rows}, indent=1, allow_nan=False))
    elif format_ == "csv":
        click.echo(to_csv(selection.records(rows)), nl=False)
    else:
        _print_columns(selection.text_columns(rows, COMPARISON_COLUMNS, comparison_columns(rows)))
    if plot is not None:
        from accelsim.report.accuracy import plot_comparison  # noqa: PLC0415

        plot_comparison(rows, plot)
        click.echo(f"wrote {plot}", err=True)


@app.command("roofline", short_help="Compute/bandwidth ratios of every layer.")
@click.argument("network", type=NETWORK)
@_hardware_option
@_simulation_options
@_storage_option
@click.option("--plot", type=click.Path(), help="Picture of the layers below the roofs: a PNG, SVG or PDF file.")
@selection_options
@click.option("--format", "format_", type=DATA_FORMATS, default="table", show_default=True, help="What to print.")
def roofline_command(network: str, hardware: str, plot: str | None, format_: str, **options: Any) -> None:
    """Show what NETWORK's layers need and get per byte, what that lets them reach, and what they reach."""
    from accelsim.report import roofline_table  # noqa: PLC0415
    from accelsim.report.tables import to_csv  # noqa: PLC0415
    from accelsim.simulation import simulate  # noqa: PLC0415

    selection = selection_of(options, roofline_table.COLUMNS, format_)
    with _progress(f"{network} on {hardware}") as advance:
        result = simulate(network, hardware, progress=advance, **options)
        rows = roofline_table.rows(result)
    if format_ == "json":
        click.echo(json.dumps(roofline_table.data(result, rows), indent=1, allow_nan=False))
    elif format_ == "csv":
        click.echo(to_csv(selection.records(rows)), nl=False)
    else:
        _print_columns(selection.text_columns(rows, roofline_table.COLUMNS, roofline_table.text_columns(rows)))
        _print_lines(roofline_table.lines(result))
    if plot is not None:
        from accelsim.report.roofline import plot_roofline  # noqa: PLC0415

        plot_roofline(result, plot)
        click.echo(f"wrote {plot}", err=True)


@app.command("report", cls=ManyHardware, short_help="Write one interactive page to share.")
@click.argument("networks", type=NETWORK, nargs=-1, required=True)
@click.option("--hw", "hardware", type=HARDWARE, multiple=True, required=True, help="Accelerators: names or files.")
@click.option("-o", "--out", default="report.html", show_default=True, type=click.Path(), help="File to write.")
@click.option("--baseline", help="Network that counts as 1 (default: the fastest on each accelerator).")
@_simulation_options
def report_command(
    networks: tuple[str, ...], hardware: tuple[str, ...], out: str, baseline: str | None, **options: Any
) -> None:
    """Write one self-contained HTML page about NETWORKS on one or more accelerators."""
    from pathlib import Path  # noqa: PLC0415

    from accelsim.report.files import check_folder, write_whole  # noqa: PLC0415
    from accelsim.report.web.page import plotting_library, report_html  # noqa: PLC0415
    from accelsim.simulation import compare  # noqa: PLC0415

    plotting_library()  # what is missing is said before the simulations, not after
    if Path(out).is_dir():
        raise InputError(f"cannot write {out}: a folder of that name is in the way")
    check_folder(Path(out).parent)
    with _progress("report") as advance:
        results = compare(networks, hardware, progress=advance, **options)
    if baseline is not None:
        baseline = _baseline_name(baseline, [result.network.name for result in results])
    page = report_html(results, command=_command_text(), baseline=baseline)
    click.echo(str(write_whole(Path(out), page.encode())))


@app.command("serve", short_help="The page live: change the hardware and see.")
@click.argument("network", type=NETWORK, default="squeezenext23")
@click.option(
    "--hw", "hardware", type=HARDWARE, default="16x16_128KB", show_default=True, help="Accelerator to start from."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind; others can reach any but this.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
def serve_command(network: str, hardware: str, host: str, port: int) -> None:
    """Serve the page of NETWORK on this machine, with array, buffer, bandwidth, dataflow and width to change."""
    from accelsim.report.web.live import Playground  # noqa: PLC0415
    from accelsim.report.web.serve import LiveServer  # noqa: PLC0415

    with LiveServer(Playground(network, hardware), host, port) as server:
        click.echo(f"serving {server.address} (Ctrl-C stops)", err=True)
        with suppress(KeyboardInterrupt):  # the way to end it, not a failure
            server.serve_forever()


@app.command(short_help="List networks, or show one.")
@click.argument("name", type=NETWORK, required=False)
@click.option(
    "--filter", "pattern", default="", help="Only networks whose name, family, alias or source has this text."
)
@click.option("--graph", type=click.Path(), help="With NAME: write a picture of the graph to this SVG file.")
@click.option("--format", "format_", type=DATA_FORMATS, default="table", show_default=True, help="What to print.")
def networks(name: str | None, pattern: str, graph: str | None, format_: str) -> None:
    """List the networks that come with accelsim, or show one: layers, totals, published figures."""
    from accelsim.report import catalogue  # noqa: PLC0415

    if name is not None:
        from accelsim.workload.loader import load_network  # noqa: PLC0415

        net = load_network(name)
        page = catalogue.network_page(net)
        if graph is not None:
            from accelsim.report.graph import save_graph  # noqa: PLC0415

            save_graph(net, graph)
    elif graph is not None:
        raise click.UsageError("--graph needs the NAME of a network")
    else:
        with _progress("networks") as advance:
            page = catalogue.network_list(pattern, advance)
    _print_page(page, format_)


@app.command(short_help="List accelerators, or show one.")
@click.argument("name", type=HARDWARE, required=False)
@click.option("--format", "format_", type=DATA_FORMATS, default="table", show_default=True, help="What to print.")
def hw(name: str | None, format_: str) -> None:
    """List the accelerators that come with accelsim, or show one with its sources and assumptions."""
    from accelsim.report import catalogue  # noqa: PLC0415

    _print_page(catalogue.hardware_list() if name is None else catalogue.hardware_page(name), format_)


@app.command("reproduce", short_help="Published figures beside accelsim's.")
@click.argument("table", required=False)
@click.option("--out", default="reports", show_default=True, type=click.Path(), help="Folder for the reports.")
def reproduce_command(table: str | None, out: str) -> None:
    """Put published figures beside accelsim's: a folder of tables and plots for TABLE (default: all there are)."""
    from accelsim.report.reproduce import TABLES, reproduce  # noqa: PLC0415

    for name in [table] if table else TABLES:
        with _progress(f"reproduce {name}") as advance:
            paths = reproduce(name, os.path.join(out, name), progress=advance)
        for path in paths:
            click.echo(str(path))


app.add_command(explore_command)


@app.command("cache", short_help="Show or clear the cache of solved layers.")
@click.option("--clear", is_flag=True, help="Forget every solved layer.")
def cache_command(clear: bool) -> None:
    """Show where solved layers are kept (ACCELSIM_CACHE_DIR moves them), or forget them."""
    from accelsim import cache  # noqa: PLC0415

    if clear:
        cache.clear()
    where, entries, size_bytes = cache.status()
    state = "" if cache.enabled() else " (off: ACCELSIM_NO_CACHE is set)"
    click.echo(f"{where}: {entries} solved layers, {size_bytes / 1024:.0f} KiB{state}")


@app.command("doctor", short_help="Versions, extras and caches; what is broken.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor_command(format_: str) -> None:
    """Show what this installation consists of; exit status 1 if something that is required does not work."""
    from accelsim.doctor import diagnose  # noqa: PLC0415

    found = diagnose()
    click.echo(json.dumps(found.data(), indent=1) if format_ == "json" else "\n".join(found.lines()))
    if found.problems:
        raise AccelsimError(f"this installation is broken: {'; '.join(found.problems)}")


@app.command("completion", short_help="Print a script that completes commands and names.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and names of networks and accelerators.

    \b
    bash: eval "$(accelsim completion bash)" in ~/.bashrc
    zsh:  eval "$(accelsim completion zsh)" in ~/.zshrc, after compinit
    fish: accelsim completion fish > ~/.config/fish/completions/accelsim.fish
    """  # noqa: D301 - click wants the backspace itself
    click.echo(script(app, shell, "accelsim"))


def _baseline_name(baseline: str, names: list[str]) -> str:
    """Return the name of the baseline's network among the compared ones; an alias is fine."""
    from accelsim.workload.loader import load_network  # noqa: PLC0415

    name = baseline if baseline in names else load_network(baseline).name
    if name not in names:
        raise InputError(f"baseline {baseline!r} is not among the networks compared: {', '.join(dict.fromkeys(names))}")
    return name


def _print_result(result: Result, format_: str, selection: Selection) -> None:
    from accelsim.report.tables import layer_columns, summary_lines, to_csv  # noqa: PLC0415
    from accelsim.result import COLUMNS  # noqa: PLC0415

    if format_ == "json":
        click.echo(result.to_json())
    elif format_ == "csv":
        click.echo(to_csv(selection.records(result.records)), nl=False)
    elif format_ == "parquet":
        from accelsim.report.files import to_parquet_bytes  # noqa: PLC0415

        sys.stdout.buffer.write(to_parquet_bytes(result))
    else:
        _print_columns(selection.text_columns(result.records, COLUMNS, layer_columns(result)))
        _print_lines(summary_lines(result))


def _print_columns(columns: Any) -> None:
    from accelsim.report.tables import print_table  # noqa: PLC0415

    print_table(columns, console=_console())


def _print_lines(lines: Sequence[str]) -> None:
    """Print the lines below a table, within a terminal's width; in a pipe each stays one line."""
    from accelsim.report.tables import fitted  # noqa: PLC0415

    console = _console()
    click.echo("\n" + "\n".join(fitted(lines, console.width if console.is_terminal else None)))


def _print_page(page: Any, format_: str) -> None:
    """Print a page of the catalogue: its data, or its table and lines."""
    from accelsim.report.tables import to_csv  # noqa: PLC0415

    if format_ == "json":
        click.echo(json.dumps(page.data, indent=1, allow_nan=False))
    elif format_ == "csv":
        click.echo(to_csv(page.rows), nl=False)
    else:
        _print_columns(page.columns)
        if page.lines:
            _print_lines(page.lines)


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False, emoji=False, markup=False)


def _refuse_binary_terminal(format_: str) -> None:
    if format_ == "parquet" and sys.stdout.isatty():
        raise InputError("--format parquet writes binary data: redirect it into a file, or use --out")


def _command_text() -> str:
    return shlex.join(["accelsim", *sys.argv[1:]])


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a progress callback that draws a bar on a terminal's standard error, else None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Interrupts:
    """Knows whether Ctrl-C was pressed, whatever became of the exception.

    LLVM calls back into Python while it compiles; an exception that is raised in there is printed and dropped, and the
    compilation then fails in some other way.
    """

    def __init__(self) -> None:
        self.pressed = False

    def watch(self) -> None:
        """Take the place of the handlers of SIGINT (unless it is ignored) and of exceptions that cannot be raised."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._press)
        report = sys.unraisablehook

        def unless_pressed(dropped: Any) -> None:
            if not self.pressed:
                report(dropped)

        sys.unraisablehook = unless_pressed

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        signal.default_int_handler(number, frame)


def main() -> None:
    """Run the command line; exit status 0 done, 1 wrong input or interrupted, 2 wrong usage."""
    logging.basicConfig(format="accelsim: %(message)s", level=logging.WARNING, stream=sys.stderr)
    interrupts = _Interrupts()
    interrupts.watch()
    try:
        app(prog_name="accelsim", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except AccelsimError as error:
        click.echo(f"accelsim: error: {error}", err=True)
        status = 1
    except (KeyboardInterrupt, Exception) as error:
        if not isinstance(error, (KeyboardInterrupt, click.Abort)) and not interrupts.pressed:
            raise
        click.echo("accelsim: interrupted", err=True)
        status = 1
    else:
        status = 0
    sys.exit(status)


if __name__ == "__main__":
    main()
