"""Turns what pydantic refuses into problems that name the place, the rule and what is allowed.

Ranges and names are read from the model's JSON schema, so that nothing is written down twice.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from hipart.experiment.errors import Place, Problem, did_you_mean, shown, unknown

Node = Mapping[str, Any]

_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
#: By the last word of pydantic's own name for the error.
_RULES = {
    "type": "has the wrong type",
    "than": "is out of range",
    "equal": "is out of range",
    "error": "is none of the choices",
    "number": "must be finite",
    "short": "must not be empty",
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> Iterator[Problem]:
    """One problem for each thing that pydantic found."""
    schema = model.model_json_schema()
    for details in error.errors(include_url=False):
        if details["type"] == "too_short" and details["input"]:
            continue  # its items were refused, each for its own reason
        place, around, node = _find(details["loc"], schema)
        yield _problem(place, around, node, dict(details))


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Every field of a model, and what is allowed in it, in words."""
    schema = model.model_json_schema()
    for name, node in schema.get("properties", {}).items():
        yield name, _described(node) or _described(_resolved(node, schema))


def _problem(place: Place, around: Node, node: Node, details: Mapping[str, Any]) -> Problem:
    value = details["input"]
    match details["type"]:
        case "extra_forbidden":
            names = around.get("properties", {})
            kind = names.get("kind", {}).get("const")
            what = f"name under kind {kind}" if kind else "name"
            return unknown(place, what, place[-1], names)
        case "missing":
            return Problem(place, "is required", allowed=_described(node))
        case "union_tag_invalid" | "union_tag_not_found":
            kind = node["discriminator"]["propertyName"]
            tag = value.get(kind) if isinstance(value, Mapping) else value
            return unknown((*place, kind), kind, tag, node["discriminator"]["mapping"])
        case "value_error":
            return Problem(place, details["msg"].removeprefix("Value error, "))
    rule = _RULES.get(details["type"].split("_")[-1], details["msg"])
    remedy = _unquoted(value, node) or did_you_mean(value, _names(node))
    return Problem(place, rule, shown(value), _described(node), remedy)


def _find(loc: tuple[str | int, ...], schema: Node) -> tuple[Place, Node, Node]:
    """The place without union tags, what stands around it, and the place's own schema."""
    place: list[str | int] = []
    around: Node = {}
    node: Node = schema
    for step in loc:
        node = _resolved(node, schema)
        if step in node.get("discriminator", {}).get("mapping", {}):
            node = {"$ref": node["discriminator"]["mapping"][step]}
            continue
        place.append(step)
        around = node
        if isinstance(step, int):
            lists = (one["items"] for one in (node, *node.get("anyOf", ())) if "items" in one)
            node = next(lists, {})
        else:
            others = node.get("additionalProperties")
            others = others if isinstance(others, Mapping) else {}
            node = node.get("properties", {}).get(step, others)
    return tuple(place), around, _resolved(node, schema)


def _resolved(node: Node, schema: Node) -> Node:
    options = [option for option in node.get("anyOf", ()) if "$ref" in option]
    reference = options[0]["$ref"] if options else node.get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else node


def _names(node: Node) -> list[str]:
    options = [node, *node.get("anyOf", ())]
    return [
        str(name)
        for option in options
        for name in (*option.get("enum", ()), *([option["const"]] if "const" in option else []))
    ]


def _described(node: Node) -> str:
    if "anyOf" in node:
        return " or ".join(filter(None, map(_described, node["anyOf"])))
    if names := _names(node):
        return ", ".join(names)
    if node.get("type") == "array":
        return f"a list, each {_described(node.get('items', {})) or 'a mapping'}"
    limits = [f"{words} {node[bound]}" for bound, words in _BOUNDS.items() if bound in node]
    return " ".join([_TYPES.get(node.get("type", ""), ""), " and ".join(limits)]).strip()


def _unquoted(value: Any, node: Node) -> str:
    """The remedy for a number or a truth value that was written as text."""
    kinds = {option.get("type") for option in (node, *node.get("anyOf", ()))}
    if not isinstance(value, str):
        return ""
    if "boolean" in kinds:
        return "write true or false, without quotes"
    try:
        number = float(value)
    except ValueError:
        return ""
    text = str(int(number)) if number.is_integer() and "integer" in kinds else repr(number)
    return f"write it without quotes: {text}" if kinds & {"integer", "number"} else ""
