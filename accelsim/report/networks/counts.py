"""Every published count of parameters and MACs beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from accelsim.report.networks.counted import Count, mac_counts, parameter_counts
from accelsim.report.published import read_published
from accelsim.workload.layer import Kind, Layer
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network

NETWORKS_CSV = "networks.csv"
FIGURES_CSV = "network_figures.csv"
MOBILENET_CSV = "mobilenet_tables.csv"
GOOGLENET_CSV = "googlenet_table1.csv"

MODELS: dict[str, str] = {
    "MobileNet 1.0-224": "mobilenet",
    "MobileNet 0.75-224": "mobilenet_0.75",
    "MobileNet 0.5-224": "mobilenet_0.5",
    "MobileNet 0.25-224": "mobilenet_0.25",
    "MobileNet 1.0-192": "mobilenet_192",
    "MobileNet 1.0-160": "mobilenet_160",
    "MobileNet 1.0-128": "mobilenet_128",
    "MobileNet 0.5-160": "mobilenet_0.5_160",
    "MobileNet with standard convolutions": "mobilenet_full_conv",
    "MobileNet shallow (five 14x14x512 blocks removed)": "mobilenet_shallow",
    "GoogLeNet": "googlenet",
    "VGG-16": "vgg16",
    "AlexNet (in the MobileNet paper)": "alexnet",
    "SqueezeNet (in the MobileNet paper)": "squeezenet_v1.0",
    "DenseNet-232 k=48": "densenet232_k48",
    "DenseNet-264 k=32": "densenet264_k32",
    "DenseNet-264 k=48": "densenet264_k48",
}
"""Networks of the published table that have a count, by the table's name -> accelsim's."""

KINDS: dict[str, Kind] = {
    "pointwise 1x1": Kind.POINTWISE,
    "depthwise 3x3": Kind.DEPTHWISE,
    "standard 3x3": Kind.STANDARD,
    "fully connected": Kind.LINEAR,
}
"""Rows of MobileNet's table of shares -> kinds of layer."""

SHARES = "share of all, percent"
"""Name of MobileNet's table of shares in its file."""

DOUBLED = ("SqueezeNet (in the MobileNet paper)", "MACs")
"""The row whose MACs are not counted as those of the other rows of its table."""

LAST_STAGE = 4
"""The stage that SE's smaller form leaves without gates."""


@cache
def model(name: str) -> Network:
    """Return a shipped network, built once."""
    return load_network(name)


def network_counts() -> list[Count]:
    """Return the parameters and MACs of the published table of networks."""
    found = []
    for row in read_published(NETWORKS_CSV):
        for column, quantity, ways in (
            ("params_m", "parameters", parameter_counts),
            ("macs_m", "MACs", mac_counts),
        ):
            if not row[column]:
                continue
            counts = dict(ways(model(MODELS[row["network"]])))
            if row["network"] == "GoogLeNet":
                counts |= _googlenet_table1(column)
            found.append(
                Count(
                    row=row["network"],
                    quantity=quantity,
                    unit="10⁶",
                    printed=row[column],
                    counts=counts,
                    source=row["source"],
                    remark=_remark(row["network"], quantity),
                    slip=(row["network"], quantity) == DOUBLED,
                )
            )
    return found


def _googlenet_table1(column: str) -> dict[str, float]:
    """Return the sum of the rows that the GoogLeNet paper itself prints, in millions."""
    rows = read_published(GOOGLENET_CSV)
    total = sum(float(row["params_k"]) / 1e3 if column == "params_m" else float(row["macs_m"]) for row in rows)
    return {"the sum of the GoogLeNet paper's own Table 1": total}


def _remark(network: str, quantity: str) -> str:
    """Return what is known of a count beyond the ways of counting it."""
    if (network, quantity) == ("GoogLeNet", "parameters"):
        printed = {row["row"]: row["params_k"] for row in read_published(GOOGLENET_CSV)}
        first = next(layer for layer in model("googlenet").array_layers)
        return (
            f"that table prints {printed['convolution 7x7/2']} thousand for the first convolution, whose channels "
            f"give {first.weights / 1e3:.1f}"
        )
    if (network, quantity) == ("GoogLeNet", "MACs"):
        total = next(iter(_googlenet_table1("macs_m").values()))
        return f"no count tried gives it; the GoogLeNet paper's own Table 1 adds up to {total:g}"
    if (network, quantity) == DOUBLED:
        macs = {version: model(f"squeezenet_{version}").totals["macs"] / 1e6 for version in ("v1.0", "v1.1")}
        counted = " nor ".join(f"{version} ({count:.0f})" for version, count in macs.items())
        return f"but the other rows of that table count one a MAC, and so neither {counted} has as many"
    return ""


def se_counts() -> list[Count]:
    """Return what the SENet paper says that SE adds to the parameters of ResNet-50."""
    plain = parameter_counts(model("resnet50"))
    gated, smaller = (model("seresnet50").totals["params"] / 1e6, _without_last_stage() / 1e6)
    usual = next(iter(plain.values()))
    ours: dict[tuple[str, str], Mapping[str, float]] = {
        ("parameters added", "M"): {"weights and biases": gated - usual},
        ("parameters without SE", "M"): plain,
        ("parameters added", "%"): {"of all parameters": 100 * (gated / usual - 1)},
        ("parameters added without the last stage", "%"): {"of all parameters": 100 * (smaller / usual - 1)},
    }
    return [
        Count(
            row=row["network"],
            quantity=row["quantity"],
            unit=row["unit"].replace("M", "10⁶"),
            printed=row["printed"],
            counts=ours[row["quantity"], row["unit"]],
            source=row["source"],
        )
        for row in read_published(FIGURES_CSV)
        if row["network"].startswith("SE-")
    ]


def _without_last_stage() -> int:
    stages = list(range(1, LAST_STAGE))
    return load_network("seresnet50", se_stages=stages).totals["params"]


# --- MobileNet's tables -------------------------------------------------------------------------


def mobilenet_counts() -> list[Count]:
    """Return MobileNet's table of shares and its layer of 14 x 14 x 512, MACs and parameters."""
    found = []
    for row in read_published(MOBILENET_CSV):
        shares = row["table"] == SHARES
        macs, params = _shares(KINDS[row["row"]]) if shares else _layer_counts(row["row"])
        for column, quantity, counts in (("macs_m", "MACs", macs), ("params_m", "parameters", params)):
            remark = _share_slip(row["row"], column) if shares else ""
            found.append(
                Count(
                    row=f"{row['row']}, share" if shares else f"{row['table']}: {row['row']}",
                    quantity=quantity,
                    unit="%" if shares else "10⁶",
                    printed=row[column],
                    counts=counts,
                    source=row["source"],
                    remark=remark,
                    slip=bool(remark),
                )
            )
    return found


def _shares(kind: Kind) -> tuple[dict[str, float], dict[str, float]]:
    """Return a kind's shares of MobileNet's MACs and parameters, in percent."""
    network = model("mobilenet")
    mine, totals = network.by_kind()[kind], network.totals
    weights = totals["params_conv"] + totals["params_linear"]
    return (
        {"of the MACs": 100 * mine["macs"] / totals["macs"]},
        {
            "of the weights of convolutions and linear layers": 100 * mine["params"] / weights,
            "of all parameters": 100 * mine["params"] / totals["params"],
        },
    )


def _share_slip(row: str, column: str) -> str:
    """Say so of the row that keeps the printed shares from adding up to 100; else return an empty string."""
    printed = {
        entry["row"]: float(entry[column]) for entry in read_published(MOBILENET_CSV) if entry["table"] == SHARES
    }
    ours = {name: next(iter(_shares(kind)[column == "params_m"].values())) for name, kind in KINDS.items()}
    missing = 100 - sum(printed.values())
    worst = max(printed, key=lambda name: abs(printed[name] - ours[name]))
    if row != worst or abs(missing) < 0.05:
        return ""
    return (
        f"the printed shares add up to {sum(printed.values()):.2f}%, and the missing {missing:.2f} are what this row "
        f"lacks: {printed[row]:.2f} for {ours[row]:.2f}"
    )


def _layer_counts(row: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return MACs and weights of one layer of 14 x 14 pixels and 512 channels, or of its separable forms."""
    layers = mobilenet_layer(row)
    return (
        {"the layer's": sum(layer.macs for layer in layers) / 1e6},
        {"the layer's weights": sum(layer.weights for layer in layers) / 1e6},
    )


def mobilenet_layer(row: str) -> tuple[Layer, ...]:
    """Return the layers of a row of MobileNet's table on one internal layer.

    The rows name what they change: ``standard convolution``, or ``depthwise separable`` with a width and a
    resolution relative to 512 channels and 14 pixels.
    """
    words = row.replace(",", "").split()
    scale = {name: float(words[words.index(name) + 1]) if name in words else 1.0 for name in ("width", "resolution")}
    channels, size = round(512 * scale["width"]), round(14 * scale["resolution"])
    shape = (size, size)
    if words[0] == "standard":
        return (Layer.conv("conv", channels, channels, shape, 3, padding=1),)
    return (
        Layer.conv("dw", channels, channels, shape, 3, padding=1, groups=channels),
        Layer.conv("pw", channels, channels, shape, 1),
    )
