"""chi-square and G-square of stratified tables by scipy.

Reads a JSON list of tables from standard input, each a list of strata, each a list of rows of counts. Answers for each
table [p of chi-square, p of G-square, degrees of freedom].
"""

import json
import sys

import numpy
from scipy.stats import chi2, chi2_contingency


def without_empty_lines(stratum):
    counts = numpy.array(stratum)
    return counts[counts.any(axis=1)][:, counts.any(axis=0)]


def p_values(strata):
    filled = [counts for counts in map(without_empty_lines, strata) if counts.size]
    answer = []
    for statistic in ("pearson", "log-likelihood"):
        found = [chi2_contingency(counts, correction=False, lambda_=statistic) for counts in filled]
        freedom = sum(one.dof for one in found)
        total = sum(one.statistic for one in found)
        answer.append(float(chi2.sf(total, freedom)) if freedom else 1.0)
    return [*answer, int(freedom)]


json.dump([p_values(strata) for strata in json.load(sys.stdin)], sys.stdout)
