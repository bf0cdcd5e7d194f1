"""The description to fill in."""

TEMPLATE = """\
# What a paper prints about its network meta-analysis, for `psps-paper audit`. Everything but `schema` is optional:
# delete what is not printed. Copy numbers as they are printed, with their trailing zeros.
schema: 1
title: Name of the paper
source: Address or DOI, and the table

networks:
  - name: outcome 1                  # one entry for each outcome, panel or model
    measure: SMD                     # SMD, MD, OR, RR, HR ...; left out: inferred from the numbers
    framework: frequentist           # or bayesian
    level: 95                        # of the intervals, in percent
    better: higher                   # or lower: what is good for the patient, of the first-named treatment
    tables:
      - holds: network               # or direct, for pairwise estimates
        triangle: both               # lower, upper or both
        orientation: row versus column   # or column versus row; left out: inferred where signs decide it
        text: |                      # the table itself; or  file: league.csv  beside this file (.csv, .xlsx, .txt)
          A | 0.30 (0.10 to 0.50) | 0.50 (0.20 to 0.80)
            | B                   | 0.20 (-0.10 to 0.50)
            |                     | C
        # decimals: 2                # where trailing zeros were dropped in print
        # where: {panel: 2A}         # rows of a file: head of a column and its value
        # label_column: 2            # which column holds the names of the rows
        # reference: C               # of a list against one treatment
        # columns: {treatment: name, estimate: est, lower: low, upper: high, p: p}   # heads of a list's columns
    scores: {kind: P-score, A: "1.00", B: "0.45", C: "0.05"}   # or kind: SUCRA; percent or fraction
    # mean_ranks: {A: "1.2", B: "2.2", C: "2.6"}
    # rank_probabilities: {A: ["90.1", "8.2", "1.7"], B: ["8", "60", "32"], C: ["1.9", "31.8", "66.3"]}
    # best: {A: "90.1"}              # probabilities of the first rank; worst: of the last
    # p_values: [{treat1: A, treat2: B, p: "0.003"}]
    # z_values: [{treat1: A, treat2: B, z: "2.94"}]
    # predictions: [{treat1: A, treat2: B, interval: "-0.20 to 0.80"}]
    # heterogeneity: {tau2: "0.04", I2: "46%", I2_lower: "10%", I2_upper: "68%", Q: "37.0", df: 20, p: "0.012", studies: 22, arms: 44}
    # Q: [{name: Total, Q: "21.44", df: 23, p: "0.5544"}, {name: Within, Q: "17.25", df: 15}, {name: Between, Q: "4.19", df: 8}]

# percentages: [{percent: "33.3%", of: 12}]
"""
