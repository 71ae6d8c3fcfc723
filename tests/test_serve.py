"""Does the live page answer what is asked, at once, and refuse everything else in a sentence?"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from browser import Opened, browser

from accelsim import load_hardware, load_network, simulate
from accelsim.errors import InputError
from accelsim.report.web.jobs import Jobs, Underway
from accelsim.report.web.live import Control, Playground
from accelsim.report.web.serve import LONGEST_QUERY, LiveServer

ASKED = {
    "network": "squeezenext23",
    "hardware": "16x16_128KB",
    "rows": "16",
    "cols": "16",
    "buffer_kib": "128",
    "dram_words_per_cycle": "8",
    "dataflow": "best",
    "objective": "cycles",
    "batch": "1",
}
"""A full request."""


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(Playground("squeezenext23", "16x16_128KB")) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def call(server: LiveServer, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, Any]:
    """Status, headers and decoded body of the answer."""
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=600)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    kind = response.headers["Content-Type"]
    return response.status, response.headers, json.loads(body) if body and "json" in kind else body


def ask(server: LiveServer, **changes: str | None) -> tuple[int, Any]:
    """Status and answer, asked for until it is there, as the page does."""
    status, answer = ask_once(server, **changes)
    while status == 202:
        status, answer = ask_once(server, **changes)
    return status, answer


def ask_once(server: LiveServer, **changes: str | None) -> tuple[int, Any]:
    query = {name: value for name, value in (ASKED | changes).items() if value is not None}
    status, _, answer = call(server, f"/api/simulate?{urlencode(query)}")
    return status, answer


# --- answers ------------------------------------------------------------------------------------


def test_is_the_answer_what_the_simulator_says(server: LiveServer) -> None:
    """Array, buffer, bandwidth, dataflow and width reach the simulator, each of them."""
    changes = {"rows": "8", "cols": "32", "buffer_kib": "64", "dram_words_per_cycle": "4", "dataflow": "ws"}
    status, answer = ask(server, **changes, width="1.5", batch="2", objective="edp")
    assert status == 200
    hardware = load_hardware(
        "16x16_128KB",
        **{
            "fanouts.array.rows": 8,
            "fanouts.array.cols": 32,
            "memories.GLB.size_kb": 64,
            "memories.DRAM.words_per_cycle": 4,
        },
    )
    asked = {"dataflow": "ws", "batch": 2, "objective": "edp"}
    result = simulate(load_network("squeezenext23", width=1.5), hardware, **asked)
    assert answer["row"]["cycles"] == result.totals["cycles"]
    assert answer["result"]["layers"]["cycles"] == [record["cycles"] for record in result.records]
    assert answer["result"]["config"]["fanouts"][0]["cols"] == 32
    assert answer["result"]["hardware"] == ("16x16_128KB (8x32 PEs, 64 KiB, 4 words/cycle, batch 2, ws, edp)")


@pytest.mark.parametrize(
    ("name", "value"),
    [("rows", "8"), ("cols", "8"), ("buffer_kib", "32"), ("dram_words_per_cycle", "2"), ("dataflow", "os"),
     ("objective", "energy"), ("batch", "3"), ("width", "2"), ("hardware", "8x8_32KB"), ("network", "mobilenet")],
)  # fmt: skip
def test_does_every_control_change_the_numbers(server: LiveServer, name: str, value: str) -> None:
    """A control that moves alone moves the cycles, and the answer has a name of its own."""
    _, base = ask(server)
    status, moved = ask(server, **{name: value})
    assert status == 200
    assert base["row"]["cycles"] == simulate("squeezenext23", "16x16_128KB").totals["cycles"]
    if name != "hardware":  # of another accelerator the controls still set array, buffer and bandwidth
        assert moved["row"]["cycles"] != base["row"]["cycles"]
    assert (moved["row"]["network"], moved["row"]["hardware"]) != (base["row"]["network"], base["row"]["hardware"])


def test_does_a_warm_server_answer_at_once(server: LiveServer) -> None:
    """Numbers that were never asked before cost less than a second of all cores, whatever else the machine does."""
    ask(server)
    spent = []
    for rows in (13, 15, 17):
        started = time.process_time()
        status, answer = ask(server, rows=str(rows), buffer_kib=str(90 + rows))
        spent.append(time.process_time() - started)
        assert status == 200
        assert answer["seconds"] > 0
    assert min(spent) < 1.0


def test_is_long_work_told_in_time_and_shared() -> None:
    """A request comes back with how far the work is; the next ones wait for the same work, and get its answer."""
    go, started = threading.Event(), []
    jobs = Jobs(patience=0.05)

    def work(progress: Any) -> str:
        started.append(1)
        progress(3, 8)
        go.wait(60)
        return "done"

    first = jobs.ask("question", work)
    assert (first.done, first.of) == (3, 8)
    quick = jobs.ask("other", lambda progress: "quick", "other lane")
    assert quick == "quick"
    go.set()
    while isinstance(answer := jobs.ask("question", work), Underway):
        pass
    assert (answer, len(started)) == ("done", 1)


def test_is_work_that_nobody_asks_for_given_up() -> None:
    """It ends at its next step, makes room for what waits behind it, and starts again when it is asked for again."""
    steps, ended = [], threading.Event()
    jobs = Jobs(patience=0.02, forgotten=0.1)

    def work(progress: Any) -> str:
        try:
            for step in range(3000):
                progress(step, 3000)
                steps.append(step)
                time.sleep(0.01)
        finally:
            ended.set()
        return "never"

    assert isinstance(jobs.ask("long", work), Underway)
    while isinstance(answer := jobs.ask("next", lambda progress: "next"), Underway):
        pass
    assert answer == "next"
    assert ended.is_set()
    assert len(steps) < 3000
    while isinstance(answer := jobs.ask("long", lambda progress: "again"), Underway):
        pass
    assert answer == "again"


def test_does_what_goes_wrong_in_work_reach_who_asks() -> None:
    """An error in the work is raised where it is asked for, each time."""
    jobs = Jobs(patience=60)

    def work(progress: Any) -> str:
        raise InputError("no such thing")

    for _ in range(2):
        with pytest.raises(InputError, match="no such thing"):
            jobs.ask("question", work)


def test_does_a_search_over_many_levels_answer_with_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose mapping must be searched the server answers 202 at once, later 200 with the result."""
    go, result = threading.Event(), simulate("squeezenext23", "16x16_128KB")

    def slow(*arguments: Any, progress: Any, **options: Any) -> Any:
        progress(1, 36)
        go.wait(60)
        return result

    playground = Playground("squeezenext23", "16x16_128KB")
    monkeypatch.setattr("accelsim.report.web.live.simulate", slow)
    monkeypatch.setattr(playground, "_jobs", Jobs(patience=0.2))
    with LiveServer(playground) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        status, answer = ask_once(other, rows="9")
        assert (status, answer["done"], answer["of"]) == (202, 1, 36)
        go.set()
        status, answer = ask(other, rows="9")
        other.shutdown()
    assert status == 200
    assert answer["row"]["cycles"] == result.totals["cycles"]


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": "0"}, "rows: expected a whole number from 1 to 256, got '0'"),
        ({"rows": "16.5"}, "rows: expected a whole number from 1 to 256, got '16.5'"),
        ({"rows": "many"}, "rows: expected a number, got 'many'"),
        ({"rows": ""}, "rows: expected a number, got ''"),
        ({"rows": None}, "rows: is missing"),
        ({"cols": "1e9"}, "cols: expected a whole number from 1 to 256"),
        ({"buffer_kib": "nan"}, "buffer_kib: expected a number from 0.0625 to 16384, got 'nan'"),
        ({"buffer_kib": "inf"}, "buffer_kib: expected a number from 0.0625 to 16384, got 'inf'"),
        ({"dram_words_per_cycle": "-8"}, "dram_words_per_cycle: expected a number from 0.125 to 1024, got '-8'"),
        ({"network": "squeezenxt23"}, "did you mean 'squeezenext23'"),
        ({"network": "../../etc/passwd"}, "network: '../../etc/passwd' is not one of those to choose from"),
        ({"network": "/etc/hostname.yaml"}, "is not one of those to choose from"),
        ({"hardware": "hwconfigs/8x8_32KB.yaml"}, "hardware: 'hwconfigs/8x8_32KB.yaml' is not one of those"),
        ({"dataflow": "rs"}, "has no dataflow 'rs'"),
        ({"objective": "speed"}, "objective: 'speed' is not one of those to choose from"),
        ({"width": "2", "network": "resnet50"}, "has no parameter 'width'"),
        ({"fields": "1"}, "unknown parameter 'fields'; known are network, "),
    ],
)
def test_is_a_malformed_request_refused_in_a_sentence(
    server: LiveServer, changes: dict[str, str | None], sentence: str
) -> None:
    """Whatever is wrong with a parameter comes back as 400 and one sentence that names it."""
    status, answer = ask(server, **changes)
    assert status == 400, answer
    assert list(answer) == ["error"]
    assert sentence in answer["error"]
    assert "\n" not in answer["error"]


def test_is_a_buffer_too_small_for_a_layer_told() -> None:
    """Where no mapping exists the answer is 422 and names layer, memory and words."""
    with LiveServer(Playground("squeezenext23", "16x16_128KB")) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        status, answer = ask(other, buffer_kib="0.0625", network="alexnet")
        other.shutdown()
    assert status == 422
    assert "GLB" in answer["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/etc/passwd", 404),
        ("/../../etc/passwd", 404),
        ("/static/page.css", 404),
        ("/api/simulate", 400),
        ("/api/simulate?rows", 400),
        ("/api/simulate?%ff=%ff", 400),
        ("/api/simulate?" + "&".join(f"a{n}=1" for n in range(40)), 400),
        ("/api/simulate?rows=1&rows=2", 400),
        ("/api/simulate?rows=" + "1" * LONGEST_QUERY, 414),
        ("/" + "x" * 70_000, 414),
    ],
)
def test_is_nothing_else_served(server: LiveServer, path: str, status: int) -> None:
    """Other addresses do not exist, and queries that are none are refused with a sentence."""
    found, headers, answer = call(server, path)
    assert found == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert isinstance(answer["error"], str)
    assert len(answer["error"]) > 10


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_is_only_get_allowed(server: LiveServer, method: str) -> None:
    """Any other method is answered with 405 and what to use."""
    status, headers, answer = call(server, "/api/simulate?x=1", method)
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"
    assert answer == {"error": f"{method} is not allowed; use GET"}


def test_are_other_hosts_names_refused(server: LiveServer) -> None:
    """A page elsewhere that points a name of its own at this machine gets nothing; localhost and numbers of it do."""
    port = server.server_address[1]
    for host, status in (
        ("attacker.example", 403),
        (f"attacker.example:{port}", 403),
        ("", 403),
        ("8.8.8.8", 403),
        (f"localhost:{port}", 200),
        (f"127.0.0.1:{port}", 200),
        ("[::1]", 200),
    ):
        assert call(server, "/", Host=host)[0] == status, host


def test_does_rubbish_get_a_400_and_the_server_go_on(server: LiveServer) -> None:
    """Bytes that are no request are answered with 400, and the next request is served."""
    with socket.create_connection(server.server_address[:2], timeout=120) as connection:
        connection.sendall(b"\x16\x03\x01 this is not HTTP at all\r\n\r\n")
        assert b"400" in connection.recv(4096).split(b"\r\n")[0]
    assert ask(server)[0] == 200


def test_is_the_server_bound_to_loopback_and_a_taken_port_told(server: LiveServer) -> None:
    """By default nothing but this machine can reach it; a port that is taken is one sentence."""
    host, port = server.server_address[:2]
    assert host == "127.0.0.1"
    with pytest.raises(InputError, match=rf"^cannot serve on 127\.0\.0\.1:{port}: address already in use$"):
        LiveServer(server.playground, "127.0.0.1", port)
    with pytest.raises(InputError, match=r"^cannot serve on 203\.0\.113\.1:0: "):
        LiveServer(server.playground, "203.0.113.1")


def test_does_a_control_read_what_it_allows() -> None:
    """Numbers become numbers, whole ones integers, choices stay, and what may be left out is None."""
    whole = Control(name="rows", title="rows", help=".", least=1, most=8, whole=True)
    assert whole.read("8.0") == 8
    assert isinstance(whole.read("8"), int)
    assert Control(name="x", title="x", help=".", least=0, most=1).read("0.25") == 0.25
    assert Control(name="x", title="x", help=".", choices=("a", "b")).read("b") == "b"
    assert Control(name="x", title="x", help=".", least=0, most=1, optional=True).read("") is None


# --- in a browser -------------------------------------------------------------------------------


def test_does_the_page_follow_a_control(server: LiveServer) -> None:
    """A change of the array changes cards and tables to the simulator's numbers; a kept answer stays to compare."""
    with browser() as chromium:
        opened = Opened(chromium, server.address, viewport={"width": 1400, "height": 1000})
        page = opened.page
        first = simulate("squeezenext23", "16x16_128KB").totals["cycles"]
        assert f"{first:,} cycles" in opened.texts("#cards .card")[0]
        page.click("#pin")
        started = time.perf_counter()
        page.fill("#controls [name=rows]", "8")
        page.wait_for_selector("#answer:has-text('answered')")
        waited = time.perf_counter() - started
        hardware = load_hardware("16x16_128KB", **{"fanouts.array.rows": 8})
        result = simulate("squeezenext23", hardware)
        assert f"{result.totals['cycles']:,} cycles" in opened.texts("#cards .card")[0]
        assert opened.texts("#summary tbody td:nth-child(2)") == ["16x16_128KB", "16x16_128KB (8x16 PEs)"]
        relative = opened.texts("#summary tbody tr:nth-child(2) td:nth-child(7)")
        assert relative == [f"{result.totals['cycles'] / first:.2f}"]
        cycles = [int(text.replace(",", "")) for text in opened.texts("#table tbody td:nth-child(6)")]
        assert cycles == [record["cycles"] for record in result.records]
        assert float(re.findall(r"[\d.]+", opened.texts("#answer")[0])[0]) <= waited
        page.select_option("#controls [name=hardware]", "8x8_32KB")
        page.wait_for_selector("#subtitle:has-text('on 8x8_32KB, live')")
        assert page.input_value("#controls [name=buffer_kib]") == "32"
        page.fill("#controls [name=width]", "3")
        page.select_option("#controls [name=network]", "resnet50")
        page.wait_for_selector("#problem:not([hidden])")
        assert "has no parameter 'width'" in opened.texts("#problem")[0]
        assert [text for text in opened.complaints if "400" not in text] == []  # the browser itself logs the 400
        opened.context.close()
