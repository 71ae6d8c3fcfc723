"""Is the page to share right, complete, and usable in a browser?"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from browser import Opened, browser

from accelsim import load_hardware, load_network, simulate
from accelsim.errors import MissingExtraError
from accelsim.lowering import lower_layer
from accelsim.report.occupancy import buffer_fills
from accelsim.report.pareto import pareto_marks
from accelsim.report.tables import COMPARISON_COLUMNS
from accelsim.report.web import page as page_module
from accelsim.report.web.data import layer_table_columns, page_data
from accelsim.report.web.page import report_html
from accelsim.result import COLUMNS, Result
from accelsim.simulation import compare

NETWORKS = ("squeezenext23", "mobilenet")
MACHINES = ("16x16_128KB", "8x8_32KB")
COMMAND = 'accelsim report <b>&amp; it\'s "quoted"</b>'


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return compare(NETWORKS, MACHINES)


@pytest.fixture(scope="module")
def html(results: list[Result]) -> str:
    return report_html(results, command=COMMAND)


@pytest.fixture(scope="module")
def address(html: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as instance:
        yield instance


def unpacked(html: str, name: str) -> bytes:
    found = re.search(rf'<script type="application/gzip" id="{name}">([A-Za-z0-9+/=]+)</script>', html)
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1]))


# --- what is in it ------------------------------------------------------------------------------


def test_does_the_page_hold_the_results(html: str, results: list[Result]) -> None:
    """Unpacked, the data has every layer's cycles, energy and bound as the results have them, and every column."""
    data = json.loads(unpacked(html, "data"))
    assert [(entry["network"], entry["hardware"]) for entry in data["results"]] == [
        (result.network.name, result.hardware.name) for result in results
    ]
    for entry, result in zip(data["results"], results, strict=True):
        assert list(entry["layers"]) == list(layer_table_columns())
        for column in ("layer", "cycles", "bound", "macs", "dram_read_words"):
            assert entry["layers"][column] == [record[column] for record in result.records]
        assert entry["layers"]["energy"] == pytest.approx([record["energy"] for record in result.records], rel=1e-6)


def test_is_every_column_and_metric_defined(results: list[Result]) -> None:
    """Whatever is shown has a definition, and what has a dimension a unit; the parts of a bar are columns."""
    data = page_data(results)
    described = [*data["columns"].values(), *data["totals"].values(), *data["roofline"].values(), *data["metrics"]]
    assert all(len(entry["help"]) > 3 and entry["help"].endswith(".") for entry in described)
    assert set(COLUMNS) < set(data["columns"])
    for metric in data["metrics"]:
        assert set(metric["parts"]) <= set(data["columns"])
        assert metric["parts"] or metric["key"] in data["columns"]
        assert metric["unit"] or metric["key"] == "utilization"
    assert all(list(row) == list(data["rows"][0]) and set(COMPARISON_COLUMNS) <= set(row) for row in data["rows"])


def test_do_the_parts_of_a_bar_add_up_to_the_metric(results: list[Result]) -> None:
    """Time, energy and traffic are the sums of what is stacked, layer by layer."""
    data = page_data(results)
    for entry in data["results"]:
        layers = {name: np.array(values, dtype=object) for name, values in entry["layers"].items()}
        layers["dram_words"] = layers["dram_read_words"] + layers["dram_write_words"]
        layers["glb_words"] = layers["glb_read_words"] + layers["glb_write_words"]
        for metric in data["metrics"]:
            if metric["parts"]:
                total = sum(layers[part] for part in metric["parts"])
                assert list(total) == pytest.approx(list(layers[metric["key"]]), rel=1e-5), metric["key"]


def test_is_the_page_one_file_that_loads_nothing(html: str) -> None:
    """No element has an address of another file, the policy allows none, and the page is below 6 MB."""
    body = html.replace(re.search(r'id="library">[^<]*<', html)[0], "")  # type: ignore[index]
    assert not re.search(r"""(?:src|href|action)\s*=|@import|url\(""", body)
    assert "default-src &#39;none&#39;" in html
    assert "connect-src &#39;none&#39;" in html
    assert len(html.encode()) < 6_000_000


def test_is_what_the_user_typed_escaped(html: str) -> None:
    """A command with HTML in it is shown as it was typed."""
    assert "<b>&amp; it" not in html
    assert "&lt;b&gt;&amp;amp; it&#39;s &#34;quoted&#34;&lt;/b&gt;" in html


def test_is_the_same_page_the_same_bytes(results: list[Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the time of writing, the same results give the same page."""
    monkeypatch.setattr(page_module, "versions", lambda: {"accelsim": "1", "written_utc": "", "python": "", "packages": {}, "implementation": "", "platform": ""})  # fmt: skip  # noqa: E501
    assert report_html(results[:1]) == report_html(results[:1])


def test_is_a_missing_package_named(results: list[Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without plotly or Jinja2 the error says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"Jinja2.*pip install 'accelsim\[report\]'"):
        report_html(results[:1])
    monkeypatch.setattr(page_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"plotly.*pip install 'accelsim\[report\]'"):
        report_html(results[:1])


@pytest.mark.parametrize("network", ["squeezenext23", "mobilenet", "alexnet"])
@pytest.mark.parametrize("machine", MACHINES)
def test_do_buffer_pictures_show_what_the_mapper_reckoned(network: str, machine: str) -> None:
    """Words by operand are those of the mapper's own rule, and never more than the buffer holds."""
    from accelsim.mapping.kernels import buffer_need

    hardware = load_hardware(machine)
    for entry in simulate(network, machine).layer_results:
        (fill,) = buffer_fills(entry, hardware)
        arrays, tile = lower_layer(entry.layer), np.array(entry.mapping.tile, dtype=np.int64)
        counts = -(-arrays.dims // tile)
        assert list(fill.words.values()) == list(buffer_need(tile, counts, arrays)), entry.layer.name
        assert fill.capacity_words is not None
        assert sum(fill.words.values()) <= fill.capacity_words


def test_are_pareto_marks_those_of_a_plain_search() -> None:
    """A network is marked exactly if no other on its accelerator is as good in accuracy and cost and better in one."""
    rng = np.random.default_rng(5)
    rows: list[dict[str, Any]] = [
        {
            "hardware": f"hw{rng.integers(2)}",
            "top1_percent": None if rng.random() < 0.2 else float(rng.integers(50, 58)),
            "time_ms": float(rng.integers(1, 9)),
            "energy": float(rng.integers(1, 9)),
        }
        for _ in range(60)
    ]
    for row, mark in zip(rows, pareto_marks(rows), strict=True):
        for cost, key in (("time", "time_ms"), ("energy", "energy")):
            beaten = row["top1_percent"] is None or any(
                other["hardware"] == row["hardware"]
                and other["top1_percent"] is not None
                and other["top1_percent"] >= row["top1_percent"]
                and other[key] <= row[key]
                and (other["top1_percent"], -other[key]) != (row["top1_percent"], -row[key])
                for other in rows
            )
            assert (cost in mark.split()) is not beaten


# --- in a browser -------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_does_the_page_load_without_a_complaint(chromium: Any, address: str, width: int, scheme: str) -> None:
    """No error in the console, no request but the file itself, all charts drawn, nothing wider than the screen."""
    opened = Opened(chromium, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("data:", "blob:"))] == [address]
    for chart in ("totals", "accuracy", "layer", "share", "roofline"):
        assert opened.count(f"#{chart}-chart .main-svg") >= 1, chart
    assert opened.count("#layer-chart .bars .point path") >= 36
    assert opened.count("#roofline-chart .scatterlayer .point") == 36
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is (scheme == "light")
    opened.context.close()


def test_does_the_table_sort_and_filter(chromium: Any, address: str, results: list[Result]) -> None:
    """A click on a heading sorts by it, a second one turns it round, a third restores; filters leave what they say."""
    opened = Opened(chromium, address)
    cycles = [record["cycles"] for record in results[0].records]

    def shown() -> list[int]:
        return [int(text.replace(",", "")) for text in opened.texts("#table tbody td:nth-child(6)")]

    heading = "#table th[data-column=cycles] button"
    assert shown() == cycles
    opened.page.click(heading)
    assert shown() == sorted(cycles, reverse=True)
    assert opened.page.get_attribute("#table th[data-column=cycles]", "aria-sort") == "descending"
    opened.page.click(heading)
    assert shown() == sorted(cycles)
    opened.page.click(heading)
    assert shown() == cycles
    title = opened.page.get_attribute(heading, "title")
    assert title == f"cycles [cycles]: {COLUMNS['cycles'].help}"
    opened.page.select_option("#filter-kind", "linear")
    assert opened.texts("#table tbody td:nth-child(1)") == ["fc1000"]
    opened.page.select_option("#filter-kind", "")
    opened.page.fill("#find", "standard compute")
    wanted = [r["layer"] for r in results[0].records if r["kind"] == "standard" and r["bound"] == "compute"]
    assert opened.texts("#table tbody td:nth-child(1)") == wanted
    assert opened.texts("#shown")[0].startswith(f"{len(wanted)} of 112 layers")
    opened.context.close()


def test_does_a_layer_open_with_its_loop_nest(chromium: Any, address: str, results: list[Result]) -> None:
    """A click on a row, on a bar and on a point opens the layer: nest, buffers, all its numbers with their units."""
    opened = Opened(chromium, address)
    opened.page.click("#table tbody tr:nth-child(1) button")
    assert opened.texts("#layer-title")[0].startswith("conv1: standard 3->64")
    assert opened.texts("#layer pre")[0] == str(results[0]["conv1"].mapping)
    (fill,) = buffer_fills(results[0]["conv1"], results[0].hardware)
    assert f"{max(fill.words.values()):,} words" in opened.texts("#layer .fill")[0]
    numbers = opened.texts("#layer .facts div")
    assert f"cycles\n{results[0].records[0]['cycles']:,} cycles" in numbers
    assert opened.page.get_attribute("#layer .facts div:has-text('stall cycles')", "title").endswith(
        COLUMNS["stall_cycles"].help
    )
    opened.page.click("#layer-next")
    assert opened.texts("#layer-title")[0].startswith("conv2:")
    opened.page.click("#layer-close")
    for mark in ("#layer-chart .bars .point path", "#roofline-chart .scatterlayer .point"):
        opened.click_middle(mark)
        opened.page.wait_for_selector("#layer[open]")
        opened.page.keyboard.press("Escape")
    opened.context.close()


def test_do_the_switches_switch(chromium: Any, address: str, results: list[Result]) -> None:
    """Network, accelerator, metric and grouping change what is drawn, to the chosen result's own numbers."""
    opened = Opened(chromium, address)

    def title() -> str:
        return opened.texts("#layer-chart .ytitle")[0]

    opened.page.select_option("#network", "mobilenet")
    opened.page.select_option("#hardware", "8x8_32KB")
    chosen = next(r for r in results if (r.network.name, r.hardware.name) == ("mobilenet", "8x8_32KB"))
    assert opened.count("#table tbody tr") == len(chosen.records)
    assert f"{chosen.totals['cycles']:,} cycles" in opened.texts("#cards .card")[0]
    assert title() == "time (cycles)"
    opened.page.select_option("#metric", "energy")
    assert title() == "energy (MAC energies)"
    assert COLUMNS["energy"].help in opened.texts("#metric-help")[0]
    before = opened.count("#layer-chart .bars .point path")
    opened.page.uncheck("#grouped")
    assert opened.count("#layer-chart .bars .point path") > before
    opened.page.select_option("#level", "buffer")
    assert opened.texts("#roofline-chart .xtitle")[0] == "MACs per byte between buffer and array"
    assert opened.complaints == []
    opened.context.close()


def test_has_everything_on_the_page_its_unit_and_tooltip(chromium: Any, address: str, results: list[Result]) -> None:
    """Headings carry unit and definition, in every table with all columns shown; so does every metric's chart."""
    opened = Opened(chromium, address)
    opened.page.evaluate("document.querySelectorAll('#columns input:not(:checked)').forEach((box) => box.click())")
    data = page_data(results)
    for table, described in (("table", data["columns"]), ("summary", data["totals"])):
        tips = opened.page.locator(f"#{table} thead button").evaluate_all("all => all.map((one) => one.title)")
        assert len(tips) == len(described), table
        for tip, (name, column) in zip(sorted(tips), sorted(described.items()), strict=True):
            unit = column["unit"].replace("energy unit", "MAC energies")
            assert tip == f"{name}{f' [{unit}]' if unit else ''}: {column['help']}"
    for metric in data["metrics"]:
        opened.page.select_option("#metric", metric["key"])
        assert metric["help"] in opened.texts("#metric-help")[0]
        assert re.search(r"\(.+\)$", opened.texts("#layer-chart .ytitle")[0]), metric["key"]
    assert opened.complaints == []
    opened.context.close()


def test_do_energies_of_different_units_stay_apart(chromium: Any, results: list[Result], tmp_path: Path) -> None:
    """Accelerators that count in another unit than the chosen one are not on its axis, and named beside it."""
    first = next(r for r in results if r.hardware.name == "16x16_128KB")
    other = msgspec.structs.replace(first.hardware, name="in_pj", energy_unit="pJ")
    path = tmp_path / "units.html"
    path.write_text(report_html([first, replace(first, hardware=other)]), encoding="utf-8")
    opened = Opened(chromium, path.as_uri())
    opened.page.select_option("#total-metric", "energy")
    assert opened.texts("#totals-chart .ytitle")[0] == "energy (MAC energies)"
    assert opened.count("#totals-chart .bars .point path") == 1
    assert opened.texts("#totals-note")[0].endswith("in_pj")
    opened.page.select_option("#hardware", "in_pj")
    assert opened.texts("#totals-chart .ytitle")[0] == "energy (pJ)"
    assert opened.texts("#totals-note")[0].endswith("16x16_128KB")
    opened.page.select_option("#total-metric", "cycles")
    assert opened.count("#totals-chart .bars .point path") == 2
    assert opened.texts("#totals-note")[0] == ""
    assert opened.complaints == []
    opened.context.close()


def test_does_the_page_print_in_light_colours_on_a_sheet(chromium: Any, address: str) -> None:
    """Printed, even a dark page is light, its charts fit the sheet and the table is whole; then all is as before."""
    opened = Opened(chromium, address, color_scheme="dark", viewport={"width": 1400, "height": 900})
    opened.page.emulate_media(media="print", color_scheme="dark")
    opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    widths = "all => all.map(one => one.getBoundingClientRect().width)"
    assert max(opened.page.eval_on_selector_all(".chart .main-svg", widths)) <= 700
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    table = "(one => [one.scrollHeight, one.clientHeight])(document.querySelector('.limited'))"
    content, visible = opened.page.evaluate(table)
    assert content <= visible + 1
    opened.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    opened.page.emulate_media(media="screen", color_scheme="dark")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert max(opened.page.eval_on_selector_all("#layer-chart .main-svg", widths)) > 1000
    opened.context.close()


def test_is_a_four_layer_network_drawn_too(chromium: Any, tmp_path: Path) -> None:
    """A small network on one accelerator, without published accuracy, shows all but the picture of accuracies."""
    (tmp_path / "four.yaml").write_text(
        "name: four\ninput: [3, 32, 32]\nlayers:\n"
        + "".join(f"  - {{name: c{n}, op: conv, out_channels: {8 * n}, kernel: 3, padding: 1}}\n" for n in (1, 2, 4, 8))
    )
    result = simulate(load_network(tmp_path / "four.yaml"), "8x8_32KB")
    (tmp_path / "page.html").write_text(report_html([result]))
    opened = Opened(chromium, (tmp_path / "page.html").as_uri())
    assert opened.complaints == []
    assert opened.count("#table tbody tr") == 4
    assert not opened.page.is_visible("#accuracy-figure")
    opened.context.close()
