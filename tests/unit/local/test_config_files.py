"""The files that the cluster writes for others are well formed and agree with each other."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import tomllib

import pytest
import yaml
from local.edgeramp_local import addons, config, images, network, nodes, pki, registry
from local.edgeramp_local.config import NODES, NodeSpec

REFS = {
    name: f"{config.REGISTRY}/edgeramp/{name}:0123456789abcdef@sha256:{'0' * 64}" for name in images.SYSTEM
}
each_node = pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)


@each_node
def test_the_kubelet_configuration_is_yaml_and_leaves_the_machine_room(node: NodeSpec) -> None:
    text = yaml.safe_load(nodes.kubelet_config(node))
    assert text["cgroupRoot"] == f"/{node.name}"
    assert text["systemReserved"] == dict(node.reserved)
    assert text["failCgroupV1"] is False
    assert text["clusterDNS"] == [config.DNS_IP]


@each_node
def test_containerd_takes_our_pause_image_and_our_registry(node: NodeSpec) -> None:
    plugins = tomllib.loads(nodes.containerd_config(node, REFS["pause"]))["plugins"]
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == REFS["pause"]
    assert plugins["io.containerd.cri.v1.runtime"]["restrict_oom_score_adj"] is True
    hosts = tomllib.loads(registry.hosts_toml(config.REGISTRY))
    assert hosts["server"] == f"http://{config.REGISTRY}"


@each_node
def test_the_nodes_first_process_is_a_valid_shell_script(node: NodeSpec) -> None:
    checked = subprocess.run(
        ["sh", "-n"], input=nodes.init_script(node), text=True, capture_output=True, check=False
    )
    assert checked.stderr == ""


@each_node
def test_pods_get_addresses_from_the_range_of_their_node(node: NodeSpec) -> None:
    plugin = json.loads(network.cni_config(node))["plugins"][0]
    subnet = ipaddress.ip_network(plugin["ipam"]["ranges"][0][0]["subnet"])
    assert subnet.subnet_of(ipaddress.ip_network(config.POD_CIDR))
    assert plugin["ipMasq"] is False
    assert ipaddress.ip_address(node.ip) in ipaddress.ip_network(config.HOST_CIDR, strict=False)


def test_no_two_nodes_share_an_address_a_range_or_a_link() -> None:
    for attribute in ("name", "ip", "pod_cidr", "veth", "hardware_class"):
        assert len({getattr(node, attribute) for node in NODES}) == len(NODES)
    assert all(len(node.veth) < 16 for node in NODES)


def test_every_node_has_a_certificate_for_its_name_and_address() -> None:
    known = {identity.name: identity for identity in pki.identities()}
    for node in NODES:
        assert known[node.name].subject == f"/O=system:nodes/CN=system:node:{node.name}"
        assert f"IP:{node.ip}" in known[node.name].names


@pytest.mark.parametrize("name", ["coredns", "local-path-provisioner", "gateway"])
def test_manifests_are_complete_and_use_our_images_only(name: str) -> None:
    text = addons.manifest(name, REFS)
    documents = list(yaml.safe_load_all(text))
    assert all({"apiVersion", "kind", "metadata"} <= set(document) for document in documents)
    used = [line.split("image:")[1].strip() for line in text.splitlines() if "image:" in line]
    assert set(used) <= set(REFS.values()) and used
    assert "${" not in text


def test_exactly_one_storage_class_is_the_default() -> None:
    documents = yaml.safe_load_all(addons.manifest("local-path-provisioner", REFS))
    classes = {
        item["metadata"]["name"]: item["metadata"].get("annotations", {})
        for item in documents
        if item["kind"] == "StorageClass"
    }
    assert set(classes) == {"local-path", "standard"}
    assert [name for name, notes in classes.items() if notes] == ["local-path"]


def test_the_gateway_chart_gets_our_images_and_no_public_ones() -> None:
    text = json.dumps(addons.gateway_values(REFS))
    assert REFS["envoy"] in text and REFS["envoy-gateway"] in text
    assert "docker.io" not in text
