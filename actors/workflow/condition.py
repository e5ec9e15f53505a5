"""Conditions of steps: a small language of comparisons, read by a parser of its own and never run as code.

    condition  = all {"or" all}
    all        = not {"and" not}
    not        = {"not"} comparison
    comparison = operand [("==" | "!=" | "<" | "<=" | ">" | ">=" | ["not"] "in") operand]
    operand    = value {"." name | "[" (number | text) "]"}
    value      = number | text | "true" | "false" | "null" | reference
               | "[" [value {"," value}] "]" | "len" "(" condition ")" | "(" condition ")"
    reference  = "{{" step ".output}}" | "{{params." name "}}"

Texts stand in single or double quotes, a backslash takes the next character as it is.
"""

from __future__ import annotations

import operator
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.runtime.binding import BindingError, find_parameters, find_references, parse_reference
from actors.runtime.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST: Final = 1_000
"""Characters of a condition."""
DEEPEST: Final = 50
"""Brackets inside each other."""

_TOKENS: Final = re.compile(
    r"""\s*(?:
        (?P<reference>\{\{[^{}]*\}\})
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign>==|!=|<=|>=|[<>()\[\],.])
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS: Final[Mapping[str, Any]] = MappingProxyType(
    {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
)
_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "in": lambda left, right: left in right,
        "not in": lambda left, right: left not in right,
    }
)


class ConditionError(InputError):
    """A condition cannot be read, or makes no sense of the values that it gets."""


ConditionError.__module__ = "logistics"  # so that a traceback names what can be imported


class Condition(NamedTuple):
    """A condition that can be read, and the names that it refers to."""

    text: str
    tree: tuple[Any, ...]
    steps: frozenset[str]
    params: frozenset[str]

    def holds(self, outputs: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
        """Return whether it is true of these values; `ConditionError` if it cannot be told."""
        try:
            return bool(_value(self.tree, outputs, params))
        except (TypeError, LookupError) as error:
            what = f"there is no {error}" if isinstance(error, LookupError) else str(error)
            msg = f"the condition {self.text!r} makes no sense here: {what}"
            raise ConditionError(msg) from error


def parse(text: str) -> Condition:
    """Return the condition that a text says; `ConditionError` tells where it goes wrong."""
    if len(text) > LONGEST:
        msg = f"a condition has {LONGEST} characters at most, this one has {len(text)}"
        raise ConditionError(msg)
    reader = _Reader(text)
    tree = reader.condition(0)
    if reader.kind:
        raise reader.unexpected("the end")
    return Condition(text, tree, find_references(reader.references), find_parameters(reader.references))


class _Reader:
    """Reads a text token by token. Trees are tuples: `("const", 1)`, `("==", left, right)`, and so on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self.kind = ""
        """Of the present token; empty at the end."""
        self._token = ""
        self._start = 0
        self.references: list[str] = []
        self._next()

    def _next(self) -> None:
        rest = self._text[self._end :]
        self._start = self._end + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.kind = self._token = ""
            return
        found = _TOKENS.match(self._text, self._end)
        if found is None:
            self._token = self._text[self._start]
            raise self.unexpected("a value or an operator")
        self._end = found.end()
        self.kind = str(found.lastgroup)
        self._token = found[self.kind]

    def unexpected(self, wanted: str) -> ConditionError:
        """Return the error that says what was expected at this place."""
        got = repr(self._token) if self._token else "the end"
        return ConditionError(
            f"condition {self._text!r}: expected {wanted} at character {self._start + 1}, got {got}"
        )

    def _take(self, *tokens: str) -> str:
        """Return the present token and go on, if it is one of these; else an empty text."""
        if self.kind not in {"sign", "name"} or self._token not in tokens:
            return ""
        token = self._token
        self._next()
        return token

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise self.unexpected(repr(token))

    def condition(self, depth: int) -> tuple[Any, ...]:
        if depth > DEEPEST:
            msg = f"condition {self._text!r}: brackets are nested deeper than {DEEPEST}"
            raise ConditionError(msg)
        tree = self._all(depth)
        while self._take("or"):
            tree = ("or", tree, self._all(depth))
        return tree

    def _all(self, depth: int) -> tuple[Any, ...]:
        tree = self._not(depth)
        while self._take("and"):
            tree = ("and", tree, self._not(depth))
        return tree

    def _not(self, depth: int) -> tuple[Any, ...]:
        negated = False
        while self._take("not"):
            negated = not negated
        tree = self._comparison(depth)
        return ("not", tree) if negated else tree

    def _comparison(self, depth: int) -> tuple[Any, ...]:
        left = self._operand(depth)
        sign = self._take("==", "!=", "<", "<=", ">", ">=", "in", "not")
        if not sign:
            return left
        if sign == "not":
            self._need("in")
            sign = "not in"
        return (sign, left, self._operand(depth))

    def _operand(self, depth: int) -> tuple[Any, ...]:
        tree = self._value(depth)
        while sign := self._take(".", "["):
            if sign == ".":
                if self.kind != "name":
                    raise self.unexpected("a name")
                key: Any = self._token
                self._next()
            else:
                key = self._constant()
                self._need("]")
            tree = ("get", tree, key)
        return tree

    def _constant(self) -> Any:
        token, kind = self._token, self.kind
        if kind == "number":
            value: Any = float(token) if set(token) & set(".eE") else int(token)
        elif kind == "text":
            value = re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)
        else:
            raise self.unexpected("a number or a text")
        self._next()
        return value

    def _value(self, depth: int) -> tuple[Any, ...]:
        if self.kind in {"number", "text"}:
            return ("const", self._constant())
        if self.kind == "reference":
            return self._reference()
        if self.kind == "name" and self._token in _WORDS:
            return ("const", _WORDS[self._take(self._token)])
        if self._take("["):
            return self._list(depth)
        if self._take("len"):
            self._need("(")
            tree: tuple[Any, ...] = ("len", self.condition(depth + 1))
            self._need(")")
            return tree
        if self._take("("):
            tree = self.condition(depth + 1)
            self._need(")")
            return tree
        raise self.unexpected("a value")

    def _list(self, depth: int) -> tuple[Any, ...]:
        items: list[tuple[Any, ...]] = []
        while not self._take("]"):
            if items:
                self._need(",")
            items.append(self.condition(depth + 1))
        return ("list", *items)

    def _reference(self) -> tuple[Any, ...]:
        try:
            reference = parse_reference(self._token)
        except BindingError as error:
            raise ConditionError(f"condition {self._text!r}: {error}") from error
        self.references.append(self._token)
        self._next()
        return (reference.kind, reference.name)


def _value(tree: tuple[Any, ...], outputs: Mapping[str, Any], params: Mapping[str, Any]) -> Any:  # noqa: PLR0911 -- one for each kind
    kind, *parts = tree
    if kind == "const":
        return parts[0]
    if kind == "step":
        return outputs[parts[0]]
    if kind == "param":
        return params[parts[0]]
    if kind == "get":
        return _value(parts[0], outputs, params)[parts[1]]
    if kind == "and":
        return _value(parts[0], outputs, params) and _value(parts[1], outputs, params)
    if kind == "or":
        return _value(parts[0], outputs, params) or _value(parts[1], outputs, params)
    values = [_value(each, outputs, params) for each in parts]
    if kind == "list":
        return values
    if kind == "not":
        return not values[0]
    if kind == "len":
        return len(values[0])
    return _COMPARE[kind](*values)
