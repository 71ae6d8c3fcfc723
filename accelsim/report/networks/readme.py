"""The page of the report on networks: every number in it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.report.networks.counted import Count, Verdict, by_verdict
from accelsim.report.networks.counts import mobilenet_counts, network_counts, se_counts
from accelsim.report.networks.depth import depth_section
from accelsim.report.networks.memory import inference_section, training_section
from accelsim.report.networks.mobilenet import mobilenet_section, ours_text
from accelsim.report.networks.resnext import resnext_section
from accelsim.report.networks.senet import se_section
from accelsim.report.networks.sizes import size_counts
from accelsim.report.networks.study import LARGE, SMALL, Study
from accelsim.report.text import markdown_table, signed_percent


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Every published count beside ours.

    Attributes:
        networks: Parameters and MACs of networks.
        gates: What SE adds to ResNet-50.
        mobilenet: MobileNet's tables.
        sizes: Sizes of stored models.
    """

    networks: Sequence[Count]
    gates: Sequence[Count]
    mobilenet: Sequence[Count]
    sizes: Sequence[Count]

    @property
    def every(self) -> list[Count]:
        """All of them."""
        return [*self.networks, *self.gates, *self.mobilenet, *self.sizes]


def all_counts() -> Counts:
    """Return every published count beside ours."""
    return Counts(networks=network_counts(), gates=se_counts(), mobilenet=mobilenet_counts(), sizes=size_counts())


def readme(study: Study, counts: Counts) -> str:
    """Return the page."""
    return "\n".join(
        [
            "# Networks of the literature: published counts, and what their ideas cost\n",
            _introduction(),
            "## Published counts\n",
            _summary(counts),
            "## Parameters and MACs\n",
            _count_table([*counts.networks, *counts.gates]),
            _count_findings([*counts.networks, *counts.gates]),
            "## Sizes of stored models\n",
            _count_table(counts.sizes),
            _size_findings(counts.sizes),
            "## MobileNet's tables\n",
            mobilenet_section(study, counts.mobilenet),
            "## Squeeze-and-excitation\n\n![Squeeze-and-excitation](se.png)\n",
            se_section(study),
            "## ResNeXt\n\n![ResNeXt](resnext.png)\n",
            resnext_section(study),
            "## Stochastic depth\n\n![Stochastic depth](stochastic_depth.png)\n",
            depth_section(study),
            "## DenseNet in training: four storage plans\n\n![DenseNet memory](densenet_memory.png)\n",
            training_section(),
            "## Activation memory at inference\n\n![Peak memory](peak_memory.png)\n",
            inference_section(),
        ]
    )


def _introduction() -> str:
    return (
        "Written by `accelsim reproduce networks`. Published numbers are those of the papers named beside them, as "
        "data in `accelsim/report/published/`; ours are counted on the networks of `networks/*.yaml` and simulated on "
        f"`{LARGE}` and `{SMALL}`, each layer in the faster of the accelerator's dataflows. MACs are those of "
        "convolutions and linear layers; parameters are weights, biases, and batch norms' gamma and beta. Where this "
        "does not give the digits printed, other ways of counting are tried: a count is *explained* if one of them "
        "does. Accuracies are cited, never computed.\n"
    )


def _summary(counts: Counts) -> str:
    groups = {
        "parameters and MACs of networks": counts.networks,
        "what SE adds to ResNet-50": counts.gates,
        "MobileNet's tables": counts.mobilenet,
        "sizes of stored models": counts.sizes,
        "all": counts.every,
    }
    table = markdown_table(
        ("published counts", "numbers", *(str(verdict) for verdict in Verdict)),
        [(name, len(group), *(len(found) for found in by_verdict(group).values())) for name, group in groups.items()],
    )
    sorted_counts = by_verdict(counts.every)
    rest = [*sorted_counts[Verdict.UNEXPLAINED], *sorted_counts[Verdict.NOT_COMPUTED]]
    named = "; ".join(f"{_name(count)} ({count.printed} {count.unit}, ours {ours_text(count)})" for count in rest)
    slips = "; ".join(
        f"{_name(count)} ({count.printed} {count.unit}, ours {ours_text(count)})"
        for count in sorted_counts[Verdict.SLIP]
    )
    return (
        f"{table}\nNeither reproduced nor explained: {named or 'none'}. Contradicted by its own table: "
        f"{slips or 'none'}.\n"
    )


def _name(count: Count) -> str:
    return f"{count.row}, {count.quantity}"


def _count_table(counts: Sequence[Count]) -> str:
    return markdown_table(
        ("row", "what", "unit", "published", "ours", "difference", "verdict", "explanation", "source"),
        [
            (
                count.row,
                count.quantity,
                count.unit,
                count.printed,
                ours_text(count),
                "-" if count.difference is None else signed_percent(count.difference),
                str(count.verdict) if count.verdict is Verdict.REPRODUCED else f"**{count.verdict}**",
                count.explanation,
                count.source,
            )
            for count in counts
        ],
    )


def _count_findings(counts: Sequence[Count]) -> str:
    found = by_verdict(counts)
    convolutions = [count for count in found[Verdict.EXPLAINED] if "the convolutions alone" in count.ways[0]]
    unexplained = "; ".join(f"{_name(count)}: {count.remark}" for count in found[Verdict.UNEXPLAINED])
    furthest = max(
        (count for count in counts if count.difference is not None), key=lambda count: abs(count.difference or 0.0)
    )
    return (
        f"{len(found[Verdict.REPRODUCED])} of {len(counts)} numbers have the digits printed, "
        f"{len(found[Verdict.EXPLAINED])} more by another count; {len(convolutions)} of these are MACs of the "
        "convolutions without the linear layers, although the other rows of the same paper have both. The largest "
        f"difference is {signed_percent(furthest.difference or 0.0)} ({_name(furthest)}). Unexplained: "
        f"{unexplained or 'none'}.\n"
    )


def _size_findings(counts: Sequence[Count]) -> str:
    found = by_verdict(counts)
    binary = [count.row for count in found[Verdict.EXPLAINED] if "2²⁰" in count.ways[0]]
    decimal = [
        count.row
        for count in (*found[Verdict.REPRODUCED], *found[Verdict.EXPLAINED])
        if "10⁶" in (count.ways or tuple(count.counts))[0]
    ]
    rest = "; ".join(
        f"{count.row}: {count.remark}" for count in (*found[Verdict.UNEXPLAINED], *found[Verdict.NOT_COMPUTED])
    )
    return (
        f"One paper's MB are of two kinds: 2²⁰ bytes for {', '.join(binary)}, and 10⁶ bytes for {', '.join(decimal)}. "
        f"What remains: {rest or 'nothing'}.\n"
    )
