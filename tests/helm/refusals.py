"""Values that the chart must not take."""

import itertools
import json

import yaml

from rendered import CHART, expect, refusal

# By the schema: a value, and a word of what is said.
NOT_IN_THE_SCHEMA = [
    ("mode=observe", "mode"), ("mode=enforced", "mode"), ("hostpid=true", "hostpid"), ("web.port=0", "port"),
    ("web.port=http", "port"), ("image.tagg=1", "tagg"), ("config.safty.mode=dry_run", "safty"),
    ("web.config.tls_server_configuration.x=1", "tls_server_configuration"), ("policies.rules.limits=1", "rules"),
    ("prometheus.monitor.interval=often", "interval"), ("tolerations.operator=Exists", "tolerations"),
    ("privileged=yes", "privileged"), ("image.digest=latest", "digest"), ("terminationGracePeriodSeconds=5", "70"),
    ("extraArgs[0]=serve", "extraArgs"), ("resources.limit.cpu=1", "limit"),
]

# By the templates, as they contradict each other: values, and what is said.
CONTRADICTIONS = [
    (["mode=enforce"], "mode enforce without rules"),
    (["config.safety.mode=enforce"], "config.safety.mode is the chart's `mode`"),
    (["config.safety.journal=/tmp/journal"], "config.safety.journal is the chart's"),
    (["mode=watch", "config.limits[0].name=x"], "mode watch has no rules"),
    (["mode=enforce", "config.limits[0].name=x"], "mode enforce needs config.safety.scope"),
    (["mode=enforce", "config.limits[0].name=x", "config.safety.scope[0]=/a", "privileged=false"], "needs privileged"),
    (["hostPID=false"], "hostPID must be true"),
    (["web.existingSecret=a", "web.config.rate_limit.burst=1"], "are both given"),
    (["web.existing.tls=true"], "web.existingSecret, and that is empty"),
    (["web.certificates=a"], "nothing uses them"),
    (["web.config.basic_auth_users.a=b", "probes.kind=http"], "probes.kind http cannot pass"),
    (["web.address=127.0.0.1"], "nobody can connect"),
    (["web.address=127.0.0.1", "hostNetwork=true", "prometheus.monitor.enabled=true"], "no Prometheus of the cluster"),
    (["updateStrategy.rollingUpdate.maxSurge=1"], "the journal takes one"),
    (["prometheus.monitor.enabled=true", "prometheus.podMonitor.enabled=true"], "every series would be there twice"),
    (["prometheus.monitor.enabled=true", "service.enabled=false"], "needs the service"),
    (["networkPolicy.from[0].podSelector.matchLabels.a=b"], "is not enabled"),
    (["extraArgs[0]=--web.listen-address=:1"], "the chart sets --web.listen-address itself"),
    (["extraArgs[0]=--path.procfs=/x"], "the chart sets --path.procfs itself"),
]


def refused(sets: list[str], said: str, *options: str) -> None:
    answer = refusal(*itertools.chain.from_iterable(("--set", each) for each in sets), *options)
    expect(said in answer, f"refused with: {answer[-300:]}")


def every_value_has_a_schema() -> None:
    """And every key of the schema a default, so that values.yaml shows all there is."""
    def keys(defaults: object, schema: dict, path: str) -> None:
        if "properties" not in schema or not isinstance(defaults, dict) or path.endswith("Profile"):
            return  # A profile is passed on as Kubernetes has it.
        expect(schema.get("additionalProperties") is False, f"{path} takes keys that nobody knows")
        unknown = set(schema["properties"]) ^ set(defaults) if defaults else set()
        expect(not unknown - {"global"}, f"{path}: {unknown} are not in both values.yaml and values.schema.json")
        for key, value in defaults.items():
            keys(value, schema["properties"][key], f"{path}.{key}")

    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    keys(defaults, json.loads((CHART / "values.schema.json").read_text()), "values")
