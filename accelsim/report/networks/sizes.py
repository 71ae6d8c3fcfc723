"""Published sizes of stored models beside ours."""

from __future__ import annotations

from accelsim.report.networks.counted import Count
from accelsim.report.networks.counts import FIGURES_CSV, model
from accelsim.report.published import read_published
from accelsim.workload.layer import Kind, Op
from accelsim.workload.storage import Coding, ModelSize, WeightFormat, deep_compression, model_size

ALEXNET_CSV = "deep_compression_alexnet.csv"

Ways = dict[str, float]


def size_counts() -> list[Count]:
    """Return the sizes that the SqueezeNet paper prints, in MB."""
    rows = read_published(FIGURES_CSV)
    found = []
    for row in rows:
        if row["quantity"] != "size":
            continue
        given = {other["quantity"]: other["printed"] for other in rows if other["network"] == row["network"]}
        ways, remark = _ways(row["network"], given)
        found.append(
            Count(
                row=row["network"],
                quantity="size",
                unit="MB",
                printed=row["printed"],
                counts=ways,
                source=row["source"],
                remark=remark,
            )
        )
    return found


def _ways(network: str, given: dict[str, str]) -> tuple[Ways, str]:
    """Return the ways of measuring a model, and a remark."""
    if network == "AlexNet SVD":
        return {}, "the paper does not print the ranks that its factors have"
    if network == "AlexNet pruned":
        return _pruned_alexnet()
    if network == "AlexNet Deep Compression":
        return _compressed_alexnet()
    if "density" in given:
        return _compressed_squeezenet(int(given["weight bits"]), float(given["density"]) / 100)
    if network == "SqueezeNet complex bypass":
        return _complex_bypass()
    return _dense({"AlexNet": "alexnet", "SqueezeNet simple bypass": "squeezenet_simple_bypass"}.get(network)), ""


def _dense(name: str | None) -> Ways:
    return _both(model_size(model(name or "squeezenet_v1.0")), "32-bit words")


def _both(size: ModelSize, what: str) -> Ways:
    return {f"{what}, in 10⁶ bytes": size.total_mb, f"{what}, in 2²⁰ bytes": size.total_mib}


def _compressed_squeezenet(bits: int, density: float) -> tuple[Ways, str]:
    network = model("squeezenet_v1.0")
    plain = model_size(network, deep_compression(bits, density))
    coded = model_size(network, Coding(weight_bits=bits, density=density, format=WeightFormat.ENTROPY, codebook=True))
    return (
        _both(plain, "4-bit relative indices, codebooks")
        | {"positions at their entropy, codebooks, in 10⁶ bytes": coded.total_mb},
        "",
    )


def alexnet_codings() -> dict[str, Coding]:
    """Return the coding of every layer of AlexNet after Deep Compression's pruning and weight sharing."""
    return {
        row["layer"]: deep_compression(
            int(row["weight_bits"]), float(row["density_percent"]) / 100, index_bits=int(row["index_bits"])
        )
        for row in read_published(ALEXNET_CSV)
    }


def _pruned_alexnet() -> tuple[Ways, str]:
    kept = {
        row["layer"]: Coding(density=float(row["density_percent"]) / 100, format=WeightFormat.CSR)
        for row in read_published(ALEXNET_CSV)
    }
    size = model_size(model("alexnet"), layers=kept)
    values = sum(layer.value_bytes + layer.other_bytes for layer in size.layers) / 1e6
    ways = {
        "32-bit values with 4-bit relative indices, in 10⁶ bytes": size.total_mb,
        "32-bit values without their positions, in 10⁶ bytes": values,
    }
    return ways, "densities are those of Deep Compression's Table 4"


def _compressed_alexnet() -> tuple[Ways, str]:
    network, rows = model("alexnet"), read_published(ALEXNET_CSV)
    coded = alexnet_codings()
    entropy = {
        name: Coding(weight_bits=c.weight_bits, density=c.density, format=WeightFormat.ENTROPY, codebook=True)
        for name, c in coded.items()
    }
    weights = {row["layer"]: network[row["layer"]].weights for row in rows}
    printed_shares = sum(4 * weights[row["layer"]] * float(row["size_percent_huffman"]) / 100 for row in rows) / 1e6
    printed_bits = (
        sum(
            weights[row["layer"]]
            * float(row["density_percent"])
            / 100
            * (float(row["weight_bits_huffman"]) + float(row["index_bits_huffman"]))
            for row in rows
        )
        / 8e6
    )
    ways = {
        "4-bit relative indices, codebooks, in 10⁶ bytes": model_size(network, layers=coded).total_mb,
        "positions at their entropy, codebooks, in 10⁶ bytes": model_size(network, layers=entropy).total_mb,
        "the shares that Deep Compression's Table 4 prints after Huffman coding, in 10⁶ bytes": printed_shares,
        "the bits that Deep Compression's Table 4 prints after Huffman coding, in 10⁶ bytes": printed_bits,
    }
    remark = (
        "Huffman coding, which the paper's figure has, is not modelled; by Deep Compression's own Table 4 after it, "
        f"the bits of values and indices give {printed_bits:.2f}, the shares of the dense size {printed_shares:.2f}"
    )
    return ways, remark


def _complex_bypass() -> tuple[Ways, str]:
    bypassed = model("squeezenet_complex_bypass")
    ways = _both(model_size(bypassed), "32-bit words")
    plain = model("squeezenet_v1.0")
    fires = sorted({layer.block for layer in plain if layer.block})
    extra = 0
    for fire in fires:
        layers = [layer for layer in plain if layer.block == fire and layer.op is Op.CONV]
        inputs = next(layer.C for layer in layers if layer.kind is Kind.POINTWISE)
        outputs = sum(layer.K for layer in layers[1:])
        extra += 4 * (inputs + 1) * outputs
    everywhere = model_size(plain).total_bytes + extra
    ways["a bypass convolution around every module, in 10⁶ bytes"] = everywhere / 1e6
    ways["a bypass convolution around every module, in 2²⁰ bytes"] = everywhere / 2**20
    count = sum("bypass" in layer.name for layer in bypassed)
    return ways, (
        f"around the {count} modules where the paper's figure draws a convolution they add too little, and around "
        f"all {len(fires)} too much ({everywhere / 1e6:.2f})"
    )
