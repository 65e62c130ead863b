#!/usr/bin/env python3
"""Writes `deploy/pymicro/services.yaml`: sixteen Deployments that differ in their name alone."""

import pathlib

TARGET = pathlib.Path(__file__).resolve().parent.parent / "pymicro" / "services.yaml"

# Who calls whom: view calls a, b and c; each of these its three; the first of each three calls db1, the second db2, the third db3.
MIDDLE = ("a", "b", "c")
CALLS = {"view": MIDDLE}
CALLS |= {service: tuple(f"{service}{number}" for number in (1, 2, 3)) for service in MIDDLE}
CALLS |= {f"{service}{number}": (f"db{number}",) for service in MIDDLE for number in (1, 2, 3)}
CALLS |= {f"db{number}": () for number in (1, 2, 3)}

HEAD = """\
# Written by deploy/checks/pymicro_manifests.py.
"""

DEPLOYMENT = """\
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  annotations:
    pymicro/calls: "{calls}"
  labels: &labels
    app.kubernetes.io/name: {name}
    app.kubernetes.io/component: service
    app.kubernetes.io/part-of: pymicro
spec:
  replicas: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
      app.kubernetes.io/part-of: pymicro
  template:
    metadata:
      labels: *labels
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 15
      securityContext: {{runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
        - name: {name}
          image: pymicro
          imagePullPolicy: IfNotPresent
          args: [service]
          env:
            - {{name: PYMICRO_SERVICE, value: {name}}}
            - {{name: PYMICRO_LISTEN, value: "0.0.0.0:8080"}}
            - {{name: PYMICRO_ZOOKEEPER, value: "zookeeper:2181"}}
            - {{name: PYMICRO_DATA, value: /data}}
            - name: PYMICRO_ADVERTISE
              valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}
          ports:
            - {{name: http, containerPort: 8080, protocol: TCP}}
          startupProbe: {{httpGet: {{path: /healthz, port: http}}, periodSeconds: 2, failureThreshold: 60}}
          readinessProbe: {{httpGet: {{path: /healthz, port: http}}, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 3}}
          # Patient: a fault that was injected must not be mended by the kubelet.
          livenessProbe: {{httpGet: {{path: /healthz, port: http}}, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 20}}
          resources:
            requests: {{cpu: 50m, memory: 48Mi}}
            limits: {{cpu: 500m, memory: 256Mi}}
          securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, runAsUser: 65532, capabilities: {{drop: [ALL]}}}}
          volumeMounts:
            - {{name: data, mountPath: /data}}
      volumes:
        - name: data
          emptyDir: {{sizeLimit: 256Mi}}
"""


def manifests():
    """The file as it should be."""
    return HEAD + "".join(DEPLOYMENT.format(name=name, calls=" ".join(callees)) for name, callees in CALLS.items())


if __name__ == "__main__":
    TARGET.write_text(manifests())
