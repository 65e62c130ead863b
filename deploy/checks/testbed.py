"""The testbed of Pymicro: sixteen real services, what they stand on, and requests."""

import re
import subprocess
import threading
import time

import yaml

from chart import binary

PATIENCE = 120


class Testbed:
    """`pymicro testbed`, which ends with all its processes when it is stopped."""

    # This is no class of tests.
    __test__ = False

    def __init__(self, home):
        pymicro = binary().with_name("pymicro")
        assert pymicro.exists(), f"{pymicro} is missing: run `bash .ci/test`, which builds it"
        command = [pymicro, "testbed", "--directory", home, "--scrape-interval-seconds", 1, "--patience-seconds", PATIENCE]
        self.home = home
        self.lines = []
        self.process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        self.prometheus = self._prometheus()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def _prometheus(self):
        deadline = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < deadline:
            match = re.search(r"Prometheus: (http://[\d.]+:\d+);", "".join(self.lines))
            if match:
                return match[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        raise AssertionError("the testbed is not ready:\n" + "".join(self.lines))

    def targets(self):
        """Where its services are scraped, each with the label of its name."""
        configuration = yaml.safe_load((self.home / "prometheus" / "prometheus.yml").read_text())
        (job,) = configuration["scrape_configs"]
        return job["static_configs"]

    def stop(self):
        """Ends it as Ctrl-C does."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
