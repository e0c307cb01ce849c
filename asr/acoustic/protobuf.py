"""Protocol buffers as what they are in a file: fields with a number, of which some have a content of bytes.

The package `onnx`, which would change a graph in fewer lines, is 60 MB and needed nowhere else in recognition.

Source: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

Field: TypeAlias = tuple[int, bytes, bytes]  # its number, its content if that has a length, and the whole of it


def contents(fields: Iterable[Field], wanted: int) -> list[bytes]:
    """Return the contents of all fields of a number."""
    return [content for number, content, _ in fields if number == wanted]


def read_fields(message: bytes) -> Iterator[Field]:
    """Take a message apart."""
    begin = 0
    while begin < len(message):
        key, end = _read_number(message, begin)
        content = b""
        match key & 7:
            case 0:  # a number
                _, end = _read_number(message, end)
            case 1:  # eight bytes
                end += 8
            case 2:  # a length, and so many bytes
                length, start = _read_number(message, end)
                end = start + length
                content = message[start:end]
            case 5:  # four bytes
                end += 4
            case other:
                raise ValueError(f"a field of type {other}")
        if end > len(message):
            raise ValueError("a field that is cut off")
        yield key >> 3, content, message[begin:end]
        begin = end


def _read_number(message: bytes, begin: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, and return where it ends."""
    value = shift = 0
    while True:
        byte = message[begin]
        begin += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, begin


def write_number(number: int, value: int) -> bytes:
    """Write a field that is a number."""
    return _encode(number << 3) + _encode(value)


def write_bytes(number: int, content: bytes) -> bytes:
    """Write a field that has a length."""
    return _encode(number << 3 | 2) + _encode(len(content)) + content


def _encode(value: int) -> bytes:
    """Write seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
