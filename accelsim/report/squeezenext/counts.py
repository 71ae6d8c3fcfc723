"""The report's sections on parameters and MACs."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.report.squeezenext.study import Digits, LayerRow, rounds_to
from accelsim.report.text import markdown_table, signed_percent


def digits_section(parameters: Sequence[Digits], macs: Sequence[Digits]) -> str:
    """Return Table 3's parameters and MACs beside ours, and what a differing digit may come from."""
    table = markdown_table(
        (
            "network",
            "parameters (10⁶)",
            "ours",
            "same digits",
            "MACs (10⁶)",
            "ours",
            "with one per output",
            "same digits",
        ),
        [
            (
                params.model,
                params.printed,
                f"{params.counts['parameters']:.4f}",
                _agreement(params),
                own_macs.printed,
                f"{own_macs.counts['MACs']:.2f}",
                f"{own_macs.counts['MACs and one per output element']:.2f}",
                _agreement(own_macs),
            )
            for params, own_macs in zip(parameters, macs, strict=True)
        ],
    )
    agreeing = sum(digits.agrees for digits in parameters)
    plain = sum(rounds_to(digits.counts["MACs"], digits.printed) for digits in macs)
    ways = "; ".join(
        f"{sum(rounds_to(digits.counts[name], digits.printed) for digits in parameters)} if they are {name}"
        for name in list(parameters[0].counts)[1:]
    )
    return (
        "The paper's MACs of convolutions and fully connected layers include one per output element, as if every "
        f"layer added a bias: so counted, {sum(digits.agrees for digits in macs)} of {len(macs)} networks round to the "
        f"digits printed, and without it {plain}. Parameters are weights, biases, and batch norm's gamma and beta: "
        f"{agreeing} of {len(parameters)} round to the digits printed ({ways}).{_furthest((*parameters, *macs))} "
        f"Where digits differ, the table names a count that gives them, if one was found.\n\n{table}"
    )


def _furthest(counted: Sequence[Digits]) -> str:
    differing = [digits for digits in counted if not digits.agrees]
    if not differing:
        return ""
    furthest = max(differing, key=lambda digits: abs(digits.difference))
    return f" The largest difference of all others is {signed_percent(furthest.difference)} ({furthest.model})."


def _agreement(digits: Digits) -> str:
    return "yes" if digits.agrees else f"no; {digits.explanation or 'no count tried gives them'}"


def table4_section(rows: Sequence[LayerRow]) -> str:
    """Return Table 4 beside ours."""
    agreeing = sum(row.agrees for row in rows)
    table = markdown_table(
        ("layer", "input, kernel (w x h), output", "thousand MACs", "ours", "without outputs", "same"),
        [
            (
                row.layer,
                row.ours if row.published == row.ours else f"{row.published}; ours {row.ours}",
                row.published_kmacs,
                f"{row.macs_with_outputs / 1e3:.1f}",
                f"{row.macs / 1e3:.1f}",
                "yes" if row.agrees else "**no**",
            )
            for row in rows
        ],
    )
    return (
        f"{agreeing} of {len(rows)} rows have the same shape, repeats and MACs to the digits printed. MACs are those "
        "of all repeats; the paper's, and ours beside them, add one per output element.\n\n"
        f"{table}"
    )
