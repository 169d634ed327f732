"""What the archives of a release must hold: `python tests/release.py DIST`, which `tox -e release` runs.

It reads the archives themselves, and installs the wheel into an empty environment, so that nothing of the source tree
helps.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email import message_from_string
from pathlib import Path


def check(dist: Path) -> None:
    """Fail unless a wheel and a source archive of one version are in `dist`, complete and usable."""
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = message_from_string(archive.read(next(n for n in names if n.endswith("/METADATA"))).decode())
    text = str(metadata.get_payload())
    with tarfile.open(source) as archive_of_source:
        files = {name.partition("/")[2] for name in archive_of_source.getnames()}

    assert "unifetch-http" == metadata["Name"]
    assert "unifetch/py.typed" in names
    assert [] == [name for name in names if not name.startswith(("unifetch/", "unifetch_http-"))]
    assert [] == re.findall(r"\]\((?!https?://|#)[^)]*\)", text), "a link into the repository"
    assert {"README.md", "CHANGELOG.md", "LICENSE", "src/unifetch/__init__.py", "tests/conftest.py"} <= files

    with tempfile.TemporaryDirectory() as home:
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        python = Path(home, "Scripts" if sys.platform == "win32" else "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", wheel], check=True)
        told = subprocess.run([python, "-m", "unifetch", "--version"], check=True, capture_output=True, text=True)
        subprocess.run([python, "-m", "unifetch", "demo"], check=True, stdout=subprocess.DEVNULL)

    assert metadata["Version"] in told.stdout
    print(f"{wheel.name} and {source.name} are as they should be")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
