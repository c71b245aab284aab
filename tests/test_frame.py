"""The project's frame: pins, make targets, set-up scripts, the direction of imports, what a wheel holds."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
ROOMS = ("crm", "features", "models", "planning", "training", "serving")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command: str | Path, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run from the project's folder with a bare environment; `path` comes before the system's folders."""
    folders = ["/usr/local/bin", "/usr/bin", "/bin", "/opt/homebrew/bin"]
    environment["PATH"] = ":".join([str(path)] * bool(path) + folders)
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith(" ")]
    found = [Requirement(line.removesuffix("\\")) for line in lines]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in found}


def program(folder: Path, name: str, script: str) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_import_mlflow_finds_the_installed_library_although_a_folder_has_its_name():
    found = run(sys.executable, "-c", "from importlib.util import find_spec; print(find_spec('mlflow').origin)")
    assert "site-packages" in found.stdout, found
    assert not list((ROOT / "mlflow").rglob("*.py"))


def test_make_help_lists_every_target():
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = [line.split()[1] for line in run("make", "help").stdout.splitlines()]
    assert phony
    assert listed == phony[1].split()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-bootstrap.txt"])
def test_pins_have_a_version_and_hashes_and_name_no_index(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        pin, *hashes = entry.split(" \\\n")
        assert re.match(r"^[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+( ; .+)?$", pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", line) for line in hashes), pin


def test_pins_agree_with_each_other_and_with_what_the_project_asks_for():
    everything, used = pins("requirements-dev.txt"), pins("requirements.txt")
    assert used.items() <= everything.items()
    assert all(everything.get(name, version) == version for name, version in pins("requirements-bootstrap.txt").items())
    extras = [wish for extra in PROJECT["optional-dependencies"].values() for wish in extra]
    for pinned, wishes in ((used, PROJECT["dependencies"]), (everything, extras)):
        for wish in map(Requirement, wishes):
            assert wish.specifier.contains(pinned[canonicalize_name(wish.name)]), f"{wish}: run make pins"


def test_imports_between_the_rooms_go_one_way():
    found = run(Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache")
    assert found.returncode == 0, found.stdout
    assert "0 broken" in found.stdout


@pytest.mark.parametrize("file", sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py")), ids=str)
def test_a_module_says_first_what_is_in_it_and_stays_readable(file):
    lines = file.read_text().splitlines()
    assert lines[0].startswith(('"""', 'r"""'))
    assert len(lines) <= 500 or file == ROOT / "crm/schema.py"  # declarations, and the one place for them


def test_a_python_that_is_too_old_is_named_with_the_mend(tmp_path):
    old = program(tmp_path, "python3", '[ "$1" = --version ] && echo Python 3.9.2 || exit 1')
    found = run(ROOT / "tools/setup.sh", tmp_path / "venv", "run", PYTHON=str(old))
    assert found.returncode == 1
    assert found.stderr == (
        "bellwether: Bellwether runs on Python 3.11 to 3.13, found Python 3.9.2. "
        "Install one of these, or name it: make run PYTHON=python3.12\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="Debian's packages")
@pytest.mark.parametrize(
    ("lacks", "what", "package"),
    [
        ("ensurepip", "Python's venv module", "python3-venv"),
        ("libgomp", "OpenMP for LightGBM (libgomp.so.1)", "libgomp1"),
    ],
)
def test_a_missing_system_package_is_named_in_one_line_for_who_is_not_root(tmp_path, lacks, what, package):
    program(tmp_path, "id", "echo 1000")
    program(tmp_path, "python3", f'case "$*" in *{lacks}*) exit 1 ;; esac')
    found = run(ROOT / "tools/setup.sh", tmp_path / "venv", "run", path=tmp_path)
    assert found.returncode == 1
    assert found.stderr == (
        f"bellwether: {what} is missing. Install it (Debian: sudo apt-get install {package}), then run make again.\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="Debian's packages")
def test_a_missing_system_package_is_installed_for_root_on_debian(tmp_path):
    log = tmp_path / "log"
    program(tmp_path, "id", "echo 0")
    program(tmp_path, "apt-get", f'echo "$@" >>{log}; exit 0')
    program(
        tmp_path,
        "python3",
        f'case "$*" in *ensurepip*) grep -q python3-venv {log} 2>/dev/null ;; *venv*) exit 9 ;; esac',
    )
    found = run(ROOT / "tools/setup.sh", tmp_path / "venv", "run", path=tmp_path)
    assert log.read_text().splitlines() == ["update -qq", "install -qq -y --no-install-recommends python3-venv"], found
    assert found.stdout.startswith("bellwether: installing python3-venv with apt-get\n")


def test_tests_that_lack_a_tool_are_named_in_one_line_for_who_is_not_root(tmp_path):
    program(tmp_path, "id", "echo 1000")
    program(tmp_path, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    program(tmp_path, "ls", "exit 1")
    program(tmp_path, "chromium", "")
    found = run(ROOT / "tools/test-system.sh", path=tmp_path)
    assert found.returncode == 0
    lacking = re.findall(r"^bellwether: (.+) are not run: (\S+) is missing \(Debian: .+\)$", found.stdout, re.MULTILINE)
    assert [what for what, _ in lacking] == ["Spark tests", "tests of Chinese print"]
    assert [re.sub(r"openjdk-17|default", "java", package) for _, package in lacking] == [
        "java-jre-headless",
        "fonts-noto-cjk",
    ]


def test_a_wheel_holds_every_file_of_the_rooms(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    tracked = run("git", "ls-files", "-z", "pyproject.toml", "README.md", "LICENSE", *ROOMS).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).exists():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    build = "from setuptools.build_meta import build_wheel; build_wheel('../wheel')"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.split("/")[0] in ROOMS}
    assert held == {
        str(file.relative_to(source)) for room in ROOMS for file in (source / room).rglob("*") if file.is_file()
    }
