"""A column dictionary gives exactly the checks that it states."""

from __future__ import annotations

import pandas as pd
import pandera.errors
import pytest

from helpers import DATA
from psps_paper.tables.load import load_dictionary, table_names
from psps_paper.tables.schemas import DICTIONARY_COLUMNS, DTYPES, allowed_values, expectation, schema_from_dictionary


def column(**fields) -> pd.Series:
    blank = dict.fromkeys(DICTIONARY_COLUMNS, "")
    return pd.Series({**blank, "name": "x", "type": "text", "nullable": "no", "unique": "no", **fields})


def schema(**fields):
    return schema_from_dictionary(pd.DataFrame([column(**fields)]))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "text"}, "text"),
        ({"type": "integer"}, "a whole number"),
        ({"type": "integer", "minimum": "1", "maximum": "88"}, "a whole number, at least 1, at most 88"),
        ({"type": "number", "minimum": "0"}, "a number, at least 0"),
        ({"type": "number", "maximum": "1"}, "a number, at most 1"),
        ({"type": "choice", "allowed": "low|some concerns|high"}, "one of low, some concerns, high"),
        ({"type": "date"}, "a date written YYYY-MM-DD"),
        ({"type": "doi"}, "a DOI such as 10.1000/182"),
        ({"type": "url"}, "a web address starting with http:// or https://"),
    ],
)
def test_expectation_says_what_a_value_must_be(fields, words):
    assert expectation(column(**fields)) == words


def test_every_type_has_words_and_a_dtype():
    for kind in DTYPES:
        assert expectation(column(type=kind, allowed="a"))
        assert str(schema(type=kind, allowed="a").columns["x"].dtype)


def test_allowed_values_keep_their_order():
    assert allowed_values(column(allowed="some concerns|low|high")) == ["some concerns", "low", "high"]
    assert allowed_values(column()) == []


@pytest.mark.parametrize(
    ("fields", "good", "bad"),
    [
        ({"type": "number", "minimum": "0", "maximum": "1"}, [0.0, 1.0], [-0.001]),
        ({"type": "number", "minimum": "0", "maximum": "1"}, [0.5], [1.001]),
        ({"type": "choice", "allowed": "yes|no"}, ["yes", "no"], ["maybe"]),
        ({"type": "choice", "allowed": "yes|no"}, ["yes"], ["Yes"]),
        ({"type": "text", "unique": "yes"}, ["a", "b"], ["a", "a"]),
        ({"type": "text", "nullable": "no"}, ["a"], [None]),
        ({"type": "url"}, ["https://example.org/a"], ["example.org"]),
        ({"type": "url"}, ["http://example.org"], ["https://example.org/a b"]),
        ({"type": "date"}, ["2023-12-18"], ["2023-13-18"]),
        ({"type": "doi"}, ["10.3233/BMR-160722"], ["hello world"]),
        ({"type": "doi"}, ["10.1038/s43856-025-00778-x"], ["https://doi.org/10.1038/s43856-025-00778-x"]),
    ],
)
def test_schema_accepts_and_refuses(fields, good, bad):
    dtype = DTYPES[fields["type"]]
    schema(**fields).validate(pd.DataFrame({"x": pd.Series(good, dtype=dtype)}))
    with pytest.raises(pandera.errors.SchemaError):
        schema(**fields).validate(pd.DataFrame({"x": pd.Series(bad, dtype=dtype)}))


def test_columns_unique_together_may_repeat_alone():
    both = schema_from_dictionary(
        pd.DataFrame([column(name=name, unique="together", nullable="yes") for name in ("x", "y")])
    )
    both.validate(pd.DataFrame({"x": ["a", "a", "b"], "y": ["c", None, None]}, dtype="str"))
    with pytest.raises(pandera.errors.SchemaError):
        both.validate(pd.DataFrame({"x": ["a", "b", "a"], "y": [None, "c", None]}, dtype="str"))


def test_nullable_column_takes_missing_values():
    table = pd.DataFrame({"x": pd.Series([None, "a"], dtype="str")})
    schema(nullable="yes").validate(table)
    with pytest.raises(pandera.errors.SchemaError):
        schema(nullable="no").validate(table)


@pytest.mark.parametrize("table", [{"x": ["a"], "y": ["b"]}, {}, {"y": ["b"]}], ids=["one more", "none", "another"])
def test_schema_is_strict(table):
    with pytest.raises((pandera.errors.SchemaError, pandera.errors.SchemaErrors)):
        schema().validate(pd.DataFrame(table, dtype="str"))


@pytest.mark.parametrize("name", table_names(DATA))
def test_schema_has_the_dictionarys_columns_in_order(name):
    dictionary = load_dictionary(name, DATA)
    built = schema_from_dictionary(dictionary)
    assert list(built.columns) == dictionary["name"].tolist()
    assert built.strict and built.ordered
    for row in dictionary.itertuples():
        assert built.columns[row.name].nullable == (row.nullable == "yes")
        assert built.columns[row.name].unique == (row.unique == "yes")
