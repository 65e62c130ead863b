"""What several checks share."""

import subprocess
import time

import pytest

import services
import testbed as pymicro
from chart import binary, template


@pytest.fixture(scope="session")
def incident(tmp_path_factory):
    """The built-in incident as files."""
    home = tmp_path_factory.mktemp("incident")
    subprocess.run([binary(), "demo", "--export", "shop"], cwd=home, check=True, timeout=300, capture_output=True)
    return home


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """The four services with the configuration of the default values, what dashboards need, and a sink that gets nothing."""
    documents = template("--set", "dashboards.enabled=true,walker.config.sinks.nobody.url=http://127.0.0.1:9/")
    started = services.Services(documents, tmp_path_factory.mktemp("services"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def diagnosed(running, incident):
    """A diagnosis by these services, and the connections that were open meanwhile."""
    pids = {role: service.process.pid for role, service in running.by_role.items()}
    command = [binary(), "diagnose", "shop", "--no-record", "--output", "json", "--server", f"http://{running.by_role['walker'].address}"]
    seen = set()
    # Its connection may be gone within a tenth of a second, between two looks: it is asked again until it was seen.
    for _ in range(30):
        # Into files: a pipe that nobody empties meanwhile would stop the caller.
        with (incident / "answer").open("w") as answer, (incident / "errors").open("w") as errors:
            caller = subprocess.Popen([*map(str, command)], cwd=incident, stdout=answer, stderr=errors)
        deadline = time.monotonic() + 60
        while caller.poll() is None and time.monotonic() < deadline:
            seen |= services.connections({**pids, "caller": caller.pid})
            time.sleep(0.002)
        seen |= services.connections(pids)
        caller.kill()
        assert caller.wait() == 0, (incident / "errors").read_text()
        if any(name == "caller" for name, _, _ in seen):
            break
    return (incident / "answer").read_text(), seen


@pytest.fixture(scope="session")
def testbed(tmp_path_factory):
    """The demonstration application, with a Prometheus of its own."""
    started = pymicro.Testbed(tmp_path_factory.mktemp("testbed"))
    yield started
    started.stop()
