# SPDX-License-Identifier: Apache-2.0
# test_refused.py - what of frpc is not supported: in each format one line with place and key, exit status 2, and nobody
# is connected to. Unknown keys may be forgiven (--strict_config=false); these are not.

import json
import re
import socket
import subprocess

import pytest

import peers

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="frpc supports it")

NOT_TCP = 'is not "tcp", all that this version supports'
NOT_XTCP = "all that this version supports"
PLUGIN = "client plugins are not supported by this version"
OF_XTCP = "not supported by this version (it belongs to xtcp)"

# Path below the table, value, words. Those of frp's own suite stand in its list.
COMMON = [
    *(("transport.protocol", value, f'"{value}" {NOT_TCP}') for value in ("kcp", "quic", "websocket", "wss")),
    ("auth.method", "oidc", '"oidc" is not "token", all that this version supports'),
    ("auth.oidc.clientID", "me", "OIDC is not supported by this version; auth.token and auth.tokenSource are"),
    ("store.path", "/tmp/store", "not supported by this version"),
    ("virtualNet.address", "100.86.0.1/24", "virtual networks are not supported by this version"),
    ("featureGates.VirtualNet", True, "not supported by this version"),
    ("webServer.tls.certFile", "/dev/null", "TLS of the admin API is not supported by this version"),
    ("webServer.assetsDir", "/srv", "is not empty, all that this version supports"),
    ("webServer.pprofEnable", True, 'is not "false", all that this version supports'),
    ("natHoleStunServer", "stun.example:3478", "is not frp's default, all that this version supports"),
    ("transport.quic.maxIdleTimeout", 31, 'is not "30", all that this version supports'),
]
PLUGINS = ("http_proxy", "socks5", "static_file", "unix_domain_socket", "http2http", "http2https", "https2http",
           "https2https", "tls2raw", "virtual_net")  # fmt: skip
PROXY = [
    *(("plugin.type", value, PLUGIN) for value in PLUGINS),
    ("type", "xtcp", f'"xtcp" is not tcp, udp, http, https, tcpmux, stcp or sudp, {NOT_XTCP}'),
    ("natTraversal.disableAssistedAddrs", True, OF_XTCP),
]
VISITOR = [
    ("type", "xtcp", f'"xtcp" is not stcp or sudp, {NOT_XTCP}'),
    ("plugin.type", "virtual_net", "visitor plugins are not supported by this version"),
    ("protocol", "kcp", OF_XTCP),
    ("keepTunnelOpen", True, OF_XTCP),
    ("maxRetriesAnHour", 3, OF_XTCP),
    ("minRetryInterval", 3, OF_XTCP),
    ("fallbackTo", "v", OF_XTCP),
    ("fallbackTimeoutMs", 3, OF_XTCP),
]
CASES = [(table, *case) for table, cases in (("", COMMON), ("proxies", PROXY), ("visitors", VISITOR)) for case in cases]
# Section and key of an INI file, value, words.
INI = [
    *(("common", "protocol", value, f'"{value}" {NOT_TCP}') for value in ("kcp", "quic", "websocket", "wss")),
    ("common", "authentication_method", "oidc", '"oidc" is not "token", all that this version supports'),
    *(("common", f"oidc_{key}", "x", "OIDC is not supported by this version; auth.token and auth.tokenSource are")
      for key in ("client_id", "client_secret", "audience", "scope", "token_endpoint_url", "additional_x")),
    ("common", "assets_dir", "/srv", "is not empty, all that this version supports"),
    ("common", "pprof_enable", "true", 'is not "false", all that this version supports'),
    ("common", "nat_hole_stun_server", "stun.example:3478", "is not frp's default, all that this version supports"),
    ("common", "quic_keepalive_period", "11", 'is not "10", all that this version supports'),
    ("common", "quic_max_idle_timeout", "31", 'is not "30", all that this version supports'),
    ("common", "quic_max_incoming_streams", "7", 'is not "100000", all that this version supports'),
    *(("p", "plugin", value, PLUGIN) for value in PLUGINS),
    ("p", "plugin_unix_path", "/x", PLUGIN),
    ("p", "type", "xtcp", f'"xtcp" is not tcp, udp, http, https, tcpmux, stcp or sudp, {NOT_XTCP}'),
    ("v", "type", "xtcp", f'"xtcp" is not stcp or sudp, {NOT_XTCP}'),
    *(("v", key, value, OF_XTCP) for key, value in (
        ("protocol", "kcp"), ("keep_tunnel_open", "true"), ("max_retries_an_hour", "3"), ("min_retry_interval", "3"),
        ("fallback_to", "x"), ("fallback_timeout_ms", "3"),
    )),
]  # fmt: skip


def tree_of(table, path, value, port):
    """A configuration that is right but for the one key."""
    tree = {
        "serverAddr": "127.0.0.1",
        "serverPort": port,
        "proxies": [{"name": "p", "type": "tcp", "localPort": 1}],
        "visitors": [{"name": "v", "type": "stcp", "serverName": "s", "bindPort": 1}],
    }
    at = tree[table][0] if table else tree
    *names, last = path.split(".")
    for name in names:
        at = at.setdefault(name, {})
    at[last] = value
    return tree


def toml(tree, head=""):
    """Lines: values, with their tables before the names; then lists of tables."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += toml(value, f"{head}{key}.")
        elif not isinstance(value, list):
            lines.append(f"{head}{key} = {json.dumps(value)}")
    for key, value in tree.items():
        if isinstance(value, list):
            lines += [line for element in value for line in (f"[[{key}]]", *toml(element))]
    return lines


def yaml(tree, indent=""):
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *yaml(value, indent + "  ")]
        elif isinstance(value, list):
            (element,) = value
            first, *rest = yaml(element, indent + "    ")
            lines += [f"{indent}{key}:", f"{indent}  - {first.lstrip()}", *rest]
        else:
            lines.append(f"{indent}{key}: {json.dumps(value)}")
    return lines


FORMS = {"toml": toml, "yaml": yaml, "json": lambda tree: json.dumps(tree, indent=1).split("\n")}


@pytest.fixture
def server():
    """A port on which nobody is expected."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield s.getsockname()[1]
        s.setblocking(False)
        with pytest.raises(BlockingIOError):
            s.accept()


def said_of(path, *args):
    done = subprocess.run(
        [peers.agent_program(), "-c", path, *args], env=peers.clean_env(path.parent), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table, path, value, words", CASES, ids=lambda value: str(value)[:20])
def test_in_each_format(table, path, value, words, form, tmp_path, server):
    lines = FORMS[form](tree_of(table, path, value, server))
    file = tmp_path / f"refused.{form}"
    file.write_text("\n".join(lines) + "\n")
    scope = f"{table}[0]." if table else ""
    for args in ((), ("--strict_config=false",)):
        said = said_of(file, *args)
        found = re.fullmatch(rf"mltunnel: {re.escape(str(file))}:(\d+):(\d+): ([^ :]+): (.*)", said[0])
        assert found and len(said) == 1, said
        key, text = found[3], found[4]
        # The key itself, or the refused table that it is in.
        assert f"{scope}{path}.".startswith(f"{key}.") and len(key) > len(scope), said
        assert words in text, said
        there = lines[int(found[1]) - 1][int(found[2]) - 1 :].lstrip('"')
        names = key.removeprefix(scope).split(".")
        assert there.startswith((*names, json.dumps(value).strip('"'))), (said, there)


@pytest.mark.parametrize("section, key, value, words", INI, ids=lambda value: str(value)[:20])
def test_in_ini_files(section, key, value, words, tmp_path, server):
    sections = {
        "common": ["server_addr = 127.0.0.1", f"server_port = {server}"],
        "p": ["type = tcp", "local_port = 1"],
        "v": ["role = visitor", "type = stcp", "server_name = s", "bind_port = 1"],
    }
    lines = [line for line in sections[section] if not line.startswith(f"{key} =")]
    sections[section] = [*lines, f"{key} = {value}"]
    lines = [line for name, inside in sections.items() for line in (f"[{name}]", *inside)]
    file = tmp_path / "refused.ini"
    file.write_text("\n".join(lines) + "\n")
    place = f"mltunnel: {file}:{lines.index(f'{key} = {value}') + 1}: [{section}] {key}: "
    for args in ((), ("--strict_config=false",)):
        said = said_of(file, *args)
        assert len(said) == 1 and said[0].startswith(place) and words in said[0], said


def suite_rows():
    """What frp's own suite has that is refused: see tests/peer/conformance/README.md."""
    rows = (peers.HOME / "tests/peer/conformance/refused.tsv").read_text().splitlines()
    return sorted({tuple(row.split("\t")[1:]) for row in rows if not row.startswith("#")})


@pytest.mark.parametrize("key, words", suite_rows())
def test_words_that_frps_own_suite_waits_for(key, words, tmp_path, server):
    path, value = key.split(" = ")
    table = "proxies" if path.startswith("plugin") else ""
    file = tmp_path / "refused"
    file.write_text("\n".join(toml(tree_of(table, path, json.loads(value), server))) + "\n")
    assert words in said_of(file)[0]


@pytest.mark.parametrize("command", ("xtcp", "nathole"))
def test_commands(command, tmp_path):
    done = subprocess.run(
        [peers.agent_program(), command], env=peers.clean_env(tmp_path), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f'mltunnel: the command "{command}" of frpc is not supported by this version\n'


@pytest.mark.parametrize("protocol", ("kcp", "quic", "websocket", "wss"))
def test_options(protocol, tmp_path):
    done = subprocess.run(
        [peers.agent_program(), "tcp", "-n", "x", "-l", "1", "-p", protocol], env=peers.clean_env(tmp_path),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, f'mltunnel: --protocol: "{protocol}" {NOT_TCP}\n')
