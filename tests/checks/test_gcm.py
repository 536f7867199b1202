# SPDX-License-Identifier: Apache-2.0
# test_gcm.py - check-gcm tells the engines apart by the linker's map, and notices when both or none are there.

import pathlib
import subprocess

import pytest

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
CIPHER = "/usr/lib/libmbedcrypto.a(cipher_wrap.c.o)\n"
STOCK = "/usr/lib/libmbedcrypto.a(gcm.c.o)\n"
STOCK_OF_MAKE = "/usr/lib/libmbedcrypto.a(gcm.o)\n"
OURS = "libagent.a(agent_net_gcm.c.o)\nlibagent.a(agent_net_gcm_nettle.c.o)\n"
NETTLE = OURS + "/usr/lib/libnettle.a(gcm.o)\n/usr/lib/libnettle.a(gcm-aes256.o)\n"
WIDE = "libagent.a(agent_net_gcm_openssl.c.o)\nlibagent.a(agent_net_gcm_openssl_cut.c.o)\n"
OPENSSL = NETTLE + WIDE + "/usr/lib/libcrypto.a(libdefault-lib-cipher_aes_gcm.o)\n/usr/lib/libcrypto.a(libcrypto-lib-params.o)\n"
HOLE = "/usr/lib/libcrypto.a(libcrypto-lib-init.o)\n"


@pytest.mark.parametrize(
    ("engine", "text", "words"),
    [
        ("nettle", CIPHER + NETTLE, None),
        ("openssl", CIPHER + OPENSSL, None),
        ("mbedtls", CIPHER + STOCK, None),
        ("mbedtls", CIPHER + STOCK_OF_MAKE, None),
        ("nettle", CIPHER + NETTLE + STOCK, "was linked"),
        ("nettle", CIPHER + NETTLE + STOCK_OF_MAKE, "was linked"),
        ("openssl", CIPHER + OPENSSL + STOCK, "was linked"),
        ("nettle", CIPHER + STOCK, "was linked"),
        ("nettle", CIPHER + OURS, "missing"),
        ("nettle", CIPHER + OPENSSL, "there"),
        ("openssl", CIPHER + NETTLE, "missing"),
        ("openssl", CIPHER + NETTLE + WIDE, "missing"),
        ("openssl", CIPHER + OPENSSL + HOLE, "lacks"),
        ("mbedtls", CIPHER + NETTLE, "missing"),
        ("mbedtls", CIPHER + STOCK + NETTLE, "there"),
        ("nettle", "", "is this a map"),
        ("nettle", NETTLE, "is this a map"),
    ],
)
def test_map(tmp_path, engine, text, words):
    path = tmp_path / "program.map"
    path.write_text("Archive member included to satisfy reference by file (symbol)\n\n" + text)
    done = subprocess.run(
        [str(HOME / "scripts" / "check-gcm"), engine, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (words is None), done.stdout + done.stderr
    assert words is None or words in done.stdout


def test_a_map_that_is_not_there_is_no_pass(tmp_path):
    done = subprocess.run(
        [str(HOME / "scripts" / "check-gcm"), "nettle", str(tmp_path / "no.map")], capture_output=True, check=False
    )
    assert done.returncode != 0
