# A claim with a new check: the day of the last search, which nothing checked, is now a day that its month has
cat >>src/psps_paper/claims/counts.py <<'END'


@_check("recomputed")
def day_of_month(evidence: Evidence, claim: pd.Series) -> Finding:
    """Whether a printed day is one that the named month has; arguments: year | month."""
    year, month = map(int, _arguments(claim, 2))
    return Finding(1, pd.Period(f"{year}-{month}").days_in_month, "days of the month", determined=False)
END
sed -i '/^abstract.search_day,/s/printed,unavailable,,abstract,Supplementary Methods 1,not checkable/recomputed,day_of_month,2023 | 12,abstract,Supplementary Methods 1,consistent/' data/claims.csv
sed -i 's/^        ("unavailable", None, 7/        ("day_of_month", "2023 | 2", 28, 0, "consistent"),\n        ("day_of_month", "2023 | 2", 29, 0, "contradicts"),\n&/' tests/test_claims.py
psps-paper tables --record
psps-paper verify
make notebooks
make check
