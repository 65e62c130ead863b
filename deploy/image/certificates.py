"""Certificates as cert-manager would issue them for the chart's Certificate objects."""

import os

from containers import run


class Authority:
    """An authority of its own, with openssl."""

    def __init__(self, home):
        self.home = home
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 1, "-subj", "/CN=authority",
            "-keyout", home / "ca.key", "-out", home / "ca.crt")

    def issue(self, certificate):
        """The directory that the Secret of a Certificate would be mounted as."""
        spec, name = certificate["spec"], certificate["metadata"]["name"]
        directory = self.home / name
        directory.mkdir()
        usages = {"server auth": "serverAuth", "client auth": "clientAuth"}
        extensions = self.home / f"{name}.extensions"
        extensions.write_text(
            "subjectAltName=" + ",".join(f"DNS:{host}" for host in spec["dnsNames"])
            + "\nextendedKeyUsage=" + ",".join(usages[usage] for usage in spec["usages"]) + "\n"
        )
        request = self.home / f"{name}.csr"
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={spec['commonName']}",
            "-keyout", directory / "tls.key", "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.home / "ca.crt", "-CAkey", self.home / "ca.key", "-CAcreateserial",
            "-days", 1, "-extfile", extensions, "-out", directory / "tls.crt")
        (directory / "ca.crt").write_text((self.home / "ca.crt").read_text())
        for path in (directory, *directory.iterdir()):
            os.chown(path, 65532, 65532)
        return directory
