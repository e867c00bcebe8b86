"""An encrypted server must be who was asked for by name, though it is an address that is connected to."""

import json
import subprocess
import sys

import pytest

from freehold.surroundings import passed_on
from tests.encrypted import GOOD, Told, certified


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("certificates")
    certified(folder)
    nobody = "http://127.0.0.1:9"
    proxies = {"HTTPS_PROXY": nobody, "https_proxy": nobody, "HTTP_PROXY": nobody, "ALL_PROXY": nobody}
    environment = passed_on() | proxies | {"SSL_CERT_FILE": str(folder / "ca.pem")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.encrypted", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: Told = json.loads(done.stdout)
    return found


def test_only_the_name_on_the_certificate_is_spoken_to(told: Told) -> None:
    good, other, address, again, spelt_otherwise = told["name"]
    assert (good, again, spelt_otherwise) == (200, 200, 200)
    assert (other, address) == ("server_unreachable", "server_unreachable")


def test_an_address_is_spoken_to_if_the_certificate_names_it(told: Told) -> None:
    good, other, address, again, _ = told["address"]
    assert address == 200
    assert {good, other, again} == {"server_unreachable"}


def test_nobody_rides_on_a_connection_that_was_opened_by_another_name(told: Told) -> None:
    greetings = [line for line in told["name heard"] if line is None or not line.startswith("Host:")]
    assert greetings == [GOOD, "other.example", None]


def test_the_server_is_told_the_name_and_not_the_address(told: Told) -> None:
    hosts = [line for line in told["name heard"] if line and line.startswith("Host:")]
    assert hosts == [f"Host: {GOOD}:PORT"] * 3
    assert told["address heard"][-1] != f"Host: {GOOD}:PORT"
