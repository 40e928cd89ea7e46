"""The container file: linted, and its steps run without an engine."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import httpx
import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / "Containerfile"
STEPS = re.findall(r"^([A-Z]+) (.+)$", FILE.read_text().replace("\\\n", " "), re.MULTILINE)
PORT = 7897


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sysconfig.get_path("scripts"), "hadolint")
    done = subprocess.run([linter, FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_compose_builds_this_file_and_asks_for_a_password() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["inkbridge"]
    assert (ROOT / service["build"]["context"] / service["build"]["dockerfile"]) == FILE
    assert ":?" in service["environment"]["INKBRIDGE_PASSWORD"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_its_steps_give_a_page_that_asks_for_the_password(tmp_path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for sources in (words for step, words in STEPS if step == "COPY"):
        *names, target = sources.split()
        for name in names:
            assert f"!{Path(name)}" in ignored
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tmp_path / target)
            else:
                shutil.copy(ROOT / name, tmp_path / target)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    environment = os.environ | {"PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}"}
    (install,) = (words.partition("&&")[0] for step, words in STEPS if step == "RUN")
    subprocess.run(install, shell=True, cwd=tmp_path, env=environment, check=True)
    (entry,) = (json.loads(words) for step, words in STEPS if step == "ENTRYPOINT")
    (tmp_path / "runs").mkdir()
    command = [str(tmp_path / "runs") if word == "/runs" else word for word in entry]
    environment |= {"INKBRIDGE_PASSWORD": "sesame", "TMPDIR": str(tmp_path)}
    server = subprocess.Popen([*command, "--port", str(PORT)], cwd=tmp_path / "runs", env=environment)
    try:
        statuses = []
        for password in ("", "sesame"):
            words = base64.b64encode(f"me:{password}".encode()).decode()
            statuses.append(_status({"authorization": f"Basic {words}"}))
        assert statuses == [401, 200]
    finally:
        server.terminate()
        server.wait()


def _status(headers: dict[str, str]) -> int:
    for _ in range(300):
        try:
            return httpx.get(f"http://127.0.0.1:{PORT}/en/", headers=headers).status_code
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the page does not answer")
