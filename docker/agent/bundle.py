# SPDX-License-Identifier: Apache-2.0
# bundle.py - what goes out with the static program: bill of materials, licence texts, what is needed to link it again
# with other libraries, a tarball, a Debian package, checksums. Runs in the release image, beside the build directory;
# all that it writes follows from those two and SOURCE_DATE_EPOCH.

import argparse
import datetime
import gzip
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import uuid

# Who is in these packages is in every program, and they come with any compiler: link.sh takes them from the system.
TOOLCHAIN = re.compile(r"libc6-dev|libgcc|libstdc\+\+|gcc-")
COMMON_LICENSE = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])")

RELINK_README = """\
The program is one file, and parts of it are under the GNU Lesser General Public License: nettle and the C library.
With what is here it can be linked again with changed ones:

  objects/   the program's own objects
  lib/       the libraries of the released program, as Debian built them (versions: ../sbom.cdx.json)
  link.sh    sh link.sh OUTPUT [DIRECTORY]: links; a library that is in DIRECTORY goes before the one in lib/

The C library and the compiler's own are the machine's. On the release of Debian named in the bill of materials, with the
packages named there, the result is, but for its symbols, the released program byte for byte.
"""

LINK_SH = """\
#!/bin/sh
# link.sh OUTPUT [DIRECTORY] - link mltunnel again; a library in DIRECTORY goes before the one that is here.
set -eu
out=$(realpath "$1")
other=${{2:-}}
[ -z "$other" ] || other=$(realpath "$other")
cd "$(dirname "$0")"

lib() {{
	if [ -n "$other" ] && [ -e "$other/$1" ]; then
		echo "$other/$1"
	else
		echo "lib/$1"
	fi
}}

set -- {words}
exec ${{CXX:-{compiler}}} -o "$out" "$@"
"""


def output_of(*argv, cwd=None):
    return subprocess.run([str(word) for word in argv], cwd=cwd, stdout=subprocess.PIPE, text=True, check=True).stdout


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- which packages are in the program


def linked_files(map_path):
    """Archives of which a member was linked, and start files, by the linker's map."""
    text = map_path.read_text(errors="replace")
    found = set(re.findall(r"^(/\S+\.a)\([^)]+\)$", text, re.M)) | set(re.findall(r"^LOAD (/\S+\.o)$", text, re.M))
    found |= set(re.findall(r"^ \.\S+\s+0x\S+\s+0x\S+ (/\S+\.a)\([^)]+\)$", text, re.M))
    return {os.path.realpath(path) for path in found}


def included_files(build):
    """Headers outside the tree: a library may have nothing else."""
    lines = output_of("ninja", "-C", build, "-t", "deps").splitlines()
    return {os.path.realpath(line.strip()) for line in lines if line.startswith("    /")}


def packages_of(paths):
    """Package -> its files among paths. dpkg may know a file under the name it had before /usr was merged."""
    names = [name for path in sorted(paths) for name in dict.fromkeys((path, path.removeprefix("/usr")))]
    # One question for all: each one reads the lists of all packages. It fails when one name of them is unknown.
    said = subprocess.run(["dpkg", "-S", *names], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    answers = [line.rpartition(": ") for line in said.stdout.splitlines()]
    known = {name: packages.split(", ")[0] for packages, _, name in answers if not packages.startswith("diversion ")}
    owners = {}
    for path in sorted(paths):
        package = known.get(path) or known.get(path.removeprefix("/usr"))
        if package:
            owners.setdefault(package, []).append(path)
        elif path.startswith("/usr/"):
            raise SystemExit(f"bundle: no package has {path}")
    return owners


def describe(package, files, linkage):
    form = "${Package}\n${Version}\n${Architecture}\n${source:Package}\n${source:Version}"
    name, version, arch, source, source_version = output_of("dpkg-query", "-W", "-f", form, package).split("\n")
    return {
        "name": name, "version": version, "arch": arch, "source": source, "source_version": source_version,
        "files": sorted({os.path.basename(path) for path in files}) if linkage == "static" else [], "linkage": linkage,
    }  # fmt: skip


def libraries(build):
    linked = packages_of(linked_files(build / "mltunnel.map"))
    found = [describe(package, files, "static") for package, files in linked.items()]
    sources = {one["source"] for one in found} | {"linux", "cross-toolchain-base", "gcc-14-cross", "gcc-14"}
    for package, files in packages_of(included_files(build)).items():
        one = describe(package, files, "headers")
        if one["source"] not in sources:
            found.append(one)
    return sorted(found, key=lambda one: one["name"])


# ---- what is written


def bill_of_materials(version, arch, program, parts, epoch):
    """CycloneDX 1.5."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', pathlib.Path("/etc/os-release").read_text(), re.M))
    codename = release.get("VERSION_CODENAME", "")
    self_ref = f"mltunnel@{version}"
    components = []
    for one in parts:
        purl = f"pkg:deb/debian/{one['name'].replace('+', '%2B')}@{one['version'].replace('+', '%2B')}"
        purl += f"?arch={one['arch']}&distro={codename}"
        properties = {"linkage": one["linkage"], "source": one["source"], "sourceVersion": one["source_version"]}
        if one["files"]:
            properties["files"] = " ".join(one["files"])
        components.append({
            "type": "library", "bom-ref": purl, "name": one["name"], "version": one["version"], "purl": purl,
            "licenses": [{"license": {"name": f"see licenses/{one['name']}/copyright"}}],
            "properties": [{"name": f"mltunnel:{key}", "value": value} for key, value in properties.items()],
        })  # fmt: skip
    digest = sha256_of(program)
    when = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'mltunnel:{arch}:{digest}')}",
        "metadata": {
            "timestamp": when,
            "component": {
                "type": "application", "bom-ref": self_ref, "name": "mltunnel", "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}], "hashes": [{"alg": "SHA-256", "content": digest}],
            },
            "properties": [
                {"name": "mltunnel:system", "value": release.get("PRETTY_NAME", "")},
                {"name": "mltunnel:architecture", "value": arch},
            ],
        },
        "components": components,
        "dependencies": [{"ref": self_ref, "dependsOn": [one["purl"] for one in components]}],
    }  # fmt: skip


def write_licenses(directory, parts):
    common = set()
    for one in parts:
        text = pathlib.Path("/usr/share/doc", one["name"], "copyright").read_text(errors="replace")
        common |= {match.rstrip(".") for match in COMMON_LICENSE.findall(text)}
        (directory / one["name"]).mkdir(parents=True)
        (directory / one["name"] / "copyright").write_text(text)
    for name in sorted(common):
        path = pathlib.Path("/usr/share/common-licenses", name)
        if path.is_file():
            (directory / "common").mkdir(exist_ok=True)
            shutil.copyfile(path, directory / "common" / name)


def write_relink(directory, build, tool):
    """The command that linked the program, over copies of what it names."""
    (directory / "objects").mkdir(parents=True)
    (directory / "lib").mkdir()
    command = shlex.split(output_of("ninja", "-C", build, "-t", "commands", "mltunnel").splitlines()[-1])
    words = []
    rest = iter(command[1:])
    for word in rest:
        if word == "-o":
            next(rest)
        elif word.startswith(("-Wl,-Map=", "-ffile-prefix-map=")):
            continue
        elif word.endswith(".a") and word.startswith("/"):
            name = os.path.basename(word)
            shutil.copyfile(word, directory / "lib" / name)
            words.append(f'"$(lib {name})"')
        elif word.endswith(".a"):
            # meson's archives are lists of paths; here they hold the objects.
            members = output_of(f"{tool}ar", "t", word, cwd=build).split()
            target = directory / "objects" / os.path.basename(word)
            output_of(f"{tool}ar", "rcsD", target, *members, cwd=build)
            words.append(f"objects/{target.name}")
        elif word.endswith(".o"):
            shutil.copyfile(build / word, directory / "objects" / os.path.basename(word))
            words.append(f"objects/{os.path.basename(word)}")
        else:
            words.append(shlex.quote(word))
    (directory / "link.sh").write_text(LINK_SH.format(words=" \\\n\t".join(words), compiler=command[0]))
    (directory / "README").write_text(RELINK_README)


def check_relink(directory, program, tool):
    """What we hand out does link, to the same program."""
    with tempfile.TemporaryDirectory() as scratch:
        again = pathlib.Path(scratch, "mltunnel")
        output_of("sh", directory / "link.sh", again)
        output_of(f"{tool}strip", "--strip-all", again)
        if again.read_bytes() != program.read_bytes():
            raise SystemExit("bundle: what link.sh makes is not the program")


def write_checksums(directory, target):
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path != target)
    target.write_text("".join(f"{sha256_of(path)}  {path.relative_to(directory)}\n" for path in paths))


def write_tarball(directory, target, epoch):
    archive = subprocess.run(
        ["tar", "--sort=name", f"--mtime=@{epoch}", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu",
         "--mode=u+rwX,go+rX,go-w", "-C", directory.parent, "-c", directory.name],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    target.write_bytes(gzip.compress(archive, mtime=0))


def write_deb(tree, target, version, arch, parts, epoch):
    """tree: the tarball's directory. Nothing is depended on; what is inside is told as Debian's policy wants it."""
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch, "root")
        doc = root / "usr/share/doc/mltunnel"
        doc.mkdir(parents=True)
        (root / "usr/bin").mkdir()
        shutil.copyfile(tree / "mltunnel", root / "usr/bin/mltunnel")
        (root / "usr/bin/mltunnel").chmod(0o755)
        for page in sorted((tree / "man").iterdir()):
            section = root / f"usr/share/man/man{page.suffix[1:]}"
            section.mkdir(parents=True, exist_ok=True)
            (section / f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), mtime=0))
        shutil.copytree(tree / "licenses", doc / "licenses")
        shutil.copyfile(tree / "LICENSE", doc / "copyright")
        shutil.copyfile(tree / "sbom.cdx.json", doc / "sbom.cdx.json")
        built_using = sorted({f"{one['source']} (= {one['source_version']})" for one in parts})
        size_kib = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) // 1024
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN/control").write_text(
            f"Package: mltunnel\nVersion: {version}\nArchitecture: {arch}\nSection: net\nPriority: optional\n"
            "Maintainer: mltunnel <mltunnel@localhost.invalid>\n"
            f"Installed-Size: {size_kib}\nStatic-Built-Using: {', '.join(built_using)}\n"
            "Description: tunnel agent for machines that serve language models\n"
            " Dials out to an frp server and publishes local services there. One static\n"
            " program; it takes the place of frp's own client.\n"
        )
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.name == "mltunnel" and path.parent.name == "bin" else 0o644)
            os.utime(path, (epoch, epoch))
        output_of("dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, target)


def main():
    parser = argparse.ArgumentParser(description="Tarball, Debian package, bill of materials, checksums.")
    for name in ("source", "build", "program", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--arch", required=True)
    parser.add_argument("--tool", default="", help="prefix of the binutils")
    args = parser.parse_args()
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    version = json.loads(output_of("meson", "introspect", "--projectinfo", args.build))["version"]
    name = f"mltunnel-{version}-linux-{args.arch}"
    parts = libraries(args.build)
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch, name)
        (tree / "man").mkdir(parents=True)
        shutil.copyfile(args.program, tree / "mltunnel")
        (tree / "mltunnel").chmod(0o755)
        for page in sorted((args.source / "agent/man").glob("*.[1-8]")):
            shutil.copyfile(page, tree / "man" / page.name)
        for text in ("LICENSE", "README.md"):
            shutil.copyfile(args.source / text, tree / text)
        bom = bill_of_materials(version, args.arch, args.program, parts, epoch)
        (tree / "sbom.cdx.json").write_text(json.dumps(bom, indent=1) + "\n")
        write_licenses(tree / "licenses", parts)
        write_relink(tree / "relink", args.build, args.tool)
        check_relink(tree / "relink", args.program, args.tool)
        write_checksums(tree, tree / "SHA256SUMS")
        write_tarball(tree, args.out / f"{name}.tar.gz", epoch)
        write_deb(tree, args.out / f"mltunnel_{version}_{args.arch}.deb", version, args.arch, parts, epoch)
        shutil.copyfile(tree / "mltunnel", args.out / "mltunnel")
        (args.out / "mltunnel").chmod(0o755)
        shutil.copyfile(tree / "sbom.cdx.json", args.out / f"{name}.cdx.json")
        shutil.copyfile(args.build / "mltunnel.map", args.out / f"{name}.map")
    write_checksums(args.out, args.out / "SHA256SUMS")


if __name__ == "__main__":
    main()
