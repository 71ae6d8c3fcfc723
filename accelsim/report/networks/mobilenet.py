"""MobileNet's tables: shares by kind of layer, and one layer in its separable forms, beside what they cost."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.report.networks.counted import Count
from accelsim.report.networks.counts import KINDS
from accelsim.report.networks.study import LARGE, MOBILENET, Study, layer_table_rows
from accelsim.report.text import markdown_table
from accelsim.units import percent
from accelsim.workload.layer import Kind


def mobilenet_section(study: Study, counts: Sequence[Count]) -> str:
    """Return the section of the page.

    Args:
        study: The simulations.
        counts: The counts of MobileNet's tables.
    """
    by_row = {(count.row, count.quantity): count for count in counts}
    return "\n".join([_shares(study, by_row), _layer(study, by_row)])


def _shares(study: Study, counts: dict[tuple[str, str], Count]) -> str:
    result = study[MOBILENET, LARGE]
    cost = {kind: _cost(study, kind) for kind in KINDS.values()}
    rows = [
        (
            row,
            *_pair(counts[f"{row}, share", "MACs"]),
            *_pair(counts[f"{row}, share", "parameters"]),
            percent(cost[kind][0] / result.totals["cycles"]),
            percent(cost[kind][1] / result.totals["energy"]),
        )
        for row, kind in KINDS.items()
    ]
    table = markdown_table(
        (
            "kind",
            "MACs (%)",
            "ours",
            "parameters (%)",
            "ours",
            f"time on {LARGE}",
            "energy",
        ),
        rows,
    )
    slips = [count for (row, _), count in counts.items() if row.endswith("share") and count.slip]
    slip = "".join(f" Of the {count.row.removesuffix(', share')} layers, {count.remark}." for count in slips)
    time = {kind: cost[kind][0] / result.totals["cycles"] for kind in cost}
    macs = {kind: result.network.by_kind()[kind]["macs"] / result.totals["macs"] for kind in cost}
    return (
        f"{table}\nParameters are weights of convolutions and of the linear layer, without batch norms and biases."
        f"{slip} "
        f"Pointwise layers do {percent(macs[Kind.POINTWISE])} of the MACs in {percent(time[Kind.POINTWISE])} of the "
        f"time, depthwise ones {percent(macs[Kind.DEPTHWISE])} in {percent(time[Kind.DEPTHWISE])}.\n"
    )


def _cost(study: Study, kind: Kind) -> tuple[float, float]:
    """Return cycles and energy of MobileNet's layers of a kind."""
    records = [record for record in study[MOBILENET, LARGE].records if record["kind"] == str(kind)]
    return sum(record["cycles"] for record in records), sum(record["energy"] for record in records)


def _layer(study: Study, counts: dict[tuple[str, str], Count]) -> str:
    rows = layer_table_rows()
    base = study[rows[0], LARGE].totals
    table = markdown_table(
        (
            "one layer of 14 x 14 pixels, 512 channels",
            "MACs (10⁶)",
            "ours",
            "parameters (10⁶)",
            "ours",
            f"thousand cycles on {LARGE}",
            "energy (10⁶ MACs)",
        ),
        [
            (
                row,
                *_pair(_row_count(counts, row, "MACs")),
                *_pair(_row_count(counts, row, "parameters")),
                f"{study[row, LARGE].totals['cycles'] / 1e3:.1f}",
                f"{study[row, LARGE].totals['energy'] / 1e6:.1f}",
            )
            for row in rows
        ],
    )
    separable = study[rows[1], LARGE].totals
    return (
        f"{table}\nMade separable, the layer has {percent(separable['macs'] / base['macs'])} of the MACs, takes "
        f"{percent(separable['cycles'] / base['cycles'])} of the time and "
        f"{percent(separable['energy'] / base['energy'])} of the energy.\n"
    )


def _row_count(counts: dict[tuple[str, str], Count], row: str, quantity: str) -> Count:
    return next(count for (name, what), count in counts.items() if name.endswith(f": {row}") and what == quantity)


def _pair(count: Count) -> tuple[str, str]:
    """Return what is printed and our number, in bold where it differs."""
    text = ours_text(count)
    return count.printed, text if count.verdict == "reproduced" else f"**{text}**"


def ours_text(count: Count) -> str:
    """Return our number with a digit or two more than the published one, or a dash."""
    if count.ours is None:
        return "-"
    decimals = len(count.printed.partition(".")[2])
    return f"{count.ours:.{decimals + (1 if decimals or count.ours >= 100 else 2)}f}"
