"""What lies in the data folder is declared."""

import pytest

from freehold.store.folders import undeclared


@pytest.mark.parametrize(
    "path",
    [
        "freehold.db",
        "freehold.db-wal",
        "gateway/gateway.db-shm",
        "gateway/lock",
        "gateway/migrate.lock",
        "run/web.sock",
        "tenants/ten_1/workspaces/agt_1/notes.txt",
    ],
)
def test_what_belongs_in_the_data_folder_is_declared(path: str) -> None:
    assert undeclared([path]) == []


@pytest.mark.parametrize("path", ["notes.txt", "gateway/plain.txt", "tenants/ten_1/other", "freehold.database"])
def test_a_stray_file_is_named(path: str) -> None:
    assert undeclared([path]) == [path]
