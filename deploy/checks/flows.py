"""Who may reach whom, by the rules of NetworkPolicies: a flow needs the egress of its source and the ingress of its target."""

import dataclasses

from chart import ROLES

PORTS = {"walker": 4310, "collector": 4311, "graph-builder": 4312, "profiler": 4313}
ADMIN = 4390
HTTP = 4314
LINK_LOCAL = "169.254.0.0/16"


@dataclasses.dataclass(frozen=True)
class Pod:
    """A pod as a policy sees it."""

    name: str
    labels: tuple
    namespace: str
    namespace_labels: tuple


def outsider(name, namespace, **labels):
    """A pod that is not of the chart."""
    return Pod(name, tuple(labels.items()), namespace, (("kubernetes.io/metadata.name", namespace),))


def chart_pods(documents):
    """The pods of a render, by the labels of their templates."""
    pods = []
    for document in documents:
        labels = {"Deployment": lambda d: d["spec"]["template"]["metadata"]["labels"], "Pod": lambda d: d["metadata"]["labels"]}
        labels["StatefulSet"] = labels["Deployment"]
        labels["CronJob"] = lambda d: d["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
        if document["kind"] in labels:
            found = labels[document["kind"]](document)
            namespace = document["metadata"]["namespace"]
            pods.append(Pod(found["app.kubernetes.io/component"], tuple(found.items()), namespace, (("kubernetes.io/metadata.name", namespace),)))
    return pods


OUTSIDERS = (
    outsider("neighbour", "diagnosis", app="shell"),
    outsider("stranger", "shop", app="web"),
    outsider("alertmanager", "monitoring", **{"app.kubernetes.io/name": "alertmanager"}),
    outsider("internet", ""),
    outsider("prometheus", "monitoring", **{"app.kubernetes.io/name": "prometheus"}),
    outsider("dns", "kube-system", **{"k8s-app": "kube-dns"}),
    # NodeLocal DNSCache: a pod of the host's network, which only its address tells.
    outsider("node-dns", ""),
)


def selects(selector, labels):
    """Whether a selector takes these labels. Only what the chart uses is known, so that nothing is overlooked."""
    assert set(selector) <= {"matchLabels"}, f"unknown selector {selector}"
    return set(selector.get("matchLabels", {}).items()) <= set(labels)


def is_peer(peer, pod, own_namespace):
    """Whether a peer of a rule is this pod."""
    assert set(peer) <= {"podSelector", "namespaceSelector", "ipBlock"}, f"unknown peer {peer}"
    if peer.get("ipBlock") == {"cidr": LINK_LOCAL}:
        return pod.name == "node-dns"
    if "ipBlock" in peer:
        # Only what leaves pods out is known.
        assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", LINK_LOCAL} <= set(peer["ipBlock"]["except"]), f"pods may be in {peer}"
        return pod.name == "internet"
    if pod.name in ("internet", "node-dns"):
        return False
    if "namespaceSelector" in peer:
        in_namespace = selects(peer["namespaceSelector"], pod.namespace_labels)
    else:
        in_namespace = pod.namespace == own_namespace
    return in_namespace and selects(peer.get("podSelector", {}), pod.labels)


def allows(policies, direction, pod, other, port, protocol):
    """Whether the policies of `pod` let through what it takes from or sends to `other`."""
    key, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    applying = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and selects(policy["spec"]["podSelector"], pod.labels)
        and direction in policy["spec"]["policyTypes"]
    ]
    if not applying:
        return True
    for policy in applying:
        for rule in policy["spec"].get(key) or []:
            who = rule.get(peers)
            to_peer = not who or any(is_peer(peer, other, pod.namespace) for peer in who)
            ports = rule.get("ports")
            on_port = not ports or any(p["port"] == port and p.get("protocol", "TCP") == protocol for p in ports)
            if to_peer and on_port:
                return True
    return False


def allowed(documents):
    """All flows between pods of the chart, and between them and others: (source, target, port, protocol)."""
    policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
    own = chart_pods(documents)
    ways = [(port, "TCP") for port in (*PORTS.values(), ADMIN, HTTP, 53, 443, 4317, 5353, 9090)] + [(53, "UDP"), (5353, "UDP")]
    return {
        (source.name, target.name, port, protocol)
        for source in (*own, *OUTSIDERS)
        for target in (*own, *OUTSIDERS)
        # Only graph-builders are several that call each other; that others cannot is a flow that is not allowed.
        if (source in own or target in own)
        for port, protocol in ways
        if allows(policies, "Egress", source, target, port, protocol) and allows(policies, "Ingress", target, source, port, protocol)
    }


def designed():
    """The arrows of the design, and nothing else."""
    arrows = {("walker", role, PORTS[role], "TCP") for role in ROLES if role != "walker"}
    arrows |= {("graph-builder", "graph-builder", PORTS["graph-builder"], "TCP")}
    arrows |= {(caller, "walker", PORTS["walker"], "TCP") for caller in ("neighbour", "test")}
    arrows |= {("neighbour", "walker", HTTP, "TCP")}
    arrows |= {("prometheus", role, ADMIN, "TCP") for role in ROLES}
    return arrows | {flow for source in ("walker", "graph-builder", "test") for flow in names(source)}


def names(source, port=53):
    """How a source looks names up."""
    return {(source, server, port, protocol) for server in ("dns", "node-dns") for protocol in ("TCP", "UDP")}
