# A statistic: H of Higgins & Thompson 2002 in its room, exported, tested with a value worked out by hand
cat >src/psps_paper/pairwise/h_statistic.py <<'END'
"""How much wider than sampling error the effects scatter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from psps_paper.pairwise.random_effects import meta_analysis


def h_statistic(te: ArrayLike, se: ArrayLike) -> float:
    """Square root of Q by its degrees of freedom.

    Parameters
    ----------
    te, se : array_like, shape (n_studies,)
        Estimates and their standard errors, in the unit of the effect.

    Returns
    -------
    float
        1 where the effects scatter as sampling error lets expect; without unit.

    Source: Higgins & Thompson 2002, section 3.1.  Checked against: by hand.

    Examples
    --------
    >>> h_statistic([0.0, 2.0], [1.0, 1.0])
    1.4142135623730951
    """
    fit = meta_analysis(te, se)
    return float(np.sqrt(fit.q / fit.df_q))
END
sed -i 's/^from psps_paper.pairwise.many import/from psps_paper.pairwise.h_statistic import h_statistic\n&/; s/^    "kenward_roger",$/    "h_statistic",\n&/' src/psps_paper/pairwise/__init__.py
sed -i 's/^    "pairwise.egger_test": /    "pairwise.h_statistic": pairwise(lambda one: h_statistic(one["te"], one["se"])),\n&/; s/^    generalised_q_meta_analysis,$/&\n    h_statistic,/' tests/test_invariance.py
cat >tests/test_h_statistic.py <<'END'
"""H of Higgins & Thompson 2002, section 3.1."""

import pytest

from psps_paper.pairwise import h_statistic


def test_two_effects_by_hand():
    """0 and 2 with variances 1: Q is 2 with one degree of freedom."""
    assert h_statistic([0, 2], [1, 1]) == pytest.approx(2**0.5)
END
sed -i 's/^    "egger_test": (pairwise/    "h_statistic": (pairwise.h_statistic, STUDIES),\n&/' tests/test_extreme_arguments.py
make test FILE="tests/test_invariance.py tests/test_extreme_arguments.py"
make check
