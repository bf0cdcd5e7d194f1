"""The stored simulation supports the claims of the chapters on other reviews, and a part of it is reproduced."""

from __future__ import annotations

import runpy

import pytest

from helpers import ROOT, table
from psps_paper.book.audit import EXAMPLE, geometry_table, power_table, senn_recovered, show_audit, simulation_texts

GROSS = ["sign of an estimate turned", "cell turned round", "limits exchanged", "rows exchanged"]


@pytest.fixture(scope="module")
def power():
    return table("audit_power")


@pytest.fixture(scope="module")
def geometry():
    return table("audit_geometry")


def test_no_false_alarm_on_two_thousand_networks(power):
    unharmed = power[power["kind"].str.startswith("none")]
    assert unharmed.loc[unharmed["kind"] == "none", "tables"].sum() == 2000 and unharmed["clash"].sum() == 0


@pytest.mark.parametrize("kind", GROSS)
def test_gross_errors_are_found_at_two_decimals(power, kind):
    row = power[(power["kind"] == kind) & (power["decimals"] == 2)].iloc[0]
    assert row["clash"] >= 0.95 * row["tables"] and row["tables"] >= 100


def test_direct_evidence_is_never_misidentified_and_mostly_identified(geometry):
    assert (
        geometry.loc[geometry["evidence"] == "direct", "no"].sum() == 0
        and geometry.loc[geometry["evidence"] == "none", "yes"].sum() == 0
    )
    public = (
        geometry[~geometry["network"].str.startswith("random") & (geometry["evidence"] == "direct")]
        .groupby("decimals")[["yes", "comparisons"]]
        .sum()
    )
    share = public["yes"] / public["comparisons"]
    assert share[2] >= 0.6 and share[3] >= 0.9


def test_a_part_of_the_simulation_is_reproduced(geometry):
    """The public networks, recounted; the random ones would take minutes."""
    script = runpy.run_path(str(ROOT / "benchmarks" / "audit_simulation.py"))
    counts = script["Counts"]()
    script["unharmed"](counts, 0)
    again = counts.geometry_table()
    stored = geometry[~geometry["network"].str.startswith("random")]
    assert again.to_dict("records") == stored.to_dict("records") and len(again) == 21


def test_tables_and_texts_of_the_chapters(power, geometry):
    shown = power_table(power)
    assert len(shown) == power["kind"].nunique() and shown.loc[
        shown["what was changed"] == "nothing changed", "clash, 2 decimals"
    ].item().startswith("0")
    assert set(geometry_table(geometry)["wrongly told"]) == {0}
    texts = simulation_texts(power, geometry)
    assert (
        texts["false_alarms"] == "none of the 2450"
        and texts["told_wrongly"] == "none of the 152,278"
        and int(texts["least_found"].split("\u202f")[0]) >= 95
    )
    recovered = senn_recovered()
    assert (recovered["told as direct"] == recovered["studies compare them"]).all() and (
        recovered["told as direct"] == "yes"
    ).sum() == 15


def test_the_form_shows_the_made_up_example_and_needs_no_inline_script():
    markup = show_audit().markup
    assert "0.40 (0.11 to 0.69)" in markup and " on" + "click" not in markup and EXAMPLE.count("\n") == 5


def test_the_article_goes_through_the_same_door():
    """Its network claims rest on this audit too (claims.network.allowed_by_print)."""
    from psps_paper.article.published import audit_description
    from psps_paper.audit import audit
    from psps_paper.claims.model import Evidence
    from psps_paper.tables.dataset import dataset

    evidence = Evidence(dataset())
    found = evidence.audited
    assert found.verdict != "clash" and (found.findings["check"] == "z").sum() == 2
    assert set(found.findings.query("check == 'P-score'")["verdict"]) == {"holds"}
    assert found.implied.query("quantity == 'df'")["lower"].item() == 22  # as claims and what_print_allows have it
    printed = evidence.table("nma_published").copy()
    row = printed.index[printed["quantity"] == "te"][0]
    printed.loc[row, "value"] = -printed.loc[row, "value"]
    clash = audit(audit_description(printed, desirable="higher")).findings.query("verdict == 'clash'")
    assert clash.iloc[0]["check"] == "interval" and "outside its interval" in clash.iloc[0]["why"]
