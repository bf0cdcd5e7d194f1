"""Find arms whose columns are distinguished by words: ``event.e`` and ``event.c``, ``Arm 1: mean``, ``n_A``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

_ACTIVE, _PASSIVE = ("experimental", "intervention", "treatment", "active"), ("control", "comparator")
_GROUP = ("", "group", "arm")
_FIRST = {"e", "exp", "treated", "groupa", *(f"{word}{of}" for word in _ACTIVE for of in _GROUP)}
_SECOND = {"c", "con", "ctrl", "comparison", "groupb", *(f"{word}{of}" for word in _PASSIVE for of in _GROUP)}
_NUMBERED = re.compile(r"(arm|group|treatment|intervention|trt)([1-9])")
# Words that also occur next to the numbers of one arm and do not name a treatment
_NO_TREATMENT = re.compile(
    r"(baseline|pre|post|before|after|followup|final|endpoint|change|cfb|delta|total|all|overall|pooled|men|women"
    r"|males?|females?|boys|girls|\d*(day|week|month|year|wk|mo)s?\d*|[\d.]+|t\d*|study|group|arm|of|patients|n|sd|se|mean|events)"
)
_SIZE = re.compile(r"(^|[\W_])(n|total|sample size)($|[\W_])", re.IGNORECASE)
# Columns that name the treatments of two arms
_NAMED = {
    1: ("experimentalintervention", "experimental", "intervention", "treatment"),
    2: ("controlintervention", "comparatorintervention", "control", "comparator"),
}
_NAMES = ("intervention", "name", "label", "treatment", "drug", "treatmentname")


def arms_by_role(
    columns: Mapping[str, str], targets: Mapping[str, Sequence[str]], complete: Callable[[Mapping[str, str]], bool]
) -> tuple[dict[int, dict[str, str]], dict[int, str]]:
    """Find the columns of each arm, and the names of treatments where columns hold them.

    Parameters
    ----------
    columns : mapping of str to str
        Plain name to column.
    targets : mapping of str to sequence of str
        Column of this package to its plain names.
    complete : function
        Whether the columns of an arm suffice.

    Returns
    -------
    arms : dict of int to dict
        Empty where the columns do not tell arms apart.
    names : dict of int to str
    """
    roles = _split(columns, {**targets, "treatment": _NAMES})
    found = {role: arm for role, arm in roles.items() if complete(arm)}
    first, second = ([role for role in found if role in words] for words in (_FIRST, _SECOND))
    numbered = sorted((role for role in found if _NUMBERED.fullmatch(role)), key=lambda role: role[-1])
    if len(first) == len(second) == 1:
        chosen, named = [*first, *second], False
    elif len(numbered) > 1:
        chosen, named = numbered, False
    else:
        chosen, named = list(found), True
        if any(_NO_TREATMENT.fullmatch(role) for role in chosen):
            return {}, {}
    arms = {number: dict(found[role]) for number, role in enumerate(chosen, 1)}
    used = [column for arm in arms.values() for column in arm.values()]
    # A further arm must not be dropped because one of its columns is missing or has another name
    left = [
        role
        for role, arm in roles.items()
        if arm.get("n") and arm["n"] not in used and _SIZE.search(arm["n"]) and not _NO_TREATMENT.fullmatch(role)
    ]
    same = len({frozenset(arm) for arm in arms.values()}) == 1
    if len(arms) < 2 or len(set(used)) < len(used) or not same or left:
        return {}, {}
    if not named:
        for number, role in enumerate(chosen, 1):
            for word in [role] if _NUMBERED.fullmatch(role) else _NAMED[number]:
                if word in columns and columns[word] not in used:
                    arms[number].setdefault("treatment", columns[word])
        return arms, {}
    names = {number: _label(arms[number]["n"], targets["n"]) for number in arms if "n" in arms[number]}
    return (arms, names) if len(set(names.values())) == len(arms) else ({}, {})


def _split(columns: Mapping[str, str], targets: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Map each word that may identify an arm to its columns; longer names of numbers are tried first."""
    roles: dict[str, dict[str, str]] = {}
    words = sorted(((name, target) for target, names in targets.items() for name in names), key=lambda w: -len(w[0]))
    for plain_name, column in columns.items():
        for word, target in words:
            for role in (
                plain_name.removeprefix(word) if plain_name.startswith(word) else "",
                plain_name.removesuffix(word) if plain_name.endswith(word) else "",
            ):
                if role:
                    roles.setdefault(role, {}).setdefault(target, column)
    return roles


def _label(column: str, words: Sequence[str]) -> str:
    """Remove from the name of a column the word for the number it holds."""
    for word in sorted(words, key=len, reverse=True):
        pattern = r"[\W_]*".join(word)
        for way in (rf"[\W_]*{pattern}(?P<name>.+)", rf"(?P<name>.+?){pattern}[\W_]*"):
            if found := re.fullmatch(way, column, re.IGNORECASE):
                return found["name"].strip(" _.:,;-()[]")
    return column
