"""Evaluates intrinsic functions; what depends on a resource may stay a symbol until it exists."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from sandbox.aws.cloudformation.model import Parameter
from sandbox.aws.errors import validation_error

_SUB = re.compile(r"\$\{([^}]+)\}")
_ZONES = "abc"
NO_VALUE = object()

Lookup = Callable[[str, str | None], Any]


def symbol(logical_id: str, attribute: str | None) -> dict[str, Any]:
    """The lookup of a comparison: resources stand for themselves."""
    return {"Ref": logical_id} if attribute is None else {"Fn::GetAtt": [logical_id, attribute]}


def has_symbols(value: Any) -> bool:
    """Whether something still depends on a resource."""
    if isinstance(value, list):
        return any(has_symbols(item) for item in value)
    if isinstance(value, dict):
        return any(_is_function(value, key) or has_symbols(v) for key, v in value.items())
    return False


def _is_function(value: Mapping[str, Any], key: str) -> bool:
    return len(value) == 1 and (key == "Ref" or key.startswith("Fn::"))


class Scope:
    """The names that a template's expressions can use."""

    def __init__(
        self,
        *,
        template: Mapping[str, Any],
        parameters: Mapping[str, Parameter],
        pseudo: Mapping[str, Any],
        exports: Mapping[str, str],
    ) -> None:
        self._parameters = parameters
        self._pseudo = pseudo
        self._exports = exports
        self._mappings: Mapping[str, Any] = template.get("Mappings") or {}
        self._conditions: Mapping[str, Any] = template.get("Conditions") or {}
        self._functions: dict[str, Callable[[Any, Lookup], Any]] = {
            "Fn::Base64": lambda a, _: base64.b64encode(str(a).encode()).decode(),
            "Fn::Cidr": lambda a, _: _subnets(str(a[0]), count=int(a[1]), bits=int(a[2])),
            "Fn::FindInMap": lambda a, _: self._mappings[a[0]][str(a[1])][a[2]],
            "Fn::GetAZs": lambda a, _: [(a or str(pseudo["AWS::Region"])) + z for z in _ZONES],
            "Fn::ImportValue": lambda a, _: self._import(a),
            "Fn::Join": lambda a, _: str(a[0]).join(_text(item) for item in a[1]),
            "Fn::Length": lambda a, _: len(a),
            "Fn::Select": lambda a, _: a[1][int(a[0])],
            "Fn::Split": lambda a, _: str(a[1]).split(a[0]),
            "Fn::ToJsonString": lambda a, _: json.dumps(a, separators=(",", ":")),
        }

    def holds(self, condition: str) -> bool:
        """Whether a named condition of the template is true."""
        if condition not in self._conditions:
            raise validation_error(
                f"Template format error: Unresolved condition dependency {condition} "
                "in the Resources block of the template"
            )
        return self._true(self._conditions[condition])

    def _true(self, expression: Any) -> bool:
        ((name, args),) = expression.items()
        if name == "Condition":
            return self.holds(args)
        if name == "Fn::Equals":
            left, right = (_text(self.resolve(item, symbol)) for item in args)
            return left == right
        results = [self._true(item) for item in args]
        if name == "Fn::Not":
            return not results[0]
        return all(results) if name == "Fn::And" else any(results)

    def resolve(self, value: Any, lookup: Lookup) -> Any:
        """Evaluate ``value``; ``lookup`` gives a resource's id, or an attribute of it."""
        if isinstance(value, list):
            items = [self.resolve(item, lookup) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, args),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, args, lookup)
        members = {key: self.resolve(item, lookup) for key, item in value.items()}
        return {key: item for key, item in members.items() if item is not NO_VALUE}

    def _call(self, name: str, args: Any, lookup: Lookup) -> Any:
        if name == "Ref":
            return self._ref(args, lookup)
        if name == "Fn::GetAtt":
            logical_id, attribute = args.split(".", 1) if isinstance(args, str) else args
            return lookup(logical_id, attribute)
        if name == "Fn::If":
            return self.resolve(args[1] if self.holds(args[0]) else args[2], lookup)
        if name == "Fn::Sub":
            return self._sub(args, lookup)
        if name not in self._functions:
            raise validation_error(f"Template error: every {name} object is unsupported here")
        resolved = self.resolve(args, lookup)
        if has_symbols(resolved):
            return {name: resolved}
        try:
            return self._functions[name](resolved, lookup)
        except (IndexError, KeyError, TypeError, ValueError):
            raise validation_error(f"Template error: cannot evaluate {name}") from None

    def _ref(self, name: str, lookup: Lookup) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters[name].resolved
        return lookup(name, None)

    def _sub(self, args: Any, lookup: Lookup) -> Any:
        text, local = (args, {}) if isinstance(args, str) else (args[0], args[1])
        pieces: list[Any] = _SUB.split(text)
        for index in range(1, len(pieces), 2):
            name = pieces[index]
            if name.startswith("!"):
                pieces[index] = "${" + name[1:] + "}"
            elif name in local:
                pieces[index] = self.resolve(local[name], lookup)
            elif name in self._parameters:
                pieces[index] = self._parameters[name].text
            else:
                pieces[index] = self.resolve(_reference(name), lookup)
        if has_symbols(pieces):
            return {"Fn::Join": ["", pieces]}
        return "".join(_text(piece) for piece in pieces)

    def _import(self, name: str) -> str:
        if name not in self._exports:
            raise validation_error(f"No export named {name} found.")
        return self._exports[name]


def _subnets(block: str, *, count: int, bits: int) -> list[str]:
    network = ipaddress.ip_network(block)
    return [str(n) for n in islice(network.subnets(new_prefix=network.max_prefixlen - bits), count)]


def _reference(name: str) -> dict[str, Any]:
    return {"Fn::GetAtt": name.split(".", 1)} if "." in name else {"Ref": name}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def normal(value: Any) -> Any:
    """A value as CloudFormation compares it: scalars are text, so ``30`` equals ``"30"``."""
    if isinstance(value, Mapping):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [normal(item) for item in value]
    return _text(value)
