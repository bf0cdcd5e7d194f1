"""Other people's YAML: parsed within limits on size and depth, with file and line in every error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from psps_paper.tables.errors import TableError
from psps_paper.tables.limits import MAX_YAML_BYTES, MAX_YAML_DEPTH

LONGEST_REASON = 200  # characters; it may repeat content of the file
# Characters that no plain text has: control characters, those that change the direction of text, lone surrogates
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _OneEach(yaml.constructor.BaseConstructor):
    """Refuses a mapping that gives a name twice."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value[:40]!r} is given twice", key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep=deep)


class _TextLoader(_OneEach, yaml.BaseLoader):
    """Loads every scalar as text."""


class _SafeLoader(_OneEach, yaml.SafeLoader):
    """The safe loader without merge keys, with an error that names the line for any text that a tag cannot read."""

    def flatten_mapping(self, node):
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # merges of merges grow exponentially
                raise yaml.constructor.ConstructorError(
                    None, None, "<< is not used here; write the entries out", key.start_mark
                )

    def construct_object(self, node, deep=False):
        try:
            return super().construct_object(node, deep=deep)
        except yaml.YAMLError:
            raise
        except Exception:  # a tag such as !!float on a text that is not a number can fail in any way
            shown = f" {node.value[:40]!r}" if isinstance(node.value, str) else ""
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.tag.rpartition(':')[2]}{shown} cannot be read", node.start_mark
            ) from None


def load_yaml(path: Path, name: str, *, as_text: bool = False) -> object:
    """Read the content of a YAML file.

    Parameters
    ----------
    path : Path
    name : str
        Name of the file in messages.
    as_text : bool
        Keep numbers, dates and truth values as text.

    Raises
    ------
    TableError
        The file is not YAML, not UTF-8, or larger or deeper than the limits; the message gives its name and line.
    """
    with path.open("rb") as file:
        content = file.read(MAX_YAML_BYTES + 1)
    if len(content) > MAX_YAML_BYTES:
        raise TableError(f"{name}: larger than {MAX_YAML_BYTES:,} bytes, the limit")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TableError(f"{name}, line {line}: not YAML (UnicodeDecodeError); save the file as UTF-8") from None
    try:
        # The parser is recursive, so nesting that is too deep must be found before parsing
        _check_depth(text)
        return yaml.load(text, Loader=_TextLoader if as_text else _SafeLoader)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = place.line if place else text.count("\n", 0, getattr(error, "position", 0))
        why = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
        shown = why if len(why) <= LONGEST_REASON else why[: LONGEST_REASON - 1] + "\N{HORIZONTAL ELLIPSIS}"
        raise TableError(f"{name}, line {line + 1}: not YAML ({shown})") from None


def _check_depth(text: str) -> None:
    """Scan the tokens and refuse nesting beyond the limit and characters that no plain text has."""
    depth = 0
    for token in _tokens(text):
        if isinstance(token, yaml.ScalarToken) and (found := _CONTROL.search(token.value)):
            code = f"U+{ord(found[0]):04X}"
            raise yaml.composer.ComposerError(None, None, f"the control character {code}", token.start_mark)
        if isinstance(
            token,
            (
                yaml.FlowSequenceStartToken,
                yaml.FlowMappingStartToken,
                yaml.BlockSequenceStartToken,
                yaml.BlockMappingStartToken,
            ),
        ):
            depth += 1
        elif isinstance(token, (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)):
            depth -= 1
        if depth > MAX_YAML_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f"more than {MAX_YAML_DEPTH} levels, the limit", token.start_mark
            )


def _tokens(text: str) -> Iterator[yaml.Token]:
    mark = None
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            mark = token.end_mark
            yield token
    except (ValueError, OverflowError):  # \\U with a number that is not a character
        raise yaml.scanner.ScannerError(None, None, "an escape that is not a character", mark) from None
