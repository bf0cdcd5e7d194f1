"""What the evidence allows one to conclude: robustness, threshold analysis, certainty."""
