"""Backups to object storage, as the chart's README and OPERATIONS.md tell: a real profiler, rclone, and a server that speaks S3."""

import base64
import json
import os
import re
import subprocess

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from chart import CHART, DEPLOY, binary, find, template

KEY, SECRET = "key", "secret"


@pytest.fixture
def storage():
    """Object storage without anything in it: a client of it, and its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    yield boto3.client("s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET), address
    server.stop()


def told():
    """The documents that the values of the README make."""
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)]
    (values,) = [block for block in blocks if "upload" in block.get("profiler", {}).get("backup", {})]
    return template("--set-json", f"profiler={json.dumps(values['profiler'])}")


def secret_files(address, home):
    """The Secret of OPERATIONS.md with this storage in place of the one there: its name, and the directory that it would be mounted as."""
    text = (DEPLOY / "OPERATIONS.md").read_text()
    (configuration,) = re.findall(r"```\n(\[store\]\n.*?)```", text, re.DOTALL)
    for name, value in (("endpoint", address), ("access_key_id", KEY), ("secret_access_key", SECRET)):
        configuration, found = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", configuration)
        assert found == 1, name
    (home / "rclone.conf").write_text(configuration)
    (command,) = re.findall(r"(?m)^kubectl (-n automap create secret generic automap-backup .*)$", text)
    command = ["kubectl", *command.split(), "--dry-run=client", "-o", "yaml"]
    made = yaml.safe_load(subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=True).stdout)
    mounted = home / "secret"
    mounted.mkdir()
    for name, value in made["data"].items():
        (mounted / name).write_bytes(base64.b64decode(value))
    return made["metadata"]["name"], mounted


def test_an_export_reaches_object_storage_and_comes_back(running, storage, tmp_path):
    client, address = storage
    client.create_bucket(Bucket="backups")
    job = find(told(), "CronJob", "automap-backup")
    assert f"cronjob/{job['metadata']['name']} " in (DEPLOY / "OPERATIONS.md").read_text()
    spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    ((export,), (upload,)) = spec["initContainers"], spec["containers"]
    secret, mounted = secret_files(address, tmp_path)
    (volume,) = [volume for volume in spec["volumes"] if volume.get("secret", {}).get("secretName") == secret]
    (mount,) = [mount for mount in upload["volumeMounts"] if mount["name"] == volume["name"]]
    places = {"/backup": tmp_path / "backup", mount["mountPath"]: mounted}

    def here(arguments):
        profiler = f"http://{running.by_role['profiler'].address}"
        for argument in arguments:
            (place,) = [place for place in places if argument == place or argument.startswith(place + "/")] or [""]
            yield profiler if argument.startswith("http://") else f"{places[place]}{argument.removeprefix(place)}" if place else argument

    def run(command):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    run([binary(), *here(export["args"])])
    # The image's entry point is rclone.
    assert upload["image"].startswith("rclone/rclone:")
    run(["rclone", *here(upload["args"])])
    (kept,) = client.list_objects_v2(Bucket="backups", Prefix="automap/")["Contents"]
    back = tmp_path / "back.export"
    client.download_file("backups", kept["Key"], str(back))
    (sent,) = (tmp_path / "backup").iterdir()
    assert back.read_bytes() == sent.read_bytes()
    run([binary(), "store", "import", back, "--store", tmp_path / "store"])
    run([binary(), "store", "verify", "--store", tmp_path / "store"])
