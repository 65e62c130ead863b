"""A real Prometheus that scrapes the running services and the application of the testbed."""

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from chart import DEPLOY

PATIENCE = 180


class Prometheus:
    """Scrapes every second what a configuration names."""

    def __init__(self, configuration, home):
        configuration = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, **configuration}
        (home / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        flags = ["--config.file=prometheus.yaml", "--web.listen-address=127.0.0.1:0", "--storage.tsdb.path=data"]
        self.process = subprocess.Popen(["prometheus", *flags], cwd=home, stderr=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()
        self.url = f"http://{self._address()}"
        self._wait_until_ready()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def _address(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            match = re.search(r'msg="Listening on" address=(127\.0\.0\.1:[1-9]\d*)', "".join(self.lines))
            if match:
                return match[1]
            time.sleep(0.05)
        self.stop()
        raise AssertionError("prometheus does not listen:\n" + "".join(self.lines))

    def _wait_until_ready(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=PATIENCE):
                    return
            except urllib.error.HTTPError:
                time.sleep(0.1)
        self.stop()
        raise AssertionError("prometheus is not ready:\n" + "".join(self.lines))

    def query(self, expression):
        """The samples of an expression now; refused ones are told."""
        body = urllib.parse.urlencode({"query": expression}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query", body, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{expression}: {refused.read().decode()}") from refused

    def wait_for(self, expression):
        """Waits until an expression has samples."""
        deadline = time.monotonic() + PATIENCE
        while not self.query(expression):
            assert time.monotonic() < deadline, f"no data for {expression}"
            time.sleep(0.25)

    def stop(self):
        """Ends it."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Monitoring(Prometheus):
    """Scrapes the running services and a testbed, and evaluates rules."""

    def __init__(self, services, testbed, home):
        own = [
            {"targets": [service.admin], "labels": {"component": role, "pod": f"{role}-0", "namespace": "diagnosis"}}
            for role, service in services.by_role.items()
        ]
        rules = [str(DEPLOY / "prometheus" / "rules" / name) for name in ("automap.yaml", "pymicro.yaml")]
        scraped = [
            {"job_name": "automap", "static_configs": own},
            {"job_name": "pymicro", "static_configs": testbed.targets()},
        ]
        super().__init__({"rule_files": rules, "scrape_configs": scraped}, home)
