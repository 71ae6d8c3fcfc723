"""How soon the live page answers a change of each control: processor and wall time of what was never asked before.

python benchmarks/serve_controls.py [NETWORK] [--hw HW]   a server of its own, an empty cache, and every control in turn
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

REPEATS = 5
"""Values tried of every control and objective."""

OBJECTIVES = ("cycles", "energy", "edp")


class Server:
    """A server in a process of its own."""

    def __init__(self, network: str, hardware: str, folder: str) -> None:
        command = [sys.executable, "-m", "accelsim.cli", "serve", network, "--hw", hardware, "--port", "0"]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ | {"ACCELSIM_CACHE_DIR": folder}
        )
        assert self.process.stderr is not None
        address = next(filter(None, (re.search(r"serving (http://\S+)", line) for line in self.process.stderr)))
        self.host = urlsplit(address.group(1)).netloc

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait()

    def cpu_seconds(self) -> float:
        """Return the processor time of the server so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str) -> bytes:
        """Return the body of an answer."""
        connection = http.client.HTTPConnection(self.host, timeout=600)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        if response.status == HTTPStatus.ACCEPTED:
            return self.get(path)  # the answer takes longer than the server's patience
        if response.status != HTTPStatus.OK:
            raise SystemExit(f"{path}: {response.status} {body[:200]!r}")
        return body

    def ask(self, query: dict[str, Any]) -> tuple[float, float, int]:
        """Return wall seconds, processor seconds, and bytes of an answer."""
        cpu, wall = self.cpu_seconds(), time.perf_counter()
        body = self.get(f"/api/simulate?{urlencode(query)}")
        return time.perf_counter() - wall, self.cpu_seconds() - cpu, len(body)

    def controls(self) -> dict[str, str]:
        """Return what the page's controls are set to at first."""
        page = self.get("/").decode()
        form = page[page.index('id="controls"') : page.index("</form>")]
        values = dict(re.findall(r'<input type="number" name="(\w+)" value="([^"]*)"', form))
        for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form, re.DOTALL):
            chosen = re.search(r"<option selected>([^<]*)", options)
            assert chosen is not None
            values[name] = chosen.group(1)
        return {name: value for name, value in values.items() if value}


def changes(control: str, generator: random.Random) -> dict[str, Any]:
    """Return a value of a control that nobody has asked for."""
    fraction = generator.random()
    numbers = {
        "rows": lambda: {"rows": generator.randint(4, 64)},
        "cols": lambda: {"cols": generator.randint(4, 64)},
        "buffer_kib": lambda: {"buffer_kib": round(16 * 2 ** (6 * fraction), 3)},
        "dram_words_per_cycle": lambda: {"dram_words_per_cycle": round(2 ** (6 * fraction), 3)},
        "width": lambda: {"width": round(0.5 + 1.5 * fraction, 3)},
        "batch": lambda: {"batch": generator.randint(2, 16)},
    }
    # A choice has few values: another number beside it makes the question new.
    return numbers[control]() if control in numbers else {"buffer_kib": round(96 + 64 * fraction, 3)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network", nargs="?", default="squeezenext23")
    parser.add_argument("--hw", default="16x16_128KB")
    parser.add_argument("--dataflows", nargs="*", default=["ws", "os"])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    chosen = parser.parse_args()
    generator = random.Random(1)
    with tempfile.TemporaryDirectory() as folder, Server(chosen.network, chosen.hw, folder) as server:
        base = server.controls()
        server.ask(base)
        print(f"{'control':<24}{'objective':<11}{'wall ms: median':>16}{'worst':>8}{'cpu ms: median':>16}{'worst':>8}")
        numbers = [name for name in base if re.fullmatch(r"[\d.]+", base[name])] + ["width"]
        cases = [(name, {}) for name in numbers] + [
            (f"dataflow {flow}", {"dataflow": flow}) for flow in chosen.dataflows
        ]
        worst = 0.0
        for objective in OBJECTIVES:
            for name, fixed in cases:
                asked = [
                    server.ask(base | {"objective": objective} | changes(name, generator) | fixed)
                    for _ in range(chosen.repeats)
                ]
                wall, cpu = ([1e3 * entry[place] for entry in asked] for place in (0, 1))
                worst = max(worst, *wall)
                print(
                    f"{name:<24}{objective:<11}{statistics.median(wall):>16.0f}{max(wall):>8.0f}"
                    f"{statistics.median(cpu):>16.0f}{max(cpu):>8.0f}",
                    flush=True,
                )
        print(json.dumps({"network": chosen.network, "hardware": chosen.hw, "worst_wall_ms": round(worst)}))


if __name__ == "__main__":
    main()
