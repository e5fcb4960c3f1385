"""The Helm chart: strict values, restricted pods, least privilege, and reviewed renders."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.apiserver import MissingBinary, find_binary

from edgeramp.cli import installed
from edgeramp.entry import settings as settings_of
from edgeramp.values.names import LABEL_ROLE
from edgeramp.values.settings import Settings

REPO = Path(__file__).resolve().parents[3]
CHART = REPO / "charts" / "edgeramp"
GOLDEN = REPO / "tests" / "golden" / "chart"
PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
FULL: dict[str, Any] = {
    "modelNamespaces": ["default", "team-a"],
    "image": {"registry": "registry.example:5000", "tag": "1.2.3", "pullSecrets": ["pull"]},
    "images": {"courier": "registry.example/courier@sha256:" + "0" * 64},
    "operator": {
        "replicas": 2,
        "podLabels": {"team": "ml"},
        "podAnnotations": {"team": "ml"},
        "extraEnv": [{"name": "A", "value": "b"}],
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
            {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule",
             "labelSelector": {"matchLabels": {"a": "b"}}},
        ],
        "priorityClass": {"create": True},
        "service": {"annotations": {"prometheus.io/scrape": "true"}},
    },
    "serviceAccount": {"annotations": {"team": "ml"}},
    "store": {
        "persistence": {"storageClassName": "fast"},
        "nodeSelector": {"disk": "big"},
        "tolerations": [{"key": "disk", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "important",
        "podDisruptionBudget": {"enabled": True},
    },
    "signing": {"publicKeys": [PEM, PEM]},
    "jobs": {"priorityClass": {"create": True}, "quota": {"enabled": True, "memory": "16Gi"}},
    "networkPolicies": {"enabled": True},
    "metrics": {
        "serviceMonitor": {"enabled": True, "namespace": "monitoring", "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True, "namespace": "monitoring"},
    },
    "checks": {
        "hosts": ["prometheus.monitoring:9090"],
        "secrets": [{"namespace": "team-a", "name": "token"}],
    },
    "crds": {"install": False},
}  # fmt: skip
PRODUCTION: dict[str, Any] = {
    **yaml.safe_load((CHART / "values-production.yaml").read_text()),
    "image": {"registry": "registry.example", "pullSecrets": ["pull", "mirror"]},
    "signing": {"publicKeys": [PEM]},
    "crds": {"install": False},
}
MINIMAL: dict[str, Any] = {
    "crds": {"install": False},
    "serviceAccount": {"create": False, "name": "mine"},
    "rbac": {"create": False},
    "store": {"enabled": False, "host": "registry.example", "plainHTTP": False},
}
GOLDENS = {
    "default": {"crds": {"install": False}},
    "full": FULL,
    "production": PRODUCTION,
    "minimal": MINIMAL,
}


@pytest.fixture(scope="module")
def helm() -> Path:
    try:
        return find_binary("helm")
    except MissingBinary as missing:
        pytest.skip(str(missing))


def render(helm: Path, values: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(helm), "template", "edgeramp", str(CHART), "--namespace", "edgeramp-system", "--kube-version", "1.37.0",
        "--values", "-", *options,
    ]  # fmt: skip
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def objects(helm: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    answer = render(helm, values)
    assert answer.returncode == 0, answer.stderr
    return [d for d in yaml.safe_load_all(answer.stdout) if d]


def pods(helm: Path) -> Iterator[dict[str, Any]]:
    for found in objects(helm, FULL):
        if found["kind"] == "Deployment":
            yield found["spec"]["template"]["spec"]
        if found["kind"] == "Pod":
            yield found["spec"]


def test_helm_lint_finds_nothing(helm: Path) -> None:
    answer = subprocess.run(
        [str(helm), "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(("name", "values"), GOLDENS.items())
def test_the_render_is_the_reviewed_one(helm: Path, name: str, values: dict[str, Any]) -> None:
    """UPDATE_GOLDEN=1 writes it anew; say in the commit why it changed."""
    answer = render(helm, values)
    assert answer.returncode == 0, answer.stderr
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(answer.stdout)
    assert answer.stdout == path.read_text(), f"{path} differs; look at it, then run with UPDATE_GOLDEN=1"


def test_the_crds_come_with_the_chart_and_stay_when_it_goes(helm: Path) -> None:
    crds = [o for o in objects(helm, {}) if o["kind"] == "CustomResourceDefinition"]
    assert len(crds) == 3
    assert all(c["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for c in crds)
    assert not [o for o in objects(helm, FULL) if o["kind"] == "CustomResourceDefinition"]


def test_the_operator_reads_what_the_chart_sets_and_the_defaults_agree(helm: Path) -> None:
    (settings,) = [o for o in objects(helm, {}) if o["metadata"]["name"] == "edgeramp-settings"]
    documented = set(re.findall(r"EDGERAMP_[A-Z_]+", settings_of.__doc__ or ""))
    assert set(settings["data"]) | {"EDGERAMP_IDENTITY"} == documented
    read = settings_of.read(settings["data"]).settings
    assert {f.name for f in fields(Settings) if getattr(read, f.name) != getattr(Settings(), f.name)} == {
        "images"
    }
    assert read.image("server-openvino").startswith("edgeramp/server-openvino:")


def test_public_keys_are_mounted_where_the_operator_reads_them(helm: Path) -> None:
    found = {o["metadata"]["name"]: o for o in objects(helm, FULL) if o["kind"] == "ConfigMap"}
    assert found["edgeramp-public-keys"]["data"] == {"key-0.pem": PEM, "key-1.pem": PEM}
    operator = next(pods(helm))
    (mount,) = [m for m in operator["containers"][0]["volumeMounts"] if m["name"] == "public-keys"]
    assert mount["mountPath"] == found["edgeramp-settings"]["data"]["EDGERAMP_PUBLIC_KEYS_DIR"]


def test_every_pod_is_restricted(helm: Path) -> None:
    found = list(pods(helm))
    assert [pod["containers"][0]["name"] for pod in found] == ["operator", "store", "test"]
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["name"] == "test" or {"readinessProbe", "livenessProbe"} <= set(container)
        assert pod["imagePullSecrets"] == [{"name": "pull"}]


def test_a_secret_of_checks_is_readable_by_name_in_its_namespace_only(helm: Path) -> None:
    roles = [o for o in objects(helm, FULL) if o["kind"] in ("Role", "ClusterRole")]
    (found,) = [o for o in roles if any("secrets" in r["resources"] for r in o["rules"])]
    assert (found["kind"], found["metadata"]["namespace"]) == ("Role", "team-a")
    assert found["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["token"], "verbs": ["get"]}
    ]


def test_no_role_has_a_wildcard_or_reads_secrets(helm: Path) -> None:
    rules = [r for o in objects(helm, {}) if o["kind"] in ("Role", "ClusterRole") for r in o["rules"]]
    assert len(rules) > 10
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "secrets" not in rule["resources"]
        assert not {"impersonate", "escalate", "bind"} & set(rule["verbs"])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"operator": {"replica": 2}}, "replica"),
        ({"operator": {"replicas": "two"}}, "/operator/replicas"),
        ({"signing": {"publicKeys": ["ssh-rsa AAAA"]}}, "/signing/publicKeys/0"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"jobs": {"memory": "2 GB"}}, "/jobs/memory"),
        ({"store": {"enabled": False}}, "store.host must name an OCI registry"),
        (
            {"jobs": {"quota": {"enabled": True}}, "modelNamespaces": ["a"]},
            "set jobs.priorityClass.create to true",
        ),
        (
            {"jobs": {"quota": {"enabled": True}, "priorityClassName": "batch"}},
            "list the namespaces with EdgeModels",
        ),
        ({"jobs": {"quota": {"memory": "lots"}}}, "/jobs/quota/memory"),
        ({"modelNamespaces": ["Shop"]}, "/modelNamespaces/0"),
        ({"operator": {"topologySpreadConstraints": [{"maxSkew": 1}]}}, "topologyKey"),
    ],
)
def test_bad_values_are_refused_by_name(helm: Path, values: dict[str, Any], says: str) -> None:
    answer = render(helm, values)
    assert answer.returncode != 0
    assert says in answer.stderr


def of_kind(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {o["metadata"]["name"]: o for o in found if o["kind"] == kind}


def test_disruption_budgets_never_hold_up_a_drain_unless_asked_to(helm: Path) -> None:
    assert not of_kind(objects(helm, {}), "PodDisruptionBudget")
    (two,) = of_kind(objects(helm, {"operator": {"replicas": 2}}), "PodDisruptionBudget").values()
    assert (two["spec"]["maxUnavailable"], two["spec"]["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    without = {"operator": {"replicas": 2, "podDisruptionBudget": {"enabled": False}}}
    assert not of_kind(objects(helm, without), "PodDisruptionBudget")
    found = objects(helm, FULL)
    budgets, deployments = of_kind(found, "PodDisruptionBudget"), of_kind(found, "Deployment")
    assert set(budgets) == set(deployments) == {"edgeramp", "edgeramp-store"}
    for name, budget in budgets.items():
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]
        others = next(d for n, d in deployments.items() if n != name)["spec"]["template"]["metadata"][
            "labels"
        ]
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        assert wanted <= labels.items() and not wanted <= others.items()
    assert budgets["edgeramp-store"]["spec"]["maxUnavailable"] == 0


def test_jobs_get_the_class_that_the_quota_counts_and_the_operator_is_told(helm: Path) -> None:
    for values, name in (({"priorityClass": {"create": True}}, "edgeramp-jobs"),
                         ({"priorityClass": {"create": True}, "priorityClassName": "batch"}, "batch")):  # fmt: skip
        jobs = values | {"quota": {"enabled": True, "pods": 3}}
        found = objects(helm, {"jobs": jobs, "modelNamespaces": ["a", "b"]})
        quotas = [o for o in found if o["kind"] == "ResourceQuota"]
        assert [q["metadata"]["namespace"] for q in quotas] == ["a", "b"]
        for quota in quotas:
            assert quota["spec"]["hard"] == {"pods": "3"}
            (term,) = quota["spec"]["scopeSelector"]["matchExpressions"]
            assert (term["scopeName"], term["values"]) == ("PriorityClass", [name])
        settings = settings_of.read(of_kind(found, "ConfigMap")["edgeramp-settings"]["data"]).settings
        assert settings.job_priority_class == name
        classes = of_kind(found, "PriorityClass")
        assert set(classes) == {"edgeramp-jobs"} - {"edgeramp-jobs" if name == "batch" else ""}
        for made in classes.values():
            assert made["value"] < 0 and made["preemptionPolicy"] == "Never"


def test_pull_secrets_reach_jobs_and_servers_too(helm: Path) -> None:
    settings = of_kind(objects(helm, PRODUCTION), "ConfigMap")["edgeramp-settings"]
    assert settings_of.read(settings["data"]).settings.image_pull_secrets == ("pull", "mirror")


def test_replicas_are_spread_and_a_constraint_without_a_selector_gets_ours(helm: Path) -> None:
    def spread(values: dict[str, Any]) -> list[dict[str, Any]]:
        pod = of_kind(objects(helm, values), "Deployment")["edgeramp"]["spec"]["template"]
        found: list[dict[str, Any]] = pod["spec"].get("topologySpreadConstraints", [])
        for constraint in found[:1]:
            assert constraint["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        return found

    assert spread({}) == []
    (default,) = spread({"operator": {"replicas": 2}})
    assert (default["topologyKey"], default["whenUnsatisfiable"]) == (
        "kubernetes.io/hostname",
        "ScheduleAnyway",
    )
    (ours, theirs) = spread(FULL)
    assert ours["topologyKey"] == "zone"
    assert theirs["labelSelector"] == {"matchLabels": {"a": "b"}}


def test_a_pod_is_selected_by_its_own_service_only_and_helm_test_asks_both(helm: Path) -> None:
    found = objects(helm, FULL)
    services = of_kind(found, "Service")
    (test,) = of_kind(found, "Pod").values()
    for service in services.values():
        assert not service["spec"]["selector"].items() <= test["metadata"]["labels"].items()
    assert test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    command = test["spec"]["containers"][0]["command"]
    assert command[:3] == ["python", "-m", "edgeramp.cli.installed"]
    asked = vars(installed.parsed(command[3:]))
    for part, name in (("operator", "edgeramp"), ("store", "edgeramp-store")):
        port = services[name]["spec"]["ports"][0]["port"]
        assert asked[part] == f"http://{name}.edgeramp-system.svc:{port}"
    assert asked["timeout"] < test["spec"]["activeDeadlineSeconds"]
    (minimal,) = of_kind(objects(helm, MINIMAL), "Pod").values()
    assert installed.parsed(minimal["spec"]["containers"][0]["command"][3:]).store is None


def test_the_servicemonitor_finds_the_operators_service(helm: Path) -> None:
    found = objects(helm, FULL)
    (monitor,) = of_kind(found, "ServiceMonitor").values()
    matching = [
        s for s in of_kind(found, "Service").values()
        if monitor["spec"]["selector"]["matchLabels"].items() <= s["metadata"]["labels"].items()
    ]  # fmt: skip
    assert [s["metadata"]["name"] for s in matching] == ["edgeramp"]
    assert monitor["spec"]["namespaceSelector"]["matchNames"] == [matching[0]["metadata"]["namespace"]]
    assert monitor["spec"]["endpoints"][0]["honorLabels"]
    assert monitor["spec"]["endpoints"][0]["port"] == matching[0]["spec"]["ports"][0]["name"]


def test_network_policies_select_the_labels_that_pods_have(helm: Path) -> None:
    found = objects(helm, FULL)
    policies = [o for o in found if o["kind"] == "NetworkPolicy"]
    by_namespace = {ns: {p["metadata"]["name"] for p in policies if p["metadata"]["namespace"] == ns}
                    for ns in ("default", "team-a", "edgeramp-system")}  # fmt: skip
    confined = {"edgeramp-jobs", "edgeramp-stage", "edgeramp-servers"}
    assert by_namespace == {
        "default": confined,
        "team-a": confined,
        "edgeramp-system": {"edgeramp-store", "edgeramp-operator"},
    }
    roles: set[str] = set()
    for policy in policies:
        selector = policy["spec"]["podSelector"]
        roles |= {v for e in selector.get("matchExpressions", []) for v in e["values"]}
        roles |= {v for k, v in selector.get("matchLabels", {}).items() if k == LABEL_ROLE}
    assert roles == {"stage", "assess", "prepare", "measure", "certify", "package", "server"}
    assert not [o for o in objects(helm, {}) if o["kind"] == "NetworkPolicy"]


def notes(helm: Path, tmp_path: Path, values: dict[str, Any]) -> str:
    """NOTES.txt, which `helm template` leaves out, by way of a manifest that quotes it."""
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart, dirs_exist_ok=True)
    (chart / "templates/notes.yaml").write_text(
        'notes: {{ include "edgeramp/templates/NOTES.txt" . | quote }}\n'
    )
    command = [str(helm), "template", "edgeramp", str(chart), "--namespace", "edgeramp-system", "--kube-version", "1.37.0",
               "--show-only", "templates/notes.yaml", "--values", "-"]  # fmt: skip
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(yaml.safe_load(done.stdout)["notes"])


def test_the_notes_say_what_to_do_next_and_warn_of_what_would_be_lost(helm: Path, tmp_path: Path) -> None:
    good = notes(helm, tmp_path, PRODUCTION)
    assert "WARNING" not in good
    assert "helm test edgeramp --namespace edgeramp-system" in good
    assert "Secrets `pull`, `mirror`" in good
    risky = {
        "operator": {"replicas": 0},
        "store": {"persistence": {"enabled": False}},
        "networkPolicies": {"enabled": True},
    }
    assert notes(helm, tmp_path, risky).count("WARNING") == 4  # and no public key


SCHEMA = json.loads((CHART / "values.schema.json").read_text())
UNUSED = {"global"}


def described(schema: dict[str, Any], at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and schema of every value and of every section."""
    for name, child in schema.get("properties", {}).items():
        if name not in UNUSED:
            yield f"{at}{name}", child
            yield from described(child, f"{at}{name}.")


def written(node: yaml.MappingNode, at: str = "") -> Iterator[tuple[str, int]]:
    """Path and line (from 0) of every value and section of values.yaml, down to where the schema is open."""
    known = dict(described(SCHEMA))
    for key, value in node.value:
        path = f"{at}{key.value}"
        yield path, key.start_mark.line
        if isinstance(value, yaml.MappingNode) and known.get(path, {}).get("properties"):
            yield from written(value, f"{path}.")


def test_every_value_has_a_default_a_description_and_a_comment_and_no_other_is_described() -> None:
    """Also runs without Helm."""
    text = (CHART / "values.yaml").read_text()
    schema, values = dict(described(SCHEMA)), dict(written(yaml.compose(text)))
    assert set(values) - set(schema) == set(), "describe these in values.schema.json"
    assert set(schema) - set(values) == set(), "give these a default in values.yaml"
    assert not [path for path, node in schema.items() if len(node.get("description", "")) < 8]
    lines = text.splitlines()
    bare = [p for p, line in values.items() if not schema[p].get("properties") and " # " not in lines[line]]
    assert not bare, "say in a comment on its line what each is for"
    strict = [
        p
        for p, node in schema.items()
        if "properties" in node and node.get("additionalProperties") is not False
    ]
    assert strict == ["images"], "a misspelled value would be ignored"


def test_the_production_values_change_something_and_nothing_unknown() -> None:
    production = yaml.safe_load((CHART / "values-production.yaml").read_text())
    default = yaml.safe_load((CHART / "values.yaml").read_text())

    def idle(have: dict[str, Any], base: dict[str, Any], at: str = "") -> Iterator[str]:
        for name, value in have.items():
            if isinstance(value, dict) and isinstance(base[name], dict):
                yield from idle(value, base[name], f"{at}{name}.")
            elif value == base[name]:
                yield f"{at}{name}"

    assert list(idle(production, default)) == ["jobs.quota.pods"]  # said, because the quota is new there
