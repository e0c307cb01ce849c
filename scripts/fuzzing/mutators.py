"""Small damages to files: to their bytes, their lines, the values of their JSON, and the header of safetensors."""

import json
import random
from collections.abc import Callable
from typing import Any, TypeAlias

Mutator: TypeAlias = Callable[[random.Random, bytes], bytes]

_NUMBERS = (
    "0",
    "-1",
    "1e308",
    "-1e400",
    "nan",
    "inf",
    "255",
    "65536",
    "2147483648",
    "9" * 25,
    "9" * 5000,
    "1e-320",
    "0x10",
)
_TEXTS = (
    "",
    "\0",
    "\n",
    "\ud800",
    "\udcff",
    "e\u0301",
    "\u2028",
    "../../etc/passwd",
    ".",
    "/dev/null",
    "x" * 5000,
    "<unk>",
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    0.5,
    10**9,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
)
_BYTES = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\n",
    b"\t",
    b" ",
    b"\xef\xbb\xbf",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"[" * 3000,
)


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Change, repeat, move or cut some bytes, mostly near the start, where headers are."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        size = len(content)
        reach = rng.choice((64, 512, size)) or 1
        first = rng.randrange(max(1, min(size, reach)))
        last = min(size, first + rng.choice((1, 2, 4, 16, 256)))
        kind = rng.randrange(7)
        if kind == 0 and size:
            content[first] ^= 1 << rng.randrange(8)
        elif kind == 1:
            content[first:last] = rng.choice(_BYTES)
        elif kind == 2:
            content[first:last] = rng.randbytes(last - first)
        elif kind == 3:
            del content[first:last]
        elif kind == 4:
            content[first:first] = content[first:last] * rng.choice((1, 2, 50))
        elif kind == 5:
            del content[rng.randrange(size + 1) :]
        else:
            content[first:first] = rng.choice(_BYTES)
    return bytes(content)


def mutate_lines(rng: random.Random, data: bytes) -> bytes:
    """Repeat, leave out, exchange or change lines and the words in them."""
    lines = data.decode(errors="surrogateescape").split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        index = rng.randrange(len(lines))
        kind = rng.randrange(5)
        if kind == 0:
            lines[index:index] = [lines[index]] * rng.choice((1, 3, 200))
        elif kind == 1 and len(lines) > 1:
            del lines[index]
        elif kind == 2:
            other = rng.randrange(len(lines))
            lines[index], lines[other] = lines[other], lines[index]
        else:
            words = lines[index].split(" ") if rng.random() < 0.5 else lines[index].split("\t")
            words[rng.randrange(len(words))] = rng.choice((*_NUMBERS, *_TEXTS))
            lines[index] = "\t".join(words)
    return "\n".join(lines).encode(errors="surrogatepass" if rng.random() < 0.5 else "replace")


def mutate_json(rng: random.Random, data: bytes) -> bytes:
    """Change, rename or leave out values at any depth; of several lines, in one of them."""
    lines = data.split(b"\n")
    index = rng.randrange(len(lines))
    for text in (data, lines[index]):
        try:
            value = json.loads(text)
        except ValueError:
            continue
        changed = json.dumps(_change(rng, value), ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")
        if text is data:
            return changed
        return b"\n".join([*lines[:index], changed, *lines[index + 1 :]])
    return mutate_bytes(rng, data)


def mutate_tensors(rng: random.Random, data: bytes) -> bytes:
    """Change the header of a safetensors file, and keep its length right."""
    size = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + size], data[8 + size :]
    kind = rng.randrange(4)
    if kind == 0:
        rest = mutate_bytes(rng, rest) if rng.random() < 0.3 else rng.randbytes(len(rest))
    elif kind == 1:
        header = header.replace(*rng.choice(((b"F32", b"I32"), (b"F16", b"BF16"), (b"U8", b"I8"), (b"F16", b"I16"))))
    elif kind == 2:
        header = _change_nested(rng, header)
    else:
        header = mutate_json(rng, header)
    return len(header).to_bytes(8, "little") + header + rest


def _change_nested(rng: random.Random, header: bytes) -> bytes:
    """Change the JSON that a string of the metadata holds."""
    fields = json.loads(header)
    metadata = fields.get("__metadata__") or {}
    for name in sorted(metadata):
        if rng.random() < 0.7:
            metadata[name] = mutate_json(rng, metadata[name].encode()).decode(errors="replace")
    return json.dumps(fields).encode()


def _change(rng: random.Random, value: Any) -> Any:
    """Change one value somewhere inside another."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(sorted(value))
        kind = rng.random()
        if kind < 0.1:
            return {key: each for key, each in value.items() if key != name}
        if kind < 0.2:
            return {**value, rng.choice(_TEXTS): value[name]}
        return {**value, name: _change(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        index = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value[:index] + value[index:] * rng.choice((0, 2, 100))
        return [*value[:index], _change(rng, value[index]), *value[index + 1 :]]
    if isinstance(value, int | float) and rng.random() < 0.5:
        return rng.choice((value * 10**6, -value, value + 1, value / 3, str(value), value * 2))
    return rng.choice((*_VALUES, *_TEXTS))
