"""docker-compose.yml and the Dockerfiles, checked without a Docker engine: against the Compose schema and each other.

The schema is the one that check-jsonschema carries (compose-spec, Apache-2.0).
"""

import copy
import json
import re
import shlex
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bots.__main__ import COMMANDS
from core import config

ROOT = Path(__file__).resolve().parents[2]
BASE, CPU = "docker-compose.yml", "docker-compose.cpu.yml"
PLATFORMS = ["discord", "telegram", "slack"]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile.*"))


def read(name: str) -> dict[str, Any]:
    """A Compose file as data, its anchors resolved."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def schema() -> jsonschema.protocols.Validator:
    """The Compose schema."""
    file = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    text = json.loads(file.read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(text)(text)


def instructions(dockerfile: Path, name: str) -> list[str]:
    """The arguments of each `name` instruction, continued lines joined."""
    text = re.sub(r"\\\n", " ", dockerfile.read_text(encoding="utf-8"))
    return [line.removeprefix(name).strip() for line in text.splitlines() if line.startswith(name + " ")]


@pytest.mark.parametrize("name", [BASE, CPU])
def test_the_compose_schema_accepts_the_file(schema, name):
    """Each file is valid Compose."""
    assert [error.message for error in schema.iter_errors(read(name))] == []


PLANTED = {
    "a misspelt key": ("worker", "dependson", ["redis"]),
    "a health check that is a number": ("redis", "healthcheck", {"test": 5}),
    "a card reserved without capabilities": (
        "worker",
        "deploy",
        {"resources": {"reservations": {"devices": [{"driver": "nvidia", "count": 1}]}}},
    ),
    "an unknown condition": ("worker", "depends_on", {"redis": {"condition": "service_awake"}}),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_the_compose_schema_refuses_a_planted_fault(schema, fault):
    """The check above can fail: a fault put into the file is found where it is, and nowhere else."""
    service, key, value = PLANTED[fault]
    broken = copy.deepcopy(read(BASE))
    broken["services"][service][key] = value

    assert {tuple(error.absolute_path)[:2] for error in schema.iter_errors(broken)} == {("services", service)}


def test_there_is_redis_a_worker_and_a_service_per_platform():
    """A platform's service is started only by its profile, and waits for a healthy Redis."""
    services = read(BASE)["services"]

    assert sorted(services) == sorted(["redis", "worker", *PLATFORMS])
    assert services["redis"]["image"] == "redis:8"
    assert "profiles" not in services["redis"] | services["worker"]
    for name in PLATFORMS:
        assert services[name]["profiles"] == [name]
    for name in ["worker", *PLATFORMS]:
        assert services[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert services[name]["environment"]["REDIS_URL"].startswith("redis://redis:")
        assert services[name]["env_file"] == [{"path": ".env", "required": False}]
        assert services[name]["restart"] == "unless-stopped"


def test_the_worker_reserves_one_nvidia_card():
    """The GPU reservation is in the base file."""
    devices = read(BASE)["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]

    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_what_must_survive_lies_in_named_volumes():
    """Redis' file, fetched models and LoRAs outlive their containers, and Redis writes what it acknowledges to disk."""
    compose = read(BASE)
    services = compose["services"]

    assert set(compose["volumes"]) == {"redis", "models", "loras"}
    assert services["redis"]["volumes"] == ["redis:/data"]
    assert services["worker"]["volumes"] == ["models:/cache", "loras:/data/loras"]
    assert "--appendonly yes" in shlex.join(services["redis"]["command"])
    assert services["redis"]["healthcheck"]["test"]


def test_caches_of_the_worker_point_into_its_volume():
    """A new container fetches no model again."""
    environment = read(BASE)["services"]["worker"]["environment"]

    assert all(environment[name].startswith("/cache/") for name in ["LIMEN_WORKER__CACHE", "HF_HOME"])
    assert environment["LIMEN_HOME"] == "/data"


def test_the_cpu_worker_is_the_gpu_worker_without_its_card():
    """The override puts a twin in the GPU worker's place; the two never drift apart."""
    base, override = read(BASE)["services"]["worker"], read(CPU)["services"]
    twin = override["worker-cpu"]

    assert override["worker"] == {"profiles": ["gpu"]}
    assert twin["build"].pop("args") == {"TORCH": "cpu"}
    assert twin.pop("image") != base.pop("image")
    del base["deploy"]
    assert twin == base


def test_every_image_is_built_from_a_dockerfile_that_is_there():
    """Build contexts and Dockerfiles exist, and a bot's image is given its own extra."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    services = read(BASE)["services"]
    builds = {name: service["build"] for name, service in services.items() if "build" in service}

    assert sorted(builds) == sorted(["worker", *PLATFORMS])
    for build in builds.values():
        assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    for name in PLATFORMS:
        assert builds[name]["args"] == {"EXTRA": name}
        assert name in extras


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_every_pip_line_is_constrained(dockerfile):
    """An image holds the versions we test with: each `pip install` names constraints.txt."""
    calls = [
        call for run in instructions(dockerfile, "RUN") for call in re.split(r"&&|;", run) if "pip install" in call
    ]

    assert calls
    assert [call for call in calls if "-c constraints.txt" not in call] == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_copies_only_what_is_there_and_let_through(dockerfile):
    """Each COPY source exists and .dockerignore, which shuts everything else out, lets it through."""
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    sources = [name for copied in instructions(dockerfile, "COPY") for name in copied.split()[:-1]]

    assert "*" in ignore
    assert {"adapters", "bots", "core", "personas", "worker"} < set(sources)
    for name in sources:
        path = ROOT / name
        assert f"!{name}/" in ignore if path.is_dir() else path.is_file() and f"!{name}" in ignore


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_runs_our_code_as_nobody_special(dockerfile):
    """Python is slim, the root of the code is on the path, and the process is not root."""
    assert instructions(dockerfile, "FROM") == ["python:3.12-slim"]
    assert "PYTHONPATH=/app" in instructions(dockerfile, "ENV")[0].split()
    assert instructions(dockerfile, "WORKDIR") == ["/app"]
    assert instructions(dockerfile, "USER") == ["limen"]


def test_the_bot_image_has_no_torch():
    """A bot holds no model, so its image does not bring one."""
    assert "torch" not in " ".join(instructions(ROOT / "docker/Dockerfile.bot", "RUN"))


def test_the_worker_image_starts_a_command_that_there_is():
    """`python -m bots worker` is a subcommand."""
    start = json.loads(instructions(ROOT / "docker/Dockerfile.worker", "CMD")[0])

    assert start[:3] == ["python", "-m", "bots"]
    assert start[3] in COMMANDS


def test_variables_that_the_file_asks_for_stop_no_process_of_ours(tmp_path):
    """They stand in the same `.env` that the services are given."""
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in [BASE, CPU])
    asked = set(re.findall(r"\$\{(LIMEN_\w+)", text))

    assert asked
    assert config.load(dict.fromkeys(asked, "./cards"), home=tmp_path).home == tmp_path


def test_platform_services_run_their_platform():
    """`limen run PLATFORM`, a command that there is."""
    services = read(BASE)["services"]

    assert "run" in COMMANDS
    assert {name: services[name]["command"] for name in PLATFORMS} == {
        name: ["limen", "run", name] for name in PLATFORMS
    }
