"""Every promise of deploy/helm and deploy/kubernetes, one check each. Started by tests/helm/run."""

import json
import pathlib
import subprocess
import sys
import tempfile
import traceback

import kubernetes_validate
import yaml

import kubelet
import provisioning
import refusals
from rendered import (CHART, TREE, Wrong, configuration, container, expect, helm, mount, of_kind, only, pod, template,
                      volume)

NODE = pathlib.Path(sys.argv[1])
CI = sorted((CHART / "ci").glob("*-values.yaml"))
MANIFESTS = TREE / "deploy" / "kubernetes"
# The oldest that Chart.yaml admits, one without the newest fields' defaults, and the newest that the schemas know.
KUBERNETES = ["1.25", "1.30", "1.34", "1.37"]
OPERATOR = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
# The password of the user in ci/tls-values.yaml.
USER = ("prometheus", "scrape-me")

results = {"passed": 0, "failed": 0}


def check(name: str, test, *arguments) -> None:
    try:
        test(*arguments)
    except Exception as error:  # noqa: BLE001: whatever it is, the others still run
        results["failed"] += 1
        print(f"FAILED {name}: {error}")
        if not isinstance(error, (Wrong, subprocess.SubprocessError)):
            traceback.print_exc(file=sys.stdout)
        return
    results["passed"] += 1
    print(f"ok   {name}")


def values(name: str) -> list:
    return ["--values", CHART / "ci" / f"{name}-values.yaml"]


# --- the schemas of others --------------------------------------------------------------------------------------------

def lints(options: list) -> None:
    done = helm("lint", "--strict", CHART, *options)
    expect(done.returncode == 0, done.stdout + done.stderr)


def is_valid_kubernetes(options: list, version: str) -> None:
    for each in template("--kube-version", f"{version}.0", *options):
        if each["kind"] not in OPERATOR:
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                at = "/".join(map(str, error.path))
                raise Wrong(f"{each['kind']} {each['metadata']['name']}: {at}: {error.message}") from error


def held_to_the_operator(objects: list[dict]) -> None:
    script = pathlib.Path(__file__).with_name("operator.mjs")
    done = subprocess.run([NODE / "bin" / "node", script, NODE], input=json.dumps(objects), text=True,
                          capture_output=True, timeout=120, check=False)
    expect(done.returncode == 0, done.stderr[-600:])


def is_valid_for_the_operator(options: list) -> None:
    found = [each for each in template(*options) if each["kind"] in OPERATOR]
    expect(bool(found), "there is no object for the Prometheus operator")
    held_to_the_operator(found)


def the_operators_schemas_refuse_what_is_wrong() -> None:
    monitor = only(template(*values("tls")), "ServiceMonitor")
    monitor["spec"]["endpoints"][0]["interval"] = "often"
    try:
        held_to_the_operator([monitor])
    except Wrong as refused_it:
        expect("interval" in str(refused_it), f"it fails for another reason: {refused_it}")
        return
    raise Wrong("an interval of `often` was taken: the check checks nothing")


# --- what the objects say of each other -------------------------------------------------------------------------------

def fits_together(objects: list[dict]) -> None:
    """Selectors select the pods, names of ports, volumes and accounts are those of something."""
    labels = only(objects, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
    selectors = [only(objects, "DaemonSet")["spec"]["selector"]["matchLabels"]]
    selectors += [each["spec"]["selector"] for each in of_kind(objects, "Service")]
    selectors += [each["spec"]["podSelector"]["matchLabels"] for each in of_kind(objects, "NetworkPolicy")]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in of_kind(objects, "PodMonitor")]
    for selector in selectors:
        expect(selector.items() <= labels.items(), f"{selector} does not select {labels}")
    for each in of_kind(objects, "ServiceMonitor"):
        service = only(objects, "Service")
        expect(each["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items(), "no Service")
        expect(each["spec"]["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]], "its namespace")
        expect(each["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"], "the Service's port")
    ports = {each["name"]: each["containerPort"] for each in container(objects)["ports"]}
    expect(ports.keys() == {"http"}, f"ports {ports}")
    listens = next(each for each in container(objects)["args"] if each.startswith("--web.listen-address="))
    expect(listens.endswith(f":{ports['http']}"), f"{listens}, and the port is {ports['http']}")
    mounted = [each["name"] for each in container(objects)["volumeMounts"]]
    expect(sorted(mounted) == sorted(each["name"] for each in pod(objects)["volumes"]), f"volumes, mounted: {mounted}")
    accounts = [each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")] or ["default"]
    expect(pod(objects)["serviceAccountName"] in accounts, "the pod's service account is nobody's")


def holds_to_the_least_rights(objects: list[dict], mode: str) -> None:
    security, inside = container(objects)["securityContext"], pod(objects)
    expect(configuration(objects)["safety"]["mode"] == {"watch": "observe"}.get(mode, mode), "the mode of the file")
    expect(inside["hostPID"] is True and inside["automountServiceAccountToken"] is False, "of the pod")
    expect(security["readOnlyRootFilesystem"] is True, "the root file system is writable")
    expect(mount(objects, "root")["readOnly"] is True, "the node's root is writable")
    enforces = mode == "enforce"
    expect(security["privileged"] is enforces, f"privileged: {security['privileged']}")
    expect(mount(objects, "cgroup")["readOnly"] is not enforces, "the cgroups' mount")
    if not enforces:
        expect(security["capabilities"] == {"drop": ["ALL"], "add": ["SYS_PTRACE"]}, f"{security['capabilities']}")
        expect(security["allowPrivilegeEscalation"] is False, "privileges may grow")
        expect(security["seccompProfile"] == {"type": "RuntimeDefault"}, "no seccomp profile")
    state = volume(objects, "state")
    expect((state is None) == (mode == "watch"), f"the state's volume is {state}")
    if state:
        expect(state["hostPath"]["path"] == "/var/lib/stockade", f"the journal does not outlive the pod: {state}")
        expect(configuration(objects)["safety"]["journal"].startswith("/var/lib/stockade/"), "the journal is elsewhere")
    writable = [each["name"] for each in container(objects)["volumeMounts"] if not each.get("readOnly")]
    expect(set(writable) <= {"state", "cgroup"}, f"writable: {writable}")


def runs_everywhere_and_last(objects: list[dict]) -> None:
    inside = pod(objects)
    expect(inside["priorityClassName"] == "system-node-critical", "its priority")
    expect(inside["tolerations"] == [{"operator": "Exists"}], "tolerations")
    expect(inside["nodeSelector"] == {"kubernetes.io/os": "linux"}, "nodes")
    # Undoing takes a minute at most, and draining the connections comes before.
    expect(inside["terminationGracePeriodSeconds"] >= 70, "no time to undo")


def a_new_configuration_makes_new_pods() -> None:
    def checksum(*options: object) -> dict:
        return only(template(*options), "DaemonSet")["spec"]["template"]["metadata"]["annotations"]

    plain = checksum()
    expect(plain == checksum("--set", "service.enabled=false"), "pods are replaced for nothing")
    expect(plain != checksum("--set", "config.collect.interval=10s"), "a new configuration replaces no pod")
    one, other = (checksum("--set", f"web.config.rate_limit.burst={burst}") for burst in (1, 2))
    expect(one != other, "a new web configuration replaces no pod")


def has_every_dashboard_and_rule(objects: list[dict]) -> None:
    """Word for word those of dashboards/: nothing of theirs is taken for a template."""
    found = {}
    for each in of_kind(objects, "ConfigMap"):
        if each["metadata"]["labels"].get("grafana_dashboard") == "1":
            found |= each["data"]
    source = {path.name: path.read_text() for path in (TREE / "dashboards").glob("*.json")}
    expect(bool(source) and found == source, f"{sorted(found)} and {sorted(source)} are not the same texts")
    # An object for each file: two files may have groups of one name, and one object may not.
    rules = {each["metadata"]["name"].rpartition("-")[2]: each["spec"] for each in of_kind(objects, "PrometheusRule")}
    source = {path.stem: yaml.safe_load(path.read_text()) for path in (TREE / "dashboards" / "rules").glob("*.yml")}
    expect(bool(source) and rules == source, f"the rules {sorted(rules)} are not those of {sorted(source)}")
    for spec in rules.values():
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump(spec, file)
            file.flush()
            done = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True,
                                  timeout=60, check=False)
        expect(done.returncode == 0, done.stdout + done.stderr)


def a_package_is_whole() -> None:
    """`helm package` takes what the links point at, so that it needs no tree beside it."""
    with tempfile.TemporaryDirectory() as directory:
        done = helm("package", CHART, "--destination", directory)
        expect(done.returncode == 0, done.stderr)
        package = next(pathlib.Path(directory).glob("stockade-*.tgz"))
        options = values("dry-run")
        expect(template(*options, chart=package) == template(*options), "the package gives other objects")


# --- Stockade itself --------------------------------------------------------------------------------------------------

def secrets() -> dict[str, dict[str, str]]:
    """Those that the values of the tests expect somebody else to have made."""
    with tempfile.TemporaryDirectory() as directory:
        key, certificate = pathlib.Path(directory, "tls.key"), pathlib.Path(directory, "tls.crt")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=stockade", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True, timeout=60)
        pair = {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}
    inline = {"tls_server_config": {"cert": pair["tls.crt"], "key": pair["tls.key"]}}
    return {"stockade-tls": pair, "stockade-web": {"web.yaml": yaml.safe_dump(inline)}}


def its_configuration_is_good(binary: str, objects: list[dict]) -> None:
    node = kubelet.Node(objects, secrets())
    try:
        done = subprocess.run([binary, "check", "--no-host", node.place("/etc/stockade/stockade.yaml")],
                              capture_output=True, text=True, timeout=60, check=False)
        expect(done.returncode == 0, done.stdout + done.stderr)
    finally:
        node.remove()


def runs_as_the_pod_runs_it(binary: str, objects: list[dict]) -> None:
    """With the pod's arguments, environment, files and probes; and leaves nothing open when it is ended."""
    asks = "tcpSocket" in container(objects)["readinessProbe"]
    monitors = of_kind(objects, "ServiceMonitor") + of_kind(objects, "PodMonitor")
    endpoint = [(each["spec"].get("endpoints") or each["spec"]["podMetricsEndpoints"])[0] for each in monitors]
    volumes = {each["name"] for each in pod(objects)["volumes"]}
    scheme = "https" if "web" in volumes else "http"
    expect(all(each["scheme"] == scheme for each in endpoint), f"the monitors' scheme is not {scheme}")
    path = endpoint[0]["path"] if endpoint else "/metrics"
    with kubelet.started(binary, objects, secrets()) as (node, port):
        for which in ("livenessProbe", "readinessProbe"):
            kubelet.probe(objects, which, port)
        if asks:
            status, _ = kubelet.get(port, path, scheme)
            expect(status == 401, f"without a password it says {status}")
        status, text = kubelet.get(port, path, scheme, USER if asks else None)
        expect(status == 200, f"{path}: {status}")
        expect('cgroup_populated{cgroup="/stockade-test-fixture-memory"' in text, f"{len(text)} bytes without cgroups")
        rules = len(volume(objects, "config")["configMap"]["items"]) > 1
        expect((node.state / "journal").is_dir() == rules, "a journal is kept where there are rules, and nowhere else")


# --- the plain manifests ----------------------------------------------------------------------------------------------

def manifests_are_current() -> None:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([MANIFESTS / "generate", directory], check=True, timeout=120)
        made = {path.name: path.read_text() for path in pathlib.Path(directory).iterdir()}
    for name, text in made.items():
        stands = (MANIFESTS / name).read_text()
        expect(text == stands, f"deploy/kubernetes/{name} is not what the chart gives: run deploy/kubernetes/generate")
    expect(len(made) == 4, f"{sorted(made)}")


def manifest(name: str) -> list[dict]:
    return [each for each in yaml.safe_load_all((MANIFESTS / name).read_text()) if each]


def the_namespace_admits_the_pods() -> None:
    namespace = only(manifest("namespace.yaml"), "Namespace")
    expect(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged", "Pod Security")
    for name in ("watch", "dry-run", "enforce", "pod-monitor"):
        for each in manifest(f"{name}.yaml"):
            expect(each["metadata"]["namespace"] == namespace["metadata"]["name"], f"{name}.yaml is elsewhere")


def main() -> int:
    command = ["cargo", "build", "--quiet", "--locked", "--bin", "stockade", "--message-format=json"]
    built = subprocess.run(command, cwd=TREE, check=True, capture_output=True, text=True).stdout
    binary = next(found for line in built.splitlines() if (found := json.loads(line).get("executable")))

    check("every value has a schema", refusals.every_value_has_a_schema)
    for name, options in [("the defaults", []), *((path.stem, ["--values", path]) for path in CI)]:
        check(f"{name}: helm lint --strict", lints, options)
        for version in KUBERNETES:
            if name == "watch-values" and version == "1.25":
                continue  # Its appArmorProfile is refused there, see below.
            check(f"{name}: valid for Kubernetes {version}", is_valid_kubernetes, options, version)
        check(f"{name}: the objects fit together", lambda: fits_together(template(*options)))
        check(f"{name}: stockade check", lambda: its_configuration_is_good(binary, template(*options)))
        check(f"{name}: Stockade runs as the pod runs it", lambda: runs_as_the_pod_runs_it(binary, template(*options)))
    for name in ("watch", "dry-run", "tls"):
        check(f"{name}: valid for the Prometheus operator", is_valid_for_the_operator, values(name))
    check("the operator's schemas refuse what is wrong", the_operators_schemas_refuse_what_is_wrong)

    check("the defaults only try", lambda: holds_to_the_least_rights(template(), "dry_run"))
    for mode in ("watch", "dry_run", "enforce"):
        options = values(mode.replace("_", "-"))
        check(f"{mode}: the least rights", lambda: holds_to_the_least_rights(template(*options), mode))
    check("it runs on every node, to the last", lambda: runs_everywhere_and_last(template()))
    check("a new configuration makes new pods", a_new_configuration_makes_new_pods)
    check("every dashboard and rule is there", lambda: has_every_dashboard_and_rule(template(*values("dry-run"))))
    check("a package is whole", a_package_is_whole)
    for value, said in refusals.NOT_IN_THE_SCHEMA:
        check(f"the schema refuses {value}", refusals.refused, [value], said)
    for sets, said in refusals.CONTRADICTIONS:
        check(f"refused: {', '.join(sets)}", refusals.refused, sets, said)
    check("refused before Kubernetes 1.30: appArmorProfile", refusals.refused, ["appArmorProfile.type=Unconfined"],
          "a field since Kubernetes 1.30", "--kube-version", "1.29.0")

    check("the plain manifests are current", manifests_are_current)
    check("the namespace admits the pods", the_namespace_admits_the_pods)
    for mode in ("watch", "dry_run", "enforce"):
        name = f"{mode.replace('_', '-')}.yaml"
        check(f"{name}: the least rights", lambda: holds_to_the_least_rights(manifest(name), mode))
        check(f"{name}: Stockade runs as the pod runs it", lambda: runs_as_the_pod_runs_it(binary, manifest(name)))

    for path in sorted((TREE / "deploy" / "prometheus").glob("*.yml")):
        check(f"Prometheus takes deploy/prometheus/{path.name}", provisioning.prometheus_takes, path)
    check("fleet.yml drops what nobody asks for", provisioning.dropped_is_what_nobody_asks_for)
    check("Grafana's provisioning", provisioning.grafana_finds_the_dashboards)

    print(f"{results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
