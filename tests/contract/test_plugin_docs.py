"""What docs/plugins.md tells a reader to type, typed: nothing else is installed or set."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "plugins.md"
REFERENCE = ROOT / "docs" / "plugin-reference.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def generator():
    path = ROOT / "docs" / "generate_plugin_reference.py"
    spec = importlib.util.spec_from_file_location("generate_plugin_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date():
    assert generator().render() == REFERENCE.read_text(), "run `make docs`"


def test_every_hook_and_method_is_in_the_reference_with_its_arguments():
    made, text = generator(), REFERENCE.read_text()
    assert len(made.hooks()) >= 6
    assert len(made.methods()) >= 10
    for name, function in {**made.hooks(), **made.methods()}.items():
        assert f"### `{name}(" in text
        assert function.__doc__, f"{name} has no docstring"
        section = text.split(f"### `{name}(")[1].split("\n### ")[0]
        for argument in function.__annotations__.keys() - {"return"}:
            assert argument in section.splitlines()[0]


def test_every_method_is_on_the_page_for_beginners():
    page = PAGE.read_text()
    assert all(f"`{name}`" in page for name in generator().methods())
    assert all(f"`{name}`" in page or name in page for name in generator().hooks())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_from_nothing_to_images_that_are_mirrored_and_served(tmp_path, free_ports):
    (tmp_path / "maas-image-mirror").symlink_to(ROOT, target_is_directory=True)
    typed = BLOCK.findall(PAGE.read_text())
    said = run("\n".join([*typed, ANOTHER_NAME, WHERE]), tmp_path, free_ports)
    assert re.search(r"^debian +loaded +maas-image-mirror-debian", said, re.MULTILINE)
    assert len(re.findall(r"^\d+ passed in ", said, re.MULTILINE)) == 2, said
    check_the_images_are_upstreams(tmp_path)
    refused = "the root-tgz has no os-release of Debian [debian-root-tgz]"
    # of both architectures, by the sync and by the list of what is offered; then by the API
    assert said.count(f"20250814: root-tgz: {refused}") == 4
    assert '"code":"debian-root-tgz"' in said
    assert re.search(r"^debian .* amd64 .* 20250715 .* none *$", said, re.MULTILINE)
    check_where_it_was_installed(tmp_path, said)
    edit_as_the_page_says(tmp_path / "debian-plugin/mirror_debian")
    check_what_was_added(run(EDITED, tmp_path, free_ports))


def run(script: str, folder: Path, ports: tuple[int, int]) -> str:
    """Run a script and return what it prints; it must succeed."""
    upstream, served = ports
    script = script.replace("8001", str(upstream)).replace("8080", str(served))
    script = script.replace("sleep 3", "sleep 10")
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{script}"],
        cwd=folder,
        env=bare_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


ANOTHER_NAME = """
copier copy --quiet --data name=gentoo2 --data 'title=Gentoo Linux 2.x' \\
    maas-image-mirror/template another-plugin
pip install --quiet --no-deps --no-build-isolation ./another-plugin
pytest -q another-plugin
mirror plugin list
"""
"""What else a person may call a distribution; this one is installed as a user's would be."""

WHERE = """
python -c 'import mirror, mirror_debian, mirror_gentoo2 as other
print("modules:", mirror.__file__, mirror_debian.__file__, other.__file__)'
"""


EDITED = """
. plugin-env/bin/activate
export MIRROR_DATA_DIR=$PWD/data MIRROR_PLUGINS__DEBIAN__WARN_DAYS=9999
export MIRROR_PLUGINS__DEBIAN__WEBHOOK_SECRET=http://127.0.0.1:8001/hook
pip install --quiet --no-deps --no-build-isolation -e debian-plugin
pytest -q debian-plugin
mirror plugin show debian
echo "days: $(mirror debian warn-days)"
mirror channel show stable
token=$(mirror token create again --role operator)
python - > told <<'END' &
import http.server

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode())

http.server.HTTPServer(("127.0.0.1", 8001), Hook).handle_request()
END
mirror serve --host 127.0.0.1 --port 8080 &
sleep 3
curl --silent --fail --header "Authorization: Bearer $token" \\
    http://127.0.0.1:8080/api/v1/plugins/debian/warn-days
mirror channel pin stable os=debian 20250615
cat told
"""
"""The plugin with all that the page's further blocks bring, used."""


def edit_as_the_page_says(package: Path) -> None:
    """Do to the template's plugin what the page says to do with its blocks of Python."""
    whole, method, further, commands = PYTHON.findall(PAGE.read_text())
    (package / "__init__.py").write_text(f"{whole}\n\n{further}")
    (package / "commands.py").write_text(commands)
    images = (package / "images.py").read_text()
    images = images.replace("import re\n", "import re\nfrom datetime import date\n", 1)
    first = "    def claims("
    (package / "images.py").write_text(images.replace(first, f"{method}\n{first}", 1))


def check_what_was_added(said: str) -> None:
    """Look for each: settings, of which one is a secret, notices, command, route, event."""
    assert re.search(r"^\d+ passed in ", said, re.MULTILINE), said
    assert re.search(r"^setting +warn_days = 9999 ", said, re.MULTILINE), said
    assert "/hook" not in said
    assert "days: 9999\n" in said
    assert "warning: debian stable (2 products): support ends on 2030-06-30 [debian-eol]" in said
    assert '{"days":9999}' in said
    assert '"channel":"stable"' in said
    assert '"reason":"pin' in said


def check_the_images_are_upstreams(folder: Path) -> None:
    """Look at what a client has got from the mirror: upstream's bytes, the mirror's signature."""
    index = (folder / "copy/streams/v1/index.sjson").read_text()
    assert '"org.example.maas:debian"' in index
    assert index != (folder / "upstream/streams/v1/index.sjson").read_text()
    copied = {
        str(each.relative_to(folder / "copy")): each.read_bytes()
        for each in (folder / "copy/debian").rglob("*")
        if each.is_file()
    }
    assert len(copied) == 8  # two architectures, two versions, two files
    for path, data in copied.items():
        assert data == (folder / "upstream" / path).read_bytes(), path


def check_where_it_was_installed(folder: Path, said: str) -> None:
    """All of it must be the new environment's: nothing of the checkout, or of the tests' own."""
    [line] = [each for each in said.splitlines() if each.startswith("modules:")]
    places = [Path(each) for each in line.removeprefix("modules:").split()]
    assert len(places) == 3
    assert all(each.is_relative_to(folder / "plugin-env/lib") for each in places), line
    assert re.search(r"^gentoo2 +loaded +maas-image-mirror-gentoo2", said, re.MULTILINE)


@pytest.fixture
def free_ports():
    """Return two ports on which nobody listens."""
    import socket

    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def bare_environment(home: Path) -> dict[str, str]:
    """Return an environment that knows nothing of the one the tests run in."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MIRROR_", "PYTEST_", "PYTHON", "VIRTUAL_ENV", "COV_"))
    }
    own = str(Path(sys.executable).parent)
    path = os.pathsep.join(each for each in kept["PATH"].split(os.pathsep) if each != own)
    return {**kept, "PATH": path, "HOME": str(home)}
