"""The image of Pymicro: services in containers of their own that find each other through a real ZooKeeper."""

import os
import pathlib
import subprocess
import sys
import time

import pytest
import yaml

import containers
from containers import Network, Root, entered, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "checks"))
from chart import DEPLOY  # noqa: E402

IMAGE = os.environ["PYMICRO_IMAGE"]
JARS = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar"


@pytest.fixture(scope="module")
def root():
    """The files of the image."""
    opened = Root(IMAGE)
    yield opened
    opened.close()


def until(what, so):
    """Waits until something is so."""
    deadline = time.monotonic() + containers.PATIENCE
    while not so():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def deployment(name):
    """Arguments and environment of a service as its manifest has them."""
    documents = yaml.safe_load_all((DEPLOY / "pymicro" / "services.yaml").read_text())
    (found,) = [document for document in documents if document["metadata"]["name"] == name]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return container["args"], {variable["name"]: variable.get("value") for variable in container["env"]}


def test_services_set_up_as_in_their_manifests_find_each_other(root, tmp_path):
    os.chmod(tmp_path, 0o755)
    network = Network()
    processes = []
    try:
        zookeeper = tmp_path / "zoo.cfg"
        zookeeper.write_text(
            f"tickTime=500\ndataDir={tmp_path}/zookeeper\nclientPortAddress={containers.NETWORK}.1\nclientPort=2181\nadmin.enableServer=false\n"
        )
        java = ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", JARS, "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(zookeeper)]
        with (tmp_path / "zookeeper.log").open("w") as log:
            processes.append(subprocess.Popen(java, stdout=log, stderr=log))
        places = {}
        for name in ("a1", "db1"):
            arguments, environment = deployment(name)
            namespace, address = network.namespace()
            data = tmp_path / name
            data.mkdir()
            os.chown(data, 65532, 65532)
            environment |= {"PYMICRO_ZOOKEEPER": f"{containers.NETWORK}.1:2181", "PYMICRO_ADVERTISE": address}
            with (tmp_path / f"{name}.log").open("w") as log:
                command = entered(root, arguments, [(data, "data")], namespace, environment)
                processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            places[name] = (namespace, address)

        def asked(name, path):
            namespace, address = places[name]
            command = ["ip", "netns", "exec", namespace, "curl", "-s", "-w", " %{http_code}", f"http://{address}:8080{path}"]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

        logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
        until(f"both are announced: {logs}", lambda: all(asked(name, "/healthz").endswith(" 200") for name in places))
        until("a1 answers through db1", lambda: asked("a1", "/").endswith(" 200"))
        assert 'pymicro_client_requests_total{callee="db1",status="200"}' in asked("a1", "/metrics")
    finally:
        for process in processes:
            process.kill()
            process.wait(containers.PATIENCE)
        network.close()


def test_it_says_what_it_is(root):
    version = run(*entered(root, ["--version"])).split()
    assert version[0] == "pymicro"
    assert (root.path / "usr/share/sbom/pymicro.cdx.json").read_text().count('"automap-pymicro"')
