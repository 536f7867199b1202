# SPDX-License-Identifier: Apache-2.0
# test_admin.py - the admin API, reloads by it and by SIGHUP, the commands that use it, the log file.

import base64
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess

import pytest

import network
from peers import IS_STOCK, NEW, OLD, agent_program, clean_env, peer_dir
from program import Program

USER, PASSWORD = "admin", "p:ss word"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
N_STREAMS = 50
N_RELOADS = 1000
RSS_GROWTH_MIB = 1.0


class Admin:
    """An agent with an INI file and an admin port."""

    def __init__(self, lab, common=(), has_password=False, want_up=True, **ini):
        self.lab = lab
        self.port = network.free_port()
        web = [f"admin_port = {self.port}"]
        if has_password:
            web += [f"admin_user = {USER}", f"admin_pwd = {PASSWORD}"]
        self.path = lab.ini(common=[*web, *common], **ini)
        self.agent = lab.start_by_ini(self.path, want_up=want_up)
        network.wait_listening(self.port)

    def ask(self, path, method="GET", body=None, headers=None):
        """Status, text and headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def status(self):
        status, text, _ = self.ask("/api/status")
        assert status == 200
        return {proxy["name"]: proxy for proxies in json.loads(text).values() for proxy in proxies}

    def reload(self):
        status, text, _ = self.ask("/api/reload?strictConfig=true")
        assert (status, text) == (200, ""), text

    def write(self, text):
        self.path.write_text(text)

    def metric(self, name):
        status, text, _ = self.ask("/metrics")
        assert status == 200
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


def proxy_ini(name, local, remote):
    return f"\n[{name}]\ntype = tcp\nlocal_ip = 127.0.0.1\nlocal_port = {local}\nremote_port = {remote}\n"


@pytest.fixture
def admin(lab):
    return Admin(lab)


# ---- routes


def test_status_has_frpc_shape(admin):
    lab = admin.lab
    status, text, headers = admin.ask("/api/status")
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert list(json.loads(text)) == ["tcp"]
    proxy = admin.status()[f"client-mlnode-{lab.client_id}"]
    assert proxy == {
        "name": f"client-mlnode-{lab.client_id}",
        "type": "tcp",
        "status": "running",
        "err": "",
        "local_addr": f"127.0.0.1:{lab.node.management}",
        "plugin": "",
        "remote_addr": f"127.0.0.1:{lab.port2}",
    }


def test_chosen_port_is_shown(lab):
    admin = Admin(lab, ports=(lab.port1, 0), want_up=False)
    with admin.path.open("a") as file:
        file.write(proxy_ini("any", lab.node.management, 0))
    admin.reload()
    network.wait_until(lambda: admin.status()["any"]["status"] == "running", "the proxy runs")
    port = int(admin.status()["any"]["remote_addr"].rsplit(":", 1)[1])
    assert port > 0
    assert network.wait_answers(port)


def test_health_and_readiness(lab):
    admin = Admin(lab)
    assert admin.ask("/healthz")[:2] == (200, "")
    status, text, _ = admin.ask("/readyz")
    assert status == 200
    assert json.loads(text)["ready"] is True
    lab.frps.kill()
    network.wait_until(lambda: admin.ask("/readyz")[0] == 503, "it is not ready")
    answer = json.loads(admin.ask("/readyz")[1])
    assert answer["ready"] is False
    assert len(answer["not_ready"]) == 2
    assert answer["error"]
    assert admin.ask("/healthz")[0] == 200


def test_metrics_count(admin):
    lab = admin.lab
    assert admin.metric("mltunnel_session_up") == 1
    assert admin.metric("mltunnel_proxies_up") == 2
    before = admin.metric('mltunnel_bytes_total{direction="up"}')
    network.get(lab.port1, "/bytes?n=100000")
    assert admin.metric('mltunnel_bytes_total{direction="up"}') - before >= 100000
    name = f'proxy="client-mlnode-port5000-{lab.client_id}",type="tcp"'
    assert admin.metric(f"mltunnel_proxy_up{{{name}}}") == 1
    assert admin.metric(f'mltunnel_proxy_bytes_total{{{name},direction="up"}}') >= 100000
    assert admin.metric("mltunnel_logins_total") == 1
    lab.frps.kill()
    lab.start_frps()
    lab.wait_up(20)
    assert admin.metric("mltunnel_logins_total") == 2
    assert admin.metric("mltunnel_reconnects_total") == 1


def test_metrics_are_what_prometheus_reads(admin):
    families = {}
    for line in admin.ask("/metrics")[1].splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            families[name] = kind
        elif not line.startswith("#"):
            name, value = re.fullmatch(r'(\w+)(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})? (\S+)', line).groups()
            float(value)
            assert name.endswith("_total") == (families[name] == "counter"), line
    assert families


def test_password_is_asked_for(lab):
    admin = Admin(lab, has_password=True)
    assert admin.ask("/healthz")[0] == 200
    for path in ("/", "/api/status", "/api/config", "/api/reload", "/readyz", "/metrics", "/nothing"):
        status, _, headers = admin.ask(path)
        assert status == 401, path
        assert headers["WWW-Authenticate"].startswith("Basic ")
        assert admin.ask(path, headers=BASIC)[0] in (200, 404)
    assert admin.ask("/api/stop", "POST")[0] == 401
    for wrong in ("admin:", "admin:p:ss wore", "admin:p:ss word2", ":", ""):
        header = {"Authorization": "Basic " + base64.b64encode(wrong.encode()).decode()}
        assert admin.ask("/api/status", headers=header)[0] == 401, wrong
    assert admin.ask("/api/status", headers={"Authorization": BASIC["Authorization"] + "!"})[0] == 401
    assert admin.agent.is_running()
    assert PASSWORD not in admin.agent.text()


def test_unknown_path_and_wrong_method(admin):
    for method, path, want in (
        ("GET", "/", 404),
        ("GET", "/api/statusx", 404),
        ("POST", "/api/status", 405),
        ("GET", "/api/stop", 405),
        ("DELETE", "/api/config", 405),
        ("HEAD", "/api/status", 200),
    ):
        assert admin.ask(path, method)[0] == want, (method, path)
    assert admin.ask("/api/reload?strictConfig=perhaps")[0] == 400
    assert admin.agent.is_running()


def test_pages_of_others_are_refused(admin):
    for headers in ({"Host": "evil.example:80"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert admin.ask("/api/stop", "POST", headers=headers)[0] == 403, headers
    own = {"Host": f"localhost:{admin.port}", "Origin": f"http://localhost:{admin.port}"}
    assert admin.ask("/api/status", headers=own)[0] == 200
    assert admin.agent.is_running()


def test_stop_ends_it_well(admin):
    lab = admin.lab
    assert admin.ask("/api/stop", "POST")[:2] == (200, "")
    assert admin.agent.wait(timeout=3) == 0
    network.wait_closed(lab.port1, timeout=0.5)
    network.wait_closed(admin.port, timeout=0.5)


@pytest.mark.parametrize("address", ("0.0.0.0", "::", "10.1.2.3"))
def test_open_address_needs_a_password(lab, address):
    path = lab.ini(common=[f"admin_port = {network.free_port()}", f"admin_addr = {address}"])
    agent = lab.start_by_ini(path, want_up=False)
    assert agent.wait(timeout=2) != 0
    assert "would be open to other machines" in agent.text()


def test_taken_port_is_told_and_the_tunnel_runs(lab):
    agent = lab.start_by_ini(lab.ini(common=[f"admin_port = {lab.node.management}"]))
    assert agent.find("admin API cannot be served.*remedy=")


def test_address_is_told_as_a_url_has_it(lab):
    port = network.free_port()
    agent = lab.start_by_ini(lab.ini(common=["admin_addr = ::1", f"admin_port = {port}"]))
    assert agent.find(rf"admin API at=\[::1\]:{port}$")


# ---- the configuration


def test_config_is_shown_and_replaced(admin):
    lab = admin.lab
    before = admin.path.read_text()
    status, text, headers = admin.ask("/api/config")
    assert (status, text) == (200, before)
    assert headers["Content-Type"].startswith("text/plain")
    os.chmod(admin.path, 0o640)
    new_port = network.free_port()
    new = before.replace(f"remote_port = {lab.port1}", f"remote_port = {new_port}")
    new = new[: new.index(f"[client-mlnode-{lab.client_id}]")]
    assert admin.ask("/api/config", "PUT", new)[:2] == (200, "")
    assert admin.path.read_text() == new
    assert stat.S_IMODE(admin.path.stat().st_mode) == 0o640
    assert sorted(os.listdir(admin.path.parent)) == [admin.path.name]
    assert network.answers(lab.port1)  # not in force yet
    admin.reload()
    assert network.wait_answers(new_port, timeout=1)
    network.wait_closed(lab.port1, timeout=1)
    network.wait_closed(lab.port2, timeout=1)
    assert list(admin.status()) == [f"client-mlnode-port5000-{lab.client_id}"]
    assert len(lab.frps.logins()) == 1


def test_link_stays_a_link(lab):
    admin = Admin(lab)
    real = admin.path.with_name("real.ini")
    admin.path.rename(real)
    admin.path.symlink_to(real)
    text = real.read_text() + "# more\n"
    assert admin.ask("/api/config", "PUT", text)[0] == 200
    assert admin.path.is_symlink()
    assert real.read_text() == text


@pytest.mark.parametrize(
    "new, words",
    (
        ("[common]\nserver_addr = x\nserver_port = 99999\n", "server_port"),
        ("[common]\nserver_addr = x\n\n[p]\ntype = tcp\nlocal_port = 80x\n", "80x"),
        ("[common]\nserver_addr = x\nno_such_key = 1\n", "no_such_key"),
        ("no configuration at all\n", ""),
        ("", "empty"),
        ("\0", ""),
    ),
)
def test_wrong_config_is_refused_and_the_file_stays(admin, new, words):
    before = admin.path.read_bytes()
    status, text, _ = admin.ask("/api/config", "PUT", new)
    assert status == 400
    assert words in text and len(text) > 10
    assert admin.path.read_bytes() == before
    assert sorted(os.listdir(admin.path.parent)) == [admin.path.name]
    admin.reload()


def test_unknown_keys_are_no_matter_when_asked_so(admin):
    """frpc's default of the route; its own commands ask strictly."""
    admin.write(admin.path.read_text().replace("[common]\n", "[common]\nno_such_key = 1\n"))
    status, text, _ = admin.ask("/api/reload?strictConfig=true")
    assert status == 400 and "no_such_key" in text
    assert admin.ask("/api/reload")[:2] == (200, "")
    assert admin.ask("/api/reload?strictConfig=false")[0] == 200


def test_wrong_file_changes_nothing(admin):
    lab = admin.lab
    before = admin.path.read_text()
    admin.write(before.replace("type = tcp", "type = tpc"))
    status, text, _ = admin.ask("/api/reload")
    assert status == 400
    assert "tpc" in text
    admin.path.unlink()
    assert admin.ask("/api/reload")[0] == 400
    assert admin.ask("/api/config")[0] == 400
    assert network.answers(lab.port1) and network.answers(lab.port2)
    admin.write(before)
    admin.reload()


# ---- reload


class Stream:
    """A connection that echoes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.sendall(b"echo reload\n")

    def echo(self, data):
        self.socket.sendall(data)
        got = b""
        while len(got) < len(data):
            piece = self.socket.recv(65536)
            assert piece, "the stream has ended"
            got += piece
        assert got == data


def test_only_what_changed_is_registered_anew(lab):
    admin = Admin(lab)
    mark = lab.frps.mark()
    agent_mark = admin.agent.mark()
    port = network.free_port()
    text = admin.path.read_text().replace(f"remote_port = {lab.port2}", f"remote_port = {port}")
    admin.write(text + proxy_ini("third", lab.node.management, network.free_port()))
    admin.agent.signal(signal.SIGHUP)
    admin.agent.wait_line(r"\[third\] start proxy success", since=agent_mark)
    network.wait_answers(port)
    lines = admin.agent.text(agent_mark)
    assert f"[client-mlnode-{lab.client_id}] proxy changed" in lines
    assert "[third] proxy added" in lines
    assert f"client-mlnode-port5000-{lab.client_id}" not in lines
    assert f"client-mlnode-port5000-{lab.client_id}" not in lab.frps.text(mark)
    network.wait_closed(lab.port2, timeout=1)


def test_local_port_can_change(lab):
    """The server sees no difference in the message, the users do."""
    admin = Admin(lab)
    admin.write(admin.path.read_text().replace(f"local_port = {lab.node.inference}", "local_port = 1"))
    admin.reload()
    network.wait_until(lambda: not network.answers(lab.port1), "users are refused")


def test_settings_of_the_server_make_one_new_session(lab):
    admin = Admin(lab)
    admin.write(admin.path.read_text().replace("[common]\n", "[common]\npool_count = 3\n"))
    admin.reload()
    admin.agent.wait_line("login to server success", count=2)
    lab.wait_up()
    assert len(lab.frps.logins()) == 2
    admin.reload()
    assert len(lab.frps.logins()) == 2


def test_new_token_after_refusals(lab):
    """The remedy of a refused login is a reload away."""
    admin = Admin(lab, token="wrong", want_up=False)
    admin.agent.wait_line("the server refused the login")
    admin.write(lab.ini(name="other.ini", common=[f"admin_port = {admin.port}"]).read_text())
    admin.reload()
    lab.wait_up(3)


def test_removed_proxy_keeps_its_users_and_can_come_back(new_lab):
    lab = new_lab(has_raw_node=True)
    lab.start_frps()
    admin = Admin(lab)
    port = network.free_port()
    before = admin.path.read_text()
    admin.write(before + proxy_ini("raw", lab.node.raw, port))
    admin.reload()
    network.wait_listening(port)
    stream = Stream(port)
    stream.echo(b"before")
    admin.write(before)
    admin.reload()
    network.wait_closed(port, timeout=1)
    stream.echo(b"after")
    admin.write(before + proxy_ini("raw", lab.node.raw, port))
    admin.reload()
    network.wait_listening(port)
    Stream(port).echo(b"again")
    stream.echo(b"still")


@pytest.mark.alone
def test_reload_storm_loses_no_stream(new_lab):
    lab = new_lab(has_raw_node=True)
    lab.start_frps()
    admin = Admin(lab)
    port = network.free_port()
    ports = [network.free_port(), network.free_port()]
    base = admin.path.read_text() + proxy_ini("raw", lab.node.raw, port)
    texts = (
        base + proxy_ini("changes", lab.node.raw, ports[0]),
        base + proxy_ini("changes", lab.node.raw, ports[1]) + proxy_ini("comes and goes", lab.node.raw, ports[0]),
    )
    admin.write(texts[0])
    admin.reload()
    network.wait_listening(port)
    streams = [Stream(port) for _ in range(N_STREAMS)]
    rss = None
    for i in range(N_RELOADS):
        admin.write(texts[i % 2])
        admin.reload()
        streams[i % N_STREAMS].echo(b"%06d" % i * 10)
        if i == 100:
            rss = admin.agent.rss_mib()
    for stream in streams:
        stream.echo(b"the end")
    growth = admin.agent.rss_mib() - rss
    network.wait_listening(ports[0])
    network.wait_listening(ports[1])
    assert len(lab.frps.logins()) == 1
    print(f"{growth:.2f} MiB more after {N_RELOADS} reloads")
    assert growth <= RSS_GROWTH_MIB, f"{growth:.2f} MiB"
    assert admin.metric("mltunnel_connections") == N_STREAMS


# ---- log file


def test_log_goes_to_a_file(lab):
    path = lab.directory / "agent.log"
    admin = Admin(lab, common=[f"log_file = {path}", "log_max_days = 2"])
    assert "login to server success" in path.read_text()
    assert "start proxy success" not in admin.agent.text()
    moved = path.with_name("moved.log")
    path.rename(moved)
    network.wait_until(lambda: admin.reload() or path.exists(), "the file is made again")


def test_log_file_that_cannot_be_opened(lab):
    admin = Admin(lab, common=["log_file = /no/such/folder/agent.log"])
    assert admin.agent.find("log file cannot be opened.*remedy=")
    assert admin.agent.find("start proxy success")


# ---- the commands


def command(admin, *words, program=None):
    """Exit status, stdout, stderr."""
    argv = [program or agent_program(), *words, "-c", admin.path]
    env = clean_env(admin.lab.directory)
    done = subprocess.run(argv, capture_output=True, env=env, text=True, timeout=20, check=False)
    return done.returncode, done.stdout, done.stderr


def test_commands(lab):
    admin = Admin(lab, has_password=True)
    status, out, _ = command(admin, "status")
    assert status == 0
    assert "TCP" in out.splitlines()
    row = next(line for line in out.splitlines() if line.startswith(f"client-mlnode-{lab.client_id} ")).split()
    assert row[1:] == ["running", f"127.0.0.1:{lab.node.management}", f"127.0.0.1:{lab.port2}"]
    before = admin.path.read_text()
    admin.write(before + proxy_ini("third", lab.node.management, network.free_port()))
    assert command(admin, "reload")[:2] == (0, "reload success\n")
    admin.agent.wait_line(r"\[third\] start proxy success")
    assert command(admin, "stop")[:2] == (0, "stop success\n")
    assert admin.agent.wait(timeout=3) == 0
    assert command(admin, "status")[0] == 1


OF_ALL_TYPES = """
[t-with-a-long-name]
type = tcp
local_port = 1
remote_port = 0

[u]
type = udp
local_port = 2
remote_port = 0

[refused]
type = http
local_port = 3
custom_domains = a.example,b.example

[m]
type = tcpmux
local_port = 4
multiplexer = httpconnect
custom_domains = c.example

[s]
type = stcp
local_port = 5
sk = x
"""


@pytest.mark.skipif(IS_STOCK, reason="it is compared with itself")
@pytest.mark.parametrize("version", (OLD, NEW))
def test_frpcs_own_commands_work_on_it_and_print_the_same(new_lab, version):
    lab = new_lab()
    lab.start_frps(extra=[f"tcpmuxHTTPConnectPort = {network.free_port()}"])
    admin = Admin(lab)
    with admin.path.open("a") as file:
        file.write(OF_ALL_TYPES)
    stock = peer_dir() / f"frpc-{version}"

    def by_stock(word):
        # frpc says of each INI file, on standard output, that it is deprecated.
        status, out, _ = command(admin, word, program=stock)
        return status, re.sub(r"(?m)^WARNING: ini format.*\n", "", out)

    assert by_stock("reload") == (0, "reload success\n")
    network.wait_until(lambda: admin.status()["s"]["status"] == "running", "all are asked for")
    network.wait_until(lambda: admin.status()["refused"]["status"] == "start error", "one is refused")
    ours = command(admin, "status")
    assert ours[:2] == by_stock("status")
    assert "start error" in ours[1] and "vhost http port is not set" in ours[1]
    assert by_stock("stop") == (0, "stop success\n")
    assert admin.agent.wait(timeout=3) == 0


@pytest.mark.skipif(IS_STOCK, reason="it is compared with itself")
@pytest.mark.parametrize("version", (OLD, NEW))
def test_commands_work_on_a_stock_client(new_lab, version):
    lab = new_lab()
    lab.start_frps()
    port = network.free_port()
    path = lab.ini(common=[f"admin_port = {port}", "admin_user = u", "admin_pwd = w", "login_fail_exit = false"])
    stock = lab.keep(Program("frpc", [peer_dir() / f"frpc-{version}", "-c", path], clean_env(lab.directory)))
    network.wait_listening(port)
    lab.wait_up()

    def ours(word):
        argv = [agent_program(), word, "-c", path]
        done = subprocess.run(argv, capture_output=True, env=clean_env(lab.directory), text=True, timeout=20, check=False)
        return done.returncode, done.stdout

    status, out = ours("status")
    assert status == 0 and f"client-mlnode-{lab.client_id}" in out and "running" in out
    assert ours("reload") == (0, "reload success\n")
    assert ours("stop") == (0, "stop success\n")
    assert stock.wait(timeout=5) == 0


def test_reload_of_a_wrong_file_is_told(admin):
    admin.write(admin.path.read_text() + "\n[p]\ntype = tcp\nlocal_port = 80x\n")
    status, out, err = command(admin, "reload")
    assert status != 0
    assert "success" not in out
    assert "80x" in err
    assert admin.agent.is_running()


def test_of_an_mlnode_without_a_file(lab):
    """Where the environment is all there is: metrics, readiness, and the end by a command."""
    port = network.free_port()
    env = {"MLTUNNEL_ADMIN": f"127.0.0.1:{port}"}
    agent = lab.start_agent(**env)
    network.wait_listening(port)
    assert network.get(port, "/readyz")[0] == 200
    status, text = network.get(port, "/metrics")
    assert status == 200 and b"\nmltunnel_" in text
    done = subprocess.run([agent_program(), "stop"], env=lab.env(**env), capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert agent.wait(timeout=5) == 0


def test_variable_that_would_open_it_to_other_machines(lab):
    agent = lab.start_agent(want_up=False, MLTUNNEL_ADMIN="0.0.0.0:7400")
    assert agent.wait() == 2
    assert agent.find('the admin API at "0.0.0.0" would be open to other machines')
