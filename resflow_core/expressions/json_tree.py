"""Formulas as trees of JSON, for a reader in another language, which then needs no parser."""

from functools import lru_cache

from resflow_core.activations import Activation
from resflow_core.expressions.refusals import ARITY
from resflow_core.expressions.syntax import parse
from resflow_core.expressions.tree import CONSTANTS, Call, Node, Number, Power

JsonTree = float | str | list


def json_tree(node: Node) -> JsonTree:
    """A tree as JSON: a number (pi and e too), "z", ["^", base, exponent] or [name, part, ...].

    A name is a key of `FUNCTIONS`, "min" or "max", "+", "-", "*" or "/" of two parts, or "neg" of one. An exponent is a
    number.
    """
    if isinstance(node, Number):
        return float(node.value)
    if isinstance(node, Power):
        return ["^", json_tree(node.base), float(node.exponent)]
    if isinstance(node, Call):
        return [node.name, *map(json_tree, node.parts)]
    return CONSTANTS.get(node.name, node.name)


def activation_tree(activation: Activation) -> JsonTree | None:
    """The function of one number of an activation, raw without its arrangement; None if it has no text."""
    return _tree_of(activation.text) if activation.text else None


@lru_cache(maxsize=512)
def _tree_of(text: str) -> JsonTree:
    return json_tree(parse(text, ARITY))
