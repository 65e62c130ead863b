"""The four services as processes, each with the configuration file that the chart renders for it."""

import json
import pathlib
import re
import subprocess
import threading
import time

from chart import ROLES, binary, configuration

PATIENCE = 180


class Service:
    """One `automap serve`, listening on free loopback ports."""

    def __init__(self, role, text, home, *settings):
        self.role = role
        file = home / f"{role}.toml"
        file.write_text(text)
        loopback = [f"--set={role}.server.{key}=127.0.0.1:0" for key in ("listen", "admin-listen")]
        command = [binary(), "serve", role, "--config", file, "--log-format", "json", *loopback, *settings]
        self.lines = []
        self.process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, cwd=home)
        threading.Thread(target=self._read, daemon=True).start()
        self.admin = self._address("admin port listens")
        self.address = self._address("listening")

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def _address(self, message):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in list(self.lines):
                fields = json.loads(line)["fields"] if line.startswith("{") else {}
                if fields.get("message") == message:
                    return fields["address"]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{self.role} does not say {message!r}:\n" + "".join(self.lines))

    def stop(self):
        """Ends it as a cluster does."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Services:
    """All four, as a combination of values configures them."""

    def __init__(self, documents, home):
        self.by_role = {}
        try:
            for role in sorted(ROLES, key=lambda role: role == "walker"):
                settings = [f"--set=profiler.path={home / 'store'}"] if role == "profiler" else []
                if role == "graph-builder":
                    settings = ["--set=graph-builder.peers="]
                if role == "walker":
                    settings = [f"--set=walker.{other}=http://{service.address}" for other, service in self.by_role.items()]
                    settings.append("--set=walker.http.listen=127.0.0.1:0")
                self.by_role[role] = Service(role, configuration(documents, role), home, *settings)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Ends them, the walker first."""
        for service in reversed(self.by_role.values()):
            service.stop()


def sockets(pid):
    """Inodes of the sockets that a process has open."""
    found = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
        except OSError:
            continue
        if match:
            found.add(match[1])
    return found


def connections(pids):
    """Open TCP connections over IPv4: process by name, own port, other port."""
    try:
        owner = {inode: name for name, pid in pids.items() for inode in sockets(pid)}
    except FileNotFoundError:
        return set()
    found = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote, state, inode = fields[1], fields[2], fields[3], fields[9]
        if state == "01" and inode in owner:
            found.add((owner[inode], int(local.split(":")[1], 16), int(remote.split(":")[1], 16)))
    return found
