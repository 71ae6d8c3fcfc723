"""Are the literature's published counts reproduced, and is the report on networks true?"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.report.networks import study as simulations
from accelsim.report.networks.counted import Count, Verdict, by_verdict, rounds_to
from accelsim.report.networks.counts import (
    FIGURES_CSV,
    MOBILENET_CSV,
    MODELS,
    NETWORKS_CSV,
    mobilenet_counts,
    model,
    network_counts,
    se_counts,
)
from accelsim.report.networks.depth import expectations
from accelsim.report.networks.memory import (
    DEPTHS,
    block_memories,
    peaks,
    second_differences,
    trained_densenets,
    training_section,
)
from accelsim.report.networks.mobilenet import mobilenet_section
from accelsim.report.networks.readme import Counts, all_counts, readme
from accelsim.report.networks.report import tables
from accelsim.report.networks.resnext import form_costs, published_top1, resnext_section, setting_rows
from accelsim.report.networks.senet import SPARED, WHOLE, Part, all_parts, gate_records, se_parts, se_section
from accelsim.report.networks.sizes import size_counts
from accelsim.report.networks.study import LARGE, SE_PAIRS, SETTINGS, SMALL, Study, run_study
from accelsim.report.published import read_published
from accelsim.report.reproduce import reproduce
from accelsim.workload.loader import load_network
from accelsim.workload.memory import StoragePlan

REPORT = Path(__file__).resolve().parent.parent / "reports" / "networks"

MOBILENET_PAPER = "MobileNet arXiv:1704.04861"

NOT_AS_PRINTED = {
    # Another count gives the digits printed; which one is asked for below.
    ("MobileNet 1.0-160", "MACs"): Verdict.EXPLAINED,
    ("MobileNet 0.5-160", "MACs"): Verdict.EXPLAINED,
    ("MobileNet 0.5-160", "parameters"): Verdict.EXPLAINED,
    ("MobileNet with standard convolutions", "MACs"): Verdict.EXPLAINED,
    ("GoogLeNet", "parameters"): Verdict.EXPLAINED,
    ("VGG-16", "MACs"): Verdict.EXPLAINED,
    ("AlexNet (in the MobileNet paper)", "parameters"): Verdict.EXPLAINED,
    ("AlexNet (in the MobileNet paper)", "MACs"): Verdict.EXPLAINED,
    ("DenseNet-232 k=48", "parameters"): Verdict.EXPLAINED,
    ("SE-ResNet-50 over ResNet-50", "parameters without SE"): Verdict.EXPLAINED,
    ("AlexNet", "size"): Verdict.EXPLAINED,
    ("AlexNet pruned", "size"): Verdict.EXPLAINED,
    ("SqueezeNet", "size"): Verdict.EXPLAINED,
    ("SqueezeNet simple bypass", "size"): Verdict.EXPLAINED,
    ("SqueezeNet Deep Compression 6 bit", "size"): Verdict.EXPLAINED,
    ("SqueezeNet (in the MobileNet paper)", "MACs"): Verdict.SLIP,
    ("standard 3x3, share", "MACs"): Verdict.SLIP,
    ("GoogLeNet", "MACs"): Verdict.UNEXPLAINED,
    ("AlexNet Deep Compression", "size"): Verdict.UNEXPLAINED,
    ("SqueezeNet complex bypass", "size"): Verdict.UNEXPLAINED,
    ("AlexNet SVD", "size"): Verdict.NOT_COMPUTED,
}
"""Published counts that the usual way of counting does not give, and what is known of them."""


@pytest.fixture(scope="module")
def counts() -> Counts:
    return all_counts()


@pytest.fixture(scope="module")
def done() -> Study:
    return run_study()


@pytest.fixture(scope="module")
def page(done: Study, counts: Counts) -> str:
    return readme(done, counts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("networks")
    reproduce("networks", target)
    return target


def find(found: list[Count], row: str, quantity: str) -> Count:
    return next(count for count in found if (count.row, count.quantity) == (row, quantity))


# --- published counts ---------------------------------------------------------------------------


def test_is_every_published_count_reproduced_or_named(counts: Counts) -> None:
    """Every count of the published tables rounds to the digits printed, but for those named here and no others."""
    other = {(c.row, c.quantity): c.verdict for c in counts.every if c.verdict is not Verdict.REPRODUCED}
    assert other == NOT_AS_PRINTED
    for count in counts.every:
        if count.verdict is Verdict.REPRODUCED:
            assert count.ours is not None
            decimals = len(count.printed.partition(".")[2])
            assert round(count.ours, decimals) == pytest.approx(float(count.printed), abs=1e-9)


def test_is_no_published_row_left_out(counts: Counts) -> None:
    """Every number of the files that counts something has a row in the report, with the digits printed."""
    networks = read_published(NETWORKS_CSV)
    expected = [r[column] for r in networks for column in ("params_m", "macs_m") if r[column]]
    assert [count.printed for count in counts.networks] == expected
    figures = [r for r in read_published(FIGURES_CSV) if r["quantity"] == "size" or r["network"].startswith("SE-")]
    assert [c.printed for c in (*counts.gates, *counts.sizes)] == [row["printed"] for row in figures]
    tabled = read_published(MOBILENET_CSV)
    assert [c.printed for c in counts.mobilenet] == [row[column] for row in tabled for column in ("macs_m", "params_m")]
    assert len(counts.every) == len(expected) + len(figures) + 2 * len(tabled) == 60


def test_are_the_figures_those_of_the_notes() -> None:
    """A figure that stands in its own column is in the note it was taken from, and no note's MB is without a row."""
    notes = {row["network"]: row["note"] for row in read_published(NETWORKS_CSV)}
    figures = read_published(FIGURES_CSV)
    for row in figures:
        words = f"{row['network']} {notes[row['network']]}"
        assert re.search(rf"(?<![\d.]){re.escape(row['printed'])}(?!\d|\.\d)", words), row
    sized = {row["network"] for row in figures if row["quantity"] == "size"}
    assert sized == {name for name, note in notes.items() if re.search(r"\d MB", note)}


@pytest.mark.parametrize(
    ("row", "quantity", "ways"),
    [
        ("MobileNet 1.0-160", "MACs", ("the convolutions alone",)),
        ("MobileNet 0.5-160", "MACs", ("the convolutions alone",)),
        ("MobileNet with standard convolutions", "MACs", ("the convolutions alone",)),
        ("VGG-16", "MACs", ("the convolutions alone, rounded to hundreds",)),
        ("MobileNet 0.5-160", "parameters", ("without batch norms", "weights alone")),
        ("DenseNet-232 k=48", "parameters", ("without batch norms", "weights alone")),
        ("GoogLeNet", "parameters", ("the sum of the GoogLeNet paper's own Table 1",)),
        ("AlexNet (in the MobileNet paper)", "MACs", ("convolutions and linear layers, rounded to tens",)),
        ("SqueezeNet (in the MobileNet paper)", "MACs", ("operations, two a MAC, rounded to hundreds",)),
        ("SqueezeNet", "size", ("32-bit words, in 2²⁰ bytes",)),
        ("SqueezeNet Deep Compression 6 bit", "size", ("positions at their entropy, codebooks, in 10⁶ bytes",)),
        ("AlexNet", "size", ("32-bit words, in 10⁶ bytes, rounded to tens",)),
        ("AlexNet pruned", "size", ("32-bit values without their positions, in 10⁶ bytes",)),
    ],
)
def test_what_explains_a_count(counts: Counts, row: str, quantity: str, ways: tuple[str, ...]) -> None:
    """The way of counting that gives the digits printed is the one that the explanation names."""
    assert find(counts.every, row, quantity).ways == ways


@pytest.mark.parametrize(
    ("row", "quantity", "way", "expected"),
    [
        ("VGG-16", "MACs", "the convolutions alone", 15346.630656),
        ("SqueezeNet (in the MobileNet paper)", "MACs", "convolutions and linear layers", 832.667936),
        ("GoogLeNet", "parameters", "the sum of the GoogLeNet paper's own Table 1", 6.7977),
        ("GoogLeNet", "MACs", "the sum of the GoogLeNet paper's own Table 1", 1502),
        ("DenseNet-232 k=48", "parameters", "without batch norms", 55.11604),
        ("SqueezeNet complex bypass", "size", "32-bit words, in 2²⁰ bytes", 6.0641),
        ("AlexNet Deep Compression", "size", "4-bit relative indices, codebooks, in 10⁶ bytes", 9.597921),
    ],
)
def test_are_other_ways_of_counting_right(counts: Counts, row: str, quantity: str, way: str, expected: float) -> None:
    """Ways of counting equal numbers that were counted by hand or by other programs."""
    assert find(counts.every, row, quantity).counts[way] == pytest.approx(expected, rel=1e-5)


def test_is_alexnet_s_size_after_huffman_that_of_deep_compression() -> None:
    """The shares that Deep Compression's Table 4 prints add up to its 2.88% of the dense size, within rounding."""
    ways = find(size_counts(), "AlexNet Deep Compression", "size").counts
    shares = next(value for name, value in ways.items() if "shares" in name)
    dense = find(size_counts(), "AlexNet", "size").ours
    assert dense is not None
    assert 100 * shares / dense == pytest.approx(2.88, abs=0.03)


def test_do_mobilenet_s_printed_shares_add_up() -> None:
    """MobileNet, Table 2: the parameters' shares add up to 100, the MACs' do not, by what one row lacks."""
    shares = [count for count in mobilenet_counts() if count.row.endswith("share")]
    macs = [count for count in shares if count.quantity == "MACs"]
    params = [count for count in shares if count.quantity == "parameters"]
    assert sum(float(count.printed) for count in params) == pytest.approx(100, abs=0.02)
    missing = 100 - sum(float(count.printed) for count in macs)
    (slip,) = [count for count in macs if count.slip]
    assert slip.ours is not None
    assert slip.ours - float(slip.printed) == pytest.approx(missing, abs=0.02)
    assert sum(count.ours or 0 for count in macs) == pytest.approx(100, abs=1e-9)


def test_is_a_layer_of_mobilenet_what_its_paper_multiplies() -> None:
    """MobileNet, section 3: D_K² M D_F² + M N D_F² MACs for a depthwise separable layer."""
    count = find(mobilenet_counts(), "one layer 14x14x512: depthwise separable", "MACs")
    assert count.ours == (9 * 512 * 14**2 + 512 * 512 * 14**2) / 1e6


@pytest.mark.parametrize(
    ("printed", "value", "verdict", "way"),
    [
        ("4.2", 4.249, Verdict.REPRODUCED, "usual"),
        ("4.2", 4.2501, Verdict.EXPLAINED, "usual, cut off instead of rounded"),
        ("4.2", 4.3, Verdict.UNEXPLAINED, None),
        ("720", 724.9, Verdict.EXPLAINED, "usual, rounded to tens"),
        ("720", 725.1, Verdict.UNEXPLAINED, None),
        ("15300", 15349.9, Verdict.EXPLAINED, "usual, rounded to hundreds"),
        ("15300", 15350.1, Verdict.UNEXPLAINED, None),
        ("76", 75.5, Verdict.REPRODUCED, "usual"),
        ("76", 75.49, Verdict.UNEXPLAINED, None),
    ],
)
def test_when_does_a_number_have_the_digits_printed(
    printed: str, value: float, verdict: Verdict, way: str | None
) -> None:
    """Rounded, cut off, or rounded where an integer's zeros begin; not a hair further."""
    count = Count(row="r", quantity="q", unit="u", printed=printed, counts={"usual": value}, source="s")
    assert (count.verdict, count.ways) == (verdict, (way,) if way else ())


def test_what_is_a_count_that_nothing_gives() -> None:
    """Without a count nothing is computed; a slip is no explanation; a closer reading goes before a looser one."""
    count = Count(row="r", quantity="q", unit="u", printed="60", counts={}, source="s", remark="unknown")
    assert (count.verdict, count.difference, count.explanation) == (Verdict.NOT_COMPUTED, None, "unknown")
    two = replace(count, counts={"all": 60.97, "some": 60.2}, remark="")
    assert (two.verdict, two.explanation) == (Verdict.EXPLAINED, "some")
    assert replace(two, slip=True).verdict is Verdict.SLIP
    assert {verdict: len(found) for verdict, found in by_verdict([count, two]).items() if found} == {
        Verdict.NOT_COMPUTED: 1,
        Verdict.EXPLAINED: 1,
    }


def test_do_the_published_networks_cite_the_same_counts() -> None:
    """A named network's own facts have the numbers of the published table, from the same paper."""
    for row in read_published(NETWORKS_CSV):
        if row["network"] in MODELS:
            facts = [fact for fact in model(MODELS[row["network"]]).facts if fact.source.startswith(row["source"])]
            for column in ("params_m", "macs_m"):
                if row[column]:
                    assert float(row[column]) in [getattr(fact, column) for fact in facts], row["network"]


# --- squeeze-and-excitation ---------------------------------------------------------------------


def test_what_does_se_add_to_resnet_50() -> None:
    """SENet, section 4: 2.5 million parameters or 10%, and 4% without the last stage (to the digits printed)."""
    found = {(count.quantity, count.unit): count for count in se_counts()}
    assert rounds_to(found["parameters added", "10⁶"].ours or 0, "2.5")
    assert rounds_to(found["parameters added", "%"].ours or 0, "10")
    assert rounds_to(found["parameters added without the last stage", "%"].ours or 0, "4")
    # Two 1x1 convolutions with biases a unit, at r = 16.
    units = {256: 3, 512: 4, 1024: 6, 2048: 3}
    by_hand = sum(n * (2 * c * c // 16 + c // 16 + c) for c, n in units.items())
    assert found["parameters added", "10⁶"].ours == pytest.approx(by_hand / 1e6, rel=1e-12)


@pytest.mark.parametrize("network", SE_PAIRS)
def test_do_the_stages_add_up(done: Study, network: str) -> None:
    """What SE adds in whole is the sum over its stages; sparing the last takes exactly that stage's away."""
    for hardware in (LARGE, SMALL):
        *stages, whole, spared = se_parts(done, network, hardware)
        assert (whole.stage, spared.stage) == (WHOLE, SPARED)
        for quantity in ("params", "macs", "cycles", "energy"):
            assert whole.added[quantity] == pytest.approx(sum(stage.added[quantity] for stage in stages), rel=1e-9)
            assert spared.added[quantity] == pytest.approx(whole.added[quantity] - stages[-1].added[quantity], rel=1e-9)
            assert all(stage.added[quantity] > 0 for stage in stages)


def test_is_the_spared_stage_that_of_the_network_without_it(done: Study) -> None:
    """What the stages say without the last one is what the network built without it has."""
    spared = next(part for part in se_parts(done, "ResNet-50", LARGE) if part.stage == SPARED)
    built = load_network("seresnet50", se_stages=[1, 2, 3])
    assert spared.plain["params"] + spared.added["params"] == built.totals["params"]
    assert spared.plain["macs"] + spared.added["macs"] == built.totals["macs"]


def test_are_the_gates_all_that_se_adds_to_the_array(done: Study) -> None:
    """The gates' MACs, cycles and energy are what the whole network has more, as equal layers cost the same."""
    for network in SE_PAIRS:
        whole = next(part for part in se_parts(done, network, LARGE) if part.stage == WHOLE)
        gates = gate_records(done, network)
        for quantity in ("macs", "cycles", "energy"):
            assert sum(float(gate[quantity]) for gate in gates) == pytest.approx(whole.added[quantity], rel=1e-9)


def test_does_the_se_text_say_what_the_numbers_say(done: Study) -> None:
    """The text's percentages are those of the parts."""
    text = se_section(done)
    parts = {(p.network, p.stage): p for p in all_parts(done) if p.hardware == LARGE}
    fifty, spared = parts["ResNet-50", WHOLE], parts["ResNet-50", SPARED]
    words = f"grows by {_percent(spared, 'params')} in parameters instead of {_percent(fifty, 'params')}, and by "
    assert f"{words}{_percent(spared, 'cycles')} in time instead of {_percent(fifty, 'cycles')}" in text
    growths = [parts[network, WHOLE].growth("cycles") for network in SE_PAIRS]
    assert f"{100 * min(growths):.1f}% (BN-Inception) to {100 * max(growths):.1f}% (" in text
    assert f"({4 * (3 + 4 + 6 + 3)} layers in SE-ResNet-50)" in text


def _percent(part: Part, quantity: str) -> str:
    return f"{100 * part.added[quantity] / part.plain[quantity]:.1f}%"


# --- ResNeXt ------------------------------------------------------------------------------------


def test_are_the_three_forms_of_a_block_equal_but_in_time(done: Study) -> None:
    """ResNeXt, Figure 3: the same parameters and MACs; the more layers a form has, the longer it takes."""
    grouped, split, aggregated = form_costs(done)
    assert [cost.form for cost in (grouped, split, aggregated)] == ["grouped", "split_concat", "aggregated"]
    for other in (split, aggregated):
        for name in ("params", "macs"):
            assert other.block[name] == grouped.block[name]
            assert other.network[name] == grouped.network[name]
    # Two convolutions a path and one after the join; three a path.
    assert [cost.block["layers"] for cost in (grouped, split, aggregated)] == [3, 2 * 32 + 1, 3 * 32]
    assert grouped.network["cycles"] < split.network["cycles"] < aggregated.network["cycles"]
    assert (grouped.summed_words, split.summed_words) == (0, 0)
    units = {(256, 56): 3, (512, 28): 4, (1024, 14): 6, (2048, 7): 3}
    assert aggregated.summed_words == sum(32 * c * size * size * n for (c, size), n in units.items())


def test_does_the_cardinality_keep_the_complexity(done: Study) -> None:
    """ResNeXt, Table 2: parameters and MACs stay within 5% of 1x64d's, while the published accuracy rises."""
    rows = setting_rows(done)
    for depth in (50, 101):
        chosen = [row for row in rows if row["depth"] == depth]
        assert [row["setting"] for row in chosen] == list(SETTINGS)
        for name in ("params", "macs"):
            base = float(str(chosen[0][name]))
            assert all(float(str(row[name])) == pytest.approx(base, rel=0.05) for row in chosen)
        accuracies = [float(str(row["published_top1_percent"])) for row in chosen]
        assert accuracies == sorted(accuracies)
    assert (published_top1(50, "1x64d"), published_top1(101, "32x4d")) == ("76.1", "78.8")


def test_does_the_resnext_text_say_what_the_numbers_say(done: Study) -> None:
    """The text's ratios are those of the tables' numbers."""
    text = resnext_section(done)
    first, _, last = form_costs(done)
    assert f"takes {last.network['cycles'] / first.network['cycles']:.2f} times as long as (c) grouped" in text
    assert "the same parameters and MACs" in text
    rows = {row["setting"]: row for row in setting_rows(done) if row["depth"] == 50}
    ratio = float(str(rows["32x4d"][f"cycles_{LARGE}"])) / float(str(rows["1x64d"][f"cycles_{LARGE}"]))
    assert f"its time by {100 * (ratio - 1):+.1f}% on {LARGE}" in text


# --- stochastic depth ---------------------------------------------------------------------------


def test_what_is_the_expected_depth(done: Study) -> None:
    """Stochastic depth, section 3: about 40 of ResNet-110's 54 blocks with p_L = 0.5; half of them if uniform."""
    found = {(entry.network, entry.rule): entry for entry in expectations(done)}
    assert len(found) == 6
    for network, branches in (("ResNet-110", 54), ("ResNet-152", 50), ("ResNet-1202", 600)):
        linear, uniform = found[network, "linear"], found[network, "uniform"]
        assert linear.branches == uniform.branches == branches
        assert linear.expected_depth == pytest.approx((3 * branches - 1) / 4, rel=1e-12)
        assert uniform.expected_depth == pytest.approx(branches / 2, rel=1e-12)
    published = {
        row["quantity"]: row["printed"] for row in read_published(FIGURES_CSV) if "stochastic" in row["network"]
    }
    assert rounds_to(found["ResNet-110", "linear"].expected_depth, published["expected depth"])
    assert found["ResNet-110", "linear"].branches == int(published["blocks"])


def test_are_expectations_those_of_the_simulated_layers(done: Study) -> None:
    """All branches kept is the simulated network; the mean lies between the extremes, by the survival's share."""
    for entry in expectations(done):
        totals = done[entry.network, LARGE].totals
        assert entry.cycles.all_kept == totals["cycles"]
        assert entry.energy.all_kept == pytest.approx(totals["energy"], rel=1e-9)
        assert entry.cycles.all_dropped < entry.cycles.mean < entry.cycles.all_kept
        assert 0 < entry.cycles.standard_deviation < entry.cycles.mean
        if entry.rule == "uniform":
            assert entry.cycles.mean == pytest.approx((entry.cycles.all_kept + entry.cycles.all_dropped) / 2)
            assert entry.energy.mean == pytest.approx((entry.energy.all_kept + entry.energy.all_dropped) / 2)


# --- memory -------------------------------------------------------------------------------------


def test_does_sharing_turn_quadratic_growth_linear() -> None:
    """arXiv:1707.06990: the second difference in depth falls from four maps to none, one part a plan."""
    assert list(second_differences().values()) == [4, 2, 1, 0]


def test_are_the_copies_those_of_the_paper_s_arithmetic() -> None:
    """2 W H k l words at layer l sum to l (l + 1) maps; the last join adds the layers, and no more."""
    for memory in block_memories():
        assert memory.paper == memory.layers * (memory.layers + 1)
        assert memory.copies - memory.paper == memory.layers
        totals = list(memory.totals.values())
        assert totals == sorted(totals, reverse=True)
    assert [memory.layers for memory in block_memories()] == list(DEPTHS)


def test_does_the_memory_text_say_what_the_numbers_say() -> None:
    """The text's shares are those of the tables."""
    text = training_section()
    last = block_memories()[-1]
    share = last.totals[StoragePlan.SHARED_BATCH_NORM] / last.totals[StoragePlan.NAIVE]
    assert f"at {last.layers} layers {100 * share:.1f}% of the naive storage" in text
    shares = [e.words[StoragePlan.SHARED_BATCH_NORM] / e.words[StoragePlan.NAIVE] for e in trained_densenets()]
    assert f"leaves {100 * min(shares):.1f}% to {100 * max(shares):.1f}% of the naive storage" in text


def test_is_the_planner_s_memory_between_its_bounds() -> None:
    """No plan is below the peak of what is alive or above the sum of all maps; here each is the peak."""
    found = peaks()
    assert len({peak.name for peak in found}) == len(found) >= 12
    for peak in found:
        assert peak.peak_words <= peak.planned_words < peak.all_words
        assert peak.is_optimal
    by_name = {peak.name: peak for peak in found}
    assert by_name["vgg16"].peak_words == 2 * 64 * 224 * 224


# --- the report ---------------------------------------------------------------------------------


def test_does_the_mobilenet_text_say_what_the_numbers_say(done: Study, counts: Counts) -> None:
    """Time by kind is that of the records, and the separable layer's share that of its own simulation."""
    text = mobilenet_section(done, counts.mobilenet)
    result = done["MobileNet", LARGE]
    shares = {
        kind: sum(r["cycles"] for r in result.records if r["kind"] == kind) / result.totals["cycles"]
        for kind in ("pointwise", "depthwise")
    }
    assert f"in {100 * shares['pointwise']:.1f}% of the time, depthwise ones" in text
    assert f"in {100 * shares['depthwise']:.1f}%.\n" in text
    whole = done["standard convolution", LARGE].totals["cycles"]
    assert f"takes {100 * done['depthwise separable', LARGE].totals['cycles'] / whole:.1f}% of the time" in text


def test_does_the_page_count_its_verdicts(page: str, counts: Counts) -> None:
    """The summary's numbers are those of the counts, and what is neither reproduced nor explained is named."""
    numbers = [len(found) for found in by_verdict(counts.every).values()]
    assert f"| all | {len(counts.every)} | {' | '.join(map(str, numbers))} |" in page
    for count in counts.every:
        if count.verdict in (Verdict.UNEXPLAINED, Verdict.NOT_COMPUTED):
            assert f"{count.row}, {count.quantity} ({count.printed} {count.unit}" in page
            assert count.remark in page


def test_does_the_page_turn_with_the_numbers(done: Study, counts: Counts) -> None:
    """A published count that is off turns its row, the summary and the findings."""
    first = counts.networks[0]
    wrong = replace(first, counts={name: 2 * value for name, value in first.counts.items()})
    turned = readme(done, replace(counts, networks=[wrong, *counts.networks[1:]]))
    assert f"{first.row}, {first.quantity} ({first.printed} 10⁶, ours" in turned
    line = next(line for line in turned.splitlines() if line.startswith(f"| {first.row} | {first.quantity} |"))
    assert "| **unexplained** |" in line
    numbers = [len(found) for found in by_verdict([wrong, *counts.every[1:]]).values()]
    assert f"| all | {len(counts.every)} | {' | '.join(map(str, numbers))} |" in turned


def test_are_all_files_written(folder: Path, page: str) -> None:
    """Page, a table a section and small pictures, each shown on the page."""
    written = (folder / "README.md").read_text()
    assert written == page
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", written)
    assert len(pictures) == 5
    for name in pictures:
        assert 10_000 < (folder / name).stat().st_size < 300_000
        assert (folder / name).with_suffix(".svg").stat().st_size > 10_000
    rows = {path.name: len(list(csv.DictReader(path.open()))) for path in folder.glob("*.csv")}
    assert rows == {
        "counts.csv": 60,
        "se.csv": 2 * (5 * (4 + 2) + 3 + 2),
        "resnext_forms.csv": 3,
        "resnext_settings.csv": 10,
        "stochastic_depth.csv": 6,
        "densenet_block.csv": len(DEPTHS),
        "densenet_training.csv": 7,
        "peak_memory.csv": 18,
        "mobilenet.csv": 28 + 1 + 3 * 2,
    }


def test_are_the_csv_files_the_numbers(done: Study, counts: Counts) -> None:
    """Counts and SE's parts come out of the CSV as they went in."""
    text = tables(done, counts)
    for row, count in zip(csv.DictReader(io.StringIO(text["counts.csv"])), counts.every, strict=True):
        assert (row["row"], row["published"], row["verdict"]) == (count.row, count.printed, str(count.verdict))
        assert row["ours"] == ("" if count.ours is None else f"{count.ours:.6f}")
    for row, part in zip(csv.DictReader(io.StringIO(text["se.csv"])), all_parts(done), strict=True):
        assert float(row["se_adds_params"]) == part.added["params"]
        assert float(row["se_adds_cycles"]) == part.added["cycles"]


def test_is_the_committed_report_what_the_command_writes(folder: Path) -> None:
    """`accelsim reproduce networks` changes nothing in reports/: its page and tables are up to date."""
    names = {path.name for path in folder.iterdir()}
    assert {path.name for path in REPORT.iterdir()} == names
    texts = [name for name in names if name.endswith((".md", ".csv"))]
    assert [name for name in texts if (folder / name).read_text() != (REPORT / name).read_text()] == []


def test_is_progress_told(monkeypatch: pytest.MonkeyPatch, done: Study) -> None:
    """A caller hears of every simulation of a network, from none of them to all."""
    monkeypatch.setattr(simulations, "simulate", lambda *_: done["MobileNet", LARGE])
    heard: list[tuple[int, int]] = []
    run_study(lambda ready, total: heard.append((ready, total)))
    total = sum(len(machines) for _, _, machines in simulations.jobs().values())
    assert heard == [(number, total) for number in range(total + 1)]


def test_does_every_network_count_come_from_the_table() -> None:
    """Each name in the table of counts is built by a network of the zoo, which has the count's own kind."""
    assert {count.row for count in network_counts()} == set(MODELS)
    assert {count.source for count in network_counts() if count.row.startswith("MobileNet")} == {MOBILENET_PAPER}
