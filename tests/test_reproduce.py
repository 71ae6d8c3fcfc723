"""Does accelsim reproduce the SqueezeNext study (A. Gholami et al., arXiv:1803.10615v2), and is its report true?"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.errors import InputError
from accelsim.hardware.loader import load_hardware
from accelsim.report.comparison import Comparison, Verdict, half_last_digit, mean_difference
from accelsim.report.published import read_published, reading_accuracy_kcycles
from accelsim.report.reproduce import TABLES, reproduce
from accelsim.report.squeezenext import goals, study
from accelsim.report.squeezenext.efficiency import cycles_per_kmac, efficiency_rows
from accelsim.report.squeezenext.readme import differing_fields, readme
from accelsim.report.squeezenext.study import (
    BLOCKS,
    FIGURE6,
    LARGE,
    NETWORKS,
    SMALL,
    TABLE3,
    TABLE4,
    VARIANTS,
    Digits,
    Study,
    figure6,
    figure8,
    figure8_part,
    layer_groups,
    mac_digits,
    parameter_digits,
    pooled_figure6,
    run_study,
    table3_energy,
    table3_time,
    table4_rows,
)
from accelsim.result import Result
from accelsim.workload.loader import load_network

REPORT = Path(__file__).resolve().parent.parent / "reports" / "squeezenext"


@pytest.fixture(scope="module")
def done() -> Study:
    return run_study()


@pytest.fixture(scope="module")
def large(done: Study) -> dict[str, Result]:
    return dict(done.large)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("squeezenext")
    reproduce("squeezenext", target)
    return target


# --- published numbers --------------------------------------------------------------------------


def test_are_relative_times_those_of_table_3(large: dict[str, Result]) -> None:
    """Table 3, 16x16/128KB: every network's time relative to 1.0-SqNxt-23v5 is within 5%, the mean within 3%."""
    judged = [comparison for comparison in table3_time(large) if comparison.row != "1.0-SqNxt-23v5"]
    assert len(judged) == 12
    assert {c.row: c.difference for c in judged if abs(c.difference) > 0.05} == {}
    assert mean_difference(judged) <= 0.03


def test_are_energies_those_of_table_3(large: dict[str, Result]) -> None:
    """Table 3, 16x16/128KB: every network's energy, in MACs, is within 10%, the mean within 6%."""
    judged = table3_energy(large)
    assert len(judged) == 13
    assert {c.row: c.difference for c in judged if abs(c.difference) > 0.10} == {}
    assert mean_difference(judged) <= 0.06


def test_are_totals_and_blocks_those_of_figure_8(large: dict[str, Result]) -> None:
    """Figure 8, 16x16/128KB: total, conv1 and blocks 1 to 3 of v1 to v5 are within 5%."""
    judged = [comparison for comparison in figure8(large) if comparison.row != "others"]
    assert len(judged) == 5 * (1 + len(BLOCKS))
    assert {(c.series, c.row): c.difference for c in judged if abs(c.difference) > 0.05} == {}


def test_are_the_last_layers_those_of_figure_6(large: dict[str, Result]) -> None:
    """What Figure 8 calls others is within 10% of the sum of the same layers in Figure 6 (Figure 8 contradicts it)."""
    base = large["1.0-SqNxt-23"].network
    for variant in VARIANTS:
        bars = [
            bar
            for bar in figure6(large)
            if bar.series == variant and figure8_part(bar.row, base[bar.row].block) == "others"
        ]
        assert len(bars) == 8
        assert sum(bar.ours for bar in bars) == pytest.approx(sum(bar.published for bar in bars), rel=0.10)


def test_are_layers_those_of_figure_6(large: dict[str, Result]) -> None:
    """Figure 6: layers above 10 thousand cycles are within 10% and the figure's reading accuracy; 95% within 10%."""
    bars = [comparison for comparison in figure6(large) if comparison.published > 10]
    assert len(bars) == 139
    assert {(c.series, c.row): c.difference for c in bars if not c.within_reading(0.10)} == {}
    assert sum(c.within(0.10) for c in bars) >= 0.95 * len(bars)


def test_are_layers_those_of_figure_6_where_it_shows_them_often(large: dict[str, Result]) -> None:
    """Figure 6: the mean over all bars of one layer, which averages reading errors out, is within 10%, in all 3.5%."""
    pools = pooled_figure6(figure6(large), large)
    judged = [pool.comparison for pool in pools if max(bar.published for bar in pool.bars) > 10]
    assert sum(len(pool.bars) for pool in pools) == 5 * 42
    assert {c.row: c.difference for c in judged if not c.within(0.10)} == {}
    assert mean_difference(judged) <= 0.035


def test_are_macs_those_of_table_3(large: dict[str, Result]) -> None:
    """Table 3: MACs with one per output element have the printed digits, or those of another version in the table."""
    counted = {digits.model: digits for digits in mac_digits(large)}
    differing = {model: digits.explanation for model, digits in counted.items() if not digits.agrees}
    assert differing == {
        "1.0-SqNxt-23v2": "the count of 1.0-SqNxt-23v4 and 1.0-SqNxt-23v5",
        "1.0-SqNxt-23v3": "the count of 1.0-SqNxt-23v4 and 1.0-SqNxt-23v5",
        "2.0-SqNxt-23v4": "the count of 2.0-SqNxt-23v5",
    }
    assert max(abs(digits.difference) for digits in counted.values()) <= 0.005


def test_are_parameters_those_of_table_3(large: dict[str, Result]) -> None:
    """Table 3: parameters have the printed digits in 7 rows and are within 1.2% in the others, each explained."""
    counted = parameter_digits(large)
    assert sum(digits.agrees for digits in counted) == 7
    assert all(digits.explanation for digits in counted)
    assert max(abs(d.difference) for d in counted if not d.agrees) <= 0.012


@pytest.mark.parametrize("row", table4_rows(), ids=lambda row: row.layer)
def test_are_layers_those_of_table_4(row: study.LayerRow) -> None:
    """Table 4: shape, repeats and thousand MACs, with one per output element, of a layer of 1.0-SqNxt-23."""
    assert row.ours == row.published
    assert round(row.macs_with_outputs / 1e3) == row.published_kmacs


def test_do_table_4s_layers_make_up_table_3s_macs(large: dict[str, Result]) -> None:
    """The rows of Table 4 are all layers of 1.0-SqNxt-23: their MACs are its MACs."""
    rows = table4_rows()
    assert len(rows) == 42
    assert sum(row.macs for row in rows) == large["1.0-SqNxt-23"].totals["macs"]


def test_do_depthwise_layers_cost_what_the_paper_says(large: dict[str, Result]) -> None:
    """MobileNet pays for its depthwise layers: 3% of the MACs, a fifth of the time, all of them bound by DRAM.

    Per MAC it takes about 1.26 times the time of 2.0-SqNxt-23v5 (Table 3: 2.60 / 574 against 2.55 / 708).
    """
    records = large["MobileNet"].records
    depthwise = [record for record in records if record["kind"] == "depthwise"]
    pointwise = [record for record in records if record["kind"] == "pointwise"]
    assert {record["bound"] for record in depthwise} == {"dram"}
    assert cycles_per_kmac(depthwise) > 5 * cycles_per_kmac(pointwise)
    row = next(row for row in efficiency_rows(large) if row["network"] == "MobileNet")
    assert row["depthwise_macs_share"] == pytest.approx(0.0306, abs=1e-4)
    assert row["depthwise_time_share"] > 0.15
    ratio = cycles_per_kmac(records) / cycles_per_kmac(large["2.0-SqNxt-23v5"].records)
    assert ratio == pytest.approx((2.60 / 574) / (2.55 / 708), rel=0.05)


# --- one set of assumptions ---------------------------------------------------------------------


def test_do_the_two_accelerators_differ_in_size_only() -> None:
    """8x8_32KB has the assumptions, energies and dataflows of 16x16_128KB: only array and buffer are smaller."""
    changes = differing_fields(load_hardware(SMALL), load_hardware(LARGE))
    assert changes == {
        "fanouts.array.rows": (8, 16),
        "fanouts.array.cols": (8, 16),
        "memories.GLB.size_kb": (32.0, 128.0),
    }


def test_is_a_changed_assumption_noticed() -> None:
    """A difference in any other field, down to an assumption's text, is reported by its path."""
    other = load_hardware(LARGE, **{"memories.DRAM.latency_cycles": 99, "assumptions.clock_mhz": "because"})
    assert list(differing_fields(other, load_hardware(LARGE))) == [
        "assumptions.clock_mhz",
        "memories.DRAM.latency_cycles",
    ]


# --- what is compared with what -----------------------------------------------------------------


def test_are_the_published_tables_complete() -> None:
    """13 networks, 42 layers, 5 variants; and Figure 6 adds up to Figure 8 within what can be read off them."""
    assert [row["model"] for row in read_published(TABLE3)] == list(NETWORKS)
    layers = read_published(FIGURE6)
    assert [row["layer"] for row in layers] == [row["layer"] for row in read_published(TABLE4)]
    for row in read_published(study.FIGURE8):
        total = float(row["total_kcycles"])
        assert sum(float(layer[f"{row['variant']}_kcycles"]) for layer in layers) == pytest.approx(total, rel=0.02)
        assert sum(float(row[part]) for part in (*BLOCKS, "others")) == pytest.approx(total, abs=8)
    assert (reading_accuracy_kcycles(FIGURE6), reading_accuracy_kcycles(TABLE3)) == (1.5, 0.0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_does_every_layer_have_its_place_in_figure_6(variant: str) -> None:
    """Each layer of a variant is under one name, and repeats are the units of its block but the first."""
    network = load_network(NETWORKS[VARIANTS[variant]])
    groups = layer_groups(network)
    assert Counter(layer.name for group in groups.values() for layer in group) == Counter(
        layer.name for layer in network.array_layers
    )
    units = network.parameters["blocks"]
    repeats = [len(groups[name]) for name in ("conv2", "conv8", "conv39", "conv70", "conv105", "fc1000")]
    assert repeats == [1, units[0] - 1, units[1] - 1, units[2] - 1, 1, 1]
    assert {layer.block.split("/")[0] for layer in groups["conv70"]} == {"block3"}
    # Position in the unit, not name: the first 3x1 or 1x3 filter of a unit of block 1 makes 16 channels of 8.
    assert {(layer.C, layer.K, layer.R * layer.S) for layer in groups["conv10"]} == {(8, 16, 3)}


def test_do_figure_8s_parts_add_up(large: dict[str, Result]) -> None:
    """Our conv1, blocks and others are all of our total."""
    for variant, model in VARIANTS.items():
        ours = {c.row: c.ours for c in figure8(large) if c.series == variant}
        total = ours.pop("total")
        assert sum(ours.values()) == pytest.approx(total)
        assert total == pytest.approx(large[model].totals["cycles"] / 1e3)


# --- verdicts -----------------------------------------------------------------------------------


def comparison(published: float, ours: float, accuracy: float = 0.0) -> Comparison:
    return Comparison(series="v1", row="conv1", published=published, ours=ours, accuracy=accuracy)


@pytest.mark.parametrize(("text", "half"), [("8.26", 0.005), ("1.5E10", 5e8), ("725", 0.5), ("60.9", 0.05)])
def test_is_rounding_half_of_the_last_digit(text: str, half: float) -> None:
    """What a printed number leaves open follows from its digits, an exponent included."""
    assert half_last_digit(text) == pytest.approx(half)


def test_is_a_band_kept_at_its_edge() -> None:
    """A difference equal to the band is inside, of either sign; a little more is not; accuracy widens it."""
    assert comparison(100, 110).within(0.101)
    assert not comparison(100, 110).within(0.099)
    assert not comparison(100, 90).within(0.099)
    assert comparison(10, 12.4, accuracy=1.5).within_reading(0.10)
    assert not comparison(10, 12.6, accuracy=1.5).within_reading(0.10)
    assert not comparison(10, 7.4, accuracy=1.5).within_reading(0.10)


def test_does_a_verdict_need_each_and_the_mean() -> None:
    """One number beyond the band, or a mean beyond its own, is enough to miss a goal."""
    inside = (comparison(100, 104), comparison(100, 96))
    assert Verdict(goal="time", each=0.05, mean=0.045, comparisons=inside).met
    assert not Verdict(goal="time", each=0.05, mean=0.03, comparisons=inside).met
    verdict = Verdict(goal="time", each=0.05, mean=None, comparisons=(*inside, comparison(100, 107)))
    assert not verdict.met
    assert [missed.ours for missed in verdict.missed] == [107]
    assert verdict.largest.ours == 107
    assert verdict.mean_difference == pytest.approx(0.05)


def test_are_differing_digits_explained_only_by_counts_that_give_them() -> None:
    """A second count, another network's, or a cut-off one is named if it fits; else nothing is."""
    counts = {"parameters": 0.7337, "parameters and biases": 0.7394}
    assert Digits(model="a", printed="0.73", counts=counts).explanation == "parameters"
    assert Digits(model="a", printed="0.74", counts=counts).explanation == "parameters and biases"
    assert Digits(model="a", printed="0.80", counts=counts).explanation == ""
    assert Digits(model="a", printed="0.80", counts=counts, elsewhere=("b",)).explanation == "the count of b"
    cut = Digits(model="a", printed="60.9", counts={"parameters": 60.965})
    assert (cut.agrees, cut.explanation) == (False, "parameters, cut off instead of rounded")


# --- the report ---------------------------------------------------------------------------------


def slower(results: dict[str, Result], factor: int) -> dict[str, Result]:
    """The same results with AlexNet's layers a number of times slower."""
    broken = results["AlexNet"]
    layers = tuple(replace(entry, cycles=factor * entry.cycles) for entry in broken.layer_results)
    return {**results, "AlexNet": replace(broken, layer_results=layers)}


def goal_rows(page: str) -> dict[str, str]:
    """Goal -> verdict, from the report's first table."""
    table = page.partition("## Goals\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")][2:]
    return {row[0].strip(): row[-1].strip() for row in rows}


def test_does_the_report_tell_a_wrong_model(done: Study, large: dict[str, Result]) -> None:
    """The verdict on times is met; with one network twice as slow it is not, and the report says which one."""
    assert goal_rows(readme(done))["Table 3, relative time"] == "met"
    page = readme(Study(large=slower(large, 2), small=done.small))
    assert goal_rows(page)["Table 3, relative time"] == "**not met**: 11 of 12 within"
    assert re.search(r"\| Table 3, relative time \| 12 \| 5% \| \+\d+\.\d% \(AlexNet\)", page)


def test_does_the_report_say_which_goals_are_missed(done: Study, large: dict[str, Result]) -> None:
    """Each goal's verdict is that of the numbers, and every bar of Figure 6 beyond its goal is listed."""
    page = readme(done)
    rows = goal_rows(page)
    verdicts = [
        goals.time_verdict(table3_time(large)),
        goals.energy_verdict(table3_energy(large)),
        goals.totals_verdict(figure8(large)),
        goals.blocks_verdict(figure8(large)),
        goals.layers_verdict(figure6(large)),
        goals.others_verdict(figure8(large)),
    ]
    assert {verdict.goal: verdict.met for verdict in verdicts} == {goal: text == "met" for goal, text in rows.items()}
    for missed in verdicts[4].missed:
        assert f"\n| {missed.series} {missed.row} | {missed.published:g} / {missed.ours:.1f} " in page


def test_is_the_report_complete(folder: Path) -> None:
    """Every picture of the page is there, as a small PNG and as SVG, and every CSV file has rows."""
    page = (folder / "README.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", page)
    assert pictures == ["table3.png", "figure8.png", "figure6.png"]
    for name in pictures:
        assert 10_000 < (folder / name).stat().st_size < 300_000
        assert (folder / name).with_suffix(".svg").stat().st_size > 10_000
    rows = {path.name: len(list(csv.DictReader(path.open()))) for path in folder.glob("*.csv")}
    assert rows == {
        "table3_time.csv": 13,
        "table3_energy.csv": 13,
        "table3_parameters.csv": 13,
        "table3_macs.csv": 13,
        "table4.csv": 42,
        "figure6.csv": 5 * 42,
        "figure8.csv": 5 * 6,
        "efficiency.csv": 13,
        "totals.csv": 26,
    }
    assert all(f"| {model} |" in page.partition(f"## {SMALL}")[2] for model in NETWORKS)


def test_are_the_csv_files_the_comparisons(folder: Path, large: dict[str, Result]) -> None:
    """A file's published and computed numbers, and their difference, are those compared."""
    rows = list(csv.DictReader(io.StringIO((folder / "figure8.csv").read_text())))
    for row, expected in zip(rows, figure8(large), strict=True):
        assert (row["series"], row["row"], float(row["published_kcycles"])) == (
            expected.series,
            expected.row,
            expected.published,
        )
        assert float(row["ours_kcycles"]) == pytest.approx(expected.ours, rel=1e-5)
        assert float(row["difference_percent"]) == pytest.approx(100 * expected.difference, abs=0.006)


def test_is_the_committed_report_what_the_command_writes(folder: Path) -> None:
    """`accelsim reproduce squeezenext` changes nothing in reports/: its page and tables are up to date."""
    names = {path.name for path in folder.iterdir()}
    assert {path.name for path in REPORT.iterdir()} == names
    stale = [name for name in names if name.endswith((".md", ".csv")) and differs(folder / name, REPORT / name)]
    assert stale == []


def differs(first: Path, second: Path) -> bool:
    return first.read_text() != second.read_text()


def test_is_an_unknown_table_refused(tmp_path: Path) -> None:
    """A wrong name gets the nearest one and the list of all, and writes nothing."""
    with pytest.raises(InputError, match=r"no published table 'squeezenet'; did you mean 'squeezenext'\?; known are"):
        reproduce("squeezenet", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert all(table.description for table in TABLES.values())


def test_is_an_unwritable_folder_refused_before_simulating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file where the report's folder should be is found out before the first simulation."""

    def simulated(*_: object, **__: object) -> None:
        pytest.fail("simulated")

    monkeypatch.setattr(study, "simulate", simulated)
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="a file is in the way"):
        reproduce("squeezenext", tmp_path / "out")


def test_is_progress_told(monkeypatch: pytest.MonkeyPatch, large: dict[str, Result]) -> None:
    """A caller hears of every simulation, from none of them to all."""
    monkeypatch.setattr(study, "simulate", lambda *_: large["AlexNet"])
    heard: list[tuple[int, int]] = []
    run_study(lambda done, total: heard.append((done, total)))
    assert heard == [(number, 26) for number in range(27)]
