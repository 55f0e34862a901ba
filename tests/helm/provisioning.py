"""What Prometheus and Grafana read at their start: deploy/prometheus and deploy/grafana."""

import pathlib
import re
import subprocess
import tempfile

import yaml

from rendered import TREE, expect


def prometheus_takes(path: pathlib.Path) -> None:
    text = path.read_text()
    for pattern in yaml.safe_load(text)["rule_files"]:
        # promtool says nothing of a pattern that no file fits.
        found = sorted(path.parent.glob(pattern))
        expect(bool(found), f"no file is {pattern}")
        text = text.replace(pattern, str(path.parent.resolve() / pattern))
    # Debian's promtool is built without discovery in Kubernetes: the rest is checked with another kind in its place.
    swapped = yaml.safe_load(text)
    for job in swapped["scrape_configs"]:
        for discovery in job.pop("kubernetes_sd_configs", []):
            expect(discovery["role"] == "pod" and discovery["namespaces"]["names"] == ["stockade"], f"{discovery}")
            job["file_sd_configs"] = [{"files": ["pods.json"]}]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump(swapped, file)
        file.flush()
        done = subprocess.run(["promtool", "check", "config", file.name], capture_output=True, text=True, timeout=60,
                              check=False)
    expect(done.returncode == 0, done.stdout + done.stderr)
    for job in swapped["scrape_configs"]:
        steady = any(rule.get("target_label") == "instance" for rule in job.get("relabel_configs", []))
        expect(steady or "static_configs" in job, f"{job['job_name']}: instance changes with the address")


def relabelled(labels: dict[str, str], rules: list[dict]) -> dict[str, str] | None:
    """What is left of a series; nothing where it is dropped. As far as fleet.yml uses relabelling."""
    labels = dict(labels)
    for rule in rules:
        value = ";".join(labels.get(name, "") for name in rule.get("source_labels", []))
        match rule.get("action", "replace"):
            case "labeldrop":
                labels = {name: each for name, each in labels.items() if not re.fullmatch(rule["regex"], name)}
            case "drop":
                if re.fullmatch(rule["regex"], value):
                    return None
            case "replace":
                if re.fullmatch(rule["regex"], value):
                    labels[rule["target_label"]] = rule["replacement"]
    return labels


def dropped_is_what_nobody_asks_for() -> None:
    """Of memory.stat, every row that a dashboard or a rule asks for is kept, and most others are not."""
    jobs = yaml.safe_load((TREE / "deploy" / "prometheus" / "fleet.yml").read_text())["scrape_configs"]
    golden = "".join(path.read_text() for path in (TREE / "tests" / "fixtures" / "golden").glob("*.prom"))
    rows = set(re.findall(r'^(cgroup_memory_stat_\w+)\{.*?stat="(\w+)"', golden, re.M))
    expect(len(rows) > 50, f"{len(rows)} rows in the golden expositions")
    files = [*(TREE / "dashboards").glob("*.json"), *(TREE / "dashboards" / "rules").glob("*.yml")]
    asked = set()
    for path in files:
        for name, labels in re.findall(r"(cgroup_memory_stat_\w+)(\{[^}]*\})?", path.read_text().replace('\\"', '"')):
            wanted = re.search(r'stat=~?"([^"]*)"', labels)
            expect(wanted is not None, f"{path.name} asks for every row of {name}, and fleet.yml drops most")
            asked |= {row for row in rows if row[0] == name and re.fullmatch(wanted[1], row[1])}
    for job in jobs:
        for name, stat in rows:
            labels = {"__name__": name, "stat": stat, "cgroup": "/a"}
            left = relabelled(labels, job["metric_relabel_configs"])
            expect(left in (None, labels), f"{labels} becomes {left}")
            expect(left is not None or (name, stat) not in asked, f"{name} {stat} is dropped, and asked for")
        kept = [row for row in rows if relabelled({"__name__": row[0], "stat": row[1]}, job["metric_relabel_configs"])]
        expect(len(kept) * 4 < len(rows), f"{len(kept)} of {len(rows)} rows are kept")
        other = {"__name__": "cgroup_memory_working_set_bytes", "cgroup": "/a"}
        expect(relabelled(other, job["metric_relabel_configs"]) == other, "the working set is not kept")


def grafana_finds_the_dashboards() -> None:
    provisioning = TREE / "deploy" / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())
    expect(source["apiVersion"] == 1, "the version of the format")
    (datasource,) = source["datasources"]
    expect(datasource["type"] == "prometheus" and datasource["access"] == "proxy", f"{datasource}")
    interval = yaml.safe_load((TREE / "deploy" / "prometheus" / "prometheus.yml").read_text())["global"]
    expect(datasource["jsonData"]["timeInterval"] == interval["scrape_interval"], "timeInterval is another interval")
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "stockade.yaml").read_text())["providers"]
    expect(provider["type"] == "file" and provider["options"]["path"].startswith("/"), f"{provider}")
