"""PC-stable by causal-learn, timed.

Reads a JSON object from standard input: `metrics` (a list of metric types, each a list of series), `ci_test` (fisherz
or gsq), `alpha` and `max_condition`. Answers `cpu_seconds`, of the skeletons alone, and `skeletons`: the edges of each
metric type as pairs of positions.
"""

import json
import sys
import time

import numpy
from causallearn.utils.cit import CIT
from causallearn.utils.PCUtils.SkeletonDiscovery import skeleton_discovery

request = json.load(sys.stdin)
data = [numpy.array(series).T for series in request["metrics"]]

begin = time.process_time()
found = [
    skeleton_discovery(
        samples,
        request["alpha"],
        CIT(samples, request["ci_test"]),
        stable=True,
        show_progress=False,
        max_k=request["max_condition"],
    )
    for samples in data
]
cpu_seconds = time.process_time() - begin

skeletons = [
    [[int(one), int(other)] for one, other in zip(*numpy.nonzero(graph.G.graph != 0)) if one < other]
    for graph in found
]
json.dump({"cpu_seconds": cpu_seconds, "skeletons": skeletons}, sys.stdout)
