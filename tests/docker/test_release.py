# SPDX-License-Identifier: Apache-2.0
# test_release.py - what scripts/release hands out: hardened, the same each time, complete, and able to be linked again.

import hashlib
import json
import re
import tarfile

import pytest
from engine import HOME, call, docker

# A library of the program -> the words by which its licence text is known.
LIBRARIES = {
    "libuv1-dev": "Expat", "libmbedtls-dev": "Apache", "libjansson-dev": "Petri", "libc-ares-dev": "MIT",
    "nettle-dev": "LGPL", "libssl-dev": "Apache", "libllhttp-dev": "MIT", "libsnappy-dev": "BSD", "libinih-dev": "BSD",
    "libc6-dev": "LGPL",
}  # fmt: skip


@pytest.fixture(scope="module")
def elf(release):
    return call("readelf", "-hldW", release / "mltunnel").stdout


@pytest.fixture(scope="module")
def bom(release):
    (path,) = release.glob("*-amd64.cdx.json")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def tree(release, tmp_path_factory):
    """The tarball, unpacked."""
    (path,) = release.glob("*-amd64.tar.gz")
    into = tmp_path_factory.mktemp("tarball")
    with tarfile.open(path) as archive:
        archive.extractall(into)
    (top,) = into.iterdir()
    return top


def test_is_position_independent(elf):
    assert re.search(r"Type:\s+DYN", elf)
    assert re.search(r"FLAGS_1\).*\bPIE\b", elf)


def test_needs_neither_loader_nor_library(elf):
    assert "INTERP" not in elf
    assert "(NEEDED)" not in elf


def test_binds_at_start_and_then_only_reads(elf):
    assert re.search(r"FLAGS\).*BIND_NOW|FLAGS_1\).*NOW", elf)
    assert "GNU_RELRO" in elf


def test_nothing_is_both_writable_and_executable(elf):
    stack = re.search(r"GNU_STACK.*", elf)[0]
    assert re.search(r" RW\s", stack)
    assert not re.search(r"^\s+LOAD.* RWE ", elf, re.M)


def test_is_stripped_and_has_no_build_id(release):
    sections = call("readelf", "-SW", release / "mltunnel").stdout
    assert ".symtab" not in sections and ".debug" not in sections
    assert "note.gnu.build-id" not in sections


def test_names_no_directory_of_the_build(release):
    content = (release / "mltunnel").read_bytes()
    # Relative ones are of the libraries, which were built elsewhere.
    assert not re.search(rb"(?<![\w.])/src/", content) and b"build-release" not in content


def test_stack_protector_and_fortify_are_at_work(tree):
    symbols = call("nm", "-A", tree / "relink/objects/libagent.a").stdout
    assert "U __stack_chk_fail" in symbols
    assert re.search(r"U __\w+_chk$", symbols, re.M)


def test_aes_gcm_is_of_openssl_and_nettle(release):
    (path,) = release.glob("*-amd64.map")
    call(HOME / "scripts/check-gcm", "openssl", path)


def test_own_objects_call_no_name_service(tree):
    objects = sorted((tree / "relink/objects").iterdir())
    call(HOME / "scripts/check-symbols", *objects)


def test_checksums_are_right(release, tree):
    call("sha256sum", "--quiet", "-c", "SHA256SUMS", cwd=release)
    call("sha256sum", "--quiet", "-c", "SHA256SUMS", cwd=tree)
    listed = {line.split()[1] for line in (tree / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert there - listed == {"SHA256SUMS"}


def test_bill_of_materials_is_cyclonedx(bom, release):
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bom["serialNumber"])
    (digest,) = bom["metadata"]["component"]["hashes"]
    assert digest["content"] == hashlib.sha256((release / "mltunnel").read_bytes()).hexdigest()
    references = [one["bom-ref"] for one in bom["components"]]
    assert len(references) == len(set(references))
    assert bom["dependencies"][0]["dependsOn"] == references


def test_bill_of_materials_has_each_archive_the_linker_took_from(bom, release):
    (path,) = release.glob("*-amd64.map")
    archives = set(re.findall(r"^/\S+/(lib[^/]+\.a)\([^)]+\)$", path.read_text(errors="replace"), re.M))
    told = set()
    for one in bom["components"]:
        for item in one["properties"]:
            told |= set(item["value"].split()) if item["name"] == "mltunnel:files" else set()
    assert len(archives) > 8
    assert archives <= told
    assert set(LIBRARIES) <= {one["name"] for one in bom["components"]}


def test_bill_of_materials_has_versions_of_debian(bom):
    for one in bom["components"]:
        assert re.fullmatch(r"[0-9][\w.+:~-]*", one["version"]), one
        assert one["purl"].startswith("pkg:deb/debian/") and "@" in one["purl"]
    mbedtls = next(one for one in bom["components"] if one["name"] == "libmbedtls-dev")
    assert mbedtls["version"].startswith("3.6.")


def test_licence_texts_are_there(tree, bom):
    for one in bom["components"]:
        text = (tree / "licenses" / one["name"] / "copyright").read_text()
        assert len(text) > 300, one["name"]
        assert LIBRARIES.get(one["name"], "") in text
    assert "Apache License" in (tree / "LICENSE").read_text()
    assert (tree / "licenses/common/LGPL-2.1").is_file()


def test_manuals_are_there(tree):
    ours = {path.name for path in (HOME / "agent/man").glob("*.[1-8]")}
    assert "mltunnel.8" in ours
    assert {path.name for path in (tree / "man").iterdir()} == ours


def test_can_be_linked_again_with_another_nettle(tree, tools_image, tmp_path):
    """What the LGPL asks for: a changed nettle in, a working program out. The change: one symbol more, kept in."""
    other = tmp_path / "other"
    other.mkdir()
    script = """
        set -e
        cp /t/lib/libnettle.a /other/libnettle.a
        printf 'const char nettle_is_changed[] = "a changed nettle";\\n' >/tmp/c.c
        cc -O2 -fPIC -c -o /tmp/c.o /tmp/c.c
        ar r /other/libnettle.a /tmp/c.o
        sed 's/^set -- /set -- -Wl,-u,nettle_is_changed -Wl,--no-gc-sections /' /t/link.sh >/t/link-changed.sh
        sh /t/link-changed.sh /other/mltunnel /other 2>/dev/null
        /other/mltunnel --version
    """
    said = docker("run", "--rm", "-v", f"{tree}/relink:/t", "-v", f"{other}:/other", tools_image, "sh", "-c", script)
    assert said.splitlines()[-1].startswith("mltunnel ")
    assert b"a changed nettle" in (other / "mltunnel").read_bytes()
    (tree / "relink/link-changed.sh").unlink()


def test_debian_package_installs_and_runs(release):
    (path,) = release.glob("*_amd64.deb")
    script = "dpkg -i /p.deb >/dev/null && mltunnel --version && ls /usr/share/doc/mltunnel && dpkg -r mltunnel >/dev/null"
    said = docker("run", "--rm", "-v", f"{path}:/p.deb:ro", "debian:trixie-slim", "sh", "-c", script)
    assert said.startswith("mltunnel ")
    fields = call("dpkg-deb", "-f", path).stdout
    assert "Depends:" not in fields
    assert re.search(r"^Static-Built-Using:.*\bmbedtls \(= 3\.6", fields, re.M)
    listed = call("dpkg-deb", "-c", path).stdout
    assert re.search(r"-rwxr-xr-x root/root .* \./usr/bin/mltunnel$", listed, re.M)
    assert "./usr/share/man/man8/mltunnel.8.gz" in listed


@pytest.mark.parametrize("suite", ("bullseye", pytest.param("bookworm", marks=pytest.mark.full), "trixie"))
def test_runs_on(release, suite):
    call("scripts/base-images", suite, cwd=HOME, timeout=900)
    binary = release / "mltunnel"
    assert docker("run", "--rm", "-v", f"{binary}:/m:ro", f"debian:{suite}-slim", "/m", "--version").startswith("mltunnel ")
