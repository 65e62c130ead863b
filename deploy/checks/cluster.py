"""An API server of Kubernetes in memory, as kubectl sees one: sixteen Deployments, Chaos Mesh, and their metrics.

Objects of Chaos Mesh are held against its CustomResourceDefinitions; unknown fields are refused. What Chaos Mesh does with them
is acted out: they are injected after a while, change what the services measure, and are undone before they are gone.
"""

import http.server
import json
import re
import threading
import time
import urllib.parse

import schemas
from chart import KUBERNETES
from pymicro_manifests import CALLS

CHAOS = "chaos-mesh.org/v1alpha1"
NAMESPACE = "pymicro"
KINDS = {kind.lower(): kind for kind in ("StressChaos", "PodChaos", "IOChaos", "NetworkChaos", "HTTPChaos")}
# How long Chaos Mesh takes to inject and to undo, seconds.
DELAY = 0.5
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


class Cluster:
    """What is in the cluster."""

    def __init__(self):
        self.lock = threading.RLock()
        self.chaos = {}
        self.created = []
        self.refused = []
        self.version = 1
        self.metrics = Metrics(self)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"cluster": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_port}"

    def create(self, plural, document):
        """Takes an object in; the object as it is then, or why it is refused."""
        with self.lock:
            name = document["metadata"]["name"]
            if (plural, name) in self.chaos:
                return 409, status(409, "AlreadyExists", f"{plural} {name} already exists")
            try:
                schemas.check(document, KUBERNETES[-1])
            except schemas.Invalid as fault:
                self.refused.append(str(fault))
                return 422, status(422, "Invalid", str(fault))
            self.version += 1
            document["metadata"] |= {"uid": str(self.version), "resourceVersion": str(self.version), "finalizers": ["chaos-mesh/records"]}
            self.chaos[plural, name] = document
            self.created.append(json.loads(json.dumps(document)))
        threading.Timer(DELAY, self._inject, [plural, name]).start()
        return 201, document

    def _inject(self, plural, name):
        with self.lock:
            document = self.chaos.get((plural, name))
            if document and "deletionTimestamp" not in document["metadata"]:
                self._touch(document)
                conditions = [{"type": "Selected", "status": "True"}, {"type": "AllInjected", "status": "True"}]
                document["status"] = {"conditions": conditions, "experiment": {"desiredPhase": "Run"}}
                schemas.check(document, KUBERNETES[-1])

    def _touch(self, document):
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)

    def delete(self, plural, name):
        """Marks an object; it goes when its finalizer has gone."""
        with self.lock:
            document = self.chaos.get((plural, name))
            if document is None:
                return 404, status(404, "NotFound", f"{plural} {name} not found")
            document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self._touch(document)
        threading.Timer(DELAY, self._remove, [plural, name]).start()
        return 200, document

    def _remove(self, plural, name):
        with self.lock:
            self.chaos.pop((plural, name), None)
            self.version += 1

    def objects(self, plural):
        """All of a kind."""
        with self.lock:
            if plural == "deployments":
                return [self._deployment(name) for name in CALLS]
            return [json.loads(json.dumps(document)) for (kind, _), document in self.chaos.items() if kind == plural]

    def _deployment(self, name):
        away = any(service == name and document["kind"] == "PodChaos" for service, document in self.active())
        condition = {"type": "Available", "status": "False" if away else "True"}
        metadata = {"name": name, "namespace": NAMESPACE, "resourceVersion": str(self.version), "uid": name, "generation": 1}
        return {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "status": {"observedGeneration": 1, "conditions": [condition]},
        }

    def active(self):
        """The services that are harmed, each with its fault."""
        with self.lock:
            return [
                (document["spec"]["selector"]["labelSelectors"]["app.kubernetes.io/name"], document)
                for document in self.chaos.values()
                if "status" in document and document["spec"]["selector"]["namespaces"] == [NAMESPACE]
            ]

    def stop(self):
        """Ends it."""
        self.server.shutdown()


class Metrics:
    """What the services measure: counters that grow as long as they are scraped, the faster the worse a fault."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.lock = threading.Lock()
        self.last = time.monotonic()
        self.counters = {service: dict.fromkeys(("sum", "count", "failed", "cpu", "io"), 0.0) for service in CALLS}

    def _latency(self, service, harmed):
        own = 0.01 + harmed.get(service, {}).get("latency", 0.0)
        return own + sum(self._latency(callee, harmed) for callee in CALLS[service])

    def _grow(self, harmed):
        now = time.monotonic()
        passed, self.last = now - self.last, now
        # A load that all share and that swings, as real ones do.
        load = 20 + 6 * abs((now / 7) % 2 - 1)
        for number, (service, counters) in enumerate(self.counters.items()):
            calls = load * passed * (1 + 0.05 * abs((now * (number + 3) / 11) % 2 - 1))
            fault = harmed.get(service, {})
            counters["count"] += calls
            counters["sum"] += calls * self._latency(service, harmed)
            counters["failed"] += calls * fault.get("failed", 0.0)
            counters["cpu"] += calls * 0.002 + passed * fault.get("cpu", 0.0)
            counters["io"] += calls * 1000

    def exposition(self, service):
        """The metrics of a service, or nothing where it is away."""
        harmed = {name: effect(document) for name, document in self.cluster.active()}
        if harmed.get(service, {}).get("away"):
            return None
        with self.lock:
            self._grow(harmed)
            counters = dict(self.counters[service])
        memory = 3e7 + harmed.get(service, {}).get("memory", 0.0) + counters["count"] % 1000
        lines = {
            "pymicro_request_duration_seconds_sum": counters["sum"],
            "pymicro_request_duration_seconds_count": counters["count"],
            'pymicro_requests_total{status="200"}': counters["count"] - counters["failed"],
            'pymicro_requests_total{status="500"}': counters["failed"],
            "pymicro_io_bytes_total": counters["io"],
            "process_cpu_seconds_total": counters["cpu"],
            "process_resident_memory_bytes": memory,
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())


    def cadvisor(self):
        """What the kubelet says of the containers of the application, of others, and of those that hold a pod together."""
        pods = [(f"{service}-5d9f8-x2x4z", container) for service in CALLS for container in (service, "POD", "")]
        pods += [("zookeeper-0", "zookeeper"), ("load-6b7c9-k8s2j", "load")]
        with self.lock:
            seconds = {service: counters["cpu"] for service, counters in self.counters.items()}
        lines = []
        for pod, container in pods:
            labels = f'namespace="{NAMESPACE}",pod="{pod}",container="{container}"'
            lines.append(f"container_cpu_usage_seconds_total{{{labels}}} {seconds.get(container, 0.0)}\n")
            lines.append(f"container_memory_working_set_bytes{{{labels}}} 3e7\n")
        return "".join(lines)


def effect(document):
    """What a fault does to the metrics of its service."""
    spec = document["spec"]
    if document["kind"] == "StressChaos":
        return {"cpu": 0.5, "latency": 0.02} if "cpu" in spec["stressors"] else {"memory": 1.6e8}
    milliseconds = re.match(r"[\d.]+", spec["delay"]["latency"] if spec.get("action") == "delay" else "50")[0]
    return {
        "PodChaos": {"away": True}, "IOChaos": {"latency": 0.05}, "HTTPChaos": {"failed": 1.0},
        "NetworkChaos": {"latency": float(milliseconds) / 1000},
    }[document["kind"]]


def status(code, reason, message):
    """How an API server refuses."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


def discovery():
    """What kubectl asks for before anything else, by path."""
    def group(name, version):
        found = {"groupVersion": f"{name}/{version}", "version": version}
        return {"name": name, "versions": [found], "preferredVersion": found}

    def resource(plural, kind):
        return {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": VERBS}

    chaos = [resource(plural, kind) for plural, kind in KINDS.items()]
    parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    paths = {
        f"/apis/{CHAOS}/namespaces/{{namespace}}/{plural}/{{name}}": {
            # By what may be said of a change kubectl finds out whether the server checks fields.
            "patch": {
                "x-kubernetes-action": "patch", "parameters": parameters,
                "x-kubernetes-group-version-kind": {"group": "chaos-mesh.org", "version": "v1alpha1", "kind": kind},
            }
        }
        for plural, kind in KINDS.items()
    }
    return {
        "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group("apps", "v1"), group(*CHAOS.split("/"))]},
        "/apis/apps/v1": {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [resource("deployments", "Deployment")]},
        f"/apis/{CHAOS}": {"kind": "APIResourceList", "groupVersion": CHAOS, "resources": chaos},
        "/openapi/v3": {"paths": {f"apis/{CHAOS}": {"serverRelativeURL": f"/openapi/v3/apis/{CHAOS}?hash=1"}}},
        f"/openapi/v3/apis/{CHAOS}": {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "1"}, "paths": paths},
    }


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    cluster = None
    discovered = discovery()

    def _answer(self, code, body, kind="application/json"):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")

    def _place(self):
        """Plural and name of an object, and the query."""
        path, _, query = self.path.partition("?")
        match = re.fullmatch(rf"/apis/(?:{CHAOS}|apps/v1)/namespaces/{NAMESPACE}/([a-z]+)(?:/([a-z0-9.-]+))?", path)
        return (*(match.groups() if match else (None, None)), dict(urllib.parse.parse_qsl(query)))

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path in self.discovered:
            return self._answer(200, self.discovered[path])
        if path == "/openapi/v2":
            # An empty document, as protobuf: an old kubectl then leaves all checks to the server.
            return self._answer(200, "", "application/octet-stream")
        if path == "/metrics/cadvisor":
            return self._answer(200, self.cluster.metrics.cadvisor(), "text/plain; version=0.0.4")
        if path.startswith("/metrics/"):
            text = self.cluster.metrics.exposition(path.removeprefix("/metrics/"))
            return self._answer(503, "away", "text/plain") if text is None else self._answer(200, text, "text/plain; version=0.0.4")
        plural, name, query = self._place()
        if plural is None or plural not in (*KINDS, "deployments"):
            return self._answer(404, status(404, "NotFound", f"{path} not found"))
        if name:
            found = [document for document in self.cluster.objects(plural) if document["metadata"]["name"] == name]
            return self._answer(200, found[0]) if found else self._answer(404, status(404, "NotFound", f'{plural} "{name}" not found'))
        if query.get("watch") in ("true", "1"):
            return self._watch(plural, query)
        kind = KINDS.get(plural, "Deployment")
        version = {"apiVersion": "apps/v1" if plural == "deployments" else CHAOS, "kind": f"{kind}List"}
        items = [document for document in self.cluster.objects(plural) if selected(document, query)]
        return self._answer(200, {**version, "metadata": {"resourceVersion": str(self.cluster.version)}, "items": items})

    def _watch(self, plural, query):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        known, deadline = {}, time.monotonic() + 60
        while time.monotonic() < deadline:
            now = {d["metadata"]["name"]: d for d in self.cluster.objects(plural) if selected(d, query)}
            events = [("MODIFIED" if name in known else "ADDED", d) for name, d in now.items() if known.get(name) != d]
            events += [("DELETED", d) for name, d in known.items() if name not in now]
            try:
                for event, document in events:
                    self.wfile.write(json.dumps({"type": event, "object": document}).encode() + b"\n")
                self.wfile.flush()
            except OSError:
                return
            known = now
            time.sleep(0.05)

    def do_POST(self):
        plural, _, _ = self._place()
        self._answer(*self.cluster.create(plural, self._body()))

    def do_DELETE(self):
        self._body()
        plural, name, _ = self._place()
        self._answer(*self.cluster.delete(plural, name))

    def log_message(self, *_):
        """Says nothing."""


def selected(document, query):
    """Whether an object fits the selectors of a request."""
    labels = document["metadata"].get("labels", {})
    wanted = [pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair]
    named = re.fullmatch(r"metadata\.name=(.+)", query.get("fieldSelector", ""))
    return all(labels.get(key) == value for key, value in wanted) and (not named or named[1] == document["metadata"]["name"])
