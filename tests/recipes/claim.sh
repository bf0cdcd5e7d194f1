# A claim with a new check: a threshold in percent, which nothing checked, is now what a word elsewhere says
cat >>src/psps_paper/claims/counts.py <<'END'


@_check("recomputed")
def share_in_words(evidence: Evidence, claim: pd.Series) -> Finding:
    """Percent that a word says; arguments: half, a third or a quarter."""
    (word,) = _arguments(claim, 1)
    share = 100 * {"half": 1 / 2, "a third": 1 / 3, "a quarter": 1 / 4}[word]
    return Finding(share, share, f"{word} of 100", determined=False)
END
sed -i '/^discussion.relief_threshold_upper,/s/printed,unavailable,,discussion,[^,]*,not checkable/recomputed,share_in_words,half,discussion,,consistent/' data/claims.csv
sed -i 's/^        ("unavailable", None, 7/        ("share_in_words", "half", 50, 0, "consistent"),\n        ("share_in_words", "a third", 34, 0, "contradicts"),\n&/' tests/test_claims.py
psps-paper tables --record
psps-paper verify
make notebooks
make check
