"""Are layers too large to be mapped refused by one sentence before a kernel runs, and those just below it mapped?"""

import pytest

from accelsim.cli import main
from accelsim.engine.analytical import question
from accelsim.engine.tensors import MAX_EXECUTED_WORDS, check_executable
from accelsim.errors import WorkloadError
from accelsim.hardware.loader import load_hardware
from accelsim.lowering import MAX_SEARCHED_SIZE, MAX_TILINGS, check_size, lower_layer, lower_machine, tile_candidates
from accelsim.simulation import solve_one
from accelsim.workload.layer import Layer, Op, Shape

REFERENCE = "16x16_128KB"
MACHINES = (REFERENCE, "ref16")


def linear(inputs: int, outputs: int, batch: int = 1) -> Layer:
    """Return a linear layer."""
    return Layer(name="fc", op=Op.LINEAR, N=batch, K=outputs, C=inputs, input_shapes=(Shape(inputs, 1, 1),))


LARGEST = {REFERENCE: "16777216 (2^24)", "ref16": "131072 (2^17)"}
"""The largest dim that is searched, as it is told."""

TOO_LARGE = {
    "dim": (linear(4, 10**9), "layer fc: its dim K is 1000000000, at most {largest} can be searched"),
    "beyond a machine word": (linear(4, 10**40), "layer fc: its dim K is 1e+40, at most {largest}"),
    "beyond a float": (linear(4, 10**400), "layer fc: its dim K is more than 10^300, at most {largest}"),
    "product": (
        linear(2**17, 2**17, 2**17),
        "layer fc: its number of MACs is 2.25e+15, at most 1125899906842624 (2^50) can be searched",
    ),
    "image": (
        Layer.conv("c", 1, 1, (2**30, 4), stride=(2**20, 1)),
        "layer c: its input height is 1073741824, at most 16777216 (2^24)",
    ),
    "padding": (
        Layer.conv("c", 1, 1, 8, padding=(2**30, 0), stride=(2**20, 1)),
        "layer c: its padding is 1073741824, at most 16777216 (2^24)",
    ),
    "outputs and taps": (
        Layer.conv("c", 1, 1, (2**16, 1), kernel=(2**10, 1)),
        "layer c: its P x R is 66061312, at most 16777216 (2^24)",
    ),
    "taps": (Layer.conv("c", 1, 1, 2**10, kernel=2**10), "layer c: its R x S is 1048576, at most 65536 (2^16)"),
    "words that move": (
        Layer.conv("c", 2**10, 2**12, 2**20, stride=2**10),
        "layer c: its number of words that a mapping may move is 4.62e+18, at most 1152921504606846976 (2^60)",
    ),
}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("case", TOO_LARGE)
def test_is_a_layer_that_is_too_large_refused(case, machine):
    """The layer, what is too large, how large it is, and how large it may be; on both kinds of machines."""
    layer, expected = TOO_LARGE[case]
    with pytest.raises(WorkloadError) as refused:
        solve_one(layer, load_hardware(machine))
    assert str(refused.value).startswith(expected.format(largest=LARGEST[machine]))
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("size", [MAX_SEARCHED_SIZE, MAX_SEARCHED_SIZE + 1])
def test_is_the_limit_of_a_dim_exact(size):
    """The largest dim is taken, one more is not."""
    if size > MAX_SEARCHED_SIZE:
        with pytest.raises(WorkloadError, match=f"dim K is {size}"):
            check_size(linear(1, size))
    else:
        assert question(linear(1, size), load_hardware(REFERENCE), "ws", "cycles")


def test_is_the_largest_dim_mapped():
    """In seconds, with every weight moved once."""
    result = solve_one(linear(16, MAX_SEARCHED_SIZE), load_hardware(REFERENCE))
    assert result.cycles > result.layer.weights / 16
    assert result.counts.min() >= 0


def test_are_too_many_tilings_refused():
    """Before a bound is kept for each: a product of dims within the limits may have a hundred million."""
    layer = Layer.conv("c", 2**16, 2**16, 2**9, groups=2**8, batch=2**8)
    hardware = load_hardware(REFERENCE)
    with pytest.raises(WorkloadError, match=rf"tilings of its dims .*, at most {MAX_TILINGS} \(2\^26\) can be"):
        tile_candidates(lower_layer(layer), lower_machine(hardware, "os", layer))
    with pytest.raises(WorkloadError, match=r"^layer c: \d+ tilings"):
        solve_one(layer, hardware, dataflow="os")


def test_is_a_layer_too_large_to_execute_refused():
    """Its real numbers would not fit memory, or take days; the closed form has no such limit."""
    check_size(linear(2**15, 2**15))
    with pytest.raises(WorkloadError, match=rf"^layer fc: it has 1.07e\+09 words, at most {MAX_EXECUTED_WORDS}"):
        check_executable(linear(2**15, 2**15))
    with pytest.raises(WorkloadError, match=r"^layer c: it has 3.09e\+11 MACs, at most 274877906944 \(2\^38\)"):
        check_executable(Layer.conv("c", 512, 512, (256, 512), 3, padding=1))


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("command", ["run", "map", "verify"])
def test_do_the_commands_end_with_status_1(tmp_path, capsys, monkeypatch, command, machine):
    """One sentence on standard error that names the layer, nothing on standard output."""
    path = tmp_path / "net.yaml"
    path.write_text("name: big\ninput: [4, 1, 1]\nlayers:\n  - {name: fc, op: linear, features: 1000000000}\n")
    layer = ["fc"] if command == "map" else []
    monkeypatch.setattr("sys.argv", ["accelsim", command, str(path), *layer, "--hw", machine])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert f"layer fc: its dim K is 1000000000, at most {LARGEST[machine]} can be searched" in said.err
