# SPDX-License-Identifier: Apache-2.0
# test_builds.py - what is built is the same each time, for another machine too, by another builder too.

import shutil
import subprocess

import pytest
from engine import HOME, call, copy_out, docker, label_of_run


def test_two_builds_give_the_same(release, tmp_path):
    """In another directory, later, anew. Whatever differs is told by name."""
    argv = ["scripts/release", "--out", tmp_path, "--source-dir", "/home/somebody/else/where", "--again"]
    call(*argv, cwd=HOME, timeout=1800)
    assert (tmp_path / "SHA256SUMS").read_text() == (release / "SHA256SUMS").read_text()


@pytest.mark.full
def test_arm64_builds_and_runs_under_qemu(tmp_path):
    call("scripts/release", "--arm64", "--out", tmp_path, cwd=HOME, timeout=3000)
    head = subprocess.run(["readelf", "-hlW", tmp_path / "mltunnel"], capture_output=True, text=True, check=True).stdout
    assert "AArch64" in head and "INTERP" not in head


@pytest.mark.full
def test_buildkit_makes_the_same_program(release, tmp_path):
    recipe = (HOME / "tests/docker/buildx.dockerfile").read_text()
    docker("build", "--force-rm", "-q", "-t", "mltunnel-test:buildx", "-", input=recipe, timeout=600)
    copy_out("mltunnel-test:buildx", "/usr/libexec/docker/cli-plugins/docker-buildx", tmp_path)
    epoch = call("git", "log", "-1", "--format=%ct", cwd=HOME).stdout.strip()
    argv = ["-f", "docker/agent/Dockerfile", "--build-arg", f"SOURCE_DATE_EPOCH={epoch}", "-t", "mltunnel-test:by-buildkit"]
    said = call(tmp_path / "docker-buildx", "build", "--progress=plain", *argv, ".", cwd=HOME, timeout=1800)
    assert "load build definition" in said.stderr, "what BuildKit says, and the plain builder does not"
    copy_out("mltunnel-test:by-buildkit", "/usr/bin/mltunnel", tmp_path)
    assert (tmp_path / "mltunnel").read_bytes() == (release / "mltunnel").read_bytes()


def test_build_that_fails_leaves_no_container(images, tmp_path):
    """Of a tree with scripts and Dockerfiles, and nothing to compile."""
    for name in ("scripts", "docker"):
        shutil.copytree(HOME / name, tmp_path / name)
    mark = f"/nowhere/{label_of_run()}"
    done = call(tmp_path / "scripts/release", "--out", tmp_path / "out", "--source-dir", mark, check=False, timeout=900)
    assert done.returncode != 0 and "meson.build" in done.stdout + done.stderr, done.stderr
    left = call("sh", "-c", "docker ps -aq | xargs -r docker inspect -f '{{.Id}} {{.Config.Env}}'", check=False).stdout
    assert mark not in left
