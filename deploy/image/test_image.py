"""The image, run: alone, and as the four services of the chart that find each other by name."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

import containers
from certificates import Authority
from containers import Names, Network, Root, Service, entered, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "checks"))
from chart import CRDS, ROLES, configuration, find, rendered, template, value_flags  # noqa: E402

IMAGE = os.environ["AUTOMAP_IMAGE"]


@pytest.fixture(scope="module")
def root():
    """The files of the image."""
    opened = Root(IMAGE)
    yield opened
    opened.close()


def test_the_demo_runs_as_user_65532_with_a_read_only_root_and_a_tmpfs(root):
    began = time.monotonic()
    shown = run(*entered(root, ["demo", "--graph", "/tmp/shop.svg"]))
    assert "root cause" in shown
    print(f"\nautomap demo in the image: {time.monotonic() - began:.2f} s")
    began = time.monotonic()
    assert run(*entered(root, ["--version"])).startswith("automap ")
    print(f"start and end of the image's command: {time.monotonic() - began:.3f} s")


def test_nothing_but_the_tmpfs_can_be_written(root):
    done = subprocess.run(entered(root, ["demo", "--export", "/etc/shop"]), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr, done.stderr


def test_it_says_what_it_is_and_what_it_holds(root):
    told = json.loads(containers.buildah("inspect", "--type", "image", IMAGE))["OCIv1"]
    assert told["config"]["User"] == "65532:65532"
    assert told["config"]["Entrypoint"] == ["/automap"]
    version = run(*entered(root, ["--version"])).split()[1]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in told["config"]["Labels"].items()}
    assert labels["title"] == "automap" and labels["version"] == version and labels["licenses"] == "Apache-2.0"
    assert len(labels["revision"]) == 40 and labels["created"].endswith("Z") and labels["description"]
    environment = dict(variable.split("=", 1) for variable in told["config"]["Env"])
    assert (root.path / environment["SSL_CERT_FILE"].lstrip("/")).read_text().count("BEGIN CERTIFICATE") > 100
    listed = json.loads((root.path / "usr/share/sbom/automap.cdx.json").read_text())
    names = {component["name"] for component in listed["components"]}
    assert {"tonic", "sled", "automap-walker", "libc6"} <= names
    assert "proptest" not in names
    files = {str(path.relative_to(root.path)) for path in root.path.rglob("*") if path.is_file() and "x" in oct(path.stat().st_mode)}
    assert not any(name.startswith(("bin/", "usr/bin/")) for name in files)


def seconds_until_work(table, name, addresses, builds, diagnose):
    """Adds a graph-builder to the addresses of a name; seconds until it builds. A machine that is busy gets three tries."""
    taken = []
    for _ in range(3):
        before, table[name] = builds(), addresses
        added = time.monotonic()
        while builds() == before:
            diagnose()
            assert time.monotonic() - added < containers.PATIENCE, "the second graph-builder gets no work"
        taken.append(time.monotonic() - added)
        if taken[-1] <= 10:
            return taken[-1]
        table[name] = addresses[:1]
        time.sleep(11)
    raise AssertionError(f"work came after {taken} s; it must within 10")


def test_four_containers_find_each_other_by_name_and_diagnose(root, tmp_path):
    os.chmod(tmp_path, 0o755)
    network = Network()
    names = Names(f"{containers.NETWORK}.1")
    names.start()
    services = {}
    try:
        configurations = {role: configuration(rendered("default"), role) for role in ROLES}
        for role in ROLES:
            services[role] = Service(root, network, role, configurations[role], tmp_path)
            names.table[f"automap-{role}.diagnosis.svc"] = [services[role].address]
        print("\nseconds until they listen:", {role: round(service.seconds, 2) for role, service in services.items()})

        caller, _ = network.namespace()
        binds = [(tmp_path / "resolv.conf", "etc/resolv.conf"), (tmp_path / "shop", "data")]
        (tmp_path / "shop").mkdir()
        os.chown(tmp_path / "shop", 65532, 65532)
        run(*entered(root, ["demo", "--export", "/data/shop"], binds))

        def diagnose():
            server = "http://automap-walker.diagnosis.svc:4310"
            return run(*entered(root, ["diagnose", "/data/shop", "--no-record", "--server", server], binds, caller))

        assert "root cause" in diagnose()
        page = ["curl", "-sL", "-o", "/dev/null", "-w", "%{http_code}", f"http://{services['walker'].address}:4314/"]
        assert run("ip", "netns", "exec", caller, *page) == "200"

        def page_of(walker):
            command = ["curl", "-sL", f"http://{walker.address}:4314/"]
            return run("ip", "netns", "exec", caller, *command)

        # Walkers behind one name answer for each other.
        services["second walker"] = Service(root, network, "walker", configurations["walker"], tmp_path)
        server = f"http://{services['second walker'].address}:4310"
        answer = json.loads(run(*entered(root, ["diagnose", "/data/shop", "--output", "json", "--server", server], binds, caller)))
        deadline = time.monotonic() + containers.PATIENCE
        while not all(answer["diagnosis_id"] in page_of(services[name]) for name in ("walker", "second walker")):
            assert time.monotonic() < deadline, "a walker does not show what the other diagnosed"
            time.sleep(0.1)

        def builds(service):
            return service.metric("grpc_server_started_total", grpc_method="BuildGraph")

        second = Service(root, network, "graph-builder", configurations["graph-builder"], tmp_path)
        services["second graph-builder"] = second
        first = services["graph-builder"]
        name = "automap-graph-builder.diagnosis.svc"
        seconds = seconds_until_work(names.table, name, [first.address, second.address], lambda: builds(second), diagnose)
        print(f"a graph-builder that was added had work after {seconds:.1f} s")

        names.table[name] = [second.address]
        # Looked up again every three seconds.
        time.sleep(11)
        before = builds(first)
        for _ in range(4):
            diagnose()
        assert builds(first) == before
    finally:
        for service in reversed(services.values()):
            service.stop()
        names.close()
        network.close()


def test_with_the_certificates_of_the_chart_services_trust_each_other_and_nobody_else(root, tmp_path):
    os.chmod(tmp_path, 0o755)
    upload = "profiler.backup.upload.enabled=true,profiler.backup.upload.image=rclone"
    documents = template(*value_flags("tls-cert-manager"), "--set", upload, apis=CRDS)
    authority = Authority(tmp_path)
    secrets = {role: authority.issue(find(documents, "Certificate", f"automap-{role}")) for role in (*ROLES, "caller")}
    network = Network()
    names = Names(f"{containers.NETWORK}.1")
    names.start()
    services = []
    try:
        for role in ROLES:
            services.append(Service(root, network, role, configuration(documents, role), tmp_path, secrets[role]))
            names.table[f"automap-{role}.diagnosis.svc"] = [services[-1].address]
        caller, _ = network.namespace()
        (tmp_path / "shop").mkdir()
        os.chown(tmp_path / "shop", 65532, 65532)
        pod = find(documents, "Pod", "automap-test-diagnosis")["spec"]
        binds = [(tmp_path / "resolv.conf", "etc/resolv.conf"), (tmp_path / "shop", "data"), (secrets["caller"], "etc/automap/tls")]

        def container(spec, without=()):
            places = {"/incident/": "/data/", "/backup": "/data/backup"}
            arguments = [argument for argument in spec["args"] if not argument.startswith(without)]
            for place, here in places.items():
                arguments = [argument.replace(place, here) for argument in arguments]
            command = entered(root, arguments, binds, caller)
            return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, check=False)

        assert container(pod["initContainers"][0]).returncode == 0
        diagnosed = container(pod["containers"][0])
        assert diagnosed.returncode == 0 and "root cause" in diagnosed.stdout, diagnosed.stderr
        stranger = container(pod["containers"][0], without=("--cert", "--key"))
        assert stranger.returncode == 1 and not stranger.stdout, stranger.stdout
        job = find(documents, "CronJob", "automap-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        exported = container(job["initContainers"][0])
        assert exported.returncode == 0 and list((tmp_path / "shop" / "backup").glob("*.export")), exported.stderr
    finally:
        for service in reversed(services):
            service.stop()
        names.close()
        network.close()
