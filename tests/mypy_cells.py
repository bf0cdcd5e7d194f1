"""Mypy plugin: give a cell of a table the type Any.

The pandas stubs give it the union of all types that a cell can have. Checking its arithmetic tries every pair of types,
which takes most of the time of a run and reports no real faults.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.plugin import AttributeContext, MethodContext, Plugin
from mypy.types import AnyType, Type, TypeOfAny, UnionType, get_proper_type

ROW = "pandas.core.frame.PandasNamedTuple."
FEWEST = 5  # types in the union of a cell; an optional value has two


def _any(_: AttributeContext | MethodContext) -> Type:
    return AnyType(TypeOfAny.explicit)


def _any_for_a_cell(context: MethodContext) -> Type:
    found = get_proper_type(context.default_return_type)
    is_cell = isinstance(found, UnionType) and len(found.items) >= FEWEST
    return AnyType(TypeOfAny.explicit) if is_cell else context.default_return_type


class Cells(Plugin):
    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        return _any if fullname.startswith(ROW) else None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        if not fullname.startswith("pandas."):
            return None
        return _any if fullname.endswith(("idxmax", "idxmin")) else _any_for_a_cell


def plugin(version: str) -> type[Plugin]:
    return Cells
