"""YAML as people write it to plain data, or one plain message with the line.

Plain scalars are read as YAML 1.2 reads them, not 1.1: `no`, `on`, `010`, `1:30` and `2024-01-02` stay text and
`1e3` is a number. A key is always the text that stands there. Two equal keys of one mapping are refused, since
the last would win in silence; so are tags, several documents, and aliases that swell or refer to themselves.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from somray.errors import ConfigError

__all__ = ["Document", "read_document"]

MOST_BYTES = 1 << 20
MOST_DEPTH = 40  # the configuration itself needs seven
MOST_VALUES = 100_000  # with every alias written out

_PLAIN: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", "<<", "<"),
)
_UNSEEN = re.compile(
    r"^ *[\u00a0\u2000-\u200b\u202f\u3000\ufeff]|: ?[\u00a0\u2000-\u200b\u202f\u3000]", re.MULTILINE
)
_HINTS = (
    (r"'\\t'", "indent with spaces, not with tabs"),
    ("constructor for the tag", "tags are not read; write the plain value"),
    ("another document", "keep one document, without a line '---' in its midst"),
    ("mapping values are not allowed", "quote a value that holds a colon; look at the indentation"),
    ("unknown escape", "write \\ in single quotes, or paths with /"),
    ("cannot start any token", "quote the value"),
    ("undefined alias", "quote a value that begins with *"),
    ("stream end", "a bracket or quotation mark is not closed"),
    ("but found", "look at the indentation, and for a line that lacks its colon"),
    ("could not find expected ':'", "write `key: value`; look at the line before too"),
)


@dataclass(frozen=True)
class Document:
    """What a YAML text holds.

    `data` is None where the text is empty; `lines` gives for a path of keys (list places as text) its line, from 1.
    """

    data: object
    lines: dict[tuple[str, ...], int]

    def line_of(self, path: tuple[str, ...]) -> int | None:
        """Return the line of a path, or of the nearest part above it that the text has."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return None


class _Loader(yaml.SafeLoader):
    """A safe loader whose keys are text and whose scalars are YAML 1.2's."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # Any: untyped
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"(?:{_pattern})$"),
        ["" if sign == "\0" else sign for sign in _first],
    )


def read_document(content: bytes | str, source: str) -> Document:
    """Read one YAML document, of a file's content or of text; `source` names it in messages.

    Raises:
        ConfigError: it is no YAML, or says something that could be read in two ways; one paragraph, with the
            line.
    """
    text = content if isinstance(content, str) else _decoded(content, source)
    if len(text) > MOST_BYTES:
        raise ConfigError(
            f"{source}: is larger than a configuration can be ({len(text)} characters)"
        )
    if found := _UNSEEN.search(text):
        line = text.count("\n", 0, found.end() - 1) + 1
        raise ConfigError(
            f"{source}: is not YAML: line {line}: holds a no-break space where a plain one belongs; type it anew"
        )
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document(None, {})
            _survey(node, {}, ())
            return Document(loader.construct_document(node), dict(_lines(node, ())))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{source}: is not YAML: {_said(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{source}: is not YAML: line {line}: holds a character that no text has (code {error.character}); "
            "save it as plain UTF-8 text"
        ) from None
    except RecursionError:
        raise ConfigError(f"{source}: is nested deeper than a configuration can be") from None


def _decoded(content: bytes, source: str) -> str:
    """Decode UTF-8, with or without a byte order mark, or UTF-16 with one."""
    if b"\0" in content[:1000] and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(
            f"{source}: is no text, so no configuration; for a scan, `somray init {source}` writes one"
        )
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{source}: is not YAML: line {line} is not UTF-8 text; save the file with the encoding UTF-8"
        ) from None


def _said(error: yaml.MarkedYAMLError) -> str:
    """Make one sentence of a parser's error."""
    problem = str(error.problem or error.context or "cannot be read")
    hint = next((f"; {advice}" for sign, advice in _HINTS if re.search(sign, problem)), "")
    mark = error.problem_mark or error.context_mark
    if "stream end" in problem and error.context_mark is not None:
        mark = error.context_mark  # where it was opened
    return f"{_at(mark)}{problem}{hint}"


def _at(mark: Any) -> str:  # Any: yaml.Mark has no types
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _refused(node: Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _survey(node: Node, sizes: dict[int, int], above: tuple[int, ...]) -> int:
    """Count the values below a node with aliases written out; refuse what swells, circles or repeats a key."""
    if id(node) in above:
        raise _refused(node, "an anchor that holds its own alias has no end")
    if len(above) > MOST_DEPTH:
        raise _refused(node, "is nested deeper than a configuration can be")
    if id(node) not in sizes:
        if isinstance(node, MappingNode):
            _refuse_twins(node)
        here = (*above, id(node))
        sizes[id(node)] = 1 + sum(_survey(child, sizes, here) for child in _children(node))
    if sizes[id(node)] > MOST_VALUES:
        raise _refused(node, "holds more values than a configuration can, through its aliases")
    return sizes[id(node)]


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _refuse_twins(node: MappingNode) -> None:
    """Refuse a key that is no text, and one that stands twice."""
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            raise _refused(key, "a key must be plain text")
        line = key.start_mark.line + 1
        if key.value in seen:
            raise _refused(
                key,
                f"the key {key.value!r} stands twice, in lines {seen[key.value]} and {line}; keep one of them",
            )
        seen[key.value] = line


def _lines(node: Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield where every key and list entry stands; what a merge brought in stands at its anchor."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from _lines(value, (*path, key.value))
    elif isinstance(node, SequenceNode):
        for place, value in enumerate(node.value):
            yield (*path, str(place)), value.start_mark.line + 1
            yield from _lines(value, (*path, str(place)))
