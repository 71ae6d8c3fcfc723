"""Is a YAML file read as it was meant, and is every mistake in one told with its file, line and field?"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from accelsim.errors import HardwareError, InputError, WorkloadError
from accelsim.yamlio import MAX_BYTES, Document, at, convert, parse_yaml, read_yaml


class Port(StrEnum):
    """An enumeration, to be given by its value."""

    READ = "read"
    WRITE = "write"


class Memory(Struct, kw_only=True):
    """A Struct that does not forbid unknown fields by itself."""

    name: Annotated[str, Meta(min_length=1)]
    size_kb: Annotated[float, Meta(gt=0)]
    kind: Literal["sram", "dram"] = "sram"
    ports: list[Port] = []


@dataclass(frozen=True)
class Machine:
    """A dataclass with everything that a hardware description could want."""

    name: str
    memories: list[Memory]
    by_name: dict[str, Memory] = field(default_factory=dict)
    array: tuple[int, int] = (8, 8)
    lanes: Annotated[int, Meta(ge=1, le=64)] | None = None
    skip: bool = False
    tag: Annotated[str, Meta(pattern="^[a-z]+$")] = "x"

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("the name must not be bad")
        if self.name == "worse":
            raise WorkloadError("the name is even worse")


@dataclass
class File:
    """The top of a file."""

    machine: Machine


GOOD = """\
machine:
  name: m
  memories:
    - name: DRAM
      size_kb: 1e6
      kind: dram
    - name: GLB
      size_kb: 32
      ports: [read, write]
  by_name:
    rf: {name: RF, size_kb: 0.5}
  array: [16, 16]
"""


def sentence(text: str, type_: type[Any] = File) -> str:
    """Return the error that a text gives, having checked that it is one line of one sentence."""
    with pytest.raises(HardwareError) as refused:
        convert(parse_yaml(text, "hw.yaml", HardwareError), type_, HardwareError)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_a_good_file_becomes_the_object_that_it_describes():
    """Nested dataclasses, Structs, enums, tuples and dicts all arrive, whole numbers as floats where asked."""
    machine = convert(parse_yaml(GOOD, "hw.yaml"), File).machine
    assert machine.memories[0] == Memory(name="DRAM", size_kb=1e6, kind="dram")
    assert machine.memories[1].ports == [Port.READ, Port.WRITE]
    assert machine.by_name["rf"].size_kb == 0.5
    assert (machine.array, machine.lanes, machine.skip) == ((16, 16), None, False)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("size_kb: 32", "size_kb: big", "hw.yaml:8: machine.memories[1].size_kb: expected a number above 0, got 'big'"),
        ("size_kb: 32", "size_kb: -5", "hw.yaml:8: machine.memories[1].size_kb: expected a number above 0, got -5"),
        ("size_kb: 32", "size_kb: 0", "hw.yaml:8: machine.memories[1].size_kb: expected a number above 0, got 0"),
        ("size_kb: 32", "size_kb: '32'", "hw.yaml:8: machine.memories[1].size_kb: expected a number above 0, got '32'"),
        ("size_kb: 32", "size_kb: true", "hw.yaml:8: machine.memories[1].size_kb: expected a number above 0, got true"),
        ("size_kb: 32", "size_kb:", "hw.yaml:8: machine.memories[1].size_kb: expected a number above 0, got nothing"),
        ("size_kb: 32", "size_kb: [1]", "machine.memories[1].size_kb: expected a number above 0, got a list of 1"),
        ("size_kb: 32", "size_kb: .nan", "hw.yaml:8: '.nan' is not a number that can be used"),
        ("size_kb: 32", "size_kb: 1e999", "hw.yaml:8: '1e999' is not a number that can be used"),
        (
            "size_kb: 32",
            "sise_kb: 32",
            "hw.yaml:8: machine.memories[1].sise_kb: unknown key; did you mean 'size_kb'? "
            "(allowed: name, size_kb, kind, ports)",
        ),
        ("      size_kb: 32\n", "", "hw.yaml:7: machine.memories[1]: missing field 'size_kb', a number above 0"),
        ("name: GLB", "name: ''", "hw.yaml:7: machine.memories[1].name: expected text that is not empty, got ''"),
        ("name: GLB", "name: 7", "hw.yaml:7: machine.memories[1].name: expected text that is not empty, got 7"),
        ("kind: dram", "kind: drum", "machine.memories[0].kind: expected one of dram, sram, got 'drum'; did you mean"),
        ("[read, write]", "[read, rite]", "hw.yaml:9: machine.memories[1].ports[1]: expected one of read, write"),
        ("[read, write]", "read", "hw.yaml:9: machine.memories[1].ports: expected a list, got 'read'"),
        ("size_kb: 0.5", "size_kb: x", "hw.yaml:11: machine.by_name.rf.size_kb: expected a number above 0, got 'x'"),
        (", size_kb: 0.5", "", "hw.yaml:11: machine.by_name.rf: missing field 'size_kb'"),
        ("rf:", "3:", "hw.yaml:11: machine.by_name[3]: as a key expected text, got 3"),
        ("[16, 16]", "[16]", "hw.yaml:12: machine.array: expected a list of 2, got a list of 1"),
        ("[16, 16]", "[16, a]", "hw.yaml:12: machine.array[1]: expected a whole number, got 'a'"),
        ("[16, 16]", "[16, 1.0]", "hw.yaml:12: machine.array[1]: expected a whole number, got 1.0"),
        ("  array", "  lanes: 65\n  array", "machine.lanes: expected a whole number from 1 to 64, got 65"),
        ("  array", "  tag: A1\n  array", "hw.yaml:12: machine.tag: expected text that matches ^[a-z]+$, got 'A1'"),
        ("  array", "  skip: yes\n  array", "hw.yaml:12: machine.skip: expected true or false, got 'yes'"),
        ("  array", "  name: n\n  array", "hw.yaml:12: key 'name' is repeated (first on line 2)"),
        ("  array", "  aray", "hw.yaml:12: machine.aray: unknown key; did you mean 'array'?"),
        ("  name: m\n", "  name: bad\n", "hw.yaml:1: machine: the name must not be bad"),
        ("  name: m\n", "  name: worse\n", "hw.yaml:1: machine: the name is even worse"),
        ("  name: m\n", "", "hw.yaml:1: machine: missing field 'name', text"),
        ("machine:", "machines:", "hw.yaml:1: machines: unknown key; did you mean 'machine'? (allowed: machine)"),
        ("  array", "  <<: {skip: true}\n  array", "hw.yaml:12: merge keys (<<) are not supported"),
        ("[16, 16]", "!!python/tuple [16, 16]", "hw.yaml:12: tags are not supported"),
        ("[16, 16]", "!big 5", "hw.yaml:12: tags are not supported, got '!big'"),
        ("[16, 16]", "[16, 16", "hw.yaml:13: not valid YAML: while parsing a flow sequence"),
        ("  array", "\tarray", "hw.yaml:12: not valid YAML"),
        ("[16, 16]", "*nothing", "hw.yaml:12: not valid YAML: found undefined alias 'nothing'"),
        ("  array: [16, 16]", "  ? [1, 2]\n  : 3", "hw.yaml:12: a key must be text or a whole number"),
        ("  array: [16, 16]", "  true: 3", "hw.yaml:12: a key must be text or a whole number, got true"),
    ],
)
def test_a_mistake_is_told_with_file_line_field_and_what_is_allowed(old, new, expected):
    """One wrong spot in a good file gives the sentence about that spot."""
    assert old in GOOD
    assert expected in sentence(GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "hw.yaml: is empty"),
        ("# nothing but a comment\n", "hw.yaml: is empty"),
        ("- a\n- b\n", "hw.yaml:1: top level must be a mapping of keys to values, got a list of 2"),
        ("\n\n42\n", "hw.yaml:3: top level must be a mapping of keys to values, got 42"),
        ("a: 1\n---\nb: 2\n", "hw.yaml:2: not valid YAML: expected a single document"),
        ("a: \x07\n", "hw.yaml: not valid YAML: unacceptable character"),
        ("a: &a [*a]\n", "hw.yaml:1: an alias refers to a value that contains it"),
        ("a: " + "[" * 60 + "]" * 60, "hw.yaml:1: nested more than 50 levels deep"),
        ("a: " + "[" * 5000, "hw.yaml: is nested too deeply"),
        ("a: " + "9" * 5000, "is not a number that can be used"),
    ],
)
def test_a_text_that_is_not_a_usable_document_is_refused(text, expected):
    """Syntax, structure and abuse each get their sentence."""
    assert expected in sentence(text, dict)


def test_a_small_file_cannot_explode():
    """Nine levels of nine aliases would be hundreds of millions of values."""
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for level in range(1, 9):
        text += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n"
    assert "holds more than 200000 values once its aliases are written out" in sentence(text, dict)


def test_aliases_repeat_values():
    """An anchor's value may be used again, and each place knows its own line."""
    document = parse_yaml("a: &x {n: 1}\nb: *x\n", "f.yaml")
    assert document.data == {"a": {"n": 1}, "b": {"n": 1}}
    assert (document.line(("a",)), document.line(("b",))) == (1, 2)


def test_scalars_are_those_of_yaml_1_2():
    """The word yes is text, 0o17 is octal, 010 is ten, a date stays text, quotes make text."""
    text = "[1, 0x10, 0o17, 010, 1_000, 2.5, 1e3, -.inf, yes, true, ~, 2018-03-23, '5']"
    values = parse_yaml(f"v: {text}\n3: x\n", "f.yaml").data
    assert values["v"] == [1, 16, 15, 10, 1000, 2.5, 1000.0, float("-inf"), "yes", True, None, "2018-03-23", "5"]
    assert [type(value) for value in values["v"][:4]] == [int] * 4
    assert values[3] == "x"


def test_places_are_named_by_file_line_and_field():
    """A path that the file does not have is placed at its nearest surrounding."""
    document = parse_yaml(GOOD, "hw.yaml")
    assert document.where(("machine", "memories", 1, "size_kb")) == "hw.yaml:8: machine.memories[1].size_kb"
    assert document.where(("machine", "memories", 1, "nothing")) == "hw.yaml:7: machine.memories[1].nothing"
    assert document.where() == "hw.yaml:1"
    assert at(document, ("machine", "array"), "must be square") == "hw.yaml:12: machine.array: must be square"
    assert Document("made.yaml", {"a": 1}).where(("a",)) == "made.yaml:1: a"


def test_a_file_is_read_like_its_text(tmp_path: Path):
    """UTF-8, with or without a byte-order mark."""
    path = tmp_path / "hw.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + "note: 5 µm\n".encode())
    document = read_yaml(path)
    assert (document.data, document.path) == ({"note": "5 µm"}, str(path))


def test_a_file_that_cannot_be_read_is_told_in_one_sentence(tmp_path: Path):
    """Missing (with its nearest neighbour), a directory, not text, too large, not a path."""
    (tmp_path / "machine.yaml").write_text("a: 1\n")
    (tmp_path / "binary.yaml").write_bytes(b"a: 1\nb: \xff\xfe\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    cases = {
        "machin.yaml": "machin.yaml: no such file; did you mean 'machine.yaml'",
        "none/such.yaml": "such.yaml: no such file",
        "": "is a directory, expected a YAML file",
        "binary.yaml": "binary.yaml:2: is not UTF-8 text (byte 0xff)",
        "large.yaml": "large.yaml: is larger than 2 MB, the most that is read",
        "nul\0.yaml": "is not a path: embedded null byte",
        "x" * 300: "cannot be read: File name too long",
    }
    for name, expected in cases.items():
        with pytest.raises(WorkloadError) as refused:
            read_yaml(f"{tmp_path}/{name}", WorkloadError)
        assert expected in str(refused.value)


def test_a_device_that_never_ends_is_not_read_to_its_end():
    """Reading stops at the limit."""
    with pytest.raises(InputError, match="/dev/zero: is larger than 2 MB"):
        read_yaml("/dev/zero")
