"""Whether plain data fits a type: the first misfit, its place, and what is allowed there, in words.

The types' annotations are checked here, and not only by msgspec, because its messages neither name the
keys of a dict nor list what is allowed, and because it lets unknown keys of dataclasses pass.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Any

import msgspec
from msgspec import inspect

from accelsim.errors import AccelsimError, did_you_mean

YamlPath = tuple[str | int, ...]
"""Keys and list positions that lead to a value: ``("memories", 1, "size_kb")``."""

Problem = tuple[YamlPath, str]
"""Where a value does not fit its type, and the sentence that says how."""

_WORDS: dict[type[inspect.Type], str] = {
    inspect.NoneType: "nothing",
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    inspect.DictType: "a mapping",
    inspect.StructType: "a mapping",
    inspect.DataclassType: "a mapping",
    inspect.TypedDictType: "a mapping",
}

_OBJECTS = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)


def path_text(path: YamlPath) -> str:
    """Return a path as people write it: ``memories[1].size_kb``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def mismatch(value: Any, schema: inspect.Type, path: YamlPath) -> Problem | None:
    """Return the first place where ``value`` does not fit ``schema``, or None.

    Args:
        value: Plain data: dict, list, str, int, float, bool or None.
        schema: The type, as ``msgspec.inspect`` describes it.
        path: Where the value is.
    """
    if isinstance(schema, inspect.Metadata):
        return mismatch(value, schema.type, path)
    if isinstance(schema, inspect.UnionType):
        return _union_mismatch(value, schema, path)
    if isinstance(schema, _OBJECTS) and isinstance(value, dict):
        problem = _keys_mismatch(value, schema, path)
        if problem is not None:
            return problem
    if isinstance(schema, inspect.DictType) and isinstance(value, dict):
        for key in value:
            problem = mismatch(key, schema.key_type, (*path, key))
            if problem is not None:
                return problem[0], f"as a key {problem[1]}"
    for child, kind, step in _children(value, schema):
        problem = mismatch(child, kind, (*path, step))
        if problem is not None:
            return problem
    if _fits(value, schema):
        return None
    return path, f"expected {expected(schema)}, got {found(value)}{_suggestion(value, _choices(schema))}"


def _children(value: Any, schema: inspect.Type) -> list[tuple[Any, inspect.Type, str | int]]:
    """Return the values inside ``value`` with their types and their keys or positions."""
    match schema, value:
        case ((inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType()), dict()):
            names = [(field.encode_name, field.type) for field in schema.fields]
            return [(value[name], kind, name) for name, kind in names if name in value]
        case inspect.DictType(), dict():
            return [(child, schema.value_type, key) for key, child in value.items()]
        case ((inspect.ListType() | inspect.VarTupleType()), list()):
            return [(child, schema.item_type, index) for index, child in enumerate(value)]
        case inspect.TupleType(), list() if len(value) == len(schema.item_types):
            pairs = zip(value, schema.item_types, strict=True)
            return [(child, kind, index) for index, (child, kind) in enumerate(pairs)]
    return []


def _fits(value: Any, schema: inspect.Type) -> bool:
    """Return whether a value is of the right kind and within its bounds, whatever is inside it."""
    match schema:
        case inspect.IntType() | inspect.FloatType():
            return _fits_number(value, schema)
        case inspect.StrType():
            return (
                isinstance(value, str)
                and _fits_length(value, schema)
                and re.search(schema.pattern or "", value) is not None
            )
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.NoneType():
            return value is None
        case inspect.LiteralType() | inspect.EnumType():
            # True == 1 in Python, but not for somebody who wrote one and may write the other.
            return any(type(value) is type(choice) and value == choice for choice in _choices(schema))
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
            return isinstance(value, dict)
        case inspect.DictType():
            return isinstance(value, dict) and _fits_length(value, schema)
        case inspect.ListType() | inspect.VarTupleType():
            return isinstance(value, list) and _fits_length(value, schema)
        case inspect.TupleType():
            return isinstance(value, list) and len(value) == len(schema.item_types)
    return True


def _keys_mismatch(
    value: dict[str, Any], schema: inspect.StructType | inspect.DataclassType | inspect.TypedDictType, path: YamlPath
) -> Problem | None:
    """Check the keys of a mapping that becomes an object."""
    fields = {field.encode_name: field for field in schema.fields}
    tag = schema.tag_field if isinstance(schema, inspect.StructType) else None
    allowed = [*([tag] if tag else []), *fields]
    for key in value:
        if key not in allowed:
            return (*path, key), f"unknown key{did_you_mean(str(key), allowed)} (allowed: {', '.join(allowed)})"
    for key, field in fields.items():
        if field.required and key not in value:
            return path, f"missing field {key!r}, {expected(field.type)}"
    return None


def _union_mismatch(value: Any, schema: inspect.UnionType, path: YamlPath) -> Problem | None:
    """Check a value against the alternatives that its own kind leaves."""
    objects = [kind for kind in schema.types if isinstance(kind, inspect.StructType) and kind.tag_field]
    if objects and isinstance(value, dict):
        return _tagged_mismatch(value, objects, path)
    problems = [problem for kind in schema.types if (problem := mismatch(value, kind, path)) is not None]
    if len(problems) < len(schema.types):
        return None
    # A problem inside the value means that its kind was right: that is what the user wants to hear about.
    inside = [problem for problem in problems if problem[0] != path or problem[1].startswith("missing")]
    if inside:
        return inside[0]
    suggestion = _suggestion(value, [choice for kind in schema.types for choice in _choices(kind)])
    return path, f"expected {expected(schema)}, got {found(value)}{suggestion}"


def _tagged_mismatch(value: dict[str, Any], objects: list[inspect.StructType], path: YamlPath) -> Problem | None:
    """Check a mapping against the one alternative that its tag names."""
    tag_field = str(objects[0].tag_field)
    tags = {str(kind.tag): kind for kind in objects}
    if tag_field not in value:
        return path, f"missing field {tag_field!r}, {_one_of(list(tags))}"
    tag = value[tag_field]
    if not isinstance(tag, str) or tag not in tags:
        misfit = f"expected {_one_of(list(tags))}, got {found(tag)}{_suggestion(tag, list(tags))}"
        return (*path, tag_field), misfit
    return mismatch(value, tags[tag], path)


def refused(value: Any, schema: inspect.Type, path: YamlPath) -> Problem | None:
    """Return the innermost mapping whose own ``__post_init__`` refuses it, and why."""
    if isinstance(schema, inspect.Metadata):
        return refused(value, schema.type, path)
    if isinstance(schema, inspect.UnionType):
        fitting = [kind for kind in schema.types if mismatch(value, kind, path) is None]
        return refused(value, fitting[0], path) if fitting else None
    for child, kind, step in _children(value, schema):
        problem = refused(child, kind, (*path, step))
        if problem is not None:
            return problem
    if isinstance(schema, inspect.StructType | inspect.DataclassType):
        try:
            msgspec.convert(value, schema.cls, strict=True)
        except (msgspec.ValidationError, AccelsimError) as wrong:
            return path, str(wrong)
    return None


def _choices(schema: inspect.Type) -> list[Any]:
    """Return the values that an enumeration allows, an empty list for other types."""
    if isinstance(schema, inspect.EnumType):
        return [member.value for member in schema.cls]
    return list(schema.values) if isinstance(schema, inspect.LiteralType) else []


def _fits_number(value: Any, schema: inspect.IntType | inspect.FloatType) -> bool:
    """Return whether a value is a number of the right kind within its bounds."""
    kinds = (int,) if isinstance(schema, inspect.IntType) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    return (
        (schema.gt is None or value > schema.gt)
        and (schema.ge is None or value >= schema.ge)
        and (schema.lt is None or value < schema.lt)
        and (schema.le is None or value <= schema.le)
    )


def _fits_length(value: Sized, schema: Any) -> bool:
    """Return whether a length is within a type's bounds."""
    length = len(value)
    return (schema.min_length or 0) <= length and (schema.max_length is None or length <= schema.max_length)


def expected(schema: inspect.Type) -> str:
    """Say in words what a type allows."""
    match schema:
        case inspect.Metadata():
            return expected(schema.type)
        case inspect.UnionType():
            words = dict.fromkeys(expected(kind) for kind in schema.types if not isinstance(kind, inspect.NoneType))
            return " or ".join(words)
        case inspect.LiteralType() | inspect.EnumType():
            return _one_of(_choices(schema))
        case inspect.TupleType():
            return f"a list of {len(schema.item_types)}"
        case inspect.IntType() | inspect.FloatType():
            word = _WORDS[type(schema)]
            if schema.ge is not None and schema.le is not None:
                return f"{word} from {schema.ge:g} to {schema.le:g}"
            bounds = (("above", schema.gt), ("of at least", schema.ge), ("below", schema.lt), ("of at most", schema.le))
            limits = " and ".join(f"{side} {bound:g}" for side, bound in bounds if bound is not None)
            return f"{word} {limits}" if limits else word
        case inspect.StrType() | inspect.ListType() | inspect.VarTupleType() | inspect.DictType():
            return _expected_length(schema)
        case _:
            return _WORDS.get(type(schema), "another kind of value")


def _expected_length(
    schema: inspect.StrType | inspect.ListType | inspect.VarTupleType | inspect.DictType,
) -> str:
    """Say in words what a type with a length allows."""
    word = _WORDS[type(schema)]
    if isinstance(schema, inspect.StrType) and schema.pattern:
        return f"{word} that matches {schema.pattern}"
    if schema.min_length and schema.min_length == schema.max_length:
        return f"{word} of {schema.min_length}"
    if schema.min_length:
        word += " that is not empty" if schema.min_length == 1 else f" of at least {schema.min_length}"
    return word if schema.max_length is None else f"{word} of at most {schema.max_length}"


def _suggestion(value: Any, choices: list[Any]) -> str:
    """Return the choices nearest to a word, as the end of a sentence."""
    return did_you_mean(value, [str(choice) for choice in choices]) if isinstance(value, str) else ""


def _one_of(choices: list[Any]) -> str:
    """Say which values are allowed."""
    # A word that reads as a number is quoted, as it must be in YAML.
    shown = [repr(choice) if str(choice)[:1].isdigit() else str(choice) for choice in choices]
    return f"one of {', '.join(shown)}" if len(shown) > 1 else repr(choices[0])


def found(value: Any) -> str:
    """Say what a value is, the way it was written."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
