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

from chart import CHART, DEPLOY, binary, configuration, find, template
from services import Service

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


def here(arguments, profiler, places):
    """Arguments of a container on this machine: with this profiler, and other directories in the places of its volumes."""
    for argument in arguments:
        flag, file = re.fullmatch(r"(--[a-z-]+=)?(.*)", argument).groups(default="")
        (place,) = [place for place in places if file == place or file.startswith(place + "/")] or [""]
        yield profiler if file.startswith("http://") else f"{flag}{places[place]}{file.removeprefix(place)}" if place else argument


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
    profiler = f"http://{running.by_role['profiler'].address}"
    places = {"/backup": tmp_path / "backup", mount["mountPath"]: mounted}

    def run(command):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    run([binary(), *here(export["args"], profiler, places)])
    # The image's entry point is rclone.
    assert upload["image"].startswith("rclone/rclone:")
    run(["rclone", *here(upload["args"], profiler, places)])
    (kept,) = client.list_objects_v2(Bucket="backups", Prefix="automap/")["Contents"]
    back = tmp_path / "back.export"
    client.download_file("backups", kept["Key"], str(back))
    (sent,) = (tmp_path / "backup").iterdir()
    assert back.read_bytes() == sent.read_bytes()
    run([binary(), "store", "import", back, "--store", tmp_path / "store"])
    run([binary(), "store", "verify", "--store", tmp_path / "store"])


def test_an_export_shows_its_token_where_the_profiler_demands_one(tmp_path):
    values = DEPLOY / "checks" / "values" / "tokens.yaml"
    documents = template("--values", values, "--set", "profiler.backup.upload.enabled=true,profiler.backup.upload.image=rclone")
    spec = find(documents, "CronJob", "automap-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (export,) = spec["initContainers"]
    (volume,) = [volume for volume in spec["volumes"] if volume.get("secret", {}).get("secretName") == "automap-backup-token"]
    (mount,) = [mount for mount in export["volumeMounts"] if mount["name"] == volume["name"]]
    tokens, secret, backup = tmp_path / "tokens.toml", tmp_path / "secret", tmp_path / "backup"
    secret.mkdir()

    def run(command):
        return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)

    def new_token(role, file):
        made = run([binary(), "access", "new-token", "--name", role, "--role", role, "--out", file])
        assert made.returncode == 0, made.stderr
        return made.stdout

    tokens.write_text(new_token("admin", secret / "token") + new_token("confirm", tmp_path / "other"))
    settings = [f"--set=profiler.path={tmp_path / 'store'}", f"--set=profiler.server.access.tokens={tokens}"]
    profiler = Service("profiler", configuration(documents, "profiler"), tmp_path, *settings)
    try:
        arguments = [binary(), *here(export["args"], f"http://{profiler.address}", {"/backup": backup, mount["mountPath"]: secret})]
        done = run(arguments)
        assert done.returncode == 0 and list(backup.glob("*.export")), done.stderr
        (tmp_path / "other").rename(secret / "token")
        refused = run(arguments)
        assert refused.returncode != 0 and "admin" in refused.stderr, refused.stderr
        without = run([argument for argument in arguments if not str(argument).startswith("--token")])
        assert without.returncode != 0 and "token" in without.stderr, without.stderr
    finally:
        profiler.stop()
