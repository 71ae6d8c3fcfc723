"""Are compute/bandwidth ratios right, do roofs bound what is reached, and is the report on them true?"""

from __future__ import annotations

import csv
import io
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from accelsim import load_hardware, simulate
from accelsim.engine.general import NestResult
from accelsim.errors import InputError
from accelsim.report import roofline_table
from accelsim.report.accuracy import plot_comparison
from accelsim.report.intensity import ROOFLINE_COLUMNS, ideal_words, layer_points, roofs
from accelsim.report.plots import figure_bytes
from accelsim.report.ratios.readme import findings
from accelsim.report.ratios.report import report_files
from accelsim.report.ratios.study import (
    BEST,
    FORM_COLUMNS,
    FORMS,
    LARGE,
    MACHINES,
    TIME,
    Study,
    form_network,
    form_rows,
    kind_rows,
    run_study,
    sweep_rows,
    what_is_left,
)
from accelsim.report.roofline import KIND_MARKS, plot_roofline, roofline_figure
from accelsim.report.tables import comparison_rows
from accelsim.simulation import compare
from accelsim.workload.layer import Layer, Shape
from accelsim.workload.network import INPUT, Network

REPORT = Path(__file__).parent.parent / "reports" / "roofline"


@pytest.fixture(scope="module")
def study() -> Study:
    return run_study()


# --- ratios -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        Layer.conv("plain", 3, 8, 9, 3, padding=1),
        Layer.conv("strided", 4, 4, 11, 1, stride=2),
        Layer.conv("skipping", 2, 4, 13, 2, stride=3),
        Layer.conv("dilated", 6, 4, (10, 7), (3, 2), stride=(1, 2), dilation=(3, 2), padding=(2, 1), groups=2),
        Layer.conv("depthwise", 5, 5, 6, 3, padding=1, groups=5, batch=2),
    ],
    ids=lambda layer: layer.name,
)
def test_are_ideal_words_those_that_a_walk_of_the_layer_touches(layer: Layer) -> None:
    """Weights, outputs, and every input pixel that some window reads, each counted once."""
    touched = set()
    for n, g, c, p, q, r, s in product(*map(range, (layer.N, layer.G, layer.C, layer.P, layer.Q, layer.R, layer.S))):
        h = p * layer.stride[0] - layer.padding.top + r * layer.dilation[0]
        w = q * layer.stride[1] - layer.padding.left + s * layer.dilation[1]
        if 0 <= h < layer.H and 0 <= w < layer.W:
            touched.add((n, g, c, h, w))
    assert sum(ideal_words(layer).values()) == layer.weights + layer.output_words + len(touched)


@pytest.mark.parametrize("network", ["squeezenext23", "mobilenet", "alexnet", "shufflenet_g3", "resnet50"])
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("dataflow", ["best", "ws", "os"])
def test_does_no_layer_beat_its_roofs_or_the_ideal(network: str, machine: str, dataflow: str) -> None:
    """No layer does more MACs per cycle than its lowest roof, nor more per DRAM byte than if words moved once."""
    points = layer_points(simulate(network, machine, dataflow=dataflow))
    for point in points:
        assert point.reached <= point.attainable * (1 + 1e-9), point
        assert point.macs_per_dram_byte <= point.ideal_macs_per_byte * (1 + 1e-9), point
        assert (
            point.attainable == {"compute": point.peak, "dram": point.dram_roof, "glb": point.buffer_roof}[point.limit]
        )
    assert sum(point.time_share for point in points) == pytest.approx(1)


@pytest.mark.parametrize("machine", ["edge_16x16_L2", "gemmini_16x16"])
def test_do_memories_and_networks_inside_set_roofs_of_a_machine_of_any_hierarchy(machine: str) -> None:
    """No layer beats its roofs, and the buffer's is that of the busiest memory or network inside of DRAM."""
    layer = Layer.conv("conv", 8, 8, 6, 3, padding=1)
    net = Network(name="one", input_shape=Shape(8, 6, 6), layers=(layer,), inputs={layer.name: (INPUT,)})
    result = simulate(net, machine)
    (point,) = layer_points(result)
    (entry,) = result.layer_results
    assert isinstance(entry, NestResult)
    outermost = result.hardware.memories[0].name
    assert point.buffer_roof == layer.macs / max(
        busy for name, busy in entry.cost.busy_cycles.items() if name != outermost
    )
    assert point.reached <= point.attainable * (1 + 1e-9)
    text = "\n".join(roofline_table.lines(result))
    assert "inf" not in text
    assert "inside" in text


def test_are_the_roofs_those_of_the_hardware_file() -> None:
    """16 x 16 PEs, 8 words a cycle to DRAM, 2 words a row in and 1 word a column out, of 2 bytes each."""
    most = roofs(load_hardware(LARGE))
    assert (most.macs_per_cycle, most.dram_bytes_per_cycle) == (256, 16)
    assert (most.read_bytes_per_cycle, most.write_bytes_per_cycle) == (64, 32)
    slow = roofs(load_hardware(LARGE, **{"memories.DRAM.words_per_cycle": 4, "fanouts.array.rows": 8}))
    assert (slow.macs_per_cycle, slow.dram_bytes_per_cycle, slow.read_bytes_per_cycle) == (128, 8, 32)


def test_does_the_table_show_what_each_dataflow_reaches() -> None:
    """Rows have every column, and the last one is what simulations under each dataflow give."""
    result = simulate("mobilenet", LARGE)
    rows = roofline_table.rows(result)
    assert all(list(row) == list(roofline_table.COLUMNS) for row in rows)
    assert sum(row["repeats"] for row in rows) == len(result.records)
    for flow in ("ws", "os"):
        points = layer_points(simulate("mobilenet", LARGE, dataflow=flow))
        for row, point in zip(rows, points, strict=True):
            assert f"{flow} {point.reached:.3g}" in row["per_dataflow"]


# --- pictures -----------------------------------------------------------------------------------


def test_does_the_roofline_draw_every_shape_by_kind() -> None:
    """Both panels have a point per distinct shape, at its MACs per byte and cycle, in its kind's colour."""
    from matplotlib.colors import to_rgb

    result = simulate("mobilenet", LARGE)
    points = layer_points(result)
    for axes, key in zip(roofline_figure(result).axes, ("macs_per_dram_byte", "macs_per_array_byte"), strict=True):
        drawn = [tuple(map(float, collection.get_offsets()[0])) for collection in axes.collections]
        assert drawn == [pytest.approx((getattr(point, key), point.reached)) for point in points]
        colours = [tuple(collection.get_facecolor()[0][:3]) for collection in axes.collections]
        assert colours == [to_rgb(KIND_MARKS[point.kind][1]) for point in points]


def overlapping(axes: Any) -> list[tuple[str, str]]:
    """Pairs of names in a picture that cover each other."""
    texts = [text for text in axes.texts if text.get_text() and not text.get_rotation()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [
        (first, second)
        for index, (first, box) in enumerate(boxes)
        for second, other in boxes[index + 1 :]
        if min(box.x1, other.x1) - max(box.x0, other.x0) > 1 and min(box.y1, other.y1) - max(box.y0, other.y0) > 1
    ]


def test_do_names_in_the_picture_of_accuracies_stay_apart(tmp_path: Path) -> None:
    """Thirteen networks, some of them neighbours: no name covers another or leaves the panel; missing ones are told."""
    names = ["alexnet", "squeezenet_v1.0", "squeezenet_v1.1", "tiny_darknet", "squeezenext23", "squeezenext23v5"]
    names += ["squeezenext34", "squeezenext44", "mobilenet", "mobilenet_v2", "shufflenet_v2", "resnet50", "squeezenext"]
    rows = comparison_rows(compare(names, [LARGE]))
    figure = plot_comparison(rows, tmp_path / "picture")
    assert {path.name for path in tmp_path.iterdir()} == {"picture.png", "picture.svg"}
    figure.canvas.draw()
    for axes in figure.axes:
        assert overlapping(axes) == []
        for text in axes.texts:
            box = text.get_window_extent()
            assert axes.bbox.x0 - 1 <= box.x0, text
            assert box.x1 <= axes.bbox.x1 + 1, text
    assert figure.get_supxlabel().endswith("not drawn, as no accuracy is published: squeezenext")
    for row in rows:
        row["top1_percent"] = None
    with pytest.raises(InputError, match="none of the networks has a published accuracy"):
        plot_comparison(rows)


def test_is_the_same_roofline_the_same_bytes(tmp_path: Path) -> None:
    """Drawn twice, the picture is equal byte for byte; saved, its suffix decides; a wrong one is refused."""
    result = simulate("alexnet", LARGE)
    assert figure_bytes(roofline_figure(result), "svg") == figure_bytes(roofline_figure(result), "svg")
    plot_roofline(result, tmp_path / "one.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["one.svg"]
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        plot_roofline(result, tmp_path / "one.txt")


# --- the study ----------------------------------------------------------------------------------


def test_is_the_worked_example_the_papers() -> None:
    """462 million MACs in one layer, 52.3 in its separable form, as MobileNet's paper prints."""
    macs = {form: form_network(form).totals["macs"] / 1e6 for form in FORMS}
    assert round(macs["standard"]) == 462
    assert round(macs["separable"], 1) == 52.3
    assert macs["separable"] == macs["depthwise"] + macs["pointwise"]


def test_do_the_rows_of_a_form_add_up(study: Study) -> None:
    """Separable takes the time and energy of depthwise and pointwise together, under every dataflow and objective."""
    rows = {(row["form"], row["hardware"], row["dataflow"], row["objective"]): row for row in form_rows(study)}
    for (form, *rest), row in rows.items():
        assert list(row) == list(FORM_COLUMNS) or set(row) == set(FORM_COLUMNS)
        if form == "separable":
            parts = [rows[part, *rest] for part in ("depthwise", "pointwise")]
            assert row["cycles"] == sum(part["cycles"] for part in parts)
            assert row["energy"] == pytest.approx(sum(part["energy"] for part in parts))
            both = sum(part["macs"] / part["macs_per_dram_byte"] for part in parts)
            assert row["macs_per_dram_byte"] == pytest.approx(row["macs"] / both)


def test_are_the_findings_numbers_of_the_tables(study: Study) -> None:
    """What the sentences say is in the tables: ratios, factors, shares, and where depthwise waits for DRAM."""
    depthwise, factor, networks = findings(study)
    row = next(
        row
        for row in form_rows(study)
        if (row["form"], row["hardware"], row["dataflow"], row["objective"]) == ("depthwise", LARGE, BEST, TIME)
    )
    assert f"does {row['ideal_macs_per_byte']:.1f} MACs per DRAM byte" in depthwise
    assert f"it reaches {row['reached_macs_per_cycle']:.0f}" in depthwise
    bounds: dict[str, set[str]] = {}
    for entry in sweep_rows(study):
        if entry["form"] == "depthwise":
            bounds.setdefault(entry["array"], set()).add(entry["bound"])
    always, never = re.search(r"on arrays of (.*), and at none on (.*)\.$", depthwise).groups()  # type: ignore[union-attr]
    assert always.split(", ") == [array for array, found in bounds.items() if found == {"dram"}]
    assert never.split(", ") == [array for array, found in bounds.items() if "dram" not in found]
    best = {entry.hardware: entry for entry in what_is_left(study) if (entry.dataflow, entry.objective) == (BEST, TIME)}
    assert f"{best[LARGE].macs:.1f} times fewer MACs" in factor
    for name in MACHINES:
        assert f"{best[name].time:.1f}" in factor
        assert best[name].energy < best[name].time < best[name].macs  # what the sentence claims
    kinds = {(r["network"], r["kind"]): r for r in kind_rows(study) if r["hardware"] == LARGE}
    assert f"{100 * kinds['mobilenet', 'depthwise']['share_of_time']:.1f}% of its time" in networks
    narrow, wide = (kinds[name, "pointwise"]["macs_per_dram_byte"] for name in ("squeezenext23", "mobilenet"))
    assert narrow < wide
    assert ("squeezenext23", "depthwise") not in kinds


def test_do_shares_by_kind_add_up(study: Study) -> None:
    """MACs, time and energy of the kinds are those of the network."""
    sums: dict[tuple[str, str], list[float]] = {}
    for row in kind_rows(study):
        entry = sums.setdefault((row["network"], row["hardware"]), [0.0, 0.0, 0.0])
        for index, key in enumerate(("share_of_macs", "share_of_time", "share_of_energy")):
            entry[index] += row[key]
    assert len(sums) == len(study.networks)
    assert all(entry == pytest.approx([1, 1, 1]) for entry in sums.values())


def test_is_the_committed_report_what_the_command_writes(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """`accelsim reproduce roofline` changes nothing in reports/: page and tables are up to date, all pictures there."""
    monkeypatch.setattr("accelsim.report.ratios.report.run_study", lambda progress: study)
    files = report_files()
    assert {path.name for path in REPORT.iterdir()} == set(files)
    texts = [name for name in files if name.endswith((".md", ".csv"))]
    assert [name for name in texts if files[name].decode() != (REPORT / name).read_text()] == []
    for name in re.findall(r"\]\((\w+\.png)\)", files["README.md"].decode()):
        assert name in files
    rows = list(csv.DictReader(io.StringIO(files["left.csv"].decode())))
    assert [float(row["macs"]) for row in rows] == [pytest.approx(462.422 / 52.2834, rel=1e-4)] * len(rows)


def test_is_every_column_defined() -> None:
    """Each column has a sentence, and those with a dimension a unit."""
    for name, column in (roofline_table.COLUMNS | ROOFLINE_COLUMNS | FORM_COLUMNS).items():
        assert column.help.endswith("."), name
        assert bool(column.unit) is not (
            name in ("layer", "repeats", "kind", "dataflow", "time_share", "limit", "hardware", "form", "objective")
        ), name
