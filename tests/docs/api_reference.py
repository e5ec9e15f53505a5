"""The entries of docs/api.md against the objects they describe: names, parameters, defaults, results."""

from __future__ import annotations

import ast
import enum
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType

from tests.docs.pages import without_blocks

HEADING = re.compile(r"^### +`(?P<entry>[^`]+)`[ \t]*$", re.MULTILINE)
ENTRY = re.compile(r"(?P<name>[A-Za-z_][\w.]*)(?P<parameters>\(.*\))?(?: *-> *(?P<returns>.+))?")
PREFIX = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])")
MISSING = object()

OPEN_ENDED = "..."
"""How a default is written that has no short form."""


@dataclass(frozen=True)
class Entry:
    """One heading: `parameters` is None when it has no brackets, `returns` when it has no arrow."""

    name: str
    parameters: str | None
    returns: str | None
    line: int


def entries(text: str) -> Iterator[Entry]:
    """The entries of a page, in order; a heading that cannot be read is an entry that resolves to nothing."""
    prose = without_blocks(text)
    for heading in HEADING.finditer(prose):
        line = prose.count("\n", 0, heading.start()) + 1
        match = ENTRY.fullmatch(heading["entry"].strip())
        if match is None:
            yield Entry(heading["entry"], None, None, line)
        else:
            yield Entry(match["name"], match["parameters"], match["returns"], line)


def complaints(text: str, module: ModuleType) -> Iterator[str]:
    """All that page and module disagree about."""
    page = list(entries(text))
    wanted = dict(public_names(module))
    for entry in page:
        subject = resolve(module, entry.name)
        if subject is MISSING or entry.name.partition(".")[0] not in public(module):
            yield f"line {entry.line}: {entry.name} is on the page and not public in {module.__name__}"
        else:
            for text_ in _differences(entry, subject):
                yield f"line {entry.line}: {entry.name}: {text_}"
    seen = [entry.name for entry in page]
    for name in sorted(set(wanted) - set(seen)):
        yield f"{name} is public and not on the page: ### `{written(name, wanted[name])}`"
    for name in sorted({name for name in seen if seen.count(name) > 1}):
        yield f"{name} is on the page more than once"


def public(module: ModuleType) -> frozenset[str]:
    return frozenset(getattr(module, "__all__", ()))


def public_names(module: ModuleType) -> Iterator[tuple[str, object]]:
    """(name, object) of everything that must have an entry."""
    for name in sorted(public(module)):
        subject = getattr(module, name, MISSING)
        if subject is MISSING or inspect.ismodule(subject) or name.startswith("__"):
            continue
        yield name, subject
        if inspect.isclass(subject) and not _is_by_name_alone(subject):
            yield from _members(name, subject)


def _members(prefix: str, cls: type) -> Iterator[tuple[str, object]]:
    for base in cls.__mro__:
        if not _is_ours(base, cls):
            continue
        for name, raw in vars(base).items():
            member = inspect.getattr_static(cls, name)
            is_first = raw is member
            if is_first and not name.startswith("_") and _is_function(raw):
                yield f"{prefix}.{name}", raw


def _is_ours(base: type, cls: type) -> bool:
    return base.__module__.partition(".")[0] in {
        cls.__module__.partition(".")[0],
        "logistics",
        "actors",
        "eventstore",
    }


def _is_function(raw: object) -> bool:
    return inspect.isfunction(raw) or isinstance(raw, property | classmethod | staticmethod)


def _is_by_name_alone(cls: type) -> bool:
    return issubclass(cls, BaseException | enum.Enum)


def resolve(module: ModuleType, name: str) -> object:
    """The object of a dotted name: raw, so that a property is a property; `MISSING` if there is none."""
    subject: object = module
    for part in name.split("."):
        subject = (
            _class_member(subject, part) if inspect.isclass(subject) else getattr(subject, part, MISSING)
        )
        if subject is MISSING:
            return MISSING
    return subject


def _class_member(cls: type, name: str) -> object:
    found: object = inspect.getattr_static(cls, name, MISSING)
    if found is MISSING and any(name in vars(base).get("__annotations__", {}) for base in cls.__mro__):
        return None
    return found


def _differences(entry: Entry, subject: object) -> Iterator[str]:
    function = _function_of(subject)
    if function is None:
        if entry.parameters is not None:
            yield "has brackets on the page and is no function"
        return
    if isinstance(subject, property):
        if entry.parameters is not None:
            yield "is a property: no brackets"
    elif entry.parameters is None:
        if not (inspect.isclass(subject) and _is_by_name_alone(subject)):
            yield f"has no parameters on the page, the code has {written(entry.name, subject)}"
    else:
        yield from _parameter_differences(entry.parameters, function)
    if not inspect.isclass(subject):
        yield from _return_differences(entry.returns, function)


def _function_of(subject: object) -> inspect.Signature | None:
    if isinstance(subject, property):
        return inspect.signature(subject.fget) if subject.fget else None
    raw = subject.__func__ if isinstance(subject, classmethod | staticmethod) else subject
    if not callable(raw):
        return None
    try:
        found = inspect.signature(raw)
    except ValueError:
        return None
    parameters = list(found.parameters.values())
    bound = isinstance(subject, classmethod) or (inspect.isfunction(subject) and "." in subject.__qualname__)
    if bound and parameters and parameters[0].name in {"self", "cls"}:
        parameters = parameters[1:]
    return found.replace(parameters=parameters)


def _parameter_differences(documented: str, signature: inspect.Signature) -> Iterator[str]:
    try:
        page = _parameters_of_text(documented)
    except SyntaxError:
        yield f"{documented} is no list of parameters"
        return
    code = _parameters_of_code(signature)
    if list(page) != list(code):
        yield f"parameters are {_listed(code)}, on the page {_listed(page)}"
        return
    for name, (kind, default, annotation) in code.items():
        page_kind, page_default, page_annotation = page[name]
        if page_kind != kind:
            yield f"{name} is {kind}, on the page {page_kind}"
        if page_default != default and not (page_default == OPEN_ENDED and default is not None):
            yield f"{name} has the default {default}, on the page {page_default}"
        if page_annotation is not None and page_annotation != annotation:
            yield f"{name} is annotated {annotation}, on the page {page_annotation}"


Parameters = Mapping[str, tuple[str, str | None, str | None]]
"""name -> (kind, default, annotation), the latter two as text or None."""


def _listed(parameters: Parameters) -> str:
    return f"({', '.join(parameters)})"


def _parameters_of_text(documented: str) -> Parameters:
    definition = ast.parse(f"def f{documented}: ...").body[0]
    assert isinstance(definition, ast.FunctionDef)
    arguments = definition.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults.extend(arguments.defaults)
    found = {
        each.arg: (
            _POSITIONAL_ONLY if each in arguments.posonlyargs else _EITHER,
            _expression(default),
            _expression(each.annotation),
        )
        for each, default in zip(positional, defaults, strict=True)
    }
    if arguments.vararg:
        found[arguments.vararg.arg] = ("*", None, _expression(arguments.vararg.annotation))
    for each, given in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found[each.arg] = (_KEYWORD_ONLY, _expression(given), _expression(each.annotation))
    if arguments.kwarg:
        found[arguments.kwarg.arg] = ("**", None, _expression(arguments.kwarg.annotation))
    return found


_POSITIONAL_ONLY = "positional only"
_EITHER = "positional or keyword"
_KEYWORD_ONLY = "keyword only"
_KINDS = MappingProxyType(
    {
        inspect.Parameter.POSITIONAL_ONLY: _POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD: _EITHER,
        inspect.Parameter.KEYWORD_ONLY: _KEYWORD_ONLY,
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
)


def _parameters_of_code(signature: inspect.Signature) -> Parameters:
    return {
        name: (_KINDS[parameter.kind], _default(parameter.default), _annotation(parameter.annotation))
        for name, parameter in signature.parameters.items()
    }


def _expression(node: ast.expr | None) -> str | None:
    return None if node is None else _normal(ast.unparse(node))


def _default(value: object) -> str | None:
    if value is inspect.Parameter.empty:
        return None
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    text = repr(value)
    try:
        return _normal(ast.unparse(ast.parse(text, mode="eval")))
    except SyntaxError:
        return OPEN_ENDED


def _annotation(value: object) -> str | None:
    if value is inspect.Parameter.empty:
        return None
    if value is None or value is type(None):
        return "None"
    text = value if isinstance(value, str) else inspect.formatannotation(value)
    return _normal(text)


def _normal(text: str) -> str:
    """Without modules and quotes: `collections.abc.Sequence[str]` is `Sequence[str]`."""
    return PREFIX.sub("", text).replace('"', "'").replace(" ", "")


def _return_differences(documented: str | None, signature: inspect.Signature) -> Iterator[str]:
    code = _annotation(signature.return_annotation)
    page = None if documented is None else _normal(documented)
    if (page or "None") != (code or "None"):
        yield f"returns {code}, on the page {page}"


def written(name: str, subject: object) -> str:
    """The entry that would be right, without annotations of parameters."""
    signature = _function_of(subject)
    if signature is None or (inspect.isclass(subject) and _is_by_name_alone(subject)):
        return name
    returns = _annotation(signature.return_annotation)
    arrow = "" if inspect.isclass(subject) or returns in {None, "None"} else f" -> {_spaced(returns or '')}"
    if isinstance(subject, property):
        return f"{name}{arrow}"
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()
    ]
    brackets = str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    return f"{name}{brackets}{arrow}"


def _spaced(annotation: str) -> str:
    return annotation.replace(",", ", ").replace("|", " | ")
