"""A contract file as plain values, with the line of each, so that every problem can be found."""

from dataclasses import dataclass, field
from typing import Final

import yaml

from homeostat.errors import ContractError

MAX_CHARS: Final = 256 * 1024
MAX_VALUES: Final = 20_000  # with aliases written out, so they can't be used to make a small file a large one
MAX_DEPTH: Final = 20
MAX_INTEGER: Final = 2**63

Path = tuple[str | int, ...]
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


@dataclass(slots=True)
class Document:
    """The plain values of a file and where they stand; problems come with their lines and are sorted by them."""

    source: str
    data: Plain = None
    lines: dict[Path, int] = field(default_factory=dict)
    reported: set[Path] = field(default_factory=set)  # paths with a problem
    _problems: list[tuple[int, str]] = field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """Return the line of a value, or of the nearest part around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def get(self, path: Path) -> Plain:
        """Return the value at a path, None where nothing is."""
        value = self.data
        for key in path:
            if isinstance(value, dict) and key in value:
                value = value[str(key)]
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def report(self, path: Path, text: str, line: int | None = None) -> None:
        """Note a problem as ``source:line: path: text``."""
        self.reported.add(path)
        line = self.line_of(path) if line is None else line
        dotted = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
        one_line = " ".join(f"{self.source}:{line}: {dotted}{': ' if dotted else ''}{text}".split())
        if (line, one_line) not in self._problems:
            self._problems.append((line, one_line))

    @property
    def problems(self) -> list[str]:
        """The problems in the order of their lines."""
        return [text for _, text in sorted(self._problems, key=lambda problem: problem[0])]


def read_document(text: str, source: str) -> Document:
    """Return the values of a YAML text; problems that leave the rest readable are noted in it.

    Raises:
        ContractError: It is too large, isn't YAML, or its top isn't a mapping.
    """
    document = Document(source)
    if len(text) > MAX_CHARS:
        raise ContractError([f"{source}:1: {len(text)} characters - a contract has at most {MAX_CHARS}"])
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ContractError([_syntax_problem(error, source)]) from None
    except RecursionError:
        raise ContractError([f"{source}:1: nested too deeply - a contract has at most {MAX_DEPTH} levels"]) from None
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(node, yaml.MappingNode):
        raise ContractError([f"{source}:1: expected a mapping with the keys product, event, label, features, ..."])
    document.data = _Reader(document, loader).read(node, ())
    return document


def _syntax_problem(error: yaml.YAMLError, source: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    return " ".join(f"{source}:{mark.line + 1 if mark else 1}: not valid YAML: {said}".split())


class _Reader:
    """Turns nodes into plain values and notes their lines."""

    def __init__(self, document: Document, loader: yaml.SafeLoader) -> None:
        self._document = document
        self._loader = loader
        self._values = 0

    def read(self, node: yaml.Node, path: Path) -> Plain:
        self._values += 1
        line = node.start_mark.line + 1
        self._document.lines.setdefault(path, line)
        if self._values > MAX_VALUES or len(path) > MAX_DEPTH:
            limit = f"at most {MAX_VALUES} values, aliases written out, and {MAX_DEPTH} levels"
            raise ContractError([f"{self._document.source}:{line}: too much in one file - a contract has {limit}"])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Plain]:
        values: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in _KEY_TAGS:
                found = f"'{key}' (a {key_node.tag.rpartition(':')[2]} to YAML)" if isinstance(key, str) else "a list"
                self._document.report(path, f"key {found} - expected a text; put it in quotes", line)
            elif key in values:
                first = self._document.line_of((*path, key))
                self._document.report((*path, key), f"given twice, first on line {first} - expected once", line)
            else:
                self._document.lines[*path, key] = line
                values[key] = self.read(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node, path: Path) -> Plain:
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self._document.report(path, f"'{node.value[:60]}' can't be read: {getattr(error, 'problem', error)}")
            return None
        if isinstance(value, int) and abs(value) >= MAX_INTEGER:
            self._document.report(path, f"'{node.value[:60]}' - expected a smaller number")
            return None
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return str(node.value)  # a date or bytes: no contract value has such a type, so its text will do


_KEY_TAGS: Final = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"})
