"""Skeletons of PC-stable by causal-learn.

Reads a JSON list of cases from standard input: `series` (a list per variable), `ci_test` (fisher-z, chi2 or g2),
`alpha`, `max_condition`, `bins`, and `rule`: whether tables that have no degree of freedom or fewer than five samples
per cell are left untested, which causal-learn does not do of itself. Answers for each case its edges: two positions, p
given nothing, and the largest p given nothing or one neighbour of either end.
"""

import json
import sys

import numpy
from causallearn.utils.cit import CIT
from causallearn.utils.PCUtils.SkeletonDiscovery import skeleton_discovery
from scipy.stats import rankdata

NAMES = {"fisher-z": "fisherz", "chi2": "chisq", "g2": "gsq"}
SAMPLES_PER_CELL = 5


def in_bins(series, bins):
    """Bins of equal frequency; equal values share the bin of the middle of their ranks."""
    twice_middle = numpy.rint(2 * rankdata(series) - 1).astype(int)
    return bins * twice_middle // (2 * len(series))


class WithRule:
    """A test of tables that answers dependence where a table says nothing."""

    def __init__(self, test, data):
        self.test = test
        self.data = data
        self.method = test.method

    def __call__(self, first, second, given=None):
        if self.is_untested(first, second, tuple(given or ())):
            return 0.0
        return self.test(first, second, given)

    def is_untested(self, first, second, given):
        strata = {}
        for row in self.data:
            strata.setdefault(tuple(row[list(given)]), []).append((row[first], row[second]))
        freedom = cells = 0
        for pairs in strata.values():
            rows, columns = (len(set(values)) for values in zip(*pairs))
            freedom += (rows - 1) * (columns - 1)
            cells += rows * columns
        if freedom == 0:
            # Given nothing, one of the two does not vary: it is independent.
            return bool(given)
        return len(self.data) < SAMPLES_PER_CELL * cells


def skeleton(case):
    data = numpy.array(case["series"]).T
    if case["ci_test"] != "fisher-z":
        data = numpy.column_stack([in_bins(column, case["bins"]) for column in data.T])
    test = CIT(data, NAMES[case["ci_test"]])
    if case["rule"]:
        test = WithRule(test, data)
    found = skeleton_discovery(
        data, case["alpha"], test, stable=True, show_progress=False, max_k=case["max_condition"]
    )
    adjacent = found.G.graph != 0
    return [
        [int(one), int(other), *p_values(test, adjacent, int(one), int(other))]
        for one, other in zip(*numpy.nonzero(adjacent))
        if one < other
    ]


def p_values(test, adjacent, one, other):
    others = set(numpy.flatnonzero(adjacent[one] | adjacent[other])) - {one, other}
    alone = float(test(one, other))
    return alone, max([alone, *(float(test(one, other, (int(given),))) for given in sorted(others))])


json.dump([skeleton(case) for case in json.load(sys.stdin)], sys.stdout)
