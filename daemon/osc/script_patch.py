"""The parameters as a patch of Pure Data: a field for each, with its range from the table."""

from __future__ import annotations

from collections.abc import Iterator

from ..parameters import PARAMETERS, Parameter

_ABOUT = "Made by `python -m rwkv_music_daemon.osc.document`: change the code instead."
_COLOURS = "#fcfcfc #000000 #000000"
_WIDTH, _HEIGHT, _ROW = 460, 24, 22
_COLUMN_ROWS = 14
_RECEIVER = "rwkv-set-"  # with the name behind it; what arrives is shown, or changes it


def parameters_patch() -> str:
    """rwkv_parameters.pd. Each field sends `/rwkv/set/NAME value` to the patch that it is in, whose
    own number ($0) is the argument."""
    columns = -(-len(PARAMETERS) // _COLUMN_ROWS)
    rows = min(len(PARAMETERS), _COLUMN_ROWS)
    lines = [f"#N canvas 40 40 {columns * _WIDTH + 40} {rows * _ROW + 90} 12;"]
    lines += [f"#X text 20 10 {_ABOUT};"]
    connections: list[str] = []
    for number, parameter in enumerate(PARAMETERS.values()):
        column, row = divmod(number, _COLUMN_ROWS)
        x, y = 20 + column * _WIDTH, 40 + row * _ROW
        first = 1 + 4 * number
        lines += _row(parameter, x, y)
        connections += [
            f"#X connect {first} 0 {first + 1} 0;",
            f"#X connect {first + 1} 0 {first + 2} 0;",
        ]
    return "\n".join([*lines, *connections, ""])


def _row(parameter: Parameter, x: int, y: int) -> Iterator[str]:
    name = parameter.name
    yield _field(parameter, x, y)
    yield f"#X msg {x + 130} {y} /rwkv/set/{name} \\$1;"
    yield f"#X obj {x + 330} {y} s \\$1-request;"
    yield f"#X text {x + 60} {y} {name};"


def _field(parameter: Parameter, x: int, y: int) -> str:
    receiver = f"{_RECEIVER}{parameter.name}"
    if parameter.type == "s":
        return f"#X symbolatom {x} {y} 8 0 0 0 - {receiver} - 12;"
    low, high = parameter.minimum, parameter.maximum
    return (
        f"#X obj {x} {y} nbx 6 16 {low:g} {high:.10g} 0 0 empty {receiver} empty 0 -8 0 12"
        f" {_COLOURS} {parameter.default:g} 256;"
    )
