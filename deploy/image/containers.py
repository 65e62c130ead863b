"""Containers of the image without a runtime: a read-only root, a tmpfs, user 65532, a network namespace each, and a DNS."""

import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading
import time

PATIENCE = 60
# Names and addresses of this process, so that several may run at once on a machine.
BRIDGE = f"am{os.getpid()}"
NETWORK = f"10.{64 + os.getpid() // 250 % 64}.{os.getpid() % 250}"


def run(*command, **options):
    """Runs a command that must succeed; its output."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def buildah(*arguments):
    """Runs buildah."""
    return run("buildah", "--storage-driver", "vfs", *arguments)


class Root:
    """The files of an image, on disk."""

    def __init__(self, image):
        (self.entry_point,) = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]["Entrypoint"]
        self.container = buildah("from", image)
        self.path = pathlib.Path(buildah("mount", self.container))
        # What a runtime adds.
        for directory in ("proc", "etc/automap/tls", "data"):
            (self.path / directory).mkdir(parents=True, exist_ok=True)
        (self.path / "etc" / "resolv.conf").touch()

    def close(self):
        """Gives the files back."""
        buildah("umount", self.container)
        buildah("rm", self.container)


def entered(root, arguments, binds=(), namespace=None, environment=None):
    """The command line that runs the image's entry point in a container; binds are pairs of a file or directory and its place."""
    mounts = [f"mount --bind {root.path} {root.path}"]
    mounts += [f"mount --bind {source} {root.path}/{place}" for source, place in binds]
    mounts += [f"mount -o remount,bind,ro {root.path}", f"mount -t proc proc {root.path}/proc"]
    mounts += [f"mount -t tmpfs -o mode=1777,size=256m tmpfs {root.path}/tmp"]
    enter = f'cd {root.path}/tmp && exec chroot --userspec=65532:65532 {root.path} {root.entry_point} "$@"'
    given = [f"{name}={value}" for name, value in (environment or {}).items()]
    shell = ["env", *given, "unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "bash", "-euc", " && ".join([*mounts, enter]), "-", *arguments]
    return ["ip", "netns", "exec", namespace, *shell] if namespace else shell


class Names(threading.Thread):
    """A DNS that answers from a table of names and addresses, which may change at any time."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.table = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.socket.settimeout(0.2)
        self.closing = threading.Event()

    def run(self):
        while not self.closing.is_set():
            try:
                query, caller = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            question = query[12 : at + 5]
            kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
            known = self.table.get(".".join(labels))
            addresses = known if known and kind == 1 else []
            code = 0x8180 if known is not None else 0x8183
            answer = struct.pack("!HHHHHH", struct.unpack("!H", query[:2])[0], code, 1, len(addresses), 0, 0) + question
            for address in addresses:
                answer += struct.pack("!HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address)
            self.socket.sendto(answer, caller)

    def close(self):
        """Stops answering, and leaves the port to the next."""
        self.closing.set()
        self.join()
        self.socket.close()


class Network:
    """A bridge with a namespace per container."""

    def __init__(self):
        self.namespaces = []
        # With an address of its own: else it takes on that of a port, another one with every port, and neighbours lose it.
        run("ip", "link", "add", BRIDGE, "address", "02:00:00:00:00:01", "type", "bridge")
        run("ip", "address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")

    def namespace(self):
        """A namespace with an address of its own: name and address."""
        number = len(self.namespaces) + 10
        name, address = f"{BRIDGE}-{number}", f"{NETWORK}.{number}"
        run("ip", "netns", "add", name)
        self.namespaces.append(name)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", name, "master", BRIDGE, "up")
        for arguments in (("address", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up"), ("link", "set", "lo", "up")):
            run("ip", "-n", name, *arguments)
        return name, address

    def close(self):
        """Removes it, with the namespaces."""
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "delete", name], check=False)
        subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True)


class Service:
    """A service of the image in a namespace of its own."""

    def __init__(self, root, network, role, configuration, home, certificates=None):
        self.namespace, self.address = network.namespace()
        file, resolver, data = home / f"{self.address}.toml", home / "resolv.conf", home / f"{self.address}-data"
        file.write_text(configuration)
        resolver.write_text(f"nameserver {NETWORK}.1\noptions timeout:1\n")
        data.mkdir()
        os.chown(data, 65532, 65532)
        mount_point = root.path / "etc" / "automap" / "automap.toml"
        mount_point.touch()
        (root.path / "var" / "lib" / "automap").mkdir(parents=True, exist_ok=True)
        binds = [(file, "etc/automap/automap.toml"), (resolver, "etc/resolv.conf"), (data, "var/lib/automap")]
        if certificates:
            binds.append((certificates, "etc/automap/tls"))
        arguments = ["serve", role, "--config", "/etc/automap/automap.toml", "--log-format", "json"]
        self.log = (home / f"{self.address}.log").open("w+")
        began = time.monotonic()
        self.process = subprocess.Popen(entered(root, arguments, binds, self.namespace), stderr=self.log)
        self._wait()
        self.seconds = time.monotonic() - began

    def _said(self):
        return pathlib.Path(self.log.name).read_text()

    def _wait(self):
        deadline = time.monotonic() + PATIENCE
        while '"message":"listening"' not in self._said():
            assert self.process.poll() is None and time.monotonic() < deadline, self._said()
            time.sleep(0.02)

    def metric(self, name, **labels):
        """A sample of its admin port, read from within its namespace."""
        page = run("ip", "netns", "exec", self.namespace, "curl", "-s", f"http://{self.address}:4390/metrics")
        for line in page.splitlines():
            if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"{name} {labels} is not in\n{page}")

    def stop(self):
        """Ends it as a runtime does: SIGTERM to the process, which is the only child of its namespace's first."""
        children = run("pgrep", "-P", self.process.pid, cwd="/") if self.process.poll() is None else ""
        for pid in re.findall(r"\d+", children):
            os.kill(int(pid), 15)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
