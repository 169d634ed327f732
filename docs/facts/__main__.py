"""Runs the scenarios and holds them against `facts.json`: `python -m facts [--write | --report] [--floor PYTHON]`.

Without an option it fails where a fact has changed, and shows both values. `--write` makes the file what the
run has shown. `--report` shows what has changed and does not fail: for versions that are not those of the file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .answers import agreed
from .scenarios import BY_NAME, SCENARIOS
from .store import digest, libraries_differ
from .subjects import BACKENDS, FLOOR, LIBRARIES, NEWEST

FILE = Path(__file__).parent / "facts.json"
HERE = Path(__file__).parent.parent
UNGATED = {"at", "seconds"}  # times: published, never a reason to fail
AT_ONCE = 8  # subjects; most of a run is waiting
VERSIONS = """
import importlib.metadata, json, platform
names = "requests httpx httpx2 httpcore httpcore2 urllib3 aiohttp h11 h2 anyio unifetch-http".split()
found = {"python": platform.python_version(), "system": platform.system()}
for name in names:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m facts", description="Hold the facts against a new run.")
    parser.add_argument("--write", action="store_true", help="write what the run shows to facts.json")
    parser.add_argument("--report", action="store_true", help="show what differs, and do not fail")
    parser.add_argument("--floor", help="a Python that has the oldest versions; without it they are left alone")
    parser.add_argument("--subject", action="append", help="only this one (may be given again)")
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="only these")
    arguments = parser.parse_args()
    old: dict[str, Any] = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {"made": {}, "scenarios": {}}
    runs = [(sys.executable, subject, "") for subject in NEWEST]
    runs += [(arguments.floor, subject, "@floor") for subject in FLOOR] if arguments.floor else []
    runs = [run for run in runs if not arguments.subject or run[1] in arguments.subject]
    new = measured(runs, arguments.names)
    made: dict[str, Any] = {"newest": versions(sys.executable), "curl": curl_version()}
    made["floor"] = versions(arguments.floor) if arguments.floor else old["made"].get("floor", {})
    made["newest"].pop("unifetch-http", None)  # it is what is compared, at the version of the checkout
    if made["curl"] != old["made"].get("curl") and not arguments.write:
        print(f"curl is {made['curl']}, the facts are of {old['made'].get('curl')}: it is left out")
        new = {key: record for key, record in new.items() if key[1] != "curl"}
    doubtful = [key for key in new if compared(old["scenarios"], {key: new[key]}, full=False, floor=None)]
    if doubtful and not arguments.write:  # a busy machine is no change: what differs is run once more
        names, subjects = sorted({name for name, _ in doubtful}), {subject for _, subject in doubtful}
        again = measured([run for run in runs if run[1] + run[2] in subjects], names)
        new |= {key: again[key] for key in doubtful}
    changes = compared(old["scenarios"], new, full=not (arguments.names or arguments.subject), floor=arguments.floor)
    print("\n".join(changes) if changes else f"{len(new)} runs, and nothing has changed")
    if arguments.write:
        write(old, new, made, full=not (arguments.names or arguments.subject))
        return 0
    return 1 if changes and not arguments.report else 0


# --- Running --------------------------------------------------------------------------------------


def measured(runs: list[tuple[str, str, str]], names: list[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """The records, by scenario and subject."""
    with tempfile.TemporaryDirectory() as folder:
        certificates(Path(folder))
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = threads.map(lambda run: of_subject(run, folder, names), runs)
            return {key: record for records in found for key, record in records.items()}


def of_subject(run: tuple[str, str, str], folder: str, names: list[str]) -> dict[tuple[str, str], Any]:
    python, subject, suffix = run
    command = [python, "-m", "facts.worker", subject, folder, *names]
    # Nothing of the caller's environment: no proxy, no netrc, no trust store.
    environ = {"PATH": os.environ["PATH"], "HOME": folder, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{subject}{suffix}: {done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(line["scenario"], subject + suffix): line["record"] for line in lines}


def certificates(folder: Path) -> None:
    """An authority that nobody knows, a certificate of it, and one whose name stands only in the common name."""
    import datetime

    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(folder / "trusted.pem")
    signer = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    (folder / "common-name.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )


def versions(python: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(subprocess.run([python, "-c", VERSIONS], capture_output=True, check=True).stdout)
    return found


def curl_version() -> str:
    try:
        return subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    except (OSError, subprocess.CalledProcessError):
        return "not installed"


# --- Comparing and writing ------------------------------------------------------------------------


def compared(
    old: dict[str, Any], new: dict[tuple[str, str], dict[str, Any]], *, full: bool, floor: str | None
) -> list[str]:
    """What has changed, with both values."""
    changes = []
    for (scenario, subject), record in new.items():
        before = known(old, scenario, subject)
        if before is None:
            changes.append(f"{scenario}, {subject}: is new: {record['answer']}")
            continue
        for name in gated(scenario, record):
            if before.get(name) != record[name]:
                changes.append(f"{scenario}, {subject}: {name}\n  was {before.get(name)!r}\n  is  {record[name]!r}")
    if full:
        for scenario, records in old.items():
            for subject in records:
                if (scenario, subject) not in new and subject != "curl" and (floor or not subject.endswith("@floor")):
                    changes.append(f"{scenario}, {subject}: is gone: {known(old, scenario, subject)['answer']}")
    return changes


def known(old: dict[str, Any], scenario: str, subject: str) -> Any:
    """The record of the file; one that equals that of another subject is only the name of that one."""
    record = old.get(scenario, {}).get(subject)
    return old[scenario][record] if isinstance(record, str) else record


def gated(scenario: str, record: dict[str, Any]) -> list[str]:
    """The names of what has to be equal in every run."""
    racy = {"wire", "requests", "connections", "fields"} if BY_NAME[scenario].racy else set()
    return [name for name in record if name not in UNGATED | racy]


def write(old: dict[str, Any], new: dict[tuple[str, str], Any], made: dict[str, Any], *, full: bool) -> None:
    """The file: in the order of the scenarios and subjects, and with the old times where nothing else has changed."""
    scenarios: dict[str, Any] = {} if full else dict(old["scenarios"])
    for scenario in SCENARIOS:
        records = dict(scenarios.get(scenario.name, {}))
        for subject in (*NEWEST, *(f"{name}@floor" for name in FLOOR)):
            record = new.get((scenario.name, subject))
            if record is None:
                continue
            before = known(old["scenarios"], scenario.name, subject)
            if before is not None and all(before.get(name) == record[name] for name in gated(scenario.name, record)):
                record = before
            like = "unifetch:urllib" if subject.startswith("unifetch:") else subject.removesuffix("@floor")
            other = new.get((scenario.name, like)) if like != subject else None
            same = other is not None and all(other[name] == record[name] for name in gated(scenario.name, record))
            records[subject] = like if same else record
        scenarios[scenario.name] = records
    scenarios = {scenario.name: scenarios[scenario.name] for scenario in SCENARIOS if scenario.name in scenarios}
    facts = {"made": made, "digest": digest(scenarios), "summary": summary(scenarios), "scenarios": scenarios}
    FILE.write_text(json.dumps(facts, indent=1, ensure_ascii=True) + "\n", "utf-8")


def summary(scenarios: dict[str, Any]) -> dict[str, Any]:
    """The numbers that the site shows of all of it: of how many scenarios two subjects have the same answer."""
    columns = (*LIBRARIES, *(f"unifetch:{name}" for name in BACKENDS))
    grid: dict[str, dict[str, list[int]]] = {}
    for one in columns:
        for other in columns:
            both = [name for name, records in scenarios.items() if one in records and other in records]
            same = sum(agreed(known(scenarios, name, one)) == agreed(known(scenarios, name, other)) for name in both)
            grid.setdefault(one, {})[other] = [same, len(both)]
    runs = sum(len(records) for records in scenarios.values())
    differ = sum(map(libraries_differ, scenarios.values()))
    return {"scenarios": len(scenarios), "runs": runs, "differ": differ, "agreement": grid}


if __name__ == "__main__":
    sys.exit(main())
