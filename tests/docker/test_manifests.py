# SPDX-License-Identifier: Apache-2.0
# test_manifests.py - compose.yaml and the Kubernetes manifests, as far as they can be judged without running them.

import copy
import json
import re

import kubernetes.client
import pytest
import yaml
from engine import COMPOSE, HOME, call

FOLDER = HOME / "docker"


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


@pytest.fixture(scope="module")
def deployment():
    (found,) = [one for one in documents(FOLDER / "k8s/sidecar.yaml") if one["kind"] == "Deployment"]
    return found


@pytest.fixture(scope="module")
def agent(deployment):
    (found,) = [one for one in deployment["spec"]["template"]["spec"]["containers"] if one["name"] == "mltunnel"]
    return found


def test_yaml_is_tidy():
    call("yamllint", "-s", "-c", FOLDER / "yamllint.yaml", FOLDER)


@pytest.fixture(params=("1.29", pytest.param("2", marks=pytest.mark.engine)))
def compose(request):
    """Both kinds."""
    return COMPOSE if request.param == "1.29" else [request.getfixturevalue("compose_v2")]


def config(compose, token, check=True):
    argv = [*compose, "-f", FOLDER / "compose.yaml", "config"]
    return call(*argv, env={"SECRET_FRP_TOKEN": token}, check=check)


def test_compose_takes_it(compose):
    done = config(compose, "x")
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"frps", "api", "mlnode-1", "mlnode-2", "agent-2"}
    assert "warn" not in done.stderr.lower()


def test_compose_wants_a_token(compose):
    done = config(compose, "", check=False)
    assert done.returncode != 0
    assert "a long random word" in done.stderr + done.stdout or "SECRET_FRP_TOKEN is missing" in done.stderr


def test_compose_has_nothing_that_later_or_earlier_ones_refuse():
    """1.29 knows no "required" and no "name" here; later v2 than the one at hand warn of "version"."""
    (compose,) = documents(FOLDER / "compose.yaml")
    assert set(compose) == {"services", "networks", "volumes"}
    for name, service in compose["services"].items():
        assert not {"develop", "attach", "links", "container_name", "build"} & set(service), name
        assert isinstance(service.get("depends_on", []), list), name


def test_compose_gives_every_container_as_little_as_it_can():
    (compose,) = documents(FOLDER / "compose.yaml")
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert ("ports" in service) == (name == "frps"), name


def faults(value, kind, at):
    """Where a document differs from Kubernetes's own model of it: keys that are unknown there or missing, other types."""
    inner = re.fullmatch(r"(list|dict)\((?:str, )?(.+)\)|(list)\[(.+)\]", kind)
    if inner:
        shape, part = (inner[1] or inner[3]), (inner[2] or inner[4])
        if not isinstance(value, list if shape == "list" else dict):
            return [f"{at} is no {shape}"]
        members = enumerate(value) if shape == "list" else value.items()
        return [fault for key, one in members for fault in faults(one, part, f"{at}.{key}")]
    plain = {"str": str, "int": int, "bool": bool, "object": object}
    if kind in plain:
        is_right = isinstance(value, plain[kind]) and (kind != "int" or not isinstance(value, bool))
        return [] if is_right else [f"{at} is no {kind}"]
    model = getattr(kubernetes.client, kind)
    names = {key: name for name, key in model.attribute_map.items()}
    if not isinstance(value, dict):
        return [f"{at} is no {kind}"]
    found = [f"{at}.{key} is unknown" for key in value if key not in names]
    known = {names[key]: one for key, one in value.items() if key in names}
    try:
        model(**known)
    except ValueError as error:  # a value that has to be there, or is one of a few
        found.append(f"{at}: {error}")
    for name, one in known.items():
        found += faults(one, model.openapi_types[name], f"{at}.{model.attribute_map[name]}")
    return found


def manifest_faults(one):
    return faults(one, f"V1{one['kind']}", one["kind"])


def test_kubernetes_knows_every_key():
    for one in documents(FOLDER / "k8s/sidecar.yaml"):
        assert manifest_faults(one) == []


@pytest.mark.parametrize("what", ("unknown key", "missing key", "other type", "number for a word"))
def test_kubernetes_mistakes_are_found(deployment, what):
    bad = copy.deepcopy(deployment)
    container = bad["spec"]["template"]["spec"]["containers"][1]
    if what == "unknown key":
        container["livenesProbe"] = container.pop("livenessProbe")
    elif what == "missing key":
        del bad["spec"]["selector"]
    elif what == "other type":
        container["env"] = {"CLIENT_ID": "0001"}
    else:
        container["env"][1]["value"] = 1
    assert len(manifest_faults(bad)) == 1


def test_kubernetes_objects_are_whole():
    kinds = {}
    for one in documents(FOLDER / "k8s/sidecar.yaml"):
        assert one["apiVersion"] == {"Secret": "v1", "Deployment": "apps/v1"}[one["kind"]]
        assert one["metadata"]["name"]
        kinds[one["kind"]] = one
    assert set(kinds) == {"Secret", "Deployment"}


def test_kubernetes_deployment_is_one_pod_and_finds_it(deployment):
    spec = deployment["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    names = [one["name"] for one in spec["template"]["spec"]["containers"]]
    assert names == ["mlnode", "mltunnel"]


def test_kubernetes_publishes_nothing(deployment):
    text = json.dumps(deployment)
    for word in ("hostPort", "hostNetwork", "containerPort"):
        assert word not in text


def test_kubernetes_token_comes_from_the_secret(deployment, agent):
    (secret,) = [one for one in documents(FOLDER / "k8s/sidecar.yaml") if one["kind"] == "Secret"]
    (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]
    (mount,) = agent["volumeMounts"]
    assert mount["name"] == volume["name"] and mount["readOnly"] is True
    env = {one["name"]: one["value"] for one in agent["env"]}
    assert env["SECRET_FRP_TOKEN_FILE"] in [f"{mount['mountPath']}/{key}" for key in secret["stringData"]]
    assert "SECRET_FRP_TOKEN" not in env


def test_kubernetes_agent_has_no_rights(agent):
    assert agent["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip


def test_kubernetes_probes_ask_the_agent(agent):
    assert agent["readinessProbe"]["exec"]["command"] == ["/usr/bin/mltunnel", "status", "--ready"]
    assert agent["livenessProbe"]["exec"]["command"] == ["/usr/bin/mltunnel", "status"]


def test_kubernetes_node_outlives_the_grace_of_the_agent(deployment, agent):
    pod = deployment["spec"]["template"]["spec"]
    env = {one["name"]: one["value"] for one in agent["env"]}
    grace = int(env["MLTUNNEL_GRACE"].removesuffix("s"))
    (node,) = [one for one in pod["containers"] if one["name"] == "mlnode"]
    wait = int(node["lifecycle"]["preStop"]["exec"]["command"][1])
    assert grace < wait < pod["terminationGracePeriodSeconds"]
