# SPDX-License-Identifier: Apache-2.0
# network.py - loopback networks of one's own, free ports, and asking a port for an answer.

import contextlib
import ctypes
import errno
import fcntl
import http.client
import os
import random
import socket
import struct
import subprocess
import time

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP = 4, 20, 0x301
NLMSG_ERROR, NLMSG_DONE, TCP_LISTEN = 2, 3, 10
POLL_S = 0.01  # between two looks at something that tells no events


def enter_own_network():
    """A new network namespace for this thread and what it starts, loopback up; False where the kernel refuses.

    Ports, and the abstract sockets by which agents see each other, are then out of reach of other tests."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP | IFF_RUNNING))
    return True


class Refused(Exception):
    """The kernel does not let us do this to a network."""


def command(*words, text=None):
    """ip, nft or tc in the network of this thread."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True,
                          env={"PATH": path}, check=False)  # fmt: skip
    if done.returncode != 0:
        raise Refused(f"{' '.join(map(str, words))}: {done.stderr.strip()[:200]}")


def drop(rule):
    """Packets that arrive in this network and fit the rule of nftables are lost from now on; keep_all() undoes it."""
    text = f"table inet loss {{\n chain input {{\n type filter hook input priority 0\n {rule} drop\n }}\n}}\n"
    command("nft", "-f", "-", text=text)


def forget_idle(port, seconds):
    """Packets of TCP connections to that port which were silent for so long are lost, as behind a NAT."""
    drop(f"tcp dport {port} ct state invalid drop\n tcp sport {port} ct state invalid")
    for name, value in (("timeout_established", seconds), ("loose", 0)):
        with open(f"/proc/sys/net/netfilter/nf_conntrack_tcp_{name}", "w") as file:
            file.write(str(value))


def keep_all():
    command("nft", "delete", "table", "inet", "loss")


@contextlib.contextmanager
def house_behind_a_wire():
    """A network namespace with a wire to this one; the words that run a command in it."""
    holder = subprocess.Popen(["unshare", "-n", "sleep", "600"], stdin=subprocess.DEVNULL)
    try:
        ours = os.stat("/proc/thread-self/ns/net").st_ino
        wait_until(lambda: os.stat(f"/proc/{holder.pid}/ns/net").st_ino != ours, "a namespace")
        inside = ["nsenter", "-t", str(holder.pid), "-n"]
        command(*"ip link add wire type veth peer name eth netns".split(), holder.pid)
        command(*"ip addr add 10.9.0.1/24 dev wire".split())
        command(*"ip link set wire up".split())
        command(*inside, *"ip addr add 10.9.0.2/24 dev eth".split())
        command(*inside, *"ip link set eth up".split())
        command(*inside, *"ip link set lo up".split())
        yield inside
    finally:
        holder.kill()
        holder.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_client_id():
    """Four digits whose ports 1<ID> and 2<ID> are free. Random: where namespaces are refused, tests share them."""
    for _ in range(100):
        number = f"{random.randint(1, 9999):04d}"
        if is_free(int(f"1{number}")) and is_free(int(f"2{number}")):
            return number
    raise RuntimeError("no free pair of ports 1<ID>, 2<ID>")


def is_listening(port):
    """Without a connection that somebody would see: the kernel's list of listeners. The whole table of /proc/net/tcp costs
    the kernel milliseconds, in a hundred tests at once the machine."""
    return any(port in listeners(family) for family in (socket.AF_INET, socket.AF_INET6))


def listeners(family):
    """Ports of TCP sockets in the network of this thread that listen."""
    ports = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as s:
        request = struct.pack("=BBHI48x", family, socket.IPPROTO_TCP, 0, 1 << TCP_LISTEN)
        s.send(struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 0, 0) + request)
        while True:
            data = s.recv(1 << 16)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind == NLMSG_DONE:
                    return ports
                if kind == NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", data, 16)[0], "the kernel does not tell its listeners")
                ports.add(struct.unpack_from("!H", data, 20)[0])
                data = data[(length + 3) & ~3 :]


def wait_until(is_true, what, timeout=10.0):
    """Poll until is_true() is; its value. Returns late by POLL_S at most."""
    limit = time.monotonic() + timeout
    while True:
        value = is_true()
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(POLL_S)


def wait_listening(port, timeout=10.0):
    wait_until(lambda: is_listening(port), f"port {port} is open", timeout)


def wait_closed(port, timeout=10.0):
    wait_until(lambda: not is_listening(port), f"port {port} is closed", timeout)


def get(port, path="/health", timeout=5.0):
    """Status and body of one request on a connection of its own."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request("GET", path, headers={"Connection": "close"})
        answer = c.getresponse()
        return answer.status, answer.read()
    finally:
        c.close()


def answers(port, timeout=5.0):
    try:
        return get(port, timeout=timeout)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def wait_answers(*ports, timeout=10.0):
    """Until a service answers behind each of the ports; how many seconds that took."""
    began = time.monotonic()
    for port in ports:
        left = began + timeout - time.monotonic()
        wait_until(lambda: answers(port, timeout=2.0), f"an answer on port {port}", max(left, 0.1))
    return time.monotonic() - began


def close_with_rst(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True
