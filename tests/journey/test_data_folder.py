"""A platform that worked leaves nothing in its data folder that is not declared."""

from freehold.store.folders import undeclared
from freehold.testing.platform import LocalPlatform
from tests.platforms import run_cli, told


def test_all_that_lies_in_the_data_folder_is_declared(platform: LocalPlatform) -> None:
    told(platform, "tenant", "create", "tidy")
    told(platform, "agent", "create", "ada", "-t", "tidy", "-m", "rehearsal", "--tool", "write_file=allow")
    run_cli(platform, "message", "send", "ada", "write a.txt: hello", "-t", "tidy", "--wait", "30")
    files = [path for path in platform.data.rglob("*") if not path.is_dir()]
    names = {str(path.relative_to(platform.data)) for path in files}
    assert any(name.endswith("/a.txt") for name in names)
    assert undeclared(sorted(names)) == []
