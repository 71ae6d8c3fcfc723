"""The ``explore`` command: parses, calls the API, prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accelsim.errors import AccelsimError, InputError

if TYPE_CHECKING:
    from accelsim.explore.runner import Progress
    from accelsim.explore.space import Space


@click.command("explore", short_help="Search a design space.")
@click.argument("space_file", metavar="SPACE.yaml")
@click.option("--store", help="SQLite file or postgresql:// URL (default: SPACE.sqlite in this folder).")
@click.option("--workers", type=int, help="Worker processes (default: one a core).")
@click.option("--cluster", help="Dask scheduler, such as tcp://host:8786, in the place of worker processes.")
@click.option("--sampler", help="grid, random, lhs, nsga2 or tpe, in the place of the file's.")
@click.option("--points", type=int, help="Points to evaluate, in the place of the file's.")
@click.option("--seed", type=int, help="Start of the random numbers, in the place of the file's.")
@click.option("--status", "what", flag_value="status", help="Do not search; say how far the search is.")
@click.option("--front", "what", flag_value="front", help="Do not search; print the Pareto front.")
@click.option("--export", type=click.Choice(["csv", "parquet"]), help="Do not search; write all finished points.")
@click.option("--plot", type=click.Path(), help="Do not search; draw front, parallel coordinates, sensitivity.")
@click.option("--out", type=click.Path(), help="File for --export (default: standard output).")
@click.option(
    "--format", "format_", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True,
    help="What to print.",
)  # fmt: skip
def explore_command(
    space_file: str,
    store: str | None,
    workers: int | None,
    cluster: str | None,
    what: str | None,
    export: str | None,
    plot: str | None,
    out: str | None,
    format_: str,
    **sampling: Any,
) -> None:
    """Search the design space that SPACE.yaml describes, and print its Pareto front.

    Results go into a store as they come. The same command goes on where an earlier one ended, however it ended.
    """
    space = _with_sampling(space_file, sampling)
    where = store or f"{Path(space_file).stem}.sqlite"
    if out is not None and export is None:
        raise click.UsageError("--out needs --export")
    if export is not None:
        _export(space, where, export, out)
    elif plot is not None:
        from accelsim.report.exploration import save_pictures  # noqa: PLC0415

        for path in save_pictures(space, _rows(space, where), plot):
            click.echo(str(path))
    elif what == "status":
        _print_status(space, where, format_)
    else:
        if what is None:
            _search(space, where, workers, cluster)
        _print_front(space, where, format_)


def _search(space: Space, where: str, workers: int | None, cluster: str | None) -> None:
    """Run the search; afterwards say what failed."""
    from accelsim.explore.runner import explore  # noqa: PLC0415 - not for --help

    done, failed = 0, ""
    failures = 0
    with _progress(space) as report:
        points = explore(space, store=where, workers=workers, cluster=cluster, progress=report)
        try:
            for point in points:
                done += 1
                if point.outcome.status == "failed":
                    failures += 1
                    failed = failed or f"{point.values}: {point.outcome.reason}"
        except KeyboardInterrupt:
            points.close()
            finished = len(_rows(space, where))
            click.echo(
                f"accelsim: {finished} points are finished in {where}; run the same command again to go on", err=True
            )
            raise
    click.echo(f"accelsim: {done} points are finished in {where}", err=True)
    if failures:
        raise AccelsimError(f"{failures} points failed, which the same command tries again; the first is {failed}")


def _with_sampling(space_file: str, sampling: dict[str, Any]) -> Space:
    """Return the space of a file, with the sampler that the command line asks for."""
    import msgspec  # noqa: PLC0415 - not for --help

    from accelsim.explore.space import SAMPLERS, Sampling, load_space  # noqa: PLC0415

    space = load_space(space_file)
    given = {name: value for name, value in sampling.items() if value is not None}
    if not given:
        return space
    name = given.pop("sampler", None)
    if name is not None and name not in SAMPLERS:
        raise InputError(f"unknown sampler {name!r}; known are {', '.join(SAMPLERS)}")
    own = msgspec.to_builtins(space.sampler)
    if name is not None and name != space.sampler.name:
        own = {"name": name} | {field: own[field] for field in ("points", "seed") if field in own and name != "grid"}
    try:
        return msgspec.structs.replace(space, sampler=msgspec.convert(own | given, Sampling, strict=True))
    except msgspec.ValidationError as wrong:
        raise InputError(f"sampler: {wrong}") from None


def _rows(space: Space, where: str) -> list[dict[str, Any]]:
    from accelsim.explore.front import table  # noqa: PLC0415
    from accelsim.explore.store import Store  # noqa: PLC0415

    store = Store(where, space, read_only=True)
    try:
        return table(space, store)
    finally:
        store.close()


def _export(space: Space, where: str, kind: str, out: str | None) -> None:
    from accelsim.report.exploration import export_bytes  # noqa: PLC0415
    from accelsim.report.files import write_whole  # noqa: PLC0415

    if out is None and kind == "parquet" and sys.stdout.isatty():
        raise InputError("--export parquet writes binary data: redirect it into a file, or use --out")
    data = export_bytes(_rows(space, where), kind)
    if out is not None:
        click.echo(f"wrote {write_whole(Path(out), data)}", err=True)
    else:
        sys.stdout.buffer.write(data)


def _print_status(space: Space, where: str, format_: str) -> None:
    from accelsim.explore.store import Store  # noqa: PLC0415
    from accelsim.report.exploration import best_lines, status_lines  # noqa: PLC0415

    store = Store(where, space, read_only=True)
    try:
        status = store.status()
    finally:
        store.close()
    if format_ == "json":
        click.echo(json.dumps({"schema": 1, "store": where, "grid": space.size, **status._asdict()}, indent=1))
        return
    click.echo("\n".join([*status_lines(space, where, status), *best_lines(space, _rows(space, where))]))


def _print_front(space: Space, where: str, format_: str) -> None:
    from accelsim.cli import _print_columns  # noqa: PLC0415 - the group imports this module
    from accelsim.explore.front import front_rows  # noqa: PLC0415
    from accelsim.report.exploration import front_columns  # noqa: PLC0415
    from accelsim.report.tables import to_csv  # noqa: PLC0415

    front = front_rows(space, _rows(space, where))
    if format_ == "json":
        data = {"schema": 1, "space": space.name, "objectives": list(space.objectives), "front": front}
        click.echo(json.dumps(data, indent=1, allow_nan=False))
    elif format_ == "csv":
        click.echo(to_csv(front), nl=False)
    elif front:
        _print_columns(front_columns(space, front))
    else:
        click.echo("no feasible point")


@contextmanager
def _progress(space: Space) -> Iterator[Callable[[Progress], None] | None]:
    """Yield a callback that draws a bar with rate, remaining time and the best so far, or None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(space.name, total=None, rate="", best="")

        def report(progress: Any) -> None:
            best = ", ".join(f"{name} {value:.4g}" for name, value in progress.best.items())
            rate = f"{progress.points_per_second:.1f}/s"
            bar.update(task, completed=progress.done, total=progress.total, rate=rate, best=f"best {best}" * bool(best))

        yield report
