"""Attacks on files, of any kind: each makes as many as are asked for out of a good one, by the given generator."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile.names import NAMES

Attack = Callable[[random.Random, int], Iterator[bytes]]

# What stands where something else is expected: literally, since JSON on the wire has more than Python would write.
ODD = [
    "null", "true", "false", "0", "-1", "1", "1e400", "-1e400", "NaN", "Infinity", "9" * 4000, "9" * 5000, "0.1",
    '""', "[]", "{}", "[[]]", '[["a", 1]]', '{"is": 1}', '{"": ""}', '"\\ud800"', '"\\u0000"', '"\\u202e"',
    "[1, [2, [3]]]", "[" * 300 + "]" * 300, "[" * 3000 + "]" * 3000, '{"a":' * 900 + "1" + "}" * 900,
    json.dumps("x" * 30_000), *(json.dumps(name) for name in NAMES.values()),
]  # fmt: skip


def flipped(good: bytes, first: int, last: int) -> Attack:
    def attack(random, n):
        for _ in range(n):
            data = bytearray(good)
            for _ in range(random.choice([1, 1, 2, 8, 64])):
                data[random.randrange(first, last)] = random.randrange(256)
            yield bytes(data)

    return attack


def cut(good: bytes) -> Attack:
    def attack(random, n):
        for k in range(n):
            at = random.randrange(len(good))
            yield [good[:at], good[at:], good + random.randbytes(9), random.randbytes(9) + good, good * 2][k % 5]

    return attack


def noise(random: random.Random, n: int) -> Iterator[bytes]:
    for _ in range(n):
        yield random.randbytes(random.choice([0, 1, 7, 8, 9, 100, 5000]))


def put(values: dict[str, Any], name: str, literal: str) -> str:
    """JSON of `values` with a literal in the place of one of them."""
    return json.dumps(values | {name: "@@"}).replace('"@@"', literal)
