"""Starts Stockade as the kubelet would start the chart's pod, but on a captured host and on loopback."""

import base64
import contextlib
import http.client
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile

from rendered import TREE, container, expect, of_kind, volume

HOST = TREE / "tests" / "fixtures" / "7.3-unified"
# Only so that nothing waits for ever.
PATIENCE = 60


def files(objects: list[dict], name: str, secrets: dict[str, dict[str, str]]) -> dict[str, str]:
    """What a volume of the pod holds: names below its mount, and texts."""
    source = volume(objects, name)
    if "configMap" in source:
        made = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
        data = made[source["configMap"]["name"]]
        items = source["configMap"]["items"]
        expect(len(items) == len(data), f"the ConfigMap has {len(data)} keys, and the pod mounts {len(items)}")
        return {item["path"]: data[item["key"]] for item in items}
    made = {each["metadata"]["name"]: each["stringData"] for each in of_kind(objects, "Secret")} | secrets
    wanted = source["secret"]["secretName"]
    expect(wanted in made, f"the pod mounts the Secret {wanted}, which nobody made")
    return made[wanted]


class Node:
    """A directory for the pod's file system, with its volumes mounted where it has them."""

    def __init__(self, objects: list[dict], secrets: dict[str, dict[str, str]]):
        self.objects = objects
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="stockade-test-helm-"))
        for each in container(objects)["volumeMounts"]:
            at = self.place(each["mountPath"])
            source = volume(objects, each["name"])
            if each["name"] == "cgroup":
                shutil.copytree(HOST / "sys" / "fs" / "cgroup", at)
            elif "hostPath" in source:
                at.mkdir(parents=True)
            else:
                for name, text in files(objects, each["name"], secrets).items():
                    (at / name).parent.mkdir(parents=True, exist_ok=True)
                    (at / name).write_text(self.moved(text))
        self.state = self.place("/var/lib/stockade")

    def place(self, path: str) -> pathlib.Path:
        return self.directory / path.lstrip("/")

    def moved(self, text: str) -> str:
        """A text with the pod's paths as they are here."""
        return re.sub(r"(?<![\w/])/(host|etc/stockade|var/lib/stockade)\b", rf"{self.directory}/\1", text)

    def environment(self) -> dict[str, str]:
        return {each["name"]: self.moved(each["value"]) for each in container(self.objects)["env"]}

    def arguments(self) -> list[str]:
        """The pod's own, on loopback, with the captured host's processes."""
        given = [self.moved(each) for each in container(self.objects)["args"]]
        listens = [each for each in given if each.startswith("--web.listen-address=")]
        expect(len(listens) == 1, f"listens at {listens}")
        given[given.index(listens[0])] = "--web.listen-address=127.0.0.1:0"
        return [*given, f"--path.procfs={HOST / 'proc'}", f"--path.sysfs={HOST / 'sys'}"]

    def remove(self) -> None:
        shutil.rmtree(self.directory)


@contextlib.contextmanager
def started(binary: str, objects: list[dict], secrets: dict[str, dict[str, str]]):
    """Stockade in that pod, and the port that it listens on. It must end well when it is told to."""
    node = Node(objects, secrets)
    process = None
    try:
        process = subprocess.Popen(
            [binary, *node.arguments()], env=node.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)/", line)
        if not found:
            process.kill()
            expect(False, f"it did not start: {process.communicate()[1][-600:]}")
        yield node, int(found[1])
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
        expect(process.returncode == 0, f"it ended with {process.returncode}: {log[-600:]}")
        process = None
    finally:
        if process is not None:
            process.kill()
            process.communicate()
        node.remove()


def probe(objects: list[dict], which: str, port: int) -> None:
    """Asks what the kubelet would ask."""
    asked = container(objects)[which]
    if "tcpSocket" in asked:
        http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE).connect()
        return
    status = get(port, asked["httpGet"]["path"], asked["httpGet"]["scheme"])[0]
    # It is not ready before the first sample, and the kubelet asks again.
    for _ in range(600):
        if status != 503:
            break
        status = get(port, asked["httpGet"]["path"], asked["httpGet"]["scheme"])[0]
    expect(status == 200, f"{which}: {status}")


def get(port: int, path: str, scheme: str, user: tuple[str, str] | None = None) -> tuple[int, str]:
    """Like the kubelet, it does not ask whose certificate it is."""
    if scheme.upper() == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=context)
    else:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    return answer.status, answer.read().decode()
