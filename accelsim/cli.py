"""The command line: parses, calls the API, prints. Data to standard output, everything else to standard error."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from accelsim import __version__
from accelsim.errors import AccelsimError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from accelsim.result import Result

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


def _simulation_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that ``run`` and ``compare`` share."""
    for option in (
        click.option(
            "--dataflow", default="best", show_default=True, help="Best of the hardware's, one by name, or any."
        ),
        click.option("--objective", default="cycles", show_default=True, help="cycles, energy or edp."),
        click.option("--batch", type=int, default=1, show_default=True, help="Images at a time."),
        click.option("--mapping-space", help="uniform or uneven places of tiles (default: the hardware's)."),
    ):
        command = option(command)
    return command


@app.command(short_help="Run a network on an accelerator.")
@click.argument("network")
@click.option("--hw", "hardware", required=True, help="Accelerator: a name (see `accelsim hw`) or a YAML file.")
@_simulation_options
@click.option("--engine", default="analytical", show_default=True, help="Engine that computes the costs.")
@click.option("--mapping", "mappings", type=click.Path(), help="YAML file of mappings by layer, taken as they are.")
@click.option("--out", type=click.Path(), help="Folder for tables, plots and a manifest.")
@click.option("--format", "format_", type=FORMATS, default="table", show_default=True, help="What to print.")
def run(network: str, hardware: str, out: str | None, format_: str, **options: Any) -> None:
    """Run NETWORK (a name, a YAML file, or a family) on an accelerator and print a row per layer."""
    from accelsim.simulation import simulate  # noqa: PLC0415 - numba is loaded only where it is used

    if out is not None:
        from accelsim.report.files import check_folder  # noqa: PLC0415

        check_folder(out)
    _refuse_binary_terminal(format_)
    with _progress(f"{network} on {hardware}") as advance:
        result = simulate(network, hardware, progress=advance, **options)
    _print_result(result, format_)
    if out is not None:
        paths = result.save(out, command=_command_text())
        click.echo(f"wrote {len(paths)} files to {out}", err=True)


@app.command("compare", short_help="Compare networks and accelerators.")
@click.argument("networks", nargs=-1, required=True)
@click.option("--hw", "hardware", multiple=True, required=True, help="Accelerator; repeat for several.")
@click.option("--baseline", help="Network that counts as 1 (default: the fastest on each accelerator).")
@_simulation_options
@click.option("--format", "format_", type=DATA_FORMATS, default="table", show_default=True, help="What to print.")
def compare_command(
    networks: tuple[str, ...], hardware: tuple[str, ...], baseline: str | None, format_: str, **options: Any
) -> None:
    """Compare NETWORKS on one or more accelerators, relative to the fastest or to a baseline."""
    from accelsim.report.tables import comparison_columns, comparison_rows, to_csv  # noqa: PLC0415
    from accelsim.simulation import compare  # noqa: PLC0415

    results = compare(networks, hardware, **options)
    names = [result.network.name for result in results]
    if baseline is not None:
        baseline = _baseline_name(baseline, names)
    rows = comparison_rows(results, baseline)
    if format_ == "json":
        click.echo(json.dumps({"schema": 1, "baseline": baseline, "rows": rows}, indent=1, allow_nan=False))
    elif format_ == "csv":
        click.echo(to_csv(rows), nl=False)
    else:
        _print_columns(comparison_columns(rows))


@app.command(short_help="List networks, or show one.")
@click.argument("name", required=False)
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
@click.argument("name", required=False)
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


def _baseline_name(baseline: str, names: list[str]) -> str:
    """Return the name of the baseline's network among the compared ones; an alias is fine."""
    from accelsim.workload.loader import load_network  # noqa: PLC0415

    name = baseline if baseline in names else load_network(baseline).name
    if name not in names:
        raise InputError(f"baseline {baseline!r} is not among the networks compared: {', '.join(dict.fromkeys(names))}")
    return name


def _print_result(result: Result, format_: str) -> None:
    from accelsim.report.tables import layer_columns, summary_lines, to_csv  # noqa: PLC0415

    if format_ == "json":
        click.echo(result.to_json())
    elif format_ == "csv":
        click.echo(to_csv(result.records), nl=False)
    elif format_ == "parquet":
        from accelsim.report.files import to_parquet_bytes  # noqa: PLC0415

        sys.stdout.buffer.write(to_parquet_bytes(result))
    else:
        _print_columns(layer_columns(result))
        click.echo()
        click.echo("\n".join(summary_lines(result)))


def _print_columns(columns: Any) -> None:
    from accelsim.report.tables import print_table  # noqa: PLC0415

    print_table(columns, console=_console())


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
            click.echo("\n" + "\n".join(page.lines))


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


def main() -> None:
    """Run the command line; exit status 0 done, 1 wrong input or interrupted, 2 wrong usage."""
    logging.basicConfig(format="accelsim: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        app(prog_name="accelsim", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("accelsim: interrupted", err=True)
        status = 1
    except AccelsimError as error:
        click.echo(f"accelsim: error: {error}", err=True)
        status = 1
    else:
        status = 0
    sys.exit(status)


if __name__ == "__main__":
    main()
