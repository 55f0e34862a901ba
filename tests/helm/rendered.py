"""What the chart gives for some values, and how to look at it."""

import pathlib
import re
import subprocess

import yaml

TREE = pathlib.Path(__file__).resolve().parents[2]
CHART = TREE / "deploy" / "helm" / "stockade"


class Wrong(Exception):
    """The chart does not do what it should."""


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


def helm(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def template(*options: object, chart: pathlib.Path = CHART) -> list[dict]:
    """The objects that these options give. That they give none is a failure."""
    done = helm("template", "watcher", chart, "--namespace", "monitoring-hosts", *options)
    expect(done.returncode == 0, f"helm template {' '.join(map(str, options))}: {done.stderr[-600:]}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def refusal(*options: object) -> str:
    """What Helm says of values that it must refuse."""
    done = helm("template", "watcher", CHART, *options)
    expect(done.returncode != 0, f"{' '.join(map(str, options))} was taken")
    return re.sub(r"\s+", " ", done.stderr)


def of_kind(objects: list[dict], kind: str) -> list[dict]:
    return [each for each in objects if each["kind"] == kind]


def only(objects: list[dict], kind: str) -> dict:
    found = of_kind(objects, kind)
    expect(len(found) == 1, f"{len(found)} objects of kind {kind}, not one")
    return found[0]


def pod(objects: list[dict]) -> dict:
    return only(objects, "DaemonSet")["spec"]["template"]["spec"]


def container(objects: list[dict]) -> dict:
    return pod(objects)["containers"][0]


def mount(objects: list[dict], name: str) -> dict | None:
    return next((each for each in container(objects)["volumeMounts"] if each["name"] == name), None)


def volume(objects: list[dict], name: str) -> dict | None:
    return next((each for each in pod(objects)["volumes"] if each["name"] == name), None)


def configuration(objects: list[dict]) -> dict:
    """stockade.yaml, as the pod reads it."""
    name = volume(objects, "config")["configMap"]["name"]
    maps = [each for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"] == name]
    expect(len(maps) == 1, f"the pod's ConfigMap {name} is not there once")
    return yaml.safe_load(maps[0]["data"]["stockade.yaml"])
