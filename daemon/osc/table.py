"""The address table at work: a message in, a checked request out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..parameters import PARAMETERS, Parameter, ParameterError, Value
from .announcements import SENT
from .arguments import OscError, UnknownError, check_arguments
from .framing import Message
from .requests import NOT_ONCE, REQUESTS, RequestSpec

PROTOCOL = 1
PARAMETER_VERBS = ("set", "once", "get")

__all__ = ["PROTOCOL", "OscError", "Request", "describe", "match"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that passed every check.

    name: the address without `/rwkv/`, but `set`, `once` or `get` for those of a parameter.
    args: in the table's types and number, None for each optional one that was left out; for a
    parameter its name, then the value.
    """

    address: str
    name: str
    args: tuple[Any, ...] = ()


def match(message: Message) -> Request | None:
    """The request that a message is; None for one that is to be ignored.

    Ignored are the release of a button (a single 0 for a command without arguments) and our own
    replies and events, should they come back: answering these could go round for ever. Raises
    OscError: 404 unknown address or name, 400 wrong arguments, 422 out of range.
    """
    spec = REQUESTS.get(message.address)
    if spec is not None:
        return _match_spec(spec, message)
    verb, _, name = message.address.removeprefix("/rwkv/").partition("/")
    if message.address.startswith("/rwkv/") and verb in PARAMETER_VERBS and name:
        return _match_parameter(verb, name, message)
    if message.address in SENT:
        return None
    raise UnknownError("unknown address", message.address, REQUESTS, "docs/osc.md has them all")


def _match_spec(spec: RequestSpec, message: Message) -> Request | None:
    values = message.args
    if not spec.args:
        if spec.address in SENT and len(values) > 1:
            return None  # a reply of ours with the address of its request: /rwkv/status
        if len(values) == 1 and values[0] == 0:
            return None
        if len(values) == 1 and values[0] == 1:
            values = ()
    args = check_arguments(values, spec.args, spec.repeated, spec.most_repeats)
    if spec.check is not None:
        spec.check(*args)
    return Request(spec.address, spec.name, args)


def _match_parameter(verb: str, name: str, message: Message) -> Request | None:
    address, values = message.address, message.args
    if name not in PARAMETERS:
        raise UnknownError("no such parameter", name, PARAMETERS, "/rwkv/params tells them all")
    parameter = PARAMETERS[name]
    try:
        if verb == "get":
            if len(values) == 1 and values[0] == 0:
                return None
            if values not in ((), (1,)):
                raise OscError(400, f"expected no arguments, got {len(values)}")
            return Request(address, verb, (name,))
        if len(values) != 1:
            raise OscError(400, f"expected {parameter.type} {name}, got {len(values)} arguments")
        value = parameter.check(values[0])
    except ParameterError as error:
        raise OscError(error.code, str(error)) from error
    if verb == "once" and name in NOT_ONCE:
        raise OscError(422, f"{name}: not for one request only: /rwkv/set/{name} changes it")
    return Request(address, verb, (name, value))


def describe(parameter: Parameter, value: Value) -> tuple[Value, ...]:
    """The arguments of `/rwkv/param/describe`."""
    return (
        parameter.name,
        parameter.type,
        value,
        parameter.default,
        parameter.minimum,
        parameter.maximum,
        ",".join(parameter.choices),
        parameter.help,
    )
