"""The image's two recipes; no linter exists for Apptainer's, so its sections are checked here."""

import re
import subprocess

from tests.cluster.cluster_files import CLUSTER, ROOT, tool

SECTIONS = {"files", "post", "environment", "runscript", "test", "labels", "help"}
HEADERS = {"Bootstrap": "docker"}


def test_hadolint_finds_nothing():
    found = subprocess.run(
        [tool("hadolint"), CLUSTER / "images/Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout + found.stderr == ""


def parse(text):
    """Return headers and sections of a definition file."""
    headers, sections, section = {}, {}, None
    for line in text.splitlines():
        if line.startswith("%"):
            section = line[1:].strip()
            assert section not in sections, f"twice: {section}"
            sections[section] = []
        elif section is not None:
            sections[section].append(line.strip())
        elif line and not line.startswith("#"):
            name, colon, value = line.partition(":")
            assert colon, f"neither header nor section: {line}"
            headers[name] = value.strip()
    return headers, {name: [line for line in lines if line] for name, lines in sections.items()}


def definition():
    return parse((CLUSTER / "images/somray.def").read_text())


def test_the_definition_has_apptainers_sections_and_no_other():
    headers, sections = definition()
    assert headers["Bootstrap"] == "docker"
    assert set(headers) == {"Bootstrap", "From"}
    assert set(sections) == SECTIONS
    assert all(sections.values())


def test_shell_in_the_definition_passes_shellcheck():
    _, sections = definition()
    for name in ("post", "environment", "runscript", "test"):
        script = "#!/bin/sh\n" + "\n".join(sections[name]) + "\n"
        found = subprocess.run(
            [tool("shellcheck"), "-"], input=script, capture_output=True, text=True, check=False
        )
        assert found.stdout == "", name


def test_what_goes_into_the_images_exists():
    _, sections = definition()
    sources = [line.split()[0] for line in sections["files"]]
    docker = (CLUSTER / "images/Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)$", docker, re.MULTILINE):
        sources += line.split()[:-1]
    assert len(sources) > 8
    assert [source for source in sources if not (ROOT / source).exists()] == []
    ignored = (CLUSTER / "images/Dockerfile.dockerignore").read_text().splitlines()
    assert [s for s in set(sources) if f"!{s}" not in ignored] == []


def test_both_images_have_one_base_and_the_pinned_packages():
    docker = (CLUSTER / "images/Dockerfile").read_text()
    headers, sections = definition()
    assert f"ARG BASE={headers['From']}\n" in docker
    for installs in (docker, "\n".join(sections["post"])):
        assert re.search(r"pip install .*-c constraints\.txt -r \S*cloud\.txt", installs)


def test_the_image_has_a_user_without_rights_and_writes_to_tmp():
    docker = (CLUSTER / "images/Dockerfile").read_text()
    assert re.search(r"^USER 1000:1000$", docker, re.MULTILINE)
    assert "NUMBA_CACHE_DIR=/tmp/numba" in docker
    assert "RAY_AUTH_MODE=token" in docker


def test_the_clouds_packages_are_pinned_as_ours_are():
    pins = [line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()]
    ours = {name.lower().replace("_", "-"): version for name, version in pins}
    lines = (CLUSTER / "images/cloud.txt").read_text().splitlines()
    theirs = [line.split("==") for line in lines if not line.startswith("#")]
    assert all(len(pin) == 2 for pin in theirs)
    assert [n for n, v in theirs if ours.get(n.lower().replace("_", "-"), v) != v] == []
